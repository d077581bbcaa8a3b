#include "dht/lookup.hpp"

#include <algorithm>
#include <iterator>

namespace quicmesh::dht {

void Lookup::add(PeerHandle peer, std::uint8_t tier) {
  insert(peer, tier, 0);
}

void Lookup::insert(PeerHandle peer, std::uint8_t tier, std::uint16_t depth) {
  if (peer == self_) return;
  const Distance far = distance(target_, DhtKey::of(book_->id(peer)));
  const auto place = std::ranges::lower_bound(candidates_, far, {}, &Candidate::distance);
  if (place != candidates_.end() && place->distance == far) return;
  candidates_.insert(place, {.distance = far, .peer = peer, .tier = tier, .depth = depth});
  if (candidates_.size() <= candidates_max) return;
  const auto last_fresh =
      std::find_if(candidates_.rbegin(), candidates_.rend(),
                   [](const Candidate& candidate) { return candidate.state == State::fresh; });
  if (last_fresh != candidates_.rend()) candidates_.erase(std::next(last_fresh).base());
}

Lookup::Candidate* Lookup::find(PeerHandle peer) {
  const auto found = std::ranges::find(candidates_, peer, &Candidate::peer);
  return found == candidates_.end() ? nullptr : &*found;
}

std::optional<PeerHandle> Lookup::next(std::size_t alpha) {
  const auto asked = std::ranges::count(candidates_, State::asked, &Candidate::state);
  if (std::size_t(asked) >= alpha) return std::nullopt;
  Candidate* chosen = choose();
  if (chosen == nullptr) return std::nullopt;
  chosen->state = State::asked;
  ++cost_.queries;
  if (chosen->tier != no_tier && chosen->tier > 0) ++cost_.slow_tier_queries;
  return chosen->peer;
}

Lookup::Candidate* Lookup::choose() {
  Candidate* lowest = nullptr;  // the nearest of the lowest tier above the level
  bool awaiting = false;
  std::size_t in_window = 0;
  for (Candidate& candidate : candidates_) {
    if (candidate.state == State::failed || candidate.state == State::slow) continue;
    if (in_window++ == k_) break;
    if (candidate.state == State::asked) awaiting = true;
    if (candidate.state != State::fresh) continue;
    if (candidate.tier == no_tier || candidate.tier <= level_) return &candidate;
    if (lowest == nullptr || candidate.tier < lowest->tier) lowest = &candidate;
  }
  if (awaiting || lowest == nullptr) return nullptr;
  level_ = lowest->tier;
  return lowest;
}

void Lookup::on_slow(PeerHandle peer) {
  Candidate* candidate = find(peer);
  if (candidate != nullptr && candidate->state == State::asked) candidate->state = State::slow;
}

void Lookup::on_failed(PeerHandle peer) {
  Candidate* candidate = find(peer);
  if (candidate == nullptr || candidate->state == State::answered) return;
  candidate->state = State::failed;
  ++cost_.failures;
}

std::optional<std::uint16_t> Lookup::mark_answered(PeerHandle peer) {
  Candidate* candidate = find(peer);
  if (candidate == nullptr) return std::nullopt;
  candidate->state = State::answered;
  return candidate->depth;
}

bool Lookup::has_answers_of(std::size_t count) const {
  std::size_t answered = 0;
  std::size_t slow = 0;
  for (const Candidate& candidate : candidates_) {
    if (candidate.state == State::failed) continue;
    if (candidate.state == State::slow) {
      ++slow;
      continue;
    }
    if (candidate.state != State::answered) return false;
    if (++answered == count) return true;
  }
  // Where most are late the measure is wrong, and it pays to wait.
  return answered > slow || exhausted();
}

bool Lookup::exhausted() const {
  return std::ranges::all_of(candidates_, [](const Candidate& candidate) {
    return candidate.state == State::answered || candidate.state == State::failed;
  });
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
  return !candidates_.empty() && candidates_.front().distance == Distance{} &&
         candidates_.front().state == State::answered;
}

bool Lookup::target_awaited() const {
  if (candidates_.empty() || candidates_.front().distance != Distance{}) return false;
  const State state = candidates_.front().state;
  return state == State::asked || state == State::slow;
}

LookupCost Lookup::cost() const {
  LookupCost cost = cost_;
  for (const Candidate& candidate : candidates_) {
    if (candidate.state != State::answered) continue;
    cost.hops = static_cast<std::uint16_t>(candidate.depth + 1);
    break;
  }
  return cost;
}

}  // namespace quicmesh::dht
