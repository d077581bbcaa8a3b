#include "path/path_table.hpp"

#include <algorithm>
#include <ranges>

namespace quicmesh {

bool unpin_source(NetworkPath& path, std::span<const IpAddress> own) {
  if (path.local.is_unspecified() || is_relayed(path)) return false;
  if (std::ranges::find(own, path.local) != own.end()) return false;
  path.local = IpAddress::any(path.local.family());
  return true;
}

PathTable::Entry* PathTable::match(const NetworkPath& path) {
  for (Entry& entry : std::views::reverse(entries_)) {
    if (entry.path.socket != path.socket || entry.path.remote != path.remote) continue;
    if (entry.path.local == path.local) return &entry;
    // Dialled without choosing a source address: the first answer tells which one the kernel took.
    if (entry.path.local.is_unspecified()) {
      entry.path.local = path.local;
      return &entry;
    }
    // Asked without a source address: any entry of that remote will do.
    if (path.local.is_unspecified()) return &entry;
  }
  return nullptr;
}

PathTable::Entry& PathTable::insert(Instant now, const NetworkPath& path, PathLabel label) {
  if (entries_.size() >= paths_max) {
    auto oldest = entries_.end();
    for (auto it = entries_.begin(); it != entries_.end(); ++it) {
      if (it->label == current_) continue;
      if (oldest == entries_.end() || it->last_used < oldest->last_used) oldest = it;
    }
    const Entry gone = *oldest;
    entries_.erase(oldest);
    hand_down(gone);
  }
  return entries_.emplace_back(Entry{path, label, 0, now, {}});
}

// What a former epoch of a path has carried still counts.
void PathTable::hand_down(const Entry& gone) {
  const auto heir = std::ranges::find_if(
      entries_, [&](const Entry& entry) { return same_path(entry.path, gone.path); });
  if (heir == entries_.end()) return;
  heir->traffic.sent += gone.traffic.sent;
  heir->traffic.received += gone.traffic.received;
}

PathLabel PathTable::label_for(Instant now, const NetworkPath& path) {
  if (Entry* entry = match(path)) return entry->label;
  return insert(now, path, {++last_path_, 1}).label;
}

const PathTable::Entry& PathTable::renew(Instant now, const NetworkPath& path) {
  const Entry* former = match(path);
  const auto epoch = static_cast<std::uint16_t>(former == nullptr ? 1 : former->epoch + 1);
  const NetworkPath known = former == nullptr ? path : former->path;
  Entry& entry = insert(now, known, {++last_path_, 1});
  entry.epoch = epoch;
  return entry;
}

PathLabel PathTable::label_of_arrival(Instant now, const NetworkPath& path) {
  if (Entry* entry = match(path)) {
    entry->last_used = now;
    return entry->label;
  }
  const auto rebound = std::ranges::find_if(entries_, [&](const Entry& entry) {
    return entry.label == current_ && entry.path.socket == path.socket &&
           entry.path.local == path.local && entry.path.remote.ip == path.remote.ip;
  });
  if (rebound == entries_.end()) return insert(now, path, {++last_path_, 1}).label;
  std::uint16_t port = 0;
  for (const Entry& entry : entries_) {
    if (entry.label.path == rebound->label.path) port = std::max(port, entry.label.port);
  }
  const PathLabel label{rebound->label.path, static_cast<std::uint16_t>(port + 1)};
  return insert(now, path, label).label;
}

std::optional<PathLabel> PathTable::known_arrival(Instant now, const NetworkPath& path) {
  Entry* entry = match(path);
  if (entry == nullptr) return std::nullopt;
  entry->last_used = now;
  return entry->label;
}

void PathTable::note_epoch(Instant now, const NetworkPath& path, std::uint16_t epoch) {
  const Entry* former = match(path);
  if (former == nullptr || epoch <= former->epoch) return;
  insert(now, former->path, {++last_path_, 1}).epoch = epoch;
}

void PathTable::repoint(const NetworkPath& from, const NetworkPath& to) {
  if (Entry* entry = match(from)) entry->path = to;
}

void PathTable::unpin(std::span<const IpAddress> own) {
  for (Entry& entry : entries_)
    unpin_source(entry.path, own);
}

void PathTable::forget(PathLabel label) {
  const auto found = std::ranges::find(entries_, label, &Entry::label);
  if (label == current_ || found == entries_.end()) return;
  const Entry gone = *found;
  entries_.erase(found);
  hand_down(gone);
}

PathTable::Entry* PathTable::find(PathLabel label) {
  const auto found = std::ranges::find(entries_, label, &Entry::label);
  return found == entries_.end() ? nullptr : &*found;
}

const PathTable::Entry* PathTable::find(PathLabel label) const {
  return const_cast<PathTable*>(this)->find(label);
}

void PathTable::count_received(PathLabel label, std::size_t bytes) {
  if (Entry* entry = find(label)) entry->traffic.received += bytes;
}

PathTable::Traffic PathTable::traffic_on(const NetworkPath& path) const {
  Traffic sum;
  for (const Entry& entry : entries_) {
    if (!same_path(entry.path, path)) continue;
    sum.sent += entry.traffic.sent;
    sum.received += entry.traffic.received;
  }
  return sum;
}

const PathTable::Entry* PathTable::find(const NetworkPath& path) const {
  return const_cast<PathTable*>(this)->match(path);
}

}  // namespace quicmesh
