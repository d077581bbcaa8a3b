// OwnRecords: the endpoint records that a node signs about itself (identity/endpoint_record.hpp).
//
// One for each scope in which there is a way to reach it, all made at once and of one sequence
// number. They are made anew half an hour before they expire, and soon after the node can be
// reached elsewhere: `settle_time` after the first sign of that, since a change of network comes in
// many pieces, and at most every `pause`.
//
// Timer: the next signing.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "identity/endpoint_record.hpp"
#include "node/node_core.hpp"

namespace quicmesh {

class OwnRecords {
 public:
  static constexpr Duration settle_time = 500ms;
  static constexpr Duration pause = 5s;
  static constexpr Duration life = 2h;
  static constexpr Duration renewed_before_end = 30min;

  /// `last_sequence` is that of the last records of this node's earlier lives; 0 if unknown.
  explicit OwnRecords(std::uint64_t last_sequence) : sequence_(last_sequence) {}

  void on_reach_changed(Instant now);
  /// The time of day is another one than was thought: what was signed is of a wrong time.
  void on_clock_stepped(Instant now);
  /// Signs if it is time. True if there are other ones now.
  bool handle_timeout(Instant now, const NodeCore& node);
  [[nodiscard]] Instant poll_timeout() const { return due_; }

  /// What to show over a link of `scope`: the record of that scope or else of the next wider one;
  /// empty if there is none.
  [[nodiscard]] ByteView record_for(AddressScope scope) const;
  [[nodiscard]] std::uint64_t sequence() const { return sequence_; }
  [[nodiscard]] std::uint64_t signed_count() const { return signed_count_; }
  /// The one of the widest scope that there is.
  [[nodiscard]] ByteView widest_record() const;

 private:
  static constexpr std::size_t scopes = 4;

  std::array<Bytes, scopes> records_;  // by scope, from loopback on
  std::optional<EndpointRecord> told_;
  std::uint64_t sequence_;
  std::uint64_t signed_count_ = 0;
  Instant signed_at_{};
  Instant due_ = never;
};

}  // namespace quicmesh
