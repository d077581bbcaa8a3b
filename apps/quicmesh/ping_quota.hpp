// PingQuota: what one peer may ask of us by pings. Pings are served to anybody, so that they must
// cost little: some streams of a peer at once, and a steady rate of answers over all of them after
// a burst. Whoever asks for more waits; further streams are reset.
//
// The rate is kept by the time at which the next answer is due (GCRA, ITU-T I.371): one number a
// peer. Peers are forgotten when they have no stream and their burst is full again.
#pragma once

#include <chrono>
#include <cstddef>
#include <unordered_map>

#include "quicmesh/node_id.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh::cli {

class PingQuota {
 public:
  static constexpr std::size_t streams_per_peer_max = 8;
  static constexpr std::size_t answers_per_second = 1'000;
  static constexpr Duration burst = 1s;  // worth of answers, at once

  using Time = std::chrono::steady_clock::time_point;

  /// False: the peer has as many streams as it may have. Else `close` is called at its end.
  [[nodiscard]] bool open(const NodeId& peer, Time now);
  void close(const NodeId& peer);
  /// Counts an answer on an open stream: how long it has to wait.
  [[nodiscard]] Duration answer(const NodeId& peer, Time now);

  [[nodiscard]] std::size_t peers() const { return peers_.size(); }

 private:
  static constexpr Duration interval = Duration(1s) / answers_per_second;
  static constexpr std::size_t sweep_first = 64;

  struct Peer {
    std::size_t streams = 0;
    Time due;  // of the next answer at the steady rate
  };

  std::unordered_map<NodeId, Peer> peers_;
  std::size_t sweep_at_ = sweep_first;  // so many peers, twice as many as were left the last time
};

}  // namespace quicmesh::cli
