// The routing table: the servers that a node knows, more of them the nearer they are.
//
// Bucket i holds contacts that share exactly i leading bits with us (Maymounkov & Mazieres 2002,
// s2.2), up to k live ones and, behind them, a few that wait for a place (replacement cache, s4.1).
// A contact comes in only by an authenticated answer of its own; what others tell is for the lookup
// that asked (TD4). Live contacts keep their places: who has been there for long stays longest.
//
// Half of a bucket goes by RTT (S1.23-S1.29; Proximity Neighbour Selection, Gummadi et al. 2003):
// the first k - k/2 places are the *random half*, filled as contacts come, without regard to RTT.
// The others are the *near half*: there a contact whose RTT is proved (three samples) and at most
// 3/4 of the farthest one's takes that one's place, unless the farthest has been live for an hour.
// Who lies about latency gets near halves at most (TD10).
//
// At most two live or waiting contacts of a diversity group in a bucket, and ten in the table: an
// owner of one network prefix gets no more, however many keys it makes. Not-public addresses have
// no group, so networks within one house or one machine work in full.
//
// A contact that leaves a request unanswered is not told to others any more; after two in a row it
// loses its place to one that waits. Whether silence means that (and not that we are offline) is
// the caller's to judge.
//
// Memory: contacts of all buckets stand in one vector, ordered by bucket, live before waiting; a
// bucket itself has 8 bytes. Source of the sizes: docs/protocols/dht.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/rng.hpp"
#include "dht/contact.hpp"
#include "dht/dht_config.hpp"
#include "dht/dht_key.hpp"
#include "identity/peer_book.hpp"

namespace quicmesh::dht {

class RoutingTable {
 public:
  static constexpr std::size_t buckets_max = 256;
  static constexpr std::size_t waiting_max = 5;  // a bucket; who was heard longest ago goes
  static constexpr std::size_t group_in_bucket_max = 2;
  static constexpr std::size_t group_in_table_max = 10;
  static constexpr unsigned failures_max = 2;
  /// Live for so long, a contact of the near half stays as well.
  static constexpr Duration long_lived = 1h;

  /// All outlive the table. `now` is its birth.
  RoutingTable(Instant now, const Config& config, const PeerBook& book, PeerHandle self);

  enum class Place : std::uint8_t { live, waiting, refused };

  /// `peer`, a server, answered us; `rtt` if the answer measured it. O(bucket).
  Place answered(Instant now, PeerHandle peer, std::optional<Duration> rtt);
  /// `peer` left a request unanswered. True if it lost its place.
  bool failed(PeerHandle peer);
  /// `peer` is no server any more, or cannot be reached at all.
  bool remove(PeerHandle peer);
  /// The RTT to `peer` was measured otherwise, as by a handshake.
  void measured(PeerHandle peer, Duration rtt);
  /// The group of `peer` is no more `before`, but what the book says: it loses its place if there
  /// are too many of those. True if it did.
  bool regrouped(PeerHandle peer, DiversityGroup before);
  /// The way to `peer` has changed: `rtt` is the first sample of the new one.
  void path_changed(PeerHandle peer, Duration rtt);

  /// `peer` closed a connection that we wanted; `forget_parted` makes up with all.
  void part(PeerHandle peer);
  void forget_parted();

  /// The contact of `peer`, live or waiting; valid until the next change.
  [[nodiscard]] const Contact* find(PeerHandle peer) const;
  /// Whether a few more samples could give `peer`, which waits, a place in the near half.
  [[nodiscard]] bool worth_measuring(PeerHandle peer) const;
  /// Whether a server that has not answered yet would find a live place.
  [[nodiscard]] bool has_room_for(PeerHandle peer);

  enum class Which : std::uint8_t {
    answering,   // that left nothing unanswered
    all_if_few,  // also others, where too few answer: for our own lookups
  };
  /// Appends to `out` up to `count` live contacts nearest to `target`, the nearest first.
  void nearest(const DhtKey& target, std::size_t count, Which which,
               std::vector<PeerHandle>& out) const;

  /// Live places a bucket from now on; what stands above it stays until it leaves by itself.
  void set_k(std::uint8_t k);
  [[nodiscard]] std::uint8_t k() const { return k_; }

  // Refresh (s2.3): a bucket whose range nobody has looked up for long.

  /// A lookup of `target` went through the buckets on its way.
  void touch(Instant now, const DhtKey& target);
  /// `bucket`, of those there are, needs no lookup.
  void touch_bucket(Instant now, unsigned bucket) { buckets_[bucket].touched_s = seconds(now); }
  /// A lookup of our own id met the k nearest: it went through the deepest buckets. The first of
  /// them, up to `bucket_count()`.
  unsigned touch_own(Instant now);
  [[nodiscard]] unsigned first_own() const;
  /// The buckets before those that hold contacts for half of their places: whoever grinds ids that
  /// are very near to ours adds none.
  [[nodiscard]] unsigned buckets_on_the_way() const;
  /// The bucket that was not touched for longest, and since when; nothing if there is none.
  struct Stale {
    unsigned bucket = 0;
    Instant since;
  };
  [[nodiscard]] std::optional<Stale> stalest() const;
  /// A random key of the range of `bucket`.
  [[nodiscard]] DhtKey random_key_in(unsigned bucket, Rng& rng) const;

  // Reading it all.

  [[nodiscard]] std::size_t bucket_count() const { return buckets_.size(); }
  /// The live contacts of a bucket, none beyond `bucket_count()`; valid until the next change.
  [[nodiscard]] std::span<const Contact> live(unsigned bucket) const;
  [[nodiscard]] std::span<const Contact> waiting(unsigned bucket) const;
  [[nodiscard]] std::size_t live_count() const { return live_count_; }
  /// Live and waiting.
  [[nodiscard]] std::span<const Contact> contacts() const { return contacts_; }
  [[nodiscard]] Instant seen(const Contact& contact) const;

  /// Contacts that found no place because of their group.
  [[nodiscard]] std::uint64_t refused_for_group() const { return refused_for_group_; }
  /// Bytes on the heap.
  [[nodiscard]] std::size_t memory() const;

 private:
  struct Bucket {
    std::uint8_t live = 0;
    std::uint8_t waiting = 0;
    std::uint32_t touched_s = 0;
  };

  [[nodiscard]] unsigned bucket_of(PeerHandle peer) const;
  [[nodiscard]] std::size_t begin_of(unsigned bucket) const;
  [[nodiscard]] std::span<Contact> all(unsigned bucket);
  [[nodiscard]] std::span<const Contact> all(unsigned bucket) const;
  [[nodiscard]] std::optional<std::size_t> position(PeerHandle peer) const;
  [[nodiscard]] bool group_allows(unsigned bucket, PeerHandle peer);
  [[nodiscard]] std::size_t random_half() const { return k_ - k_ / 2U; }
  [[nodiscard]] std::uint32_t seconds(Instant now) const;
  [[nodiscard]] std::uint16_t quarter_hours(Instant now) const;
  [[nodiscard]] static bool is_long_lived(const Contact& contact);
  [[nodiscard]] static Duration rtt_or_longest(const Contact& contact);
  [[nodiscard]] static bool nearer_enough(const Contact& contact, const Contact& than);

  void make_bucket(Instant now, unsigned bucket);
  void insert(std::size_t index, const Contact& contact);
  void erase_at(unsigned bucket, std::size_t index);
  void count_group(DiversityGroup group, int change);
  [[nodiscard]] std::uint8_t& group_slot(DiversityGroup group);
  void place_live(unsigned bucket, Contact contact);
  void place_waiting(unsigned bucket, const Contact& contact);
  [[nodiscard]] const Contact* farthest_near(unsigned bucket) const;
  bool take_near_place(unsigned bucket);
  void fill_places(unsigned bucket);

  static constexpr std::uint32_t seen_last = (1U << 26) - 1;  // of Contact::seen_s; two years

  const Config* config_;
  const PeerBook* book_;
  PeerHandle self_;
  DhtKey own_;  // our id, since it is read for every peer
  std::uint8_t k_;
  std::uint16_t live_count_ = 0;
  Instant born_;
  std::vector<Bucket> buckets_;  // up to the deepest that ever had a contact
  std::vector<Contact> contacts_;
  /// Contacts by a hash of their group: an upper bound of how many have that group.
  std::array<std::uint8_t, 128> groups_{};
  std::uint64_t refused_for_group_ = 0;
};

}  // namespace quicmesh::dht
