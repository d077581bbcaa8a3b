// How a node is reached and reaches others: candidates, relays, dialling by NodeId.
#include <algorithm>
#include <utility>

#include "base/turn_path.hpp"
#include "node/candidate_filter.hpp"
#include "node/node_core.hpp"
#include "node/relayed_path.hpp"
#include "path/path_errc.hpp"

namespace quicmesh {

void NodeCore::set_endpoints(Instant now, std::vector<LocalEndpoint> endpoints) {
  now_ = now;
  endpoints_ = std::move(endpoints);
  std::vector<IpAddress> addresses;
  for (const LocalEndpoint& endpoint : endpoints_)
    addresses.push_back(endpoint.address.ip);
  nat_watch_.set_local_addresses(std::move(addresses));
  tell_candidates();
}

Result<void> NodeCore::add_relay(Instant now, const RelayHint& relay, RelayUse use) {
  now_ = now;
  return relay_user_.client().add_relay(now, relay, use);
}

void NodeCore::remove_relay(Instant now, const NodeId& relay) {
  now_ = now;
  relay_user_.client().remove_relay(now, relay);
}

void NodeCore::set_address_rules(AddressRules rules) {
  rules_ = rules;
  relay_user_.client().set_address_rules(rules);
}

void NodeCore::serve_as_relay(const RelayLimits& limits) {
  if (relay_host_) return;
  RelayLimits in_force = limits;
  in_force.address_rules = rules_;
  relay_host_.emplace(in_force, secure_rng_);
}

const RelayServer* NodeCore::relay_server() const {
  return relay_host_ ? &relay_host_->server() : nullptr;
}

std::optional<NodeId> NodeCore::resolve_relay(NetworkPath& path) const {
  const bool over_session = is_relayed(path) && !is_turn_path(path);
  const auto leg = over_session ? relay_user_.leg_of(path) : std::nullopt;
  if (!leg) return std::nullopt;
  path = leg->path;
  return leg->relay;
}

void NodeCore::handle_relay_frame(Instant now, const NetworkPath& path, MutableByteView datagram) {
  const RelayFrameType type{datagram[0]};
  if (relay_host_ && type != RelayFrameType::challenge) {
    if (relay_host_->handle_frame(now, path, datagram)) return;
  }
  if (type == RelayFrameType::answer) return;
  auto arrival = relay_user_.handle_frame(now, path, datagram);
  if (!arrival && relay_user_.is_relay(path)) {
    // The peer's first datagram may come on the heels of the relay's message about the session.
    connectivity_->settle(now);
    route(now);
    arrival = relay_user_.handle_frame(now, path, datagram);
  }
  if (!arrival) return;
  connectivity_->handle_datagram(now, arrival->path, Ecn::not_ect,
                                 datagram.subspan(arrival->offset));
}

std::optional<RelayTrain> NodeCore::forward_train(Instant now, const NetworkPath& source,
                                                  ByteView train, std::size_t segment_size,
                                                  std::span<RelayRun> runs) {
  // Without relays of its own this node has no sessions as a client: all frames are for forwarding.
  if (suspended_ || !relay_host_ || relay_user_.client().has_relays()) return std::nullopt;
  now_ = now;
  return relay_host_->forward_train(now, source, train, segment_size, runs);
}

Result<void> NodeCore::connect(Instant now, const NodeId& peer,
                               std::span<const NetworkPath> candidates, PathPolicy policy) {
  now_ = now;
  relay_user_.keep(peer);
  const bool by_relay = policy != PathPolicy::direct_only && peer != id_ &&
                        !connectivity_->connected(peer) &&
                        relay_user_.client().connect(now, peer).has_value();
  std::vector<NetworkPath> paths(candidates.begin(), candidates.end());
  if (policy != PathPolicy::direct_only) add_turn_paths(now, paths);
  if (by_relay) {
    sought_.insert(peer);
    const auto legs = relay_user_.client().legs(peer);
    for (const RelayLeg& leg : legs)
      paths.push_back(relayed_path(leg.session));
    if (legs.empty()) relay_dials_[peer].policy = policy;  // RelaySessionUp, or RelayUnreachable
  }
  const auto direct = connectivity_->connect(now, peer, paths, policy);
  note_dialled(now, peer, candidates.size(), by_relay, policy, direct);
  if (by_relay && !direct && direct.error() == PathErrc::no_candidates) return {};
  return direct;
}

void NodeCore::add_legs(Instant now, const NodeId& peer) {
  std::vector<NetworkPath> paths;
  for (const RelayLeg& leg : relay_user_.client().legs(peer))
    paths.push_back(relayed_path(leg.session));
  connectivity_->add_paths(now, peer, paths);
}

void NodeCore::give_up_seeking(const NodeId& peer) {
  relay_dials_.erase(peer);
  if (sought_.erase(peer) > 0) relay_user_.client().forget(peer);
}

void NodeCore::avoid_overloaded_relays(Instant now) {
  std::vector<NetworkPath> paths;
  for (const RelaySessionId session : relay_user_.client().overloaded_sessions())
    paths.push_back(relayed_path(session));
  connectivity_->set_overloaded_paths(now, std::move(paths));
}

void NodeCore::on_relay_event(Instant now, RelayEvent& event) {
  if (auto* session = std::get_if<RelaySessionUp>(&event)) {
    const NetworkPath path = relayed_path(session->session);
    decisions_.write(now, session->peer, decision::SessionUp{session->relay});
    const auto dial = relay_dials_.find(session->peer);
    if (dial != relay_dials_.end()) {
      (void)connectivity_->connect(now, session->peer, std::span(&path, 1), dial->second.policy);
      relay_dials_.erase(dial);
    } else {
      connectivity_->add_paths(now, session->peer, std::span(&path, 1));
    }
    avoid_overloaded_relays(now);
  } else if (auto* unreachable = std::get_if<RelayUnreachable>(&event)) {
    const auto dial = relay_dials_.find(unreachable->peer);
    decisions_.write(now, unreachable->peer, decision::NoRelayHasPeer{unreachable->reason});
    if (dial == relay_dials_.end()) return;
    auto direct_failed = std::move(dial->second.direct_failed);
    give_up_seeking(unreachable->peer);
    if (connectivity_->connected(unreachable->peer) || connectivity_->dialling(unreachable->peer)) {
      return;  // what becomes of that is told by it
    }
    PeerUnreachable told{unreachable->peer, unreachable->reason, ""};
    if (direct_failed) told = std::move(*direct_failed);
    decisions_.write(now, told.peer, decision::Unreachable{told.error, told.reason});
    events_.push_back(std::move(told));
  } else if (auto* up = std::get_if<RelayUp>(&event)) {
    // A TCP connection's address is nothing that a peer could use.
    if (up->tunnelled) {
      observed_.erase(up->relay);
    } else {
      observed_[up->relay] = up->observed;
    }
    tell_candidates();
    choose_stun_servers(now);
    events_.push_back(std::move(*up));
  } else if (auto* down = std::get_if<RelayDown>(&event)) {
    if (observed_.erase(down->relay) > 0) tell_candidates();
    choose_stun_servers(now);
    events_.push_back(std::move(*down));
  } else if (const auto* attested = std::get_if<RelayPeerAttested>(&event)) {
    punching_.on_attested(attested->peer, attested->external.ip, attested->seen);
    punching_.consider(now, *connectivity_, attested->peer);
  } else if (const auto* stood_in = std::get_if<RelayStandInAnswered>(&event)) {
    nat_watch_.handle_stand_in_answer(now, stood_in->answer);
  } else if (std::holds_alternative<RelayOverloaded>(event) ||
             std::holds_alternative<RelayRelieved>(event)) {
    avoid_overloaded_relays(now);
  } else if (const auto* over = std::get_if<RelaySessionDown>(&event)) {
    decisions_.write(now, over->peer, decision::SessionDown{over->relay, over->reason});
    connectivity_->remove_path(over->peer, relayed_path(over->session));
  }
}

std::optional<TunnelRequest> NodeCore::poll_tunnel_request() {
  const auto request = relay_user_.tunnels().poll_request();
  if (const auto* close = request ? std::get_if<CloseTunnel>(&*request) : nullptr)
    connectivity_->forget_socket(close->socket);
  return request;
}

void NodeCore::handle_tunnel_opened(Instant now, TunnelRequestId id, const NetworkPath& path) {
  now_ = now;
  relay_user_.on_tunnel_opened(now, *connectivity_, id, path);
}

void NodeCore::handle_tunnel_failed(Instant now, TunnelRequestId id, std::error_code error) {
  now_ = now;
  relay_user_.tunnels().handle_failed(now, id, error);
}

void NodeCore::handle_tunnel_closed(Instant now, const NetworkPath& path, std::error_code error) {
  now_ = now;
  relay_user_.on_tunnel_closed(now, *connectivity_, path, error);
}

void NodeCore::tell_candidates(bool again) {
  connectivity_->set_candidates(own_candidates(), again);
  for (const auto& service : services_)
    service->on_reach_changed(now_, *this);
}

CandidatesMessage NodeCore::own_candidates() const {
  CandidatesMessage message;
  if (policy_ == PathPolicy::relay_only) return message;
  const auto add = [&](CandidateKind kind, const SocketAddress& address) {
    const bool known = std::ranges::any_of(
        message.candidates, [&](const Candidate& one) { return one.address == address; });
    if (!known) message.candidates.push_back({kind, address});
  };
  // Only so many are told: a machine may have many interfaces that nobody else reaches. Of one host
  // only two ports are probed, so the mapped one, which is open to all, comes before what further
  // relays see; and behind the first, because peers judge networks and plans by a reflexive one,
  // which behind a port-preserving NAT is the same.
  const std::vector<SocketAddress> seen = seen_at();
  if (!seen.empty()) add(CandidateKind::server_reflexive, seen.front());
  for (const SocketAddress& address : mapped_.addresses) {
    if (!is_seen_elsewhere(address)) add(CandidateKind::mapped, address);
  }
  for (const SocketAddress& address : seen)
    add(CandidateKind::server_reflexive, address);
  for (const SocketAddress& address : turn_user_.relayed())
    add(CandidateKind::relayed, address);
  for (const LocalEndpoint& endpoint : endpoints_)
    add(CandidateKind::host, endpoint.address);
  message.nat_profile = nat_record_;
  return message;
}

void NodeCore::on_candidates(Instant now, const PeerCandidates& told) {
  // On a link that the peer is leaving: what is kept of a peer is forgotten with the last active
  // one.
  if (!connectivity_->connected(told.peer)) return;
  if (policy_ == PathPolicy::relay_only) return;  // a probe would show this node's address
  // A relay has a public address, where its peers find it: it sends to none that it is told
  // (THREATS TR1). From where they come it learns from their own probes.
  if (relay_host_) return;
  CandidateContext context;
  context.endpoints = endpoints_;
  context.rules = rules_;
  context.observed = seen_at();
  if (auto path = connectivity_->current_path(told.peer)) {
    (void)resolve_relay(*path);  // of the relay's address, not of what it says of ours
    (void)resolve_turn(told.peer, *path);
    context.met_in = scope_of(path->remote.ip, rules_);
  }
  const auto judged = judge_candidates(told.told.candidates, context);
  note_candidates(now, told.peer, judged);
  std::vector<NetworkPath> paths;
  std::vector<NetworkPath> forwarded;
  std::vector<Candidate> usable;
  for (const JudgedCandidate& one : judged) {
    if (one.rule != CandidateRule::usable) continue;
    usable.push_back(one.candidate);
    const auto more = paths_to(one.candidate.address, endpoints_);
    paths.insert(paths.end(), more.begin(), more.end());
    if (one.candidate.kind == CandidateKind::mapped) {
      forwarded.insert(forwarded.end(), more.begin(), more.end());
    }
  }
  const auto over_turn = turn_user_.on_candidates(now, told.peer, usable, rules_);
  paths.insert(paths.end(), over_turn.begin(), over_turn.end());
  connectivity_->add_paths(now, told.peer, paths);
  connectivity_->note_forwarded(told.peer, forwarded);
  consider_punching(now, told, context);
}

}  // namespace quicmesh
