// The operations that ask a node about itself: status, peers, paths.
#include <algorithm>

#include <fmt/format.h>
#include <boost/json/array.hpp>

#include "node_events.hpp"
#include "operation.hpp"

namespace quicmesh::cli {
namespace {

boost::json::value rtt_value(const std::optional<Duration>& rtt) {
  if (!rtt) return nullptr;
  return std::chrono::duration_cast<std::chrono::microseconds>(*rtt).count();
}

boost::json::object counters_of(const NodeStatus& status) {
  return {{"peers", status.peers},
          {"streams", status.streams},
          {"datagrams_received", status.datagrams_received},
          {"datagrams_sent", status.datagrams_sent},
          {"bytes_received", status.bytes_received},
          {"bytes_sent", status.bytes_sent},
          {"receive_calls", status.receive_calls},
          {"send_calls", status.send_calls},
          {"sends_refused_gso", status.sends_refused_gso},
          {"sends_too_large", status.sends_too_large},
          {"sends_failed", status.sends_failed},
          {"sends_delayed", status.sends_delayed},
          {"events_dropped", status.events_dropped},
          {"streams_refused", status.streams_refused},
          {"flow_datagrams_dropped", status.flow_datagrams_dropped},
          {"handshakes_refused", status.handshakes_refused},
          {"tunnels", status.tunnels},
          {"tunnel_datagrams_dropped", status.tunnel_datagrams_dropped},
          {"tunnels_refused_source", status.tunnels_refused_source},
          {"tunnels_refused_total", status.tunnels_refused_total},
          {"tunnels_refused_rate", status.tunnels_refused_rate},
          {"tunnels_evicted", status.tunnels_evicted},
          {"tunnel_handshakes_failed", status.tunnel_handshakes_failed},
          {"tunnels_closed_bad_frame", status.tunnels_closed_bad_frame},
          {"tunnels_closed_idle", status.tunnels_closed_idle},
          {"tunnels_closed_stalled", status.tunnels_closed_stalled},
          {"tunnels_closed_unproved", status.tunnels_closed_unproved},
          {"tunnels_paused", status.tunnels_paused},
          {"tunnel_turns_cut", status.tunnel_turns_cut}};
}

boost::json::value dht_of(const DhtStatus& status) {
  if (!status.on) return nullptr;
  return {{"role", status.server ? "server" : "client"},
          {"contacts", status.contacts},
          {"connections", status.connections},
          {"tiers", status.tiers},
          {"values", status.values},
          {"provider_records", status.provider_records},
          {"provided", status.provided},
          {"provider_records_refused", status.provider_records_refused},
          {"provider_records_replaced", status.provider_records_replaced},
          {"provider_records_false", status.provider_records_false},
          {"k", status.k},
          {"alpha", status.alpha},
          {"requests_sent", status.requests_sent},
          {"requests_answered", status.requests_answered},
          {"requests_failed", status.requests_failed},
          {"messages_malformed", status.messages_malformed},
          {"messages_dropped", status.messages_dropped},
          {"records_signed", status.records_signed},
          {"bootstraps_tried", status.bootstraps_tried}};
}

boost::json::object path_of(std::size_t row, const PathStatus& path) {
  boost::json::object event{{"event", "path"},
                            {"row", row},
                            {"path", path_name(path.relay, path.kind == PathKind::turn)},
                            {"kind", to_string(path.kind)},
                            {"remote", path.remote.to_string()},
                            {"relay", relay_value(path.relay)},
                            {"leg", leg_name(path.over_tls)},
                            {"local", path.local.to_string()},
                            {"current", path.current},
                            {"state", to_string(path.state)},
                            {"held_s", nullptr},
                            {"rtt_us", rtt_value(path.rtt)},
                            {"loss", nullptr},
                            {"probes_sent", path.probes_sent},
                            {"probes_answered", path.probes_answered},
                            {"mtu_bytes", path.mtu_bytes},
                            {"bytes_sent", path.bytes_sent},
                            {"bytes_received", path.bytes_received}};
  if (path.held_for) event["held_s"] = std::chrono::duration<double>(*path.held_for).count();
  if (path.probes_sent > 0) {
    const double answered = std::min(path.probes_answered, path.probes_sent);
    event["loss"] = 1 - answered / path.probes_sent;
  }
  return event;
}

}  // namespace

asio::awaitable<int> status_operation(Operation operation) {
  NodeHost& host = operation.host;
  auto asking = host.node()->status();
  const auto status = co_await std::move(asking);
  if (!status) co_return operation.fail(make_failure("cannot ask the node", status.error()));
  boost::json::object event = host.ready();
  event["event"] = "status";
  event["version"] = QUICMESH_VERSION;
  event["uptime_seconds"] = host.uptime();
  for (auto& [key, value] : counters_of(*status))
    event[key] = std::move(value);
  auto asking_dht = host.node()->dht_status();
  const auto dht = co_await std::move(asking_dht);
  if (dht) event["dht"] = dht_of(*dht);
  operation.emit(event);
  co_return exit_done;
}

asio::awaitable<int> peers_operation(Operation operation) {
  const std::shared_ptr<Node> node = operation.host.node();
  auto asking_dht = node->dht_peers();
  const auto dht = co_await std::move(asking_dht);
  const auto tier_of = [&](const NodeId& peer) -> boost::json::value {
    if (!dht) return nullptr;
    const auto found = std::ranges::find(*dht, peer, &DhtPeer::node);
    if (found == dht->end() || !found->rtt) return nullptr;
    return found->tier;
  };
  for (const NodeId& peer : node->peers()) {
    auto asking = node->paths(peer);
    const auto paths = co_await std::move(asking);
    if (!paths) continue;  // gone meanwhile
    for (const PathStatus& path : *paths) {
      if (!path.current) continue;
      operation.emit({{"event", "peer"},
                      {"peer", peer.to_hex()},
                      {"path", path_name(path.relay, path.kind == PathKind::turn)},
                      {"relay", relay_value(path.relay)},
                      {"remote", path.remote.to_string()},
                      {"leg", leg_name(path.over_tls)},
                      {"rtt_us", rtt_value(path.rtt)},
                      {"tier", tier_of(peer)},
                      {"paths", paths->size()}});
    }
  }
  co_return exit_done;
}

asio::awaitable<int> paths_operation(Operation operation) {
  const auto peer = node_of(operation.request, "node");
  if (!peer) co_return operation.fail(peer.error());
  auto asking = operation.host.node()->paths(peer->id);
  const auto paths = co_await std::move(asking);
  if (!paths)
    co_return operation.fail(
        make_failure(fmt::format("no paths to {}", peer->id.prefix()), paths.error()));
  for (std::size_t row = 0; row < paths->size(); ++row)
    operation.emit(path_of(row, (*paths)[row]));
  co_return exit_done;
}

}  // namespace quicmesh::cli
