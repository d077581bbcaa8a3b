#include "identity/peer_book.hpp"

#include <bit>
#include <utility>

#include "base/assert.hpp"
#include "base/byte_reader.hpp"
#include "base/hash.hpp"

namespace quicmesh {
namespace {

std::uint64_t prefix_of(const NodeId& id) {
  return ByteReader(id.bytes).u64();
}

}  // namespace

PeerBook::PeerBook(std::size_t capacity, std::uint64_t salt) : capacity_(capacity), salt_(salt) {
  QM_ASSERT(capacity > 0 && capacity <= std::size_t{1} << 28);
  slots_.assign(16, vacant);
}

/// The slot that holds `id`, or the vacant one where it would go.
std::size_t PeerBook::slot_of(const NodeId& id) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = hash_combine(salt_, hash_bytes(id.bytes)) & mask;
  while (slots_[slot] != vacant && ids_[slots_[slot]] != id)
    slot = (slot + 1) & mask;
  return slot;
}

void PeerBook::rebuild(std::size_t slots) {
  slots_.assign(slots, vacant);
  for (std::uint32_t i = 0; i < ids_.size(); ++i) {
    if (in_use_[i]) slots_[slot_of(ids_[i])] = i;
  }
}

PeerHandle PeerBook::find(const NodeId& id) const {
  // `vacant` and `no_peer` are the same number.
  return PeerHandle{slots_[slot_of(id)]};
}

PeerHandle PeerBook::intern(const NodeId& id) {
  std::size_t slot = slot_of(id);
  if (slots_[slot] != vacant) return PeerHandle{slots_[slot]};
  if (size() == capacity_) {
    ++refused_;
    return no_peer;
  }
  if ((size() + 1) * 3 > slots_.size() * 2) {
    rebuild(slots_.size() * 2);
    slot = slot_of(id);
  }
  std::uint32_t index = 0;
  if (free_.empty()) {
    index = static_cast<std::uint32_t>(ids_.size());
    ids_.push_back(id);
    prefixes_.push_back(prefix_of(id));
    groups_.push_back(DiversityGroup::not_public);
    in_use_.push_back(true);
  } else {
    index = free_.back();
    free_.pop_back();
    ids_[index] = id;
    prefixes_[index] = prefix_of(id);
    groups_[index] = DiversityGroup::not_public;
    in_use_[index] = true;
  }
  slots_[slot] = index;
  return PeerHandle{index};
}

ByteView PeerBook::record(PeerHandle peer) const {
  const std::size_t at = index(peer);
  return at < records_.size() ? ByteView(records_[at]) : ByteView();
}

void PeerBook::set_record(PeerHandle peer, Bytes record) {
  const std::size_t at = index(peer);
  if (at >= records_.size()) records_.resize(at + 1);
  records_[at] = std::move(record);
}

std::size_t PeerBook::Sweep::finish() {
  std::size_t freed = 0;
  // Ids that came in since the sweep began lie above and stay.
  for (std::uint32_t i = 0; i < marked_.size(); ++i) {
    if (marked_[i] || !book_.in_use_[i]) continue;
    book_.in_use_[i] = false;
    if (i < book_.records_.size()) book_.records_[i] = Bytes();
    book_.free_.push_back(i);
    ++freed;
  }
  if (freed != 0) book_.rebuild(book_.slots_.size());
  return freed;
}

}  // namespace quicmesh
