// Program "many-nodes": hundreds of whole nodes in one process, most behind NATs, talk through a
// fault phase; after the healing everybody must reach all of its peers again within a time.
#include <algorithm>
#include <memory>

#include "sim/echo_traffic.hpp"
#include "sim/program_registry.hpp"

namespace quicmesh::sim {
namespace {

constexpr std::size_t peers_of_a_node = 3;

struct Member {
  Member(Simulation& simulation, HostId host)
      : node(simulation, host),
        traffic(simulation, node, simulation.rng(simulation.network().name_of(host) + " traffic")) {
  }
  MeshNode node;
  EchoTraffic traffic;
};

Duration healing_time(const Scenario& scenario) {
  Duration at{};
  for (const ScenarioFault& fault : scenario.timeline) {
    if (fault.action == FaultAction::heal) at = std::max(at, fault.at);
  }
  return at;
}

// Without a rendezvous only public nodes can be dialled; everybody picks some of them.
void choose_peers(Simulation& simulation, std::vector<std::unique_ptr<Member>>& members,
                  const std::vector<std::size_t>& reachable) {
  Network& network = simulation.network();
  Rng rng = simulation.rng("peers");
  for (auto& member : members) {
    std::vector<std::size_t> chosen;
    while (chosen.size() < std::min(peers_of_a_node, reachable.size() - 1)) {
      const std::size_t pick = reachable[rng.below(reachable.size())];
      if (members[pick].get() == member.get()) continue;
      if (std::ranges::find(chosen, pick) == chosen.end()) chosen.push_back(pick);
    }
    for (const std::size_t pick : chosen) {
      const MeshNode& peer = members[pick]->node;
      const SocketAddress address = peer.address(network.interfaces_of(peer.host())[0]);
      const InterfaceId own = network.interfaces_of(member->node.host())[0];
      member->traffic.add_peer(peer.id(), member->node.path(own, address));
    }
  }
}

}  // namespace

ScenarioResult<ScenarioReport> run_many_nodes(const Scenario& scenario, Simulation& simulation,
                                              ProgramFaults&) {
  if (auto known = scenario.settings.only({"converge_within"}); !known) {
    return std::unexpected(known.error());
  }
  const auto within = scenario.settings.duration("converge_within", 30s);
  if (!within) return std::unexpected(within.error());

  Network& network = simulation.network();
  std::vector<std::unique_ptr<Member>> members;
  std::vector<std::size_t> reachable;
  for (std::size_t i = 0; i < network.host_count(); ++i) {
    const HostId host{static_cast<std::uint32_t>(i)};
    const InterfaceId interface = network.interfaces_of(host)[0];
    members.push_back(std::make_unique<Member>(simulation, host));
    const AddressScope scope = network.address_of(interface).scope();
    if (scope != AddressScope::private_realm) reachable.push_back(i);
  }
  choose_peers(simulation, members, reachable);
  simulation.add_invariant("no message comes back changed", [&]() -> std::optional<std::string> {
    for (const auto& member : members) {
      if (member->traffic.counters().wrong > 0) return network.name_of(member->node.host());
    }
    return std::nullopt;
  });

  const Duration heals_at = healing_time(scenario);
  RunResult result = simulation.run_until(heals_at);
  const Instant healed = simulation.now();
  ScenarioReport report;
  if (result) {
    result = simulation.run_until(
        [&] {
          return std::ranges::all_of(members, [&](const auto& member) {
            return member->traffic.all_reached_since(healed);
          });
        },
        heals_at + *within);
  }
  report.add("nodes", static_cast<std::int64_t>(members.size()));
  report.add("healed_ms",
             std::chrono::duration<double, std::milli>(simulation.now() - healed).count());
  EchoCounters total;
  std::int64_t connections = 0;
  std::size_t memory = 0;
  for (const auto& member : members) {
    const EchoCounters& counters = member->traffic.counters();
    total.sent += counters.sent;
    total.returned += counters.returned;
    total.wrong += counters.wrong;
    total.lost += counters.lost;
    connections +=
        static_cast<std::int64_t>(member->node.core().connectivity().quic().connections());
    memory += member->node.core().connectivity().quic().total_memory_used();
  }
  report.add("messages_sent", static_cast<std::int64_t>(total.sent));
  report.add("messages_returned", static_cast<std::int64_t>(total.returned));
  report.add("messages_lost_with_their_connection", static_cast<std::int64_t>(total.lost));
  report.add("connections", connections);
  report.add("bytes_per_connection",
             connections > 0 ? static_cast<std::int64_t>(memory) / connections : 0);
  conclude(report, simulation, result);
  return report;
}

}  // namespace quicmesh::sim
