// PathStatus: one known path to a peer, as `quicmesh paths` shows it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "quicmesh/node_id.hpp"
#include "quicmesh/socket_address.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh {

enum class PathState : std::uint8_t {
  current,
  standby,    // answers probes
  held_down,  // failed in use, or did not take a move: not chosen for a while
  probing,    // has not answered yet
  silent,     // does not answer, or does so no more
};

/// Where the far address comes from (RFC 8445 s5.1.1).
enum class PathKind : std::uint8_t {
  host,              // an interface of the peer's, as it says
  server_reflexive,  // of the peer, as others see it
  peer_reflexive,    // nobody named it: the peer's packets came from there
  mapped,            // of a port that the peer has its gateway forward
  given,             // the address that was dialled
  relay,
  turn,  // of the peer on a TURN server, of ours or of its own
};

[[nodiscard]] std::string_view to_string(PathState state);
/// As ICE has them: "host", "srflx", "prflx"; "mapped", "given", "relay", "turn".
[[nodiscard]] std::string_view to_string(PathKind kind);

struct PathStatus {
  SocketAddress remote;  // the relay's if there is one
  std::optional<NodeId> relay;
  IpAddress local;        // unspecified where the kernel chooses
  bool over_tls = false;  // to the relay, since UDP did not answer; `remote` is its TCP address
  bool current = false;
  std::optional<Duration> rtt;
  std::size_t mtu_bytes = 0;  // UDP payload; of the current path only
  PathState state{};
  PathKind kind{};
  std::optional<Duration> held_for;  // of `held_down`: from now on
  unsigned probes_sent = 0;      // the last 32; the path in use is probed only when it is silent
  unsigned probes_answered = 0;  // of those
  std::uint64_t bytes_sent = 0;  // of QUIC, by this side, since the path is known
  std::uint64_t bytes_received = 0;
};

}  // namespace quicmesh
