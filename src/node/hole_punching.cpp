// See hole_punching.hpp.
#include "node/hole_punching.hpp"

#include <algorithm>
#include <utility>

#include "nat/nat_errc.hpp"

namespace quicmesh {
namespace {

/// Over a relay, or a TURN server of either side.
bool is_over_relay(const Connectivity& connectivity, const NodeId& peer, const NetworkPath& path) {
  return is_relayed(path) || connectivity.is_relayed_for(peer, path);
}

}  // namespace

void HolePunching::set_peer(const NodeId& id, Peer peer) {
  const auto found = peers_.find(id);
  if (found != peers_.end()) {
    found->second.peer = std::move(peer);
  } else if (peers_.size() < peers_max) {
    peers_[id].peer = std::move(peer);
  } else {
    ++peers_refused_;
  }
}

std::optional<NetworkPath> HolePunching::main_path(const SocketAddress& external,
                                                   std::span<const LocalEndpoint> endpoints) const {
  for (const NetworkPath& path : paths_to(external, endpoints)) {
    if (!own_.external || path.socket == own_.socket) return path;
  }
  return std::nullopt;
}

bool HolePunching::is_news(const NodeId& id, const CandidatesMessage& told) const {
  const auto found = peers_.find(id);
  return found == peers_.end() || found->second.peer.told != told;
}

void HolePunching::on_attested(const NodeId& id, const IpAddress& ip, bool seen) {
  const auto found = peers_.find(id);
  if (found == peers_.end()) return;
  found->second.attest_answered = true;
  if (seen) found->second.attested = ip;
}

bool HolePunching::may_ask(const NodeId& id) {
  const auto found = peers_.find(id);
  return found != peers_.end() && found->second.attests++ < attests_max;
}

bool HolePunching::is_attested(const NodeId& id) const {
  const auto found = peers_.find(id);
  return found != peers_.end() && found->second.attested == found->second.peer.path.remote.ip;
}

void HolePunching::forget(Instant now, const NodeId& id) {
  puncher_.stop(now, id);
  const auto found = peers_.find(id);
  if (found == peers_.end()) return;
  give_back(found->second);
  peers_.erase(found);
}

void HolePunching::give_back(Entry& entry) {
  if (entry.adopted) to_close_.push_back(*entry.adopted);
  entry.adopted.reset();
}

std::optional<PunchPlan> HolePunching::plan_with(const NodeId& id) const {
  const auto found = peers_.find(id);
  if (found == peers_.end() || !own_.profile) return std::nullopt;
  return plan_punch(*own_.profile, found->second.peer.profile);
}

const NatProfile* HolePunching::profile_of(const NodeId& id) const {
  const auto found = peers_.find(id);
  return found == peers_.end() ? nullptr : &found->second.peer.profile;
}

void HolePunching::consider(Instant now, const Connectivity& connectivity, const NodeId& id) {
  const auto found = peers_.find(id);
  if (found == peers_.end()) return;
  Entry& entry = found->second;
  entry.again = never;
  if (!own_.profile || puncher_.is_punching(id)) return;
  const auto current = connectivity.current_path(id);
  if (!current || !is_over_relay(connectivity, id, *current)) return;
  if (connectivity.policy(id) == PathPolicy::relay_only) return;
  const PunchPlan plan = plan_punch(*own_.profile, entry.peer.profile);
  if (plan.technique == PunchTechnique::birthday && !is_attested(id)) return;  // not yet
  if (plan.technique == PunchTechnique::predict && !entry.attest_answered) return;
  PunchStart start;
  start.peer = id;
  start.lower_id = self_ < id;
  start.ours = *own_.profile;
  start.theirs = entry.peer.profile;
  start.path = entry.peer.path;
  start.our_external = own_.external;
  start.attested = entry.attested;
  start.stun_servers = own_.stun_servers;
  start.round_trip = connectivity.path_info(id).smoothed_rtt;
  // An earlier connection's failure counts too, and nobody else knows when that is over.
  const auto begun = puncher_.start(now, start);
  if (!begun && begun.error() != NatErrc::unusable_external) {
    plan_retry(entry, std::max(now + retry_interval, puncher_.may_start(id)));
  }
  if (entry.unheard) (void)puncher_.on_message(now, id, *entry.unheard);
  entry.unheard.reset();
}

void HolePunching::consider_all(Instant now, const Connectivity& connectivity) {
  for (const auto& [id, entry] : peers_)
    consider(now, connectivity, id);
}

void HolePunching::on_message(Instant now, const Connectivity& connectivity,
                              const PeerPunch& message) {
  if (puncher_.on_message(now, message.peer, message.body)) return;
  const auto found = peers_.find(message.peer);
  if (found == peers_.end()) return;
  found->second.unheard = message.body;
  consider(now, connectivity, message.peer);
}

void HolePunching::on_path_found(Instant now, const Connectivity& connectivity,
                                 const PeerPathFound& found) {
  if (is_over_relay(connectivity, found.peer, found.path)) return;
  if (found.answered) {
    puncher_.on_path_answered(now, found.peer, found.path);
  } else {
    puncher_.on_path_heard(now, found.peer, found.path);
  }
}

void HolePunching::on_path_changed(Instant now, const Connectivity& connectivity, const NodeId& id,
                                   const NetworkPath& path) {
  if (is_over_relay(connectivity, id, path)) {
    const auto found = peers_.find(id);
    if (found != peers_.end()) plan_retry(found->second, now);
  } else {
    puncher_.on_path_answered(now, id, path);
    puncher_.stop(now, id);
  }
}

void HolePunching::plan_retry(Entry& entry, Instant at) {
  entry.again = at;
  next_retry_ = std::min(next_retry_, at);
}

void HolePunching::handle_timeout(Instant now, const Connectivity& connectivity) {
  puncher_.handle_timeout(now);
  if (now < next_retry_) return;
  next_retry_ = never;
  for (const auto& [id, entry] : peers_) {
    if (entry.again <= now) consider(now, connectivity, id);
    next_retry_ = std::min(next_retry_, entry.again);
  }
}

std::optional<PuncherEvent> HolePunching::poll_event(Instant now) {
  if (!to_close_.empty()) {
    const CloseSocket close{to_close_.back()};
    to_close_.pop_back();
    return close;
  }
  auto event = puncher_.poll_event();
  const auto* ended = event ? std::get_if<PunchEnded>(&*event) : nullptr;
  if (ended == nullptr) return event;
  const auto found = peers_.find(ended->peer);
  if (found == peers_.end()) {
    if (ended->adopted) to_close_.push_back(ended->path->socket);
    return event;
  }
  if (ended->adopted) {
    give_back(found->second);
    found->second.adopted = ended->path->socket;
  }
  // After a success too: if the connection could not move there, it is relayed still.
  const bool direct = ended->outcome == PunchOutcome::direct;
  plan_retry(found->second, now + (direct ? Puncher::back_off_first : ended->back_off));
  return event;
}

Instant HolePunching::poll_timeout() const {
  return std::min(puncher_.poll_timeout(), next_retry_);
}

}  // namespace quicmesh
