#include "dht/lookup.hpp"

#include <algorithm>
#include <bit>
#include <iterator>

namespace quicmesh::dht {

std::optional<std::size_t> Lookup::Windows::take(const Candidate& candidate) {
  std::size_t path = paths_max;
  for (std::size_t i = 0; i < lookup_.paths_; ++i) {
    if ((candidate.way.paths >> i & 1U) == 0) continue;
    if (path == paths_max || of_path_[i] < of_path_[path]) path = i;
  }
  if (all_ >= count_ && of_path_[path] >= share_) return std::nullopt;
  const DiversityGroup group = lookup_.book_->group(candidate.peer);
  if (group != DiversityGroup::not_public && !candidate.at_target) {
    if (std::ranges::count(groups_, group) >= std::ptrdiff_t{group_in_window_max}) {
      return std::nullopt;
    }
    groups_.push_back(group);
  }
  ++all_;
  ++of_path_[path];
  return path;
}

bool Lookup::Windows::full() const {
  const auto paths = std::span(of_path_).first(lookup_.paths_);
  return all_ >= count_ &&
         std::ranges::all_of(paths, [&](std::size_t taken) { return taken >= share_; });
}

void Lookup::add(PeerHandle peer, std::uint8_t tier) {
  if (insert({.peer = peer, .tier = tier, .way = next_way()})) {
    next_path_ = static_cast<std::uint8_t>((next_path_ + 1) % paths_);
  }
}

void Lookup::add_required(PeerHandle peer, std::uint8_t tier) {
  if (insert({.peer = peer, .tier = tier, .required = true, .way = next_way()})) {
    next_path_ = static_cast<std::uint8_t>((next_path_ + 1) % paths_);
  } else if (Candidate* candidate = find(peer)) {
    candidate->required = true;
  }
}

/// False if it changed nothing, or no more than the ways to one that is known.
bool Lookup::insert(Candidate candidate) {
  const PeerHandle peer = candidate.peer;
  const Way way = candidate.way;
  if (peer == self_) return false;
  if (shunned_ && shunned_->has(DhtKey::of(book_->id(peer)))) return false;
  candidate.far = target_prefix_ ^ book_->prefix(peer);
  candidate.at_target = candidate.far == 0 && distance_of(candidate) == Distance{};
  const auto place = std::ranges::lower_bound(
      candidates_, candidate, [&](const Candidate& one, const Candidate& other) {
        if (one.far != other.far) return one.far < other.far;
        return one.peer != other.peer && distance_of(one) < distance_of(other);
      });
  if (place != candidates_.end() && place->peer == peer) {
    if (place->state == State::fresh) place->way.paths |= way.paths;
    return false;
  }
  candidates_.insert(place, candidate);
  if (candidates_.size() > candidates_max) make_room();
  return true;
}

Distance Lookup::distance_of(const Candidate& candidate) const {
  return distance(target_, DhtKey::of(book_->id(candidate.peer)));
}

/// Drops the farthest fresh candidate of those to which the path with most of them alone leads.
void Lookup::make_room() {
  std::array<std::size_t, paths_max> fresh{};
  const auto alone = [](const Candidate& candidate) {
    return candidate.state == State::fresh && !candidate.required &&
           std::has_single_bit(candidate.way.paths);
  };
  const auto path_of = [](const Candidate& candidate) {
    return std::size_t(std::countr_zero(candidate.way.paths));
  };
  for (const Candidate& candidate : candidates_) {
    if (alone(candidate)) ++fresh[path_of(candidate)];
  }
  const auto fullest = std::size_t(std::ranges::max_element(fresh) - fresh.begin());
  auto last = std::find_if(candidates_.rbegin(), candidates_.rend(), [&](const Candidate& one) {
    return alone(one) && path_of(one) == fullest;
  });
  if (last == candidates_.rend()) {
    last = std::find_if(candidates_.rbegin(), candidates_.rend(), [](const Candidate& one) {
      return one.state == State::fresh && !one.required;
    });
  }
  if (last != candidates_.rend()) candidates_.erase(std::next(last).base());
}

Lookup::Candidate* Lookup::find(PeerHandle peer) {
  const auto found = std::ranges::find(candidates_, peer, &Candidate::peer);
  return found == candidates_.end() ? nullptr : &*found;
}

std::uint8_t Lookup::path_of(PeerHandle peer) const {
  const auto found = std::ranges::find(candidates_, peer, &Candidate::peer);
  const bool asked = found != candidates_.end() && found->state != State::fresh;
  return asked ? found->way.paths : std::uint8_t{0};
}

std::optional<PeerHandle> Lookup::next(std::size_t alpha) {
  const auto asked = std::ranges::count(candidates_, State::asked, &Candidate::state);
  if (std::size_t(asked) >= alpha) return std::nullopt;
  Candidate* chosen = choose_required();
  if (chosen == nullptr) chosen = choose();
  if (chosen == nullptr) return std::nullopt;
  chosen->state = State::asked;
  ++cost_.queries;
  if (chosen->tier != no_tier && chosen->tier > 0) ++cost_.slow_tier_queries;
  return chosen->peer;
}

Lookup::Candidate* Lookup::choose_required() {
  const auto found = std::ranges::find_if(
      candidates_, [](const Candidate& one) { return one.required && one.state == State::fresh; });
  if (found == candidates_.end()) return nullptr;
  found->way.paths = std::bit_floor(found->way.paths);
  return &*found;
}

/// Of those that may be asked the nearest, on the path that awaits the fewest answers. It belongs
/// to that path from then on.
Lookup::Candidate* Lookup::choose() {
  std::array<std::size_t, paths_max> awaited{};
  for (const Candidate& candidate : candidates_) {
    if (candidate.state != State::asked) continue;
    ++awaited[std::size_t(std::countr_zero(candidate.way.paths))];
  }
  struct Choice {
    Candidate* candidate = nullptr;
    std::size_t path = 0;
  };
  Choice best;
  Choice lowest;  // the nearest of the lowest tier above the level
  bool awaiting = false;
  Windows windows(*this, k_);
  for (Candidate& candidate : candidates_) {
    if (candidate.state == State::failed || candidate.state == State::slow) continue;
    if (windows.full()) break;
    const auto path = windows.take(candidate);
    if (!path) continue;
    if (candidate.state == State::asked) awaiting = true;
    if (candidate.state != State::fresh) continue;
    if (candidate.tier == no_tier || candidate.tier <= level_) {
      if (best.candidate == nullptr || awaited[*path] < awaited[best.path]) {
        best = {&candidate, *path};
      }
      if (paths_ == 1) break;
    } else if (lowest.candidate == nullptr || candidate.tier < lowest.candidate->tier) {
      lowest = {&candidate, *path};
    }
  }
  if (best.candidate == nullptr) {
    if (awaiting || lowest.candidate == nullptr) return nullptr;
    level_ = lowest.candidate->tier;
    best = lowest;
  }
  best.candidate->way.paths = static_cast<std::uint8_t>(1U << best.path);
  return best.candidate;
}

void Lookup::on_slow(PeerHandle peer) {
  Candidate* candidate = find(peer);
  if (candidate == nullptr || candidate->state != State::asked) return;
  candidate->state = State::slow;
  candidate->was_late = true;
}

void Lookup::on_failed(PeerHandle peer) {
  Candidate* candidate = find(peer);
  if (candidate == nullptr || candidate->state == State::answered) return;
  candidate->state = State::failed;
  ++cost_.failures;
}

std::optional<Lookup::Way> Lookup::mark_answered(PeerHandle peer) {
  Candidate* candidate = find(peer);
  if (candidate == nullptr) return std::nullopt;
  candidate->state = State::answered;
  return candidate->way;
}

bool Lookup::awaits_required() const {
  return std::ranges::any_of(candidates_, [](const Candidate& candidate) {
    return candidate.required &&
           (candidate.state == State::fresh || candidate.state == State::asked);
  });
}

std::optional<Distance> Lookup::reach() const {
  std::size_t left = k_;
  Windows windows(*this, k_);
  for (const Candidate& candidate : candidates_) {
    if (candidate.state == State::failed || candidate.state == State::slow) continue;
    if (windows.take(candidate) && --left == 0) return distance_of(candidate);
  }
  return std::nullopt;
}

bool Lookup::has_answers_of(std::size_t count) const {
  if (awaits_required()) return false;
  std::size_t answered = 0;
  std::size_t slow = 0;
  Windows windows(*this, count);
  for (const Candidate& candidate : candidates_) {
    if (candidate.state == State::failed) continue;
    if (windows.full()) break;
    if (candidate.state == State::slow) {
      ++slow;
      continue;
    }
    if (!windows.take(candidate)) continue;
    if (candidate.state != State::answered) return false;
    ++answered;
  }
  if (answered >= count) return true;
  // Where most are late the measure is wrong, and it pays to wait.
  return answered > slow || exhausted();
}

bool Lookup::exhausted() const {
  return std::ranges::all_of(candidates_, [](const Candidate& candidate) {
    return candidate.state == State::answered || candidate.state == State::failed;
  });
}

std::vector<PeerHandle> Lookup::answered_in_windows() const {
  std::vector<PeerHandle> answered;
  Windows windows(*this, k_);
  for (const Candidate& candidate : candidates_) {
    if (candidate.state != State::answered) continue;
    if (windows.take(candidate) || candidate.required) answered.push_back(candidate.peer);
  }
  return answered;
}

std::vector<PeerHandle> Lookup::nearest_answered(std::size_t count) const {
  std::vector<PeerHandle> nearest;
  for (const Candidate& candidate : candidates_) {
    if (nearest.size() == count) break;
    if (candidate.state == State::answered) nearest.push_back(candidate.peer);
  }
  return nearest;
}

bool Lookup::target_answered() const {
  return !candidates_.empty() && candidates_.front().at_target &&
         candidates_.front().state == State::answered;
}

bool Lookup::target_awaited() const {
  if (candidates_.empty() || !candidates_.front().at_target) return false;
  const State state = candidates_.front().state;
  return state == State::asked || state == State::slow;
}

std::size_t Lookup::silent() const {
  return std::size_t(std::ranges::count_if(candidates_, [](const Candidate& candidate) {
    return candidate.was_late && candidate.state != State::answered;
  }));
}

LookupCost Lookup::cost() const {
  LookupCost cost = cost_;
  for (const Candidate& candidate : candidates_) {
    if (candidate.state != State::answered) continue;
    cost.hops = static_cast<std::uint16_t>(candidate.way.depth + 1);
    break;
  }
  return cost;
}

}  // namespace quicmesh::dht
