// STUN and the NAT in front of this node: it answers others, and asks for itself.
#include <algorithm>
#include <utility>

#include "base/tunnel_path.hpp"
#include "node/node_core.hpp"

namespace quicmesh {

void NodeCore::serve_stun(const StunServerConfig& config) {
  stun_server_.emplace(config, secure_rng_);
}

void NodeCore::set_stun_servers(Instant now, std::vector<SocketAddress> servers) {
  now_ = now;
  stun_servers_ = std::move(servers);
  choose_stun_servers(now);
}

void NodeCore::add_stun_servers(Instant now, std::span<const SocketAddress> servers) {
  std::vector<SocketAddress> all = stun_servers_;
  for (const SocketAddress& server : servers) {
    if (all.size() >= NatDiscovery::servers_max) break;
    if (std::ranges::find(all, server) == all.end()) all.push_back(server);
  }
  set_stun_servers(now, std::move(all));
}

void NodeCore::set_wall_time(Instant now, WallTime wall) {
  using std::chrono::seconds;
  const auto elapsed = std::chrono::duration_cast<seconds>(now.time_since_epoch()).count();
  wall_offset_s_ = std::to_underlying(wall) - elapsed;
}

WallTime NodeCore::wall_time(Instant now) const {
  using std::chrono::seconds;
  const auto elapsed = std::chrono::duration_cast<seconds>(now.time_since_epoch()).count();
  return WallTime{wall_offset_s_ + elapsed};
}

void NodeCore::handle_stun(Instant now, const NetworkPath& path, Ecn ecn,
                           MutableByteView datagram) {
  if (nat_watch_.handle_datagram(now, path, ecn, datagram)) return;
  if (punching_.handle_datagram(now, path, ecn, datagram)) return;
  (void)stun_server_->handle_datagram(now, path, ecn, datagram);
}

void NodeCore::choose_stun_servers(Instant now) {
  std::vector<DiscoveryServer> servers;
  // Whoever stays behind relays has no use for the answer.
  if (policy_ != PathPolicy::relay_only) {
    for (const auto& [relay, observed] : observed_) {
      const auto path = connectivity_->current_path(relay);
      const bool by_udp = path && !is_relayed(*path) && !is_tunnelled(*path);
      if (by_udp) servers.push_back({path->remote, true});
    }
    for (const SocketAddress& address : stun_servers_)
      servers.push_back({address, false});
  }
  nat_watch_.set_servers(now, std::move(servers));
  note_own_reach();
}

// Punching is IPv4's: there are firewalls in front of IPv6, but no mappings.
void NodeCore::note_own_reach() {
  HolePunching::Own own;
  if (nat_watch_.result()) own.profile = nat_watch_.result()->profile;
  for (const auto& [relay, observed] : observed_) {
    const auto path = connectivity_->current_path(relay);
    if (own.external || observed.ip.family() != IpFamily::v4 || !path) continue;
    own.external = observed;
    own.socket = path->socket;
  }
  for (const TurnUser::Reflexive& seen : turn_user_.reflexive()) {
    if (own.external || seen.address.ip.family() != IpFamily::v4) continue;
    own.external = seen.address;
    own.socket = seen.socket;
  }
  for (const DiscoveryServer& server : nat_watch_.servers())
    own.stun_servers.push_back(server.address);
  punching_.set_own(std::move(own));
}

// The peer has told a profile of its own, and where it is seen from outside.
void NodeCore::consider_punching(Instant now, const PeerCandidates& told,
                                 const CandidateContext& context) {
  if (!punching_.is_news(told.peer, told.told)) return;
  const auto record = verify_nat_profile(told.told.nat_profile);
  if (!record || record->signer != told.peer) return;
  for (const Candidate& candidate : usable_candidates(told.told.candidates, context)) {
    const bool external = candidate.kind == CandidateKind::server_reflexive &&
                          candidate.address.ip.family() == IpFamily::v4;
    const auto path = external ? punching_.main_path(candidate.address, endpoints_) : std::nullopt;
    if (!path) continue;
    punching_.set_peer(told.peer, {record->profile, *path, told.told});
    note_plan(now, told.peer);
    // Some techniques send more than a stranger's address may get: the relay is asked first.
    // Whoever asks may be asked about, so nobody asks who stays behind the relay.
    const bool stays = connectivity_->policy(told.peer) == PathPolicy::relay_only;
    if (!stays && !punching_.is_attested(told.peer) && punching_.may_ask(told.peer)) {
      relay_user_.client().attest(told.peer, candidate.address);
    }
    return punching_.consider(now, *connectivity_, told.peer);
  }
}

void NodeCore::take_punch_events(Instant now) {
  while (auto event = punching_.poll_event(now)) {
    if (const auto* open = std::get_if<OpenSocket>(&*event)) {
      desk_.ask(SocketDesk::Owner::puncher, *open);
    } else if (const auto* close = std::get_if<CloseSocket>(&*event)) {
      connectivity_->forget_socket(close->socket);
      desk_.give_back(*close);
    } else if (auto* say = std::get_if<PunchSay>(&*event)) {
      connectivity_->say_punch(say->peer, std::move(say->body));
    } else if (const auto* probe = std::get_if<PunchProbe>(&*event)) {
      connectivity_->punch(probe->peer, probe->path, probe->hop_limit.value_or(0));
    } else if (auto* ended = std::get_if<PunchEnded>(&*event)) {
      note_punch(now, *ended);
      events_.emplace_back(std::move(*ended));
    }
  }
}

void NodeCore::sign_profile(Instant now, const NatProfile& profile) {
  nat_record_ = sign_nat_profile(identity_, profile, wall_time(now));
}

void NodeCore::take_nat_events(Instant now) {
  while (auto event = nat_watch_.poll_event()) {
    if (const auto* open = std::get_if<OpenSocket>(&*event)) {
      desk_.ask(SocketDesk::Owner::nat_watch, *open);
    } else if (const auto* ask = std::get_if<AskStandIn>(&*event)) {
      ask_stand_in(*ask);
    } else if (const auto* close = std::get_if<CloseSocket>(&*event)) {
      desk_.give_back(*close);
    } else if (auto* found = std::get_if<NatDiscovered>(&*event)) {
      relay_user_.tunnels().set_udp_blocked(found->profile.udp_blocked == Finding::yes);
      sign_profile(now, found->profile);
      tell_candidates();
      note_own_reach();
      for (const NodeId& peer : connectivity_->peers())
        note_plan(now, peer);
      punching_.consider_all(now, *connectivity_);
      events_.emplace_back(std::move(*found));
    }
  }
}

void NodeCore::ask_stand_in(const AskStandIn& ask) {
  for (const auto& [relay, observed] : observed_) {
    const auto path = connectivity_->current_path(relay);
    if (path && path->remote == ask.server) {
      return relay_user_.client().ask_stand_in(relay, ask.request);
    }
  }
}

std::optional<SocketRequest> NodeCore::poll_socket_request() {
  take_nat_events(now_);
  take_punch_events(now_);
  return desk_.poll();
}

void NodeCore::handle_socket_opened(Instant now, SocketRequestId id, SocketId socket,
                                    const SocketAddress& local) {
  now_ = now;
  const auto wish = desk_.take(id);
  if (!wish) return desk_.give_back({socket});
  if (wish->owner == SocketDesk::Owner::puncher) {
    punching_.handle_socket_opened(now, wish->id, socket, local);
  } else {
    nat_watch_.handle_socket_opened(now, wish->id, socket, local);
  }
}

void NodeCore::handle_socket_failed(Instant now, SocketRequestId id) {
  now_ = now;
  const auto wish = desk_.take(id);
  if (!wish) return;
  if (wish->owner == SocketDesk::Owner::puncher) {
    punching_.handle_socket_failed(now, wish->id);
  } else {
    nat_watch_.handle_socket_failed(now, wish->id);
  }
}

}  // namespace quicmesh
