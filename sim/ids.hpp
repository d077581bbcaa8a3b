// Names of things in a simulated network: indices, handed out in order of creation.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quicmesh::sim {

enum class HostId : std::uint32_t {};
enum class InterfaceId : std::uint32_t {};
enum class NatId : std::uint32_t {};
enum class LinkId : std::uint32_t {};

/// Where something touches a realm: a host's interface or the outside of a NAT.
enum class AttachmentId : std::uint32_t {};
inline constexpr AttachmentId no_attachment{~std::uint32_t{0}};

/// An address space in which every attachment reaches every other; each NAT has one inside.
enum class RealmId : std::uint32_t {};
inline constexpr RealmId internet{0};

template <class Id>
constexpr std::size_t index_of(Id id) {
  return static_cast<std::size_t>(id);
}

}  // namespace quicmesh::sim
