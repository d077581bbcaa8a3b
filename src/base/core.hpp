// The contract between protocol logic and the outside world.
//
// A core owns no socket, reads no clock, starts no thread, rolls no dice of its own and calls
// nobody back. Time comes in as `now` (never going backwards), randomness at construction; packets,
// events and the next deadline come out.
//
// Drive rule: one mutation (`handle_*` or a command), then drain every `poll_*`:
//
//     core.handle_datagram(now, path, ecn, bytes);   // or handle_timeout(now), or a command
//     while (auto transmit = core.poll_transmit(now, buffer)) send(*transmit, buffer);
//     while (auto event = core.poll_event()) deliver(*event);
//     deadline = core.poll_timeout();                // may have moved either way
//
// A driver may batch several datagrams before it drains; it must drain before it sleeps. A late or
// spurious `handle_timeout` is harmless. `poll_transmit` returns nothing when pacing or congestion
// control forbids sending; `poll_timeout` then says when to ask again.
#pragma once

#include <concepts>
#include <optional>

#include "base/network_path.hpp"
#include "quicmesh/bytes.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh {

/// A core that speaks datagrams: quic, stun, nat, relay, and the NodeCore that composes them.
/// `handle_datagram` may decrypt in place, hence the mutable view; the bytes are the caller's again
/// when it returns. `poll_transmit` writes to `buffer` (at least `transmit_buffer_size` bytes).
template <class Core>
concept DatagramCore = requires(Core core, Instant now, const NetworkPath& path, Ecn ecn,
                                MutableByteView datagram, MutableByteView buffer) {
  core.handle_datagram(now, path, ecn, datagram);
  core.handle_timeout(now);
  { core.poll_transmit(now, buffer) } -> std::same_as<std::optional<Transmit>>;
  { core.poll_event().has_value() } -> std::convertible_to<bool>;
  { core.poll_timeout() } -> std::same_as<Instant>;
};

}  // namespace quicmesh
