// Messages between a client and its relay, on one bidirectional stream of the protocol
// "quicmesh/relay/1" on their one connection, which is mutually authenticated. The client opens it.
//
//     0..1  length of type and body, 1..relay_message_max      2  type      3..  body
//
// The tables of the bodies are in docs/protocols/relay.md. Every body is read to its end, every
// list and string has a bound, and unknown types are skipped: a later version may add some.
//
// No message of a client makes the relay send anything to an address in it: the packet of a
// stand-in goes to the client's own IP address. The addresses that a relay sends are the client's
// own as the relay sees it, and those of other relays, which a client may dial like any candidate.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "quicmesh/bytes.hpp"
#include "quicmesh/node_id.hpp"
#include "quicmesh/result.hpp"
#include "quicmesh/socket_address.hpp"
#include "relay/relay_header.hpp"
#include "stun/stand_in.hpp"

namespace quicmesh {

inline constexpr std::string_view relay_protocol = "quicmesh/relay/1";
inline constexpr std::size_t relay_message_max = 1280;  // type and body
inline constexpr std::size_t relay_signal_max = 1200;
inline constexpr std::size_t relay_hints_max = 4;           // relays in one message
inline constexpr std::size_t relay_hint_addresses_max = 4;  // addresses of one relay

enum class RelayRefusal : std::uint8_t {
  not_here = 1,
  busy = 2,
  quota = 3,
  redirect = 4,
  not_registered = 5,
  slow_down = 6,
};

enum class RelayRequest : std::uint8_t { reservation = 1, session = 2, signal = 3 };

enum class RelayCloseReason : std::uint8_t { by_peer = 1, peer_gone = 2, idle = 3, evicted = 4 };

/// Where a relay takes tunnels, unless something else is known: what is open where the web is.
inline constexpr std::uint16_t relay_tls_port = 443;

/// A relay and where it may be reached.
struct RelayHint {
  NodeId id;
  std::vector<SocketAddress> addresses;  // at most relay_hint_addresses_max
  /// TCP, for clients whose network lets no UDP out; 0: not to be tried. Not told to others.
  std::uint16_t tls_port = relay_tls_port;

  auto operator<=>(const RelayHint&) const = default;
};

// Client to relay.

/// Asks for a reservation: to be found here by NodeId. Its end is the connection's.
struct RelayRegister {
  auto operator<=>(const RelayRegister&) const = default;
};

/// Asks for a session with `target`.
struct RelayConnect {
  NodeId target;

  auto operator<=>(const RelayConnect&) const = default;
};

/// Asks for the relay's load; also tells whether the relay still serves.
struct RelayLoadQuery {
  std::uint32_t token = 0;

  auto operator<=>(const RelayLoadQuery&) const = default;
};

/// Asks whether the other end of a session is seen at the address of `external`, its port aside.
/// It tells nobody's address: who asks has been told it. For probing beyond what a stranger's
/// address may get (nat/stranger_allowance.hpp).
struct RelayAttest {
  RelaySessionId session{};
  SocketAddress external;

  auto operator<=>(const RelayAttest&) const = default;
};

/// Asks for a packet to a port of the client's own external address, so that the client learns what
/// its NAT lets in (stun/stand_in.hpp).
struct RelayStandIn {
  StandInRequest request;

  auto operator<=>(const RelayStandIn&) const = default;
};

// Relay to client.

/// The answer: sent, or why not.
struct RelayStoodIn {
  StandInAnswer answer;

  auto operator<=>(const RelayStoodIn&) const = default;
};

/// The answer: `seen` or not.
struct RelayAttested {
  RelaySessionId session{};
  SocketAddress external;
  bool seen = false;

  auto operator<=>(const RelayAttested&) const = default;
};

struct RelayRegistered {
  SocketAddress observed;  // the client, as the relay sees it
  std::uint64_t bytes_per_s = 0;
  std::uint16_t sessions = 0;  // that the client may have at once
  std::uint8_t load_percent = 0;

  auto operator<=>(const RelayRegistered&) const = default;
};

/// There is a session; to both ends.
struct RelaySession {
  RelaySessionId session{};
  NodeId peer;
  RelayRole role{};  // of the receiver

  auto operator<=>(const RelaySession&) const = default;
};

struct RelayRefused {
  RelayRequest request{};
  NodeId target;  // zeros for a reservation
  RelayRefusal reason{};
  std::uint8_t load_percent = 0;
  std::vector<RelayHint> relays;  // others to try, with reason redirect only

  auto operator<=>(const RelayRefused&) const = default;
};

struct RelayLoad {
  std::uint32_t token = 0;  // of the query
  std::uint8_t load_percent = 0;

  auto operator<=>(const RelayLoad&) const = default;
};

/// The relay will stop: register elsewhere. Sessions go on until it does.
struct RelayDraining {
  std::vector<RelayHint> relays;

  auto operator<=>(const RelayDraining&) const = default;
};

// Both ways.

/// A small message for `node`, or from it: ICE signalling while there is no session yet.
struct RelaySignal {
  NodeId node;
  Bytes data;  // 1..relay_signal_max

  auto operator<=>(const RelaySignal&) const = default;
};

struct RelayCloseSession {
  RelaySessionId session{};
  RelayCloseReason reason{};  // ignored by a relay

  auto operator<=>(const RelayCloseSession&) const = default;
};

using RelayMessage =
    std::variant<RelayRegister, RelayConnect, RelayLoadQuery, RelayRegistered, RelaySession,
                 RelayRefused, RelayLoad, RelayDraining, RelaySignal, RelayCloseSession,
                 RelayAttest, RelayAttested, RelayStandIn, RelayStoodIn>;

/// `message` keeps the bounds above; what exceeds them is left out of lists.
Bytes encode_relay_message(const RelayMessage& message);

/// One message from the front of `bytes`; `size` is what it took. Fails with BaseErrc::truncated if
/// more bytes are needed, with any other error if it is malformed: the stream is then useless. A
/// message of an unknown type comes back as nothing, with its size.
struct DecodedRelayMessage {
  std::optional<RelayMessage> message;
  std::size_t size = 0;
};
Result<DecodedRelayMessage> decode_relay_message(ByteView bytes);

}  // namespace quicmesh
