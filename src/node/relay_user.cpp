#include "node/relay_user.hpp"

#include <algorithm>
#include <utility>

#include "node/relayed_path.hpp"

namespace quicmesh {

std::optional<StreamKey> RelayUser::control_of(const NodeId& relay) const {
  for (const auto& [stream, control] : controls_) {
    if (control.relay == relay) return stream;
  }
  return std::nullopt;
}

void RelayUser::open(Instant now, Connectivity& connectivity, const RelayHint& relay,
                     std::span<const LocalEndpoint> endpoints) {
  tunnels_.seek(now, relay);
  if (connectivity.connected(relay.id)) return start_control(now, connectivity, relay.id);
  std::vector<NetworkPath> candidates;
  for (const SocketAddress& address : relay.addresses) {
    const auto more = paths_to(address, endpoints);
    candidates.insert(candidates.end(), more.begin(), more.end());
  }
  opening_.insert(relay.id);
  if (!connectivity.dialling(relay.id)) own_dials_.insert(relay.id);
  const auto dialled = connectivity.connect(now, relay.id, candidates, PathPolicy::direct_only);
  if (!dialled && !connectivity.dialling(relay.id)) {
    opening_.erase(relay.id);
    client_.control_down(now, relay.id);
  }
}

void RelayUser::start_control(Instant now, Connectivity& connectivity, const NodeId& relay) {
  opening_.erase(relay);
  const StreamHeader header{StreamKind::stream, std::string(relay_protocol)};
  const auto stream = connectivity.open_stream(now, relay, header, true);
  const auto path = connectivity.current_path(relay);
  RelayKey key;
  if (!stream || !path || is_relayed(*path) ||
      !connectivity.export_secret(stream->connection, relay_exporter_label, key)) {
    if (stream) (void)connectivity.reset_stream(*stream, CloseCode::cancelled);
    return client_.control_down(now, relay);
  }
  controls_.emplace(*stream, Control{relay, {}});
  paths_[relay] = *path;
  client_.control_up(now, relay, *path, key);
}

void RelayUser::shut(Connectivity& connectivity, const NodeId& relay) {
  opening_.erase(relay);
  tunnels_.stop(relay);
  paths_.erase(relay);
  const auto stream = control_of(relay);
  if (!stream) return;
  (void)connectivity.reset_stream(*stream, CloseCode::cancelled);  // it may be over already
  (void)connectivity.stop_stream(*stream, CloseCode::cancelled);
  controls_.erase(*stream);
}

// Keep-alives would hold the connection, and its tunnel, for ever.
void RelayUser::leave(Instant now, Connectivity& connectivity, const NodeId& relay) {
  if (!own_dials_.contains(relay) || !connectivity.carries_only(relay, control_of(relay))) return;
  connectivity.disconnect(now, relay, CloseCode::goodbye, "needed as a relay no more");
}

void RelayUser::on_disconnected(const NodeId& peer) {
  tunnels_.disconnected(peer);
  own_dials_.erase(peer);
}

void RelayUser::on_connected(Instant now, Connectivity& connectivity, const NodeId& peer) {
  if (opening_.contains(peer)) start_control(now, connectivity, peer);
}

void RelayUser::on_unreachable(Instant now, const PeerUnreachable& unreachable) {
  const NodeId& peer = unreachable.peer;
  tunnels_.disconnected(peer);
  own_dials_.erase(peer);
  if (opening_.erase(peer) == 0) return;
  if (dial_errors_.size() >= RelayClient::relays_max) dial_errors_.clear();
  dial_errors_[peer] = unreachable.error;
  client_.control_down(now, peer);
}

void RelayUser::on_path_changed(Instant now, const NodeId& peer, const NetworkPath& path) {
  const auto found = paths_.find(peer);
  if (found == paths_.end() || is_relayed(path)) return;
  found->second = path;
  tunnels_.moved(now, peer, path);
  client_.control_path_changed(peer, path);
}

// Of a path that stays but for its source nobody is told.
void RelayUser::network_changed(Instant now, const Connectivity& connectivity) {
  for (const auto& [relay, path] : paths_) {
    const auto current = connectivity.current_path(relay);
    if (current && *current != path) on_path_changed(now, relay, *current);
  }
  client_.network_changed(now);
}

void RelayUser::on_silent(Instant now, const NodeId& peer) {
  for (const RelayLeg& leg : client_.legs(peer))
    client_.check(now, leg.relay);
}

bool RelayUser::on_data(Instant now, Connectivity& connectivity, const PeerStreamData& data) {
  const auto found = controls_.find(data.stream);
  if (found == controls_.end()) return false;
  connectivity.credit(data.stream, data.data.size());
  Control& control = found->second;
  const NodeId relay = control.relay;
  control.inbox.append(data.data);
  while (const auto message = control.inbox.next())
    client_.handle_message(now, relay, *message);
  if (control.inbox.broken() || data.end) {
    shut(connectivity, relay);
    client_.control_down(now, relay);
  }
  return true;
}

bool RelayUser::on_ended(Instant now, const StreamKey& stream) {
  const auto found = controls_.find(stream);
  if (found == controls_.end()) return false;
  const NodeId relay = found->second.relay;
  controls_.erase(found);
  paths_.erase(relay);
  client_.control_down(now, relay);
  return true;
}

void RelayUser::on_tunnel_opened(Instant now, Connectivity& connectivity, TunnelRequestId id,
                                 const NetworkPath& path) {
  const auto relay = tunnels_.handle_opened(now, id, path);
  if (!relay) return;
  // One more path of the dial, or of the connection that has lost its others.
  (void)connectivity.connect(now, *relay, std::span(&path, 1), PathPolicy::direct_only);
  client_.check(now, *relay);  // so that something is in flight if the path in use is dead
}

void RelayUser::on_tunnel_closed(Instant now, Connectivity& connectivity, const NetworkPath& path,
                                 std::error_code error) {
  const auto relay = tunnels_.handle_closed(now, path, error);
  if (relay) connectivity.remove_path(*relay, path);
}

void RelayUser::explain(RelayDown& down) const {
  const auto dial = dial_errors_.find(down.relay);
  const auto tunnel = tunnels_.last_attempt(down.relay);
  if (dial == dial_errors_.end() || !tunnel) return;
  down.reason = RelayErrc::not_reached;
  const std::error_code error =
      tunnel->error ? tunnel->error : std::make_error_code(std::errc::timed_out);
  down.tried = "UDP: " + dial->second.message() + "; TLS over TCP to " +
               tunnel->remote.to_string() + ": " + error.message();
}

std::optional<RelayUser::Arrival> RelayUser::handle_frame(Instant now, const NetworkPath& path,
                                                          ByteView datagram) {
  const auto arrival = client_.handle_frame(now, path, datagram);
  if (!arrival) return std::nullopt;
  return Arrival{relayed_path(arrival->session), datagram.size() - arrival->payload.size()};
}

bool RelayUser::is_relay(const NetworkPath& path) const {
  return std::ranges::any_of(paths_,
                             [&](const auto& one) { return one.second.remote == path.remote; });
}

bool RelayUser::wrap(Transmit& train, MutableByteView buffer) const {
  const RelaySessionId id = relay_session_of(train.path);
  const auto session = sessions_.find(id);
  if (session == sessions_.end() || session->second.over) return false;
  const auto path = paths_.find(session->second.relay);
  if (path == paths_.end()) return false;
  wrap_train(encode_relay_header({session->second.role, id}), train, buffer);
  train.path = path->second;
  train.ecn = Ecn::not_ect;  // a mark of one leg would be lost on the other
  return true;
}

std::optional<RelayUser::Leg> RelayUser::leg_of(const NetworkPath& path) const {
  const auto session = sessions_.find(relay_session_of(path));
  if (session == sessions_.end()) return std::nullopt;
  const auto found = paths_.find(session->second.relay);
  return Leg{session->second.relay, found == paths_.end() ? NetworkPath{} : found->second};
}

void RelayUser::pump(Instant now, Connectivity& connectivity,
                     std::span<const LocalEndpoint> endpoints) {
  while (auto output = client_.poll_output()) {
    if (const auto* wanted = std::get_if<RelayOpen>(&*output)) {
      open(now, connectivity, wanted->relay, endpoints);
    } else if (const auto* unwanted = std::get_if<RelayShut>(&*output)) {
      if (unwanted->for_good) leave(now, connectivity, unwanted->relay);
      shut(connectivity, unwanted->relay);
    } else if (const auto* doubted = std::get_if<RelayDoubt>(&*output)) {
      tunnels_.doubt(now, doubted->relay);
    } else {
      const auto& message = std::get<RelaySendTo>(*output);
      const auto stream = control_of(message.relay);
      if (!stream) continue;
      Bytes bytes = encode_relay_message(message.message);
      if (connectivity.write(*stream, bytes, false)) continue;
      shut(connectivity, message.relay);
      client_.control_down(now, message.relay);
    }
  }
  while (auto event = client_.poll_event()) {
    if (const auto* up = std::get_if<RelaySessionUp>(&*event)) {
      if (sessions_.size() >= sessions_kept_max) {
        std::erase_if(sessions_, [](const auto& one) { return one.second.over; });
      }
      sessions_[up->session] = {up->relay, up->role};
    } else if (const auto* down = std::get_if<RelaySessionDown>(&*event)) {
      const auto found = sessions_.find(down->session);
      if (found != sessions_.end()) found->second.over = true;
    } else if (const auto* served = std::get_if<RelayUp>(&*event)) {
      dial_errors_.erase(served->relay);
      if (const auto path = paths_.find(served->relay); path != paths_.end()) {
        tunnels_.serves(now, served->relay, path->second);
      }
    } else if (auto* lost = std::get_if<RelayDown>(&*event)) {
      explain(*lost);
      tunnels_.lost(lost->relay);
    }
    events_.push_back(std::move(*event));
  }
}

std::optional<RelayEvent> RelayUser::poll_event() {
  if (events_.empty()) return std::nullopt;
  RelayEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

}  // namespace quicmesh
