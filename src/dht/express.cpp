#include "dht/express.hpp"

#include <utility>

namespace quicmesh::dht {

bool ExpressTable::has_room_for(PeerHandle previous) const {
  return entries_.size() < entries_max &&
         std::size_t(std::ranges::count(entries_, previous, &ExpressEntry::previous)) <
             of_previous_max;
}

template <class Which>
std::optional<ExpressEntry> ExpressTable::take_first(Which which) {
  const auto found = std::ranges::find_if(entries_, which);
  if (found == entries_.end()) return std::nullopt;
  ExpressEntry entry = std::move(*found);
  entries_.erase(found);
  if (entries_.empty()) entries_.shrink_to_fit();  // a node at rest owns no memory for queries
  return entry;
}

std::optional<ExpressEntry> ExpressTable::take(PeerHandle from, std::uint32_t number) {
  return take_first(
      [&](const ExpressEntry& entry) { return entry.number == number && entry.next == from; });
}

std::optional<ExpressEntry> ExpressTable::take_waiting_for(PeerHandle next) {
  return take_first([&](const ExpressEntry& entry) { return entry.next == next; });
}

std::optional<ExpressEntry> ExpressTable::take_expired(Instant now) {
  return take_first([&](const ExpressEntry& entry) { return entry.expires <= now; });
}

void ExpressTable::forget_previous(PeerHandle previous) {
  std::erase_if(entries_, [&](const ExpressEntry& entry) { return entry.previous == previous; });
}

Instant ExpressTable::earliest() const {
  Instant earliest = never;
  for (const ExpressEntry& entry : entries_)
    earliest = std::min(earliest, entry.expires);
  return earliest;
}

}  // namespace quicmesh::dht
