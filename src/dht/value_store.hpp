// ValueStore: the values that a server keeps for others.
//
// A value lives until its lifetime is over; who puts it again prolongs that. Of a signed value the
// highest sequence number stays, and one that is gone is remembered by nobody: its owner's clock
// keeps old ones from coming back (value.hpp). Bounds (TD8): values in all, and values that one
// peer, or one diversity group, put first. What is beyond them is refused, and counted.
//
// Values are given again to the k nearest about every hour (Maymounkov & Mazieres 2002, s2.5),
// unless somebody else has just done so: each put puts that off. One value at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

#include "base/peer_core.hpp"
#include "base/rng.hpp"
#include "dht/message.hpp"
#include "dht/value.hpp"

namespace quicmesh::dht {

/// Whose account a value stands on. Not a handle, which may be somebody else's by tomorrow.
enum class SourceId : std::uint64_t {};
[[nodiscard]] SourceId source_id(const NodeId& peer);

struct HeldValue {
  ValueKind kind{};
  Bytes bytes;
  std::uint64_t sequence = 0;
  Instant expires{};
  Instant republish_at{};
  SourceId source{};
  DiversityGroup group{};
};

class ValueStore {
 public:
  static constexpr std::size_t values_max = 100'000;
  static constexpr std::size_t values_of_source_max = 1'000;
  static constexpr std::size_t values_of_group_max = 4'000;
  static constexpr Duration republish_interval = 1h;  // +-20 %
  /// Of many that are due whoever has waited longest comes first: 18,000 an hour at most.
  static constexpr Duration republish_pause = 200ms;

  struct Offer {
    DhtKey key;
    ValueKind kind{};
    ByteView bytes;
    std::uint64_t sequence = 0;
    Duration lifetime{};  // at most
    SourceId source{};
    DiversityGroup group{};
  };
  /// Takes a value that check_value found right.
  PutStatus put(Instant now, const Offer& offer, Rng& rng);

  /// Nothing if there is none, or not of that kind, or no more. Valid until the next change.
  [[nodiscard]] const HeldValue* find(Instant now, const DhtKey& key, ValueKind kind) const;

  /// Forgets what has expired; a value whose time to be put again has come, and its key.
  struct Due {
    DhtKey key;
    HeldValue value;
  };
  std::optional<Due> handle_timeout(Instant now, Rng& rng);
  /// When values may have expired or are to be put again.
  [[nodiscard]] Instant poll_timeout() const { return look_at_; }

  [[nodiscard]] std::size_t size() const { return values_.size(); }
  [[nodiscard]] std::uint64_t refused() const { return refused_; }

 private:
  static constexpr Duration look_interval = 60s;

  [[nodiscard]] bool has_room_for(const Offer& offer) const;
  void count(const HeldValue& value, int change);

  std::map<DhtKey, HeldValue> values_;
  std::map<SourceId, std::uint32_t> of_source_;
  std::map<DiversityGroup, std::uint32_t> of_group_;
  Instant look_at_ = never;
  Instant forget_at_{};
  std::uint64_t refused_ = 0;
};

}  // namespace quicmesh::dht
