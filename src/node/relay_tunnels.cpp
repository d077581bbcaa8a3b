#include "node/relay_tunnels.hpp"

#include <algorithm>
#include <utility>

#include "base/tunnel_path.hpp"

namespace quicmesh {

void RelayTunnels::seek(Instant now, const RelayHint& hint) {
  if (hint.tls_port == 0) return;
  if (!relays_.contains(hint.id)) make_room();
  Relay& relay = relays_[hint.id];
  set_remotes(relay, hint);
  relay.tried = 0;
  if (relay.request) return;  // still opening from the last time
  relay.due = now + (doubts_udp() ? Duration::zero() : Duration(patience));
}

void RelayTunnels::set_remotes(Relay& relay, const RelayHint& hint) {
  relay.remotes.clear();
  for (const SocketAddress& address : hint.addresses) {
    const SocketAddress remote{address.ip, hint.tls_port};
    if (std::ranges::find(relay.remotes, remote) == relay.remotes.end())
      relay.remotes.push_back(remote);
  }
}

void RelayTunnels::doubt(Instant now, const RelayHint& hint) {
  const auto found = relays_.find(hint.id);
  if (found == relays_.end() || hint.tls_port == 0) return;
  Relay& relay = found->second;
  // A tunnel is given up by TCP, or when the relay is lost: to open another would lose what waits.
  if (!relay.serving || is_tunnelled(*relay.serving) || relay.open || relay.request) return;
  set_remotes(relay, hint);
  relay.tried = 0;
  relay.due = now;
}

bool RelayTunnels::doubts_udp() const {
  if (udp_blocked_) return true;
  bool by_tunnel = false;
  for (const auto& [id, relay] : relays_) {
    if (!relay.serving) continue;
    if (!is_tunnelled(*relay.serving)) return false;
    by_tunnel = true;
  }
  return by_tunnel;
}

void RelayTunnels::serves(Instant now, const NodeId& id, const NetworkPath& path) {
  const auto found = relays_.find(id);
  if (found == relays_.end()) return;
  Relay& relay = found->second;
  if (!relay.serving) relay.serving_since = now;
  relay.serving = path;
  relay.last.reset();
  relay.close_at = never;
  stop_trying(relay);
  if (relay.open && !is_tunnelled(path)) relay.close_at = now + linger;
}

void RelayTunnels::moved(Instant now, const NodeId& id, const NetworkPath& path) {
  const auto found = relays_.find(id);
  if (found != relays_.end() && found->second.serving) serves(now, id, path);
}

void RelayTunnels::lost(const NodeId& id) {
  const auto found = relays_.find(id);
  if (found != relays_.end()) found->second.serving.reset();
}

void RelayTunnels::disconnected(const NodeId& id) {
  const auto found = relays_.find(id);
  if (found == relays_.end()) return;
  found->second.serving.reset();
  close(found->second);
}

void RelayTunnels::stop(const NodeId& id) {
  const auto found = relays_.find(id);
  if (found == relays_.end()) return;
  found->second.serving.reset();
  stop_trying(found->second);
}

// A relay that was only named by others comes and goes; nothing has to be remembered of it.
void RelayTunnels::make_room() {
  if (relays_.size() < relays_max) return;
  std::erase_if(relays_, [](const auto& one) {
    const Relay& relay = one.second;
    return !relay.serving && !relay.request && !relay.open && relay.due == never;
  });
}

void RelayTunnels::stop_trying(Relay& relay) {
  relay.due = relay.attempt_until = never;
  if (relay.request) requests_.emplace_back(GiveUpTunnel{*relay.request});
  relay.request.reset();
}

void RelayTunnels::close(Relay& relay) {
  if (relay.open) requests_.emplace_back(CloseTunnel{relay.open->socket});
  relay.open.reset();
  relay.close_at = never;
}

void RelayTunnels::attempt(Instant now, Relay& relay) {
  relay.due = never;
  if (relay.remotes.empty()) return;
  relay.request = TunnelRequestId{++last_request_};
  relay.attempt_until = relay.remotes.size() > 1 ? now + attempt_patience : never;
  relay.last = Attempt{relay.remotes[relay.next % relay.remotes.size()], {}};
  requests_.emplace_back(OpenTunnel{*relay.request, relay.last->remote});
}

// Each address once; the next `seek` begins with the one that follows.
void RelayTunnels::try_next(Instant now, Relay& relay) {
  relay.request.reset();
  relay.attempt_until = never;
  ++relay.next;
  if (++relay.tried < relay.remotes.size()) attempt(now, relay);
}

std::optional<NodeId> RelayTunnels::handle_opened(Instant now, TunnelRequestId id,
                                                  const NetworkPath& path) {
  for (auto& [node, relay] : relays_) {
    if (relay.request != id) continue;
    close(relay);  // one that was opened before has not led to anything
    relay.request.reset();
    relay.attempt_until = never;
    relay.open = path;
    if (relay.serving && !is_tunnelled(*relay.serving)) relay.close_at = now + unused_max;
    return node;
  }
  requests_.emplace_back(CloseTunnel{path.socket});
  return std::nullopt;
}

void RelayTunnels::handle_failed(Instant now, TunnelRequestId id, std::error_code error) {
  for (auto& [node, relay] : relays_) {
    if (relay.request != id) continue;
    relay.last->error = error;
    return try_next(now, relay);
  }
}

std::optional<NodeId> RelayTunnels::handle_closed(Instant now, const NetworkPath& path,
                                                  std::error_code error) {
  for (auto& [node, relay] : relays_) {
    if (relay.open != path) continue;
    relay.open.reset();
    relay.close_at = never;
    if (relay.serving == path) {
      if (now - relay.serving_since >= stable_after) relay.failures = 0;
      Duration wait{};
      if (relay.failures > 0) {
        const unsigned doublings = std::min(relay.failures - 1, 16u);
        wait = std::min<Duration>(retry_first * (1 << doublings), retry_max);
        wait = rng_.between(wait * 4 / 5, wait * 6 / 5);
      }
      ++relay.failures;
      relay.last = Attempt{path.remote, error};
      relay.tried = 0;
      relay.serving_since = now;
      if (!relay.request) relay.due = now + wait;
    }
    return node;
  }
  return std::nullopt;
}

void RelayTunnels::handle_timeout(Instant now) {
  for (auto& [node, relay] : relays_) {
    if (relay.close_at <= now) close(relay);
    if (relay.attempt_until <= now) {
      requests_.emplace_back(GiveUpTunnel{*relay.request});
      relay.last->error = std::make_error_code(std::errc::timed_out);
      try_next(now, relay);
    }
    if (relay.due <= now) attempt(now, relay);
  }
}

std::optional<TunnelRequest> RelayTunnels::poll_request() {
  if (requests_.empty()) return std::nullopt;
  const TunnelRequest request = requests_.front();
  requests_.pop_front();
  return request;
}

Instant RelayTunnels::poll_timeout() const {
  Instant next = never;
  for (const auto& [node, relay] : relays_)
    next = std::min({next, relay.due, relay.attempt_until, relay.close_at});
  return next;
}

std::optional<RelayTunnels::Attempt> RelayTunnels::last_attempt(const NodeId& id) const {
  const auto found = relays_.find(id);
  return found == relays_.end() ? std::nullopt : found->second.last;
}

bool RelayTunnels::serves_by_tunnel(const NodeId& id) const {
  const auto found = relays_.find(id);
  return found != relays_.end() && found->second.serving && is_tunnelled(*found->second.serving);
}

}  // namespace quicmesh
