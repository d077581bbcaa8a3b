#include "sim/echo_traffic.hpp"

#include <algorithm>

namespace quicmesh::sim {

EchoTraffic::EchoTraffic(Simulation& simulation, MeshNode& node, Rng rng)
    : simulation_(simulation), node_(node), rng_(rng) {
  node_.command([](NodeCore& core, Instant) { (void)core.add_protocol(protocol); });
  node_.listen([this](Instant now, const NodeEvent& event) { on_event(now, event); });
}

void EchoTraffic::add_peer(const NodeId& id, const NetworkPath& path) {
  peers_[id].path = path;
  simulation_.after(rng_.between(0ms, pause_max), [this, id] {
    dial(id);
    speak(id);
  });
}

bool EchoTraffic::all_reached_since(Instant since) const {
  return std::ranges::all_of(peers_, [&](const auto& entry) {
    const auto& last = entry.second.last_returned_sent_at;
    return last && *last >= since;
  });
}

void EchoTraffic::dial(const NodeId& id) {
  Peer& peer = peers_.at(id);
  peer.redial_planned = false;
  (void)node_.command(
      [&](NodeCore& core, Instant now) { return core.connect(now, id, std::vector{peer.path}); });
}

void EchoTraffic::redial_later(const NodeId& id) {
  const auto peer = peers_.find(id);
  if (peer == peers_.end() || peer->second.redial_planned) return;
  peer->second.redial_planned = true;
  simulation_.after(rng_.between(redial_min, redial_max), [this, id] { dial(id); });
}

void EchoTraffic::speak(const NodeId& id) {
  simulation_.after(rng_.between(pause_min, pause_max), [this, id] { speak(id); });
  Message message;
  message.peer = id;
  message.sent_at = simulation_.now();
  message.text.resize(1 + rng_.below(2000));
  rng_.fill(message.text);
  node_.command([&](NodeCore& core, Instant now) {
    const auto stream = core.open_stream(now, id, protocol);
    if (!stream) return;  // not connected now
    Bytes text = message.text;
    (void)core.connectivity().write(*stream, text, true);
    ++counters_.sent;
    messages_.emplace(*stream, std::move(message));
  });
}

void EchoTraffic::on_event(Instant now, const NodeEvent& event) {
  if (const auto* data = std::get_if<PeerStreamData>(&event)) {
    on_data(now, *data);
  } else if (const auto* lost = std::get_if<PeerStreamLost>(&event)) {
    counters_.lost += messages_.erase(lost->stream);
  } else if (const auto* down = std::get_if<PeerDisconnected>(&event)) {
    redial_later(down->peer);
  } else if (const auto* unreachable = std::get_if<PeerUnreachable>(&event)) {
    redial_later(unreachable->peer);
  }
}

void EchoTraffic::on_data(Instant, const PeerStreamData& data) {
  const auto own = messages_.find(data.stream);
  node_.command([&](NodeCore& core, Instant) {
    Connectivity& connectivity = core.connectivity();
    connectivity.credit(data.stream, data.data.size());
    if (own != messages_.end()) return;
    Bytes answer = data.data;
    (void)connectivity.write(data.stream, answer, data.end);
  });
  if (own == messages_.end()) return;
  Message& message = own->second;
  message.returned.insert(message.returned.end(), data.data.begin(), data.data.end());
  if (!data.end) return;
  if (message.returned == message.text) {
    ++counters_.returned;
    const auto peer = peers_.find(message.peer);
    if (peer != peers_.end()) peer->second.last_returned_sent_at = message.sent_at;
  } else {
    ++counters_.wrong;
  }
  messages_.erase(own);
}

}  // namespace quicmesh::sim
