// STUN and the NAT in front of this node: it answers others, and asks for itself.
#include <utility>

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

void NodeCore::set_wall_time(Instant now, WallTime wall) {
  using std::chrono::seconds;
  const auto elapsed = std::chrono::duration_cast<seconds>(now.time_since_epoch()).count();
  wall_offset_s_ = std::to_underlying(wall) - elapsed;
}

void NodeCore::handle_stun(Instant now, const NetworkPath& path, Ecn ecn,
                           MutableByteView datagram) {
  if (nat_watch_.handle_datagram(now, path, ecn, datagram)) return;
  (void)stun_server_->handle_datagram(now, path, ecn, datagram);
}

void NodeCore::choose_stun_servers(Instant now) {
  std::vector<DiscoveryServer> servers;
  for (const auto& [relay, observed] : observed_) {
    const auto path = connectivity_->current_path(relay);
    if (path && !is_relayed(*path)) servers.push_back({path->remote, true});
  }
  for (const SocketAddress& address : stun_servers_)
    servers.push_back({address, false});
  nat_watch_.set_servers(now, std::move(servers));
}

void NodeCore::take_nat_events(Instant now) {
  while (auto event = nat_watch_.poll_event()) {
    if (const auto* open = std::get_if<OpenSocket>(&*event)) {
      desk_.ask(SocketDesk::Owner::nat_watch, *open);
    } else if (const auto* close = std::get_if<CloseSocket>(&*event)) {
      desk_.give_back(*close);
    } else if (auto* found = std::get_if<NatDiscovered>(&*event)) {
      using std::chrono::seconds;
      const auto elapsed = std::chrono::duration_cast<seconds>(now.time_since_epoch()).count();
      nat_record_ = sign_nat_profile(identity_, found->profile, WallTime{wall_offset_s_ + elapsed});
      tell_candidates();
      events_.emplace_back(std::move(*found));
    }
  }
}

std::optional<SocketRequest> NodeCore::poll_socket_request() {
  take_nat_events(now_);
  return desk_.poll();
}

void NodeCore::handle_socket_opened(Instant now, SocketRequestId id, SocketId socket,
                                    const SocketAddress& local) {
  now_ = now;
  const auto wish = desk_.take(id);
  if (!wish) return desk_.give_back({socket});
  nat_watch_.handle_socket_opened(now, wish->id, socket, local);
}

void NodeCore::handle_socket_failed(Instant now, SocketRequestId id) {
  now_ = now;
  if (const auto wish = desk_.take(id)) nat_watch_.handle_socket_failed(now, wish->id);
}

}  // namespace quicmesh
