// What a puncher is told to begin with, and what it wants done.
#pragma once

#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "base/network_path.hpp"
#include "nat/nat_profile.hpp"
#include "nat/punch_plan.hpp"
#include "nat/socket_request.hpp"
#include "quicmesh/node_id.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh {

struct PunchStart {
  NodeId peer;
  /// Our NodeId is the lower one of the two: who leads where both do the same. Not who dialled:
  /// when both did, each may still hold another connection for the one that stays.
  bool lower_id = false;
  NatProfile ours;    // exactly what we told them
  NatProfile theirs;  // exactly what they told us
  /// From the main socket to their external endpoint, as they told it (server-reflexive).
  NetworkPath path;
  /// Where relays or STUN servers see our main socket, as we told it.
  std::optional<SocketAddress> our_external;
  /// Their IP address as a relay or STUN node that we trust with it sees it. Without it they get
  /// what a stranger gets (stranger_allowance.hpp), which is too little for a birthday.
  std::optional<IpAddress> attested;
  std::vector<SocketAddress> stun_servers;  // the first four are used
  Duration round_trip{};                    // to the peer over the relay
};

/// To be sent to the peer over the control stream; at most 64 bytes.
struct PunchSay {
  NodeId peer;
  Bytes body;
};

/// To be sent as one authenticated probe request of that peer's connection on `path`, whether the
/// path is known otherwise or not. `hop_limit`: the IP TTL of this packet alone.
struct PunchProbe {
  NodeId peer;
  NetworkPath path;
  std::optional<std::uint8_t> hop_limit;
};

enum class PunchOutcome : std::uint8_t {
  direct,
  no_way_through,  // all rounds, or all guesses, were in vain
  silent_peer,     // the other puncher never answered
  given_up_there,  // the other puncher said so
  not_attested,    // more packets would have been needed than a stranger gets
  no_sockets,      // the driver gave too few
  no_sample,       // no STUN server answered, or none with the address known
  busy,            // too many other birthdays in this node
};

struct PunchEnded {
  NodeId peer;
  PunchTechnique technique{};
  PunchOutcome outcome{};
  /// Of `direct`. If its socket is one that was opened for the punch (`adopted`), it stays open and
  /// is the driver's from now on.
  std::optional<NetworkPath> path;
  bool adopted = false;
  unsigned probes = 0;  // sent by this side
  unsigned rounds = 0;
  Duration duration{};
  /// If it failed: `start` refuses this peer for so long.
  Duration back_off{};
};

using PuncherEvent = std::variant<OpenSocket, CloseSocket, PunchSay, PunchProbe, PunchEnded>;

[[nodiscard]] std::string_view to_string(PunchOutcome outcome);

}  // namespace quicmesh
