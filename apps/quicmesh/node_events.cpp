// See node_events.hpp.
#include "node_events.hpp"

#include <fmt/format.h>

#include "failure.hpp"
#include "text.hpp"

namespace quicmesh::cli {
namespace {

using boost::json::object;
using Objects = std::vector<object>;

std::int64_t microseconds(Duration time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time).count();
}

struct ToJson {
  Objects operator()(const event::PeerUp& up) const {
    return {object{{"event", "peer_up"},
                   {"peer", up.peer.to_hex()},
                   {"path", path_name(up.relay, up.over_turn)},
                   {"remote", up.remote.to_string()},
                   {"relay", relay_value(up.relay)},
                   {"turn", up.over_turn},
                   {"dialled_by_us", up.dialled_by_us}}};
  }

  Objects operator()(const event::PeerDown& down) const {
    return {object{{"event", "peer_down"},
                   {"peer", down.peer.to_hex()},
                   {"reason", valid_utf8(down.reason)},
                   {"code", code_name(down.error)},
                   {"error", down.error.message()}}};
  }

  Objects operator()(const event::PeerUnreachable& unreachable) const {
    auto told = to_json(make_failure(fmt::format("cannot reach {}", unreachable.peer.prefix()),
                                     unreachable.error, unreachable.reason));
    told["peer"] = unreachable.peer.to_hex();
    return {std::move(told)};
  }

  Objects operator()(const event::HandshakeRefused& refused) const {
    auto told =
        to_json(make_failure(fmt::format("refused a handshake of {}", refused.remote.to_string()),
                             refused.error, refused.reason));
    told["remote"] = refused.remote.to_string();
    return {std::move(told)};
  }

  Objects operator()(const event::PathChanged& changed) const {
    Objects objects{object{{"event", "path_changed"},
                           {"peer", changed.peer.to_hex()},
                           {"from", changed.from.to_string()},
                           {"to", changed.to.to_string()},
                           {"from_path", path_name(changed.from_relay, changed.from_turn)},
                           {"path", path_name(changed.to_relay, changed.to_turn)},
                           {"relay", relay_value(changed.to_relay)},
                           {"turn", changed.to_turn},
                           {"rtt_us", microseconds(changed.rtt)}}};
    if (changed.stall > Duration{})
      objects.push_back(
          object{{"event", "path_resumed"},
                 {"peer", changed.peer.to_hex()},
                 {"stall_ms", static_cast<double>(microseconds(changed.stall)) / 1e3}});
    return objects;
  }

  Objects operator()(const event::PathRefused& refused) const {
    return {object{{"event", "path_refused"},
                   {"peer", refused.peer.to_hex()},
                   {"remote", refused.remote.to_string()}}};
  }

  Objects operator()(const event::RelayUp& up) const {
    return {object{{"event", "relay_up"},
                   {"relay", up.relay.to_hex()},
                   {"observed", up.observed.to_string()},
                   {"leg", leg_name(up.over_tls)}}};
  }

  Objects operator()(const event::RelayDown& down) const {
    return {object{{"event", "relay_down"},
                   {"relay", down.relay.to_hex()},
                   {"reason", down.error.message()},
                   {"tried", down.tried},
                   {"code", code_name(down.error)}}};
  }

  Objects operator()(const event::NatDetected& detected) const {
    const NatReport& report = detected.report;
    boost::json::value external = nullptr;
    if (report.external) external = boost::json::string(report.external->to_string());
    return {object{{"event", "nat"},
                   {"mapping", to_string(report.profile.mapping)},
                   {"filtering", to_string(report.profile.filtering)},
                   {"ports", to_string(report.profile.port_allocation)},
                   {"type", to_string(classic_type(report.profile))},
                   {"external", std::move(external)}}};
  }

  Objects operator()(const event::PunchOver& over) const {
    return {object{{"event", "punch"},
                   {"peer", over.peer.to_hex()},
                   {"technique", over.technique},
                   {"outcome", over.outcome},
                   {"probes", over.probes},
                   {"rounds", over.rounds},
                   {"ms", static_cast<double>(microseconds(over.duration)) / 1e3}}};
  }

  Objects operator()(const event::NetworkChanged& changed) const {
    boost::json::array addresses;
    for (const SocketAddress& address : changed.addresses)
      addresses.emplace_back(address.to_string());
    return {object{{"event", "network_changed"}, {"addresses", std::move(addresses)}}};
  }

  Objects operator()(const event::TurnUp& up) const {
    return {object{{"event", "turn_up"},
                   {"server", up.server.to_string()},
                   {"relayed", up.relayed.to_string()}}};
  }

  Objects operator()(const event::TurnDown& down) const {
    const auto told = make_failure("no TURN relay", down.error);
    return {object{{"event", "turn_down"},
                   {"server", down.server.to_string()},
                   {"code", told.code},
                   {"reason", down.error.message()},
                   {"hint", told.hint}}};
  }

  Objects operator()(const event::PortMapped& mapped) const {
    return {object{
        {"event", "port_mapped"},
        {"protocol", mapped.protocol == PortMappingProtocol::nat_pmp ? "nat-pmp" : "upnp"},
        {"external", mapped.external.to_string()},
        {"port", mapped.port},
        {"lifetime_s", std::chrono::duration_cast<std::chrono::seconds>(mapped.lifetime).count()}}};
  }

  Objects operator()(const event::PortMappingFailed& failed) const {
    const auto told = make_failure("no port mapping", failed.error);
    object json{{"event", "port_mapping_failed"},
                {"code", told.code},
                {"reason", failed.error.message()},
                {"hint", told.hint},
                {"external", nullptr}};
    if (failed.external) json["external"] = failed.external->to_string();
    return {std::move(json)};
  }

  Objects operator()(const event::HandlerFailed& failed) const {
    auto told = to_json(make_failure(fmt::format("the protocol {} failed", failed.protocol),
                                     failed.error, failed.reason));
    told["peer"] = failed.peer.to_hex();
    return {std::move(told)};
  }
};

}  // namespace

const char* path_name(const std::optional<NodeId>& relay, bool over_turn) {
  return relay || over_turn ? "relayed" : "direct";
}

const char* leg_name(bool over_tls) {
  return over_tls ? "tls" : "udp";
}

boost::json::value relay_value(const std::optional<NodeId>& relay) {
  if (!relay) return nullptr;
  return boost::json::string(relay->to_hex());
}

Objects to_json(const Event& event) {
  return std::visit(ToJson(), event);
}

}  // namespace quicmesh::cli
