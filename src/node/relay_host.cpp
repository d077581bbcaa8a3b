#include "node/relay_host.hpp"

#include <algorithm>
#include <utility>

namespace quicmesh {

void RelayHost::on_opened(Instant now, Connectivity& connectivity, const PeerStreamOpened& opened) {
  const RelayClientId id{++last_id_};
  RelayKey key;
  const auto exported =
      connectivity.export_secret(opened.stream.connection, relay_exporter_label, key);
  // The present path may be one from which a single packet came with a false source. If the client
  // has moved since the handshake, its next relayed datagram is challenged.
  const auto path = connectivity.proved_path(opened.stream.connection);
  // One connection is one client; its later stream counts.
  const auto former = clients_.lower_bound({opened.stream.connection, StreamId{0}});
  if (former != clients_.end() && former->first.connection == opened.stream.connection) {
    drop(connectivity, StreamKey(former->first));
  }
  // A client that is itself reached through a relay cannot be forwarded to.
  const bool usable = exported && path && !is_relayed(*path) && opened.bidirectional;
  if (!usable || !server_.client_up(now, id, opened.peer, *path, key)) {
    return drop(connectivity, opened.stream);
  }
  clients_.emplace(opened.stream, Client{id, opened.peer, {}});
  streams_.emplace(id, opened.stream);
}

bool RelayHost::on_data(Instant now, Connectivity& connectivity, const PeerStreamData& data) {
  const auto found = clients_.find(data.stream);
  if (found == clients_.end()) return false;
  Client& client = found->second;
  if (const auto path = connectivity.current_path(client.node); path && !is_relayed(*path)) {
    server_.client_seen_at(client.id, path->remote);
  }
  connectivity.credit(data.stream, data.data.size());
  client.inbox.append(data.data);
  while (const auto message = client.inbox.next())
    server_.handle_message(now, client.id, *message);
  if (client.inbox.broken() || data.end) drop(connectivity, data.stream);
  return true;
}

bool RelayHost::on_ended(const StreamKey& stream) {
  const auto found = clients_.find(stream);
  if (found == clients_.end()) return false;
  server_.client_down(found->second.id);
  streams_.erase(found->second.id);
  clients_.erase(found);
  return true;
}

void RelayHost::on_path_proved(const PeerPathProved& proved) {
  const auto client = clients_.lower_bound({proved.connection, StreamId{0}});
  const bool known = client != clients_.end() && client->first.connection == proved.connection;
  if (known && !is_relayed(proved.path)) {
    server_.client_path_changed(client->second.id, proved.path);
  }
}

void RelayHost::drop(Connectivity& connectivity, const StreamKey& stream) {
  (void)connectivity.reset_stream(stream, CloseCode::cancelled);  // it may be over already
  (void)connectivity.stop_stream(stream, CloseCode::cancelled);
  (void)on_ended(stream);
}

bool RelayHost::handle_frame(Instant now, const NetworkPath& path, ByteView datagram) {
  std::array<RelayRun, 1> runs;
  const std::uint64_t unknown = server_.dropped(RelayDrop::unknown_session);
  const RelayTrain train = server_.forward_train(now, path, datagram, 0, runs);
  if (train.runs == 0) return server_.dropped(RelayDrop::unknown_session) == unknown;
  if (forwards_.size() < forwards_queued_max) {
    forwards_.push_back({runs[0].destination, to_bytes(datagram)});
  }
  return true;
}

void RelayHost::pump(Connectivity& connectivity) {
  while (auto output = server_.poll_output()) {
    const RelayClientId id = std::visit([](const auto& any) { return any.client; }, *output);
    const auto stream = streams_.find(id);
    if (stream == streams_.end()) continue;
    const StreamKey key = stream->second;
    if (std::holds_alternative<RelayDisconnect>(*output)) {
      drop(connectivity, key);
      continue;
    }
    Bytes bytes = encode_relay_message(std::get<RelaySend>(*output).message);
    if (!connectivity.write(key, bytes, false)) {
      drop(connectivity, key);
    } else {
      server_.client_backlog(id, connectivity.unacknowledged_bytes(key));
    }
  }
}

std::optional<Transmit> RelayHost::poll_transmit(MutableByteView buffer) {
  if (auto challenge = server_.poll_transmit(buffer)) return challenge;
  if (forwards_.empty()) return std::nullopt;
  const Forward forward = std::move(forwards_.front());
  forwards_.pop_front();
  std::ranges::copy(forward.bytes, buffer.begin());
  return Transmit{forward.path, forward.bytes.size(), forward.bytes.size()};
}

}  // namespace quicmesh
