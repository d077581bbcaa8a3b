#include "node/turn_user.hpp"

#include <algorithm>
#include <utility>

#include "base/turn_path.hpp"

namespace quicmesh {

void TurnUser::start(Instant now, std::vector<TurnConfig> servers) {
  for (TurnConfig& server : servers) {
    const bool usable = server.server.remote.ip.family() == IpFamily::v4;
    if (!usable || servers_.size() >= servers_max) continue;
    servers_.push_back({.client = std::make_unique<TurnClient>(std::move(server), rng_)});
    servers_.back().client->start(now);
  }
}

void TurnUser::stop(Instant now) {
  if (std::exchange(stopped_, true)) return;
  for (const Server& server : servers_)
    server.client->stop(now);
}

void TurnUser::network_changed(Instant now) {
  for (const Server& server : servers_)
    server.client->network_changed(now);
}

std::vector<NetworkPath> TurnUser::on_candidates(Instant now, const NodeId& id,
                                                 std::span<const Candidate> usable,
                                                 AddressRules rules) {
  if (servers_.empty()) return {};
  if (!peers_.contains(id) && peers_.size() >= peers_max) {
    ++peers_refused_;
    return {};
  }
  Peer& peer = peers_[id];
  const std::vector<SocketAddress> before = std::exchange(peer.addresses, {});
  for (const Candidate& candidate : usable) {
    const SocketAddress& address = candidate.address;
    const bool wanted = address.ip.family() == IpFamily::v4 &&
                        candidate.kind != CandidateKind::relayed &&
                        scope_of(address.ip, rules) == AddressScope::public_internet;
    if (!wanted || peer.addresses.size() >= addresses_per_peer_max) continue;
    const bool known = std::ranges::find(before, address) != before.end();
    if (known || peer.allowance.take(now)) peer.addresses.push_back(address);
  }
  release(before);
  std::vector<NetworkPath> paths;
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    TurnClient& client = *servers_[i].client;
    for (const SocketAddress& address : peer.addresses) {
      (void)client.permit(now, address.ip);  // with too many peers, these do without
      if (client.is_up()) paths.push_back(turn_path(i, address));
    }
  }
  return paths;
}

void TurnUser::forget(const NodeId& id) {
  const auto found = peers_.find(id);
  if (found == peers_.end()) return;
  const std::vector<SocketAddress> addresses = std::move(found->second.addresses);
  peers_.erase(found);
  release(addresses);
}

/// The places of those that no peer names any more: one that names ever new ones takes no more than
/// its own.
void TurnUser::release(std::span<const SocketAddress> addresses) {
  const auto is_named = [this](const IpAddress& ip) {
    return std::ranges::any_of(peers_, [&](const auto& one) {
      return std::ranges::find(one.second.addresses, ip, &SocketAddress::ip) !=
             one.second.addresses.end();
    });
  };
  for (const SocketAddress& address : addresses) {
    if (is_named(address.ip)) continue;
    for (const Server& server : servers_)
      server.client->release(address.ip);
  }
}

void TurnUser::suspect(Instant now, const NetworkPath& path) {
  if (is_turn_path(path)) servers_[turn_server_of(path)].client->check(now);
}

std::vector<NetworkPath> TurnUser::paths_to_fellow(Instant now, const SocketAddress& address) {
  std::vector<NetworkPath> paths;
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    TurnClient& client = *servers_[i].client;
    const auto own = client.relayed();
    if (address == own || address.ip != (own ? own->ip : client.server().ip)) continue;
    (void)client.permit(now, address.ip);
    paths.push_back(turn_path(i, address));
  }
  return paths;
}

// The permission would end when nobody has come for a while.
void TurnUser::let_fellows_in(Instant now) {
  for (const Server& server : servers_) {
    const auto relayed = server.client->relayed();
    if (relayed && server.fellows) (void)server.client->permit(now, relayed->ip);
  }
}

std::vector<SocketAddress> TurnUser::relayed() const {
  std::vector<SocketAddress> addresses;
  for (const Server& server : servers_) {
    const auto relayed = server.client->relayed();
    if (relayed && relayed->ip.family() == IpFamily::v4) addresses.push_back(*relayed);
  }
  return addresses;
}

std::vector<TurnUser::Reflexive> TurnUser::reflexive() const {
  std::vector<Reflexive> seen;
  for (const Server& server : servers_) {
    if (server.mapped) seen.push_back({*server.mapped, server.client->socket()});
  }
  return seen;
}

std::vector<TurnServerState> TurnUser::states() const {
  std::vector<TurnServerState> states;
  for (const Server& server : servers_)
    states.push_back({server.client->server(), server.client->relayed(), server.error});
  return states;
}

bool TurnUser::is_from_server(const NetworkPath& path) const {
  return std::ranges::any_of(
      servers_, [&](const Server& server) { return server.client->is_from_server(path); });
}

std::optional<TurnUser::Arrival> TurnUser::handle_datagram(Instant now, const NetworkPath& path,
                                                           ByteView datagram) {
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    if (!servers_[i].client->is_from_server(path)) continue;
    const auto got = servers_[i].client->handle_datagram(now, path, datagram);
    if (!got || got->peer.ip.family() != IpFamily::v4) return std::nullopt;
    return Arrival{turn_path(i, got->peer), got->offset, got->size};
  }
  return std::nullopt;
}

bool TurnUser::wrap(Instant now, Transmit& train, MutableByteView buffer) {
  TurnClient& client = *servers_[turn_server_of(train.path)].client;
  return client.wrap(now, turn_peer_of(train.path), train, buffer);
}

void TurnUser::handle_timeout(Instant now) {
  let_fellows_in(now);
  for (const Server& server : servers_)
    server.client->handle_timeout(now);
}

std::optional<Transmit> TurnUser::poll_transmit(Instant now, MutableByteView buffer) {
  for (const Server& server : servers_) {
    if (auto request = server.client->poll_transmit(now, buffer)) return request;
  }
  return std::nullopt;
}

Instant TurnUser::poll_timeout() const {
  Instant next = never;
  for (const Server& server : servers_)
    next = std::min(next, server.client->poll_timeout());
  return next;
}

void TurnUser::take(Instant now, std::size_t number, const TurnEvent& event) {
  Server& server = servers_[number];
  if (const auto* up = std::get_if<TurnUp>(&event)) {
    server.mapped = up->mapped;
    server.error.clear();
    server.fellows = true;
    let_fellows_in(now);
    events_.emplace_back(TurnServerUp{server.client->server(), up->relayed});
    for (const auto& [id, peer] : peers_) {
      for (const SocketAddress& address : peer.addresses)
        new_paths_.push_back({id, turn_path(number, address)});
    }
  } else if (const auto* down = std::get_if<TurnDown>(&event)) {
    server.mapped.reset();
    server.error = down->error;
    events_.emplace_back(TurnServerDown{server.client->server(), down->error});
  } else if (const auto* refused = std::get_if<TurnPeerRefused>(&event)) {
    const auto relayed = server.client->relayed();
    if (relayed && relayed->ip == refused->peer) server.fellows = false;
  }
}

std::optional<TurnUser::Event> TurnUser::poll_event(Instant now) {
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    while (auto event = servers_[i].client->poll_event())
      take(now, i, *event);
  }
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

std::vector<TurnUser::NewPath> TurnUser::take_new_paths() {
  return std::exchange(new_paths_, {});
}

}  // namespace quicmesh
