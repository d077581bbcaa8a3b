// How a person names a node: `NODEID`, or `NODEID@host:port[,host:port...]` to say where it is.
//
// A host is an IP address (IPv6 in brackets) or a DNS name. Names are only checked here; the driver
// resolves them. A "name" whose last label is a number is refused: resolvers read `127.1` and
// `0x7f.1` as IP addresses, which would be a second spelling past every address filter.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "quicmesh/node_id.hpp"
#include "quicmesh/result.hpp"
#include "quicmesh/socket_address.hpp"

namespace quicmesh {

/// A UDP endpoint whose host may still have to be resolved.
struct HostPort {
  std::string host;  // an IP address in canonical text without brackets, or a name in lower case
  std::uint16_t port = 0;  // 1 to 65535

  /// `IdentityErrc::malformed_host` for anything but `address:port` and `name:port`, port > 0.
  static Result<HostPort> parse(std::string_view text);

  /// The endpoint, if the host is an IP address.
  [[nodiscard]] std::optional<SocketAddress> literal() const;
  [[nodiscard]] std::string to_string() const;

  auto operator<=>(const HostPort&) const = default;
};

struct NodeAddress {
  static constexpr std::size_t addresses_max = 16;  // more is refused

  NodeId id;
  std::vector<HostPort> addresses;

  /// Errors of NodeId::parse and HostPort::parse; `IdentityErrc::malformed_node_address` for an
  /// empty or overlong list.
  static Result<NodeAddress> parse(std::string_view text);

  /// The id in its short form.
  [[nodiscard]] std::string to_string() const;

  auto operator<=>(const NodeAddress&) const = default;
};

}  // namespace quicmesh
