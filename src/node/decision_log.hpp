// DecisionLog: the last decisions about each peer, in bounded memory.
//
// A ring of 64 for each peer, at most 16 of one kind, so that no repetition drives out the rest:
// the oldest goes. What equals the newest record is counted there instead of being written again;
// so is a refused candidate that is refused once more, wherever its record is.
//
// 256 peers: beyond that the one goes of which nothing was written for longest, first among those
// that this node never dialled, so that strangers cannot make it forget whom it wants to reach.
#pragma once

#include <optional>
#include <unordered_map>
#include <vector>

#include "base/hash.hpp"
#include "node/decision.hpp"

namespace quicmesh {

struct DecisionCounters {
  std::uint64_t recorded = 0;
  std::uint64_t repeated = 0;       // counted at a record of before
  std::uint64_t dropped = 0;        // records, for want of room
  std::uint64_t peers_dropped = 0;  // with all their records
};

class DecisionLog {
 public:
  static constexpr std::size_t records_max = 64;
  static constexpr std::size_t of_a_kind_max = 16;
  static constexpr std::size_t peers_max = 256;
  static constexpr std::size_t reason_max = 128;  // bytes of a peer's words; the rest is cut

  struct Record {
    Instant at{};  // of the first time
    unsigned times = 1;
    Decision what;
  };

  struct History {
    std::vector<Record> records;  // oldest first
    std::uint64_t dropped = 0;
    /// Why the path in use is in use: FirstAnswered or Moved, of this connection.
    std::optional<Decision> path;
    /// Why the last attempt failed, if nothing has answered since.
    std::optional<std::error_code> failed;
    /// Of the connection there is: how its last punch ended, and where if it was direct.
    std::optional<decision::PunchOver> punch;
    std::optional<NetworkPath> punched;
    std::vector<Candidate> told;  // by the peer, the last time
    Instant written_at{};
    bool dialled = false;
  };

  void write(Instant now, const NodeId& peer, Decision what);
  /// The last punch has made `path`.
  void note_punched(Instant now, const NodeId& peer, const NetworkPath& path);
  void note_told(Instant now, const NodeId& peer, std::vector<Candidate> told);

  /// Null if nothing is known of the peer.
  [[nodiscard]] const History* find(const NodeId& peer) const;
  [[nodiscard]] std::size_t peers() const { return histories_.size(); }
  [[nodiscard]] const DecisionCounters& counters() const { return counters_; }

 private:
  History& history_of(Instant now, const NodeId& peer);
  void make_room();
  void digest(History& history, const Decision& what);
  /// True if a record of before says the same.
  static bool count_again(History& history, const Decision& what);

  std::unordered_map<NodeId, History> histories_;
  DecisionCounters counters_;
};

}  // namespace quicmesh
