// The contract of the cores that speak to peers: dht, pubsub, rpc, content, messaging.
//
// Beneath a PeerCore somebody (the node, or a simulated network) keeps authenticated connections.
// The core sees peers by handle alone, never an address, a socket, QUIC or a relay: it asks for a
// connection (`Open`), is told how that went (`Up`, `Unreachable`), and what it sends to a peer
// that is up arrives whole, in order, and with its sender proved, or the connection goes `Down`.
//
// Drive rule, as for DatagramCore (base/core.hpp): one mutation, then drain every `poll_*`:
//
//     core.handle(now, input);                        // or handle_timeout(now), or a command
//     while (auto output = core.poll_output()) carry_out(std::move(*output));
//     while (auto event = core.poll_event()) deliver(std::move(*event));
//     deadline = core.poll_timeout();                 // may have moved either way
//
// Rules for whoever carries out:
// - `Up` comes once for a connection, whichever side opened it, before its first message; then one
//   `Down`. Both sides hear of both. Between them the core may send without asking.
// - `Open` of a peer that is up, or being opened, changes nothing. Otherwise `Up` or `Unreachable`
//   follows some time, or nothing if the core closes it before.
// - `Close` says that this core needs the connection no more; other cores may. `Down` follows once
//   it is closed.
// - A message to a peer that is not up is dropped: the core heard `Down` or will hear it.
//
// A command is an ordinary method that returns an id; the answer is an event with that id.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <variant>

#include "quicmesh/time.hpp"

namespace quicmesh {

/// A peer, named by its place in a PeerBook (identity/peer_book.hpp). Handles mean something only
/// together with their book, and are no order: nothing that replays may depend on their values.
enum class PeerHandle : std::uint32_t {};
inline constexpr PeerHandle no_peer{~std::uint32_t{0}};

/// Peers of one group may well be one person: they share a public prefix (a /24 of IPv4, a /56 of
/// IPv6). `not_public` is no group: private addresses, and whatever has none, know no limits.
enum class DiversityGroup : std::uint32_t { not_public = 0 };

/// The latency tiers: tier 0 is the fastest. One-dimensional clusters are intervals, so a tier is
/// told by the RTT alone, also for peers that were measured long ago.
struct LatencyTiers {
  static constexpr std::size_t max = 7;

  /// The longest RTT of each tier but the last, ascending; [0, count - 1) are in use.
  std::array<Duration, max - 1> longest{};
  std::uint8_t count = 1;  // 1 to `max`

  [[nodiscard]] std::size_t tier_of(Duration rtt) const {
    const auto bounds = std::span(longest).first(count - 1);
    return std::size_t(std::ranges::lower_bound(bounds, rtt) - bounds.begin());
  }

  bool operator==(const LatencyTiers&) const = default;
};

namespace peer {

// Inputs.

/// A connection stands, opened by either side. `rtt` is that of its handshake, zero if unknown.
struct Up {
  PeerHandle peer = no_peer;
  Duration rtt{};
};
/// It is gone: closed by either side, or lost.
struct Down {
  PeerHandle peer = no_peer;
};
/// `Open` failed.
struct Unreachable {
  PeerHandle peer = no_peer;
};
/// The connection goes another way now; what was measured before is over.
struct PathChanged {
  PeerHandle peer = no_peer;
  Duration rtt{};
};
/// The peer's diversity group is another one now; the book has it already.
struct Regrouped {
  PeerHandle peer = no_peer;
  DiversityGroup before{};
};
/// The tiers were clustered anew.
struct TiersChanged {
  LatencyTiers tiers;
};
template <class Message>
struct Received {
  PeerHandle from = no_peer;  // proved by the connection
  Message message;
};
template <class Message>
using Input =
    std::variant<Up, Down, Unreachable, PathChanged, Regrouped, TiersChanged, Received<Message>>;

// Outputs.

/// The book may have an endpoint record of the peer, which says where it is.
struct Open {
  PeerHandle peer = no_peer;
};
struct Close {
  PeerHandle peer = no_peer;
};
template <class Message>
struct Send {
  PeerHandle to = no_peer;
  Message message;
};
template <class Message>
using Output = std::variant<Open, Close, Send<Message>>;

}  // namespace peer

template <class Core>
concept PeerCore = requires(Core core, const Core& resting, Instant now,
                            peer::Input<typename Core::Message> input) {
  typename Core::Message;
  typename Core::Event;
  core.handle(now, std::move(input));
  core.handle_timeout(now);
  { core.poll_output() } -> std::same_as<std::optional<peer::Output<typename Core::Message>>>;
  { core.poll_event() } -> std::same_as<std::optional<typename Core::Event>>;
  { resting.poll_timeout() } -> std::same_as<Instant>;
};

}  // namespace quicmesh
