// PeerBook: the identities that the cores of a node speak of, each kept once and named by a handle.
//
// A NodeId has 32 bytes and stands in many tables; a handle has 4. With each id the book keeps what
// belongs to the peer and not to one protocol: the group for diversity limits, and the signed
// endpoint record that somebody showed us, opaque here.
//
// A node owns one book, bounded. Ids come in with every answer of a peer, so the book fills; then
// the owner sweeps: it marks the handles that its cores still name, and the others are freed and
// used again. Nobody may keep a handle over a sweep without marking it. A simulation shares one
// book among all its nodes and never sweeps.
//
// The index is a hash table of handles with linear probing. Whoever makes ids can choose where
// they fall in a table whose hash is known, so the hash is salted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/assert.hpp"
#include "base/peer_core.hpp"
#include "quicmesh/bytes.hpp"
#include "quicmesh/node_id.hpp"

namespace quicmesh {

class PeerBook {
 public:
  /// Holds up to `capacity` ids (1 to 2^28). `salt` is not to be guessed by peers.
  PeerBook(std::size_t capacity, std::uint64_t salt);

  /// The handle of `id`, a new one if need be; `no_peer` if the book is full (counted). O(1).
  PeerHandle intern(const NodeId& id);
  /// The handle of `id`, or `no_peer`. O(1).
  [[nodiscard]] PeerHandle find(const NodeId& id) const;

  // Of handles that are in the book.

  [[nodiscard]] const NodeId& id(PeerHandle peer) const { return ids_[index(peer)]; }
  /// The first 64 bits of its id, as a number: enough to compare most ids, and four times as many
  /// of them are found in a processor's cache.
  [[nodiscard]] std::uint64_t prefix(PeerHandle peer) const { return prefixes_[index(peer)]; }
  [[nodiscard]] DiversityGroup group(PeerHandle peer) const { return groups_[index(peer)]; }
  void set_group(PeerHandle peer, DiversityGroup group) { groups_[index(peer)] = group; }
  /// Empty if none is known. Valid until the record is set again or the handle is freed.
  [[nodiscard]] ByteView record(PeerHandle peer) const;
  /// The caller has verified it and keeps its size bounded.
  void set_record(PeerHandle peer, Bytes record);

  [[nodiscard]] std::size_t size() const { return ids_.size() - free_.size(); }
  [[nodiscard]] std::size_t capacity() const { return capacity_; }
  /// Ids that found no room.
  [[nodiscard]] std::uint64_t refused() const { return refused_; }

  /// Marks what stays; when it ends, by `finish`, the rest is freed. One at a time.
  class Sweep {
   public:
    explicit Sweep(PeerBook& book) : book_(book), marked_(book.in_use_) {
      marked_.flip();  // what is free now and taken meanwhile stays
    }

    void mark(PeerHandle peer) { marked_[book_.index(peer)] = true; }
    /// How many were freed.
    std::size_t finish();

   private:
    PeerBook& book_;
    std::vector<bool> marked_;
  };

 private:
  static constexpr std::uint32_t vacant = ~std::uint32_t{0};

  [[nodiscard]] std::size_t index(PeerHandle peer) const {
    const auto index = static_cast<std::size_t>(peer);
    QM_ASSERT(index < ids_.size() && in_use_[index]);
    return index;
  }
  [[nodiscard]] std::size_t slot_of(const NodeId& id) const;
  void rebuild(std::size_t slots);

  std::size_t capacity_;
  std::uint64_t salt_;
  std::vector<NodeId> ids_;
  std::vector<std::uint64_t> prefixes_;  // of `ids_`
  std::vector<DiversityGroup> groups_;
  std::vector<Bytes> records_;  // grows with the first record of a handle that high
  std::vector<bool> in_use_;
  std::vector<std::uint32_t> free_;
  std::vector<std::uint32_t> slots_;  // a power of two; at most 2/3 in use
  std::uint64_t refused_ = 0;
};

}  // namespace quicmesh
