// IP addresses and UDP endpoints as plain values: parsed strictly, printed canonically.
//
// An IPv4 address is kept as such, never as an IPv4-mapped IPv6 address: parsing `::ffff:1.2.3.4`
// gives the IPv4 address 1.2.3.4, so that no filter can be passed by a second spelling.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "quicmesh/result.hpp"

namespace quicmesh {

enum class IpFamily : std::uint8_t { v4, v6 };

/// Who can be expected to reach an address.
enum class AddressScope : std::uint8_t {
  unusable,
  loopback,
  link_local,
  private_realm,
  public_internet
};

class IpAddress {
 public:
  /// The unspecified IPv4 address 0.0.0.0.
  constexpr IpAddress() = default;

  static constexpr IpAddress v4(std::array<std::uint8_t, 4> bytes) {
    IpAddress address;
    for (std::size_t i = 0; i < 4; ++i)
      address.bytes_[i] = bytes[i];
    return address;
  }
  /// An IPv4-mapped address (::ffff:0:0/96) becomes the IPv4 address it stands for.
  static IpAddress v6(const std::array<std::uint8_t, 16>& bytes);

  static IpAddress any(IpFamily family);
  static IpAddress loopback(IpFamily family);

  /// Dotted quad without leading zeros, or RFC 4291 text without zone id.
  static Result<IpAddress> parse(std::string_view text);

  [[nodiscard]] constexpr IpFamily family() const { return family_; }
  [[nodiscard]] bool is_unspecified() const;
  [[nodiscard]] AddressScope scope() const;

  /// 16 bytes: an IPv4 address fills the first four, the rest are zero.
  [[nodiscard]] constexpr const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }

  /// RFC 5952 text for IPv6, dotted quad for IPv4.
  [[nodiscard]] std::string to_string() const;

  auto operator<=>(const IpAddress&) const = default;

 private:
  IpFamily family_ = IpFamily::v4;
  std::array<std::uint8_t, 16> bytes_{};
};

struct SocketAddress {
  IpAddress ip;
  std::uint16_t port = 0;

  /// `1.2.3.4:5` or `[2001:db8::1]:5`; port 0 is allowed (it means "any" when listening).
  static Result<SocketAddress> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;

  auto operator<=>(const SocketAddress&) const = default;
};

}  // namespace quicmesh

template <>
struct std::hash<quicmesh::IpAddress> {
  std::size_t operator()(const quicmesh::IpAddress& address) const noexcept;
};

template <>
struct std::hash<quicmesh::SocketAddress> {
  std::size_t operator()(const quicmesh::SocketAddress& address) const noexcept;
};
