// Notices that the path in use has died, which ngtcp2 never does by itself.
//
// Somebody waits if something is in flight (a sender), or if data were arriving and stopped (a
// receiver: the sender's path may have died, or it has merely finished). Whoever waits and hears
// nothing at all on the path
//   - for max(40 ms, 1 PTO) becomes suspicious: probe this path and all others, outside QUIC;
//   - for max(150 ms, 3 PTO) gives the path up.
// A probe answered on the path ends a receiver's wait: the path lives, the sender has nothing to
// say.
//
//     idle --sent in flight / data arrived--> waiting --silence--> suspicious --silence--> dead
//       ^----- nothing in flight, probe answered -----'-----heard-----'            (until a switch)
//
// A path may let small packets through and large ones not, or be heard while it carries nothing
// back. So a sender also counts how long no stream data were acknowledged while some were under
// way: suspicious after max(1 s, 4 PTO), dead after max(2 s, 8 PTO), but at most 4 and 8 s. Neither
// what is heard nor probes put that off. (At most: a peer that slept acknowledges late, which QUIC
// takes for a round trip of minutes, and it would wait for as long.)
#pragma once

#include <algorithm>

#include "quicmesh/time.hpp"

namespace quicmesh {

class PathWatch {
 public:
  static constexpr Duration suspicion_min = 40ms;
  static constexpr Duration death_min = 150ms;
  static constexpr int death_ptos = 3;
  static constexpr Duration payload_suspicion_min = 1s;
  static constexpr int payload_suspicion_ptos = 4;
  static constexpr Duration payload_suspicion_max = 4s;
  static constexpr Duration payload_death_min = 2s;
  static constexpr Duration payload_death_max = 8s;
  static constexpr int payload_death_ptos = 8;

  enum class Verdict : unsigned char { fine, suspicious, dead };

  /// Packets went out; `in_flight` tells whether any of them awaits an acknowledgement.
  void sent(Instant now, bool in_flight);
  /// A packet of the connection arrived on the current path. `with_data`: stream data or datagrams.
  void heard(Instant now, bool in_flight, bool with_data);
  /// The network has changed: from now on somebody waits, and is suspicious already.
  void suspect(Instant now, Duration pto);
  /// A probe on the current path was answered.
  void probe_answered(Instant now, bool in_flight);
  /// The connection has moved: a new path starts without a history.
  void switched(Instant now, bool in_flight);
  /// Since when no stream data were acknowledged, of which some are under way; `never` if none are.
  /// What was lost before the last switch is no fault of this path.
  void payload_waits(Instant since) { payload_since_ = std::max(since, began_); }

  [[nodiscard]] Verdict verdict(Instant now, Duration pto) const;
  /// When the verdict may change next; `never` while nobody waits.
  [[nodiscard]] Instant deadline(Instant now, Duration pto) const;
  /// When it may because of payload that is unacknowledged since `since`.
  [[nodiscard]] Instant payload_deadline(Instant now, Duration pto, Instant payload_since) const;
  /// How long somebody who waits has heard nothing, or has had nothing acknowledged: the longer of
  /// the two. Zero while nobody waits.
  [[nodiscard]] Duration silence(Instant now) const;

 private:
  void wait_from(Instant now, bool waiting);

  Instant waiting_since_ = never;
  Instant payload_since_ = never;
  Instant began_{};  // on this path
};

}  // namespace quicmesh
