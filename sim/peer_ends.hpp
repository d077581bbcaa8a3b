// The connections of one simulated peer, as it sees them: sorted by the other end, eight bytes
// each, nothing on the heap while there are none.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/peer_core.hpp"

namespace quicmesh::sim {

enum class EndState : std::uint8_t {
  opening,  // a handshake is under way, begun by either side
  up,
  spare,    // up, dialled by the other side, and our core needs it no more
  closing,  // our core asked for it; it will hear `Down`
};

struct PeerEnd {
  PeerHandle peer = no_peer;
  std::uint32_t connection : 28 = 0;  // the same number at both ends
  std::uint32_t state_bits : 2 = 0;
  std::uint32_t relayed : 1 = 0;
  std::uint32_t accepted : 1 = 0;  // the other side dialled

  [[nodiscard]] EndState state() const { return static_cast<EndState>(state_bits); }
  void set(EndState state) { state_bits = static_cast<std::uint32_t>(state) & 3U; }
};
static_assert(sizeof(PeerEnd) == 8);

class PeerEnds {
 public:
  /// The end towards `peer`; valid until the next change. O(log n).
  [[nodiscard]] PeerEnd* find(PeerHandle peer) {
    const auto at = std::ranges::lower_bound(ends_, peer, {}, &PeerEnd::peer);
    return at == ends_.end() || at->peer != peer ? nullptr : &*at;
  }

  /// Puts `end` in, in place of one towards the same peer. O(n).
  void put(const PeerEnd& end) {
    const auto at = std::ranges::lower_bound(ends_, end.peer, {}, &PeerEnd::peer);
    if (at != ends_.end() && at->peer == end.peer) {
      *at = end;
    } else {
      ends_.insert(at, end);
    }
  }

  /// O(n).
  void erase(PeerHandle peer) {
    const auto at = std::ranges::lower_bound(ends_, peer, {}, &PeerEnd::peer);
    if (at != ends_.end() && at->peer == peer) ends_.erase(at);
  }

  [[nodiscard]] std::vector<PeerEnd> take() { return std::exchange(ends_, {}); }
  [[nodiscard]] const std::vector<PeerEnd>& all() const { return ends_; }
  [[nodiscard]] std::size_t memory() const { return ends_.capacity() * sizeof(PeerEnd); }

 private:
  std::vector<PeerEnd> ends_;
};

}  // namespace quicmesh::sim
