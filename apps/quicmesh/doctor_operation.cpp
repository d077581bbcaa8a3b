// `doctor`: what the network of the node is like, and what it will allow.
//
// It waits for the discovery of the NAT, which begins when a server is known: a relay that is up,
// or one of --stun. A node that was started for this alone needs a moment for that.
#include <algorithm>

#include <fmt/format.h>
#include <boost/json/array.hpp>

#include "nat/nat_prospects.hpp"
#include "operation.hpp"

namespace quicmesh::cli {
namespace {

using boost::json::array;
using boost::json::object;
using boost::json::value;
using Clock = std::chrono::steady_clock;

constexpr Duration patience = 4s;
constexpr Duration look_every = 50ms;

std::int64_t microseconds(Duration time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time).count();
}

value microseconds_or_null(const std::optional<Duration>& time) {
  return time ? value(microseconds(*time)) : value(nullptr);
}

Outcome<std::vector<SocketAddress>> servers_of(const object& request) {
  std::vector<SocketAddress> servers;
  const value* list = request.if_contains("stun");
  if (list == nullptr || !list->is_array()) return servers;
  for (const value& element : list->get_array()) {
    const std::string text = element.is_string() ? std::string(element.get_string()) : "";
    const auto address = SocketAddress::parse(text);
    if (!address) {
      return std::unexpected(
          usage_failure(fmt::format("\"{}\" is no address of a STUN server", text),
                        "write host:port as numbers, such as 192.0.2.1:3478"));
    }
    servers.push_back(*address);
  }
  return servers;
}

bool any_up(const std::vector<RelayStatus>& relays) {
  return std::ranges::any_of(relays, &RelayStatus::up);
}

Failure nobody_answered() {
  return {.exit_code = exit_timed_out,
          .code = "no_answer",
          .message = "the network cannot be measured: no server answered",
          .hint = "check the addresses of --stun and --relay-via, and that UDP may leave"};
}

/// The report, when there is one and no better one is being made.
asio::awaitable<Outcome<NatStatus>> wait_for_report(Operation& operation) {
  const auto start = Clock::now();
  while (true) {
    auto asking = operation.host.node()->nat_status();
    const auto status = co_await std::move(asking);
    if (!status) co_return std::unexpected(make_failure("cannot ask the node", status.error()));
    const bool late = Clock::now() - start >= patience;
    auto asking_relays = operation.host.node()->relays();
    const auto relays = co_await std::move(asking_relays);
    const bool over = status->report && (!status->running || late);
    if (over && (status->report->servers_answered > 0 || (relays && any_up(*relays))))
      co_return *status;
    if (over) co_return std::unexpected(nobody_answered());
    if (status->servers == 0 && (!relays || relays->empty())) {
      co_return std::unexpected(
          Failure{.code = "no_server",
                  .message = "the network cannot be measured: no server is known to ask",
                  .hint = "name one: --stun HOST:PORT, or --relay-via NODEID@host:port"});
    }
    if (late) {
      co_return std::unexpected(
          Failure{.exit_code = exit_timed_out,
                  .code = "no_answer",
                  .message = status->servers == 0
                                 ? "the network cannot be measured: no relay is up to be asked"
                                 : "the network could not be measured in time",
                  .hint = "check the addresses of --stun and --relay-via, and that UDP may leave"});
    }
    auto resting = pause_for(look_every);
    co_await std::move(resting);
  }
}

array port_mapping_of(const PortMappingProtocols& protocols) {
  array names;
  if (protocols.upnp_igd) names.emplace_back("UPnP-IGD");
  if (protocols.nat_pmp) names.emplace_back("NAT-PMP");
  if (protocols.pcp) names.emplace_back("PCP");
  return names;
}

array prospects_of(const NatProfile& profile) {
  array list;
  for (const NatProspect& prospect : nat_prospects(profile)) {
    std::string peer(to_string(prospect.peer));
    if (prospect.peer == ClassicNatType::symmetric) {
      peer += prospect.foreseeable ? ", ports foreseeable" : ", ports random";
    }
    list.emplace_back(object{{"peer", peer},
                             {"direct", prospect.plan.technique != PunchTechnique::relay},
                             {"technique", to_string(prospect.plan.technique)},
                             {"reason", to_sentence(prospect.plan.reason)}});
  }
  return list;
}

array texts_of(const std::vector<SocketAddress>& addresses) {
  array texts;
  for (const SocketAddress& address : addresses)
    texts.emplace_back(address.to_string());
  return texts;
}

/// How the NAT treats peers of this node: a forwarded port is open to all of them.
NatProfile profile_in_effect(const NatStatus& status) {
  NatProfile profile = status.report->profile;
  if (status.mapped.empty()) return profile;
  profile.mapping = NatBehaviour::endpoint_independent;
  profile.filtering = NatBehaviour::endpoint_independent;
  return profile;
}

object why_not(const std::error_code& error) {
  return {{"reason", error.message()}, {"hint", hint(error)}};
}

/// `status` has a report.
object event_of(const NatStatus& status) {
  const NatReport& report = *status.report;
  const NatProfile& profile = report.profile;
  const NatProfile in_effect = profile_in_effect(status);
  const std::string_view remedy = to_sentence(remedy_for(in_effect));
  object event{{"event", "doctor"},
               {"type", to_string(classic_type(profile))},
               {"mapping", to_string(profile.mapping)},
               {"filtering", to_string(profile.filtering)},
               {"port_allocation", to_string(profile.port_allocation)},
               {"port_delta", profile.port_delta},
               {"port_confidence", profile.port_confidence},
               {"hairpin", to_string(profile.hairpin)},
               {"translated", to_string(profile.translated)},
               {"cgnat", to_string(profile.cgnat)},
               {"pooled", to_string(profile.pooled)},
               {"udp_blocked", to_string(profile.udp_blocked)},
               {"ipv6", to_string(profile.ipv6)},
               {"ipv6_filtering", to_string(profile.ipv6_filtering)},
               {"port_mapping", port_mapping_of(profile.port_mapping)},
               {"mapped", texts_of(status.mapped)},
               {"servers_answered", report.servers_answered},
               {"rtt_us", microseconds_or_null(report.rtt)},
               {"prospects", prospects_of(in_effect)}};
  event["mapping_error"] = nullptr;
  if (status.mapping_error) event["mapping_error"] = why_not(status.mapping_error);
  event["external"] = nullptr;
  if (report.external) event["external"] = report.external->to_string();
  event["lifetime_s"] = nullptr;
  if (profile.lifetime_s > 0) event["lifetime_s"] = profile.lifetime_s;
  event["remedy"] = remedy.empty() ? value(nullptr) : value(boost::json::string(remedy));
  return event;
}

asio::awaitable<array> relays_of(Node& node) {
  array list;
  auto asking = node.relays();
  const auto relays = co_await std::move(asking);
  if (!relays) co_return list;
  for (const RelayStatus& relay : *relays) {
    list.emplace_back(object{{"relay", relay.relay.to_hex()},
                             {"up", relay.up},
                             {"configured", relay.configured},
                             {"rtt_us", microseconds_or_null(relay.rtt)},
                             {"load_percent", relay.load_percent},
                             {"sessions", relay.sessions}});
  }
  co_return list;
}

asio::awaitable<array> turn_servers_of(Node& node) {
  array list;
  auto asking = node.turn_servers();
  const auto servers = co_await std::move(asking);
  if (!servers) co_return list;
  for (const TurnStatus& server : *servers) {
    object one{{"server", server.server.to_string()}, {"relayed", nullptr}, {"error", nullptr}};
    if (server.relayed) one["relayed"] = server.relayed->to_string();
    if (server.error) one["error"] = why_not(server.error);
    list.emplace_back(std::move(one));
  }
  co_return list;
}

/// What the widest direct path to a peer carries; null if there is none.
asio::awaitable<value> mtu_of(Node& node) {
  std::size_t widest = 0;
  for (const NodeId& peer : node.peers()) {
    auto asking = node.paths(peer);
    const auto paths = co_await std::move(asking);
    if (!paths) continue;  // gone meanwhile
    for (const PathStatus& path : *paths) {
      const bool direct = !path.relay && path.kind != PathKind::turn;
      if (path.current && direct) widest = std::max(widest, path.mtu_bytes);
    }
  }
  co_return widest > 0 ? value(widest) : value(nullptr);
}

}  // namespace

asio::awaitable<int> doctor_operation(Operation operation) {
  auto servers = servers_of(operation.request);
  if (!servers) co_return operation.fail(servers.error());
  const std::shared_ptr<Node> node = operation.host.node();
  if (!servers->empty()) {
    auto adding = node->add_stun_servers(std::move(*servers));
    const auto added = co_await std::move(adding);
    if (!added) co_return operation.fail(make_failure("cannot ask the node", added.error()));
  }
  auto waiting = wait_for_report(operation);
  const auto status = co_await std::move(waiting);
  if (!status) co_return operation.fail(status.error());
  object event = event_of(*status);
  auto listing = relays_of(*node);
  event["relays"] = co_await std::move(listing);
  auto listing_turn = turn_servers_of(*node);
  event["turn"] = co_await std::move(listing_turn);
  auto measuring = mtu_of(*node);
  event["mtu_bytes"] = co_await std::move(measuring);
  operation.emit(event);
  co_return exit_done;
}

}  // namespace quicmesh::cli
