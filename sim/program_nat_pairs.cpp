// Program "nat-pairs": pairs of homes with drawn NATs dial each other over one relay, one pair
// after another. Everybody must be connected, and direct where theory says so (nat_pair.hpp): N2,
// N4.
#include <algorithm>
#include <set>

#include "sim/mesh_node.hpp"
#include "sim/nat_pair.hpp"
#include "sim/program_registry.hpp"

namespace quicmesh::sim {
namespace {

// Bursts of loss are counted in datagrams, so one may last through a whole handshake, whose packets
// are few and far between: then it takes another dial, as anybody would make.
constexpr Duration relays_within = 60s;
constexpr Duration connected_within = 60s;

struct Outcome {
  bool connected = false;
  Duration first_byte{};
  std::optional<Duration> direct;
  std::int64_t dials = 1;
  std::string trouble;
};

struct Figures {
  std::vector<double> first_byte_ms;
  std::array<std::vector<double>, 4> direct_ms;  // by WayThrough
  std::array<std::int64_t, 4> drawn{};
  std::array<std::int64_t, 4> direct{};
  std::int64_t unconnected = 0;
  std::int64_t dialled_again = 0;
};

IpAddress public_address(std::size_t number) {
  // Somebody's, but nothing leaves the simulation.
  return IpAddress::v4({45, static_cast<std::uint8_t>(number >> 16),
                        static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)});
}

LinkConfig link_of(Duration one_way, unsigned loss_percent) {
  LinkConfig link;
  link.delay = one_way;
  link.bits_per_s = 100'000'000;
  if (loss_percent > 0) link.loss = {{loss_percent, 100}, {4, 1}};
  return link;
}

/// A host behind the NATs of `side`.
HostId place(Simulation& simulation, const DrawnSide& side, unsigned loss_percent,
             const std::string& name, std::size_t number) {
  Network& network = simulation.network();
  const HostId host = network.add_host(name).value();
  const LinkConfig line = link_of(side.one_way, loss_percent);
  const LinkConfig near = link_of(100us, 0);
  RealmId realm = internet;
  IpAddress address = public_address(number);
  for (std::size_t i = side.nats.size(); i > 0; --i) {
    const LinkConfig& access = realm == internet ? line : near;
    const NatId nat = network
                          .add_nat({name + " NAT " + std::to_string(i),
                                    realm,
                                    {address},
                                    side.nats[i - 1],
                                    {access, access}})
                          .value();
    realm = network.inside(nat);
    address = i > 1 ? IpAddress::v4({100, 64, 0, 2}) : IpAddress::v4({192, 168, 1, 2});
  }
  const LinkConfig& access = realm == internet ? line : near;
  (void)network.add_interface(host, {name + " if", realm, address, {access, access}}).value();
  return host;
}

Outcome dial(Simulation& simulation, MeshNode& relay, const DrawnPair& pair, std::size_t number,
             Duration direct_within) {
  const std::string name = "pair " + std::to_string(number);
  const HostId left = place(simulation, pair.left, pair.loss_percent, name + " left", 2 * number);
  const HostId right =
      place(simulation, pair.right, pair.loss_percent, name + " right", 2 * number + 1);
  Outcome outcome;
  {
    MeshNode a(simulation, left);
    MeshNode b(simulation, right);
    std::set<const MeshNode*> at_home;
    std::optional<Instant> direct_at;
    bool dial_again = false;
    for (MeshNode* node : {&a, &b}) {
      node->announce();
      node->use_relay(relay);
      node->listen([&, node](Instant now, const NodeEvent& event) {
        if (std::holds_alternative<RelayUp>(event)) at_home.insert(node);
        if (const auto* failed = std::get_if<PeerUnreachable>(&event)) {
          outcome.trouble += " " + failed->error.message();
          dial_again = node == &a && failed->peer == b.id();
        }
        const auto* moved = std::get_if<PeerPathChanged>(&event);
        if (moved && moved->from_relay && !moved->to_relay && !direct_at) direct_at = now;
      });
    }
    (void)simulation.run_until([&] { return at_home.size() == 2; },
                               simulation.elapsed() + relays_within);
    // Both are at home for a while, as nodes are that somebody dials.
    (void)simulation.run_for(5s);
    const Instant dialled = simulation.now();
    const auto start_dial = [&] {
      dial_again = false;
      (void)a.command([&](NodeCore& core, Instant now) {
        return core.connect(now, b.id(), std::span<const NetworkPath>{});
      });
    };
    const auto connected = [&] {
      return a.core().connectivity().connected(b.id()) && b.core().connectivity().connected(a.id());
    };
    const Duration deadline = simulation.elapsed() + connected_within;
    start_dial();
    while (simulation.run_until([&] { return connected() || dial_again; }, deadline) &&
           !connected()) {
      ++outcome.dials;
      (void)simulation.run_for(100ms);
      start_dial();
    }
    outcome.connected = connected();
    outcome.first_byte = simulation.now() - dialled;
    if (outcome.connected && way_through(pair) != WayThrough::none) {
      (void)simulation.run_until([&] { return direct_at.has_value(); },
                                 simulation.elapsed() + direct_within);
    }
    if (direct_at) outcome.direct = *direct_at - dialled;
  }
  simulation.host(left).stop();
  simulation.host(right).stop();
  return outcome;
}

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const auto index = static_cast<std::size_t>(share * static_cast<double>(values.size() - 1));
  return values[index];
}

void add_figures(ScenarioReport& report, const Figures& figures) {
  std::int64_t possible = 0;
  std::int64_t direct = 0;
  for (const WayThrough way : {WayThrough::plain, WayThrough::predicted, WayThrough::birthday}) {
    const auto index = static_cast<std::size_t>(way);
    const std::string name(name_of(way));
    possible += figures.drawn[index];
    direct += figures.direct[index];
    report.add(name + "_pairs", figures.drawn[index]);
    report.add(name + "_direct", figures.direct[index]);
    report.add(name + "_p50_ms", percentile(figures.direct_ms[index], 0.5));
    report.add(name + "_p95_ms", percentile(figures.direct_ms[index], 0.95));
  }
  report.add("relayed_pairs", figures.drawn[static_cast<std::size_t>(WayThrough::none)]);
  report.add("unconnected", figures.unconnected);
  report.add("dialled_again", figures.dialled_again);
  report.add("first_byte_p50_ms", percentile(figures.first_byte_ms, 0.5));
  report.add("first_byte_p99_ms", percentile(figures.first_byte_ms, 0.99));
  report.add(
      "direct_percent",
      possible == 0 ? 0 : 100.0 * static_cast<double>(direct) / static_cast<double>(possible));
}

}  // namespace

ScenarioResult<ScenarioReport> run_nat_pairs(const Scenario& scenario, Simulation& simulation,
                                             ProgramFaults&) {
  if (auto known = scenario.settings.only({"relay", "pairs", "direct_within", "missed_permille"});
      !known) {
    return std::unexpected(known.error());
  }
  const auto host = host_of_setting(scenario, simulation, "relay", "relay");
  if (!host) return std::unexpected(host.error());
  const auto pairs = scenario.settings.integer("pairs", 100);
  if (!pairs) return std::unexpected(pairs.error());
  const auto within = scenario.settings.duration("direct_within", 20s);
  if (!within) return std::unexpected(within.error());
  const auto missed_max = scenario.settings.integer("missed_permille", 5);
  if (!missed_max) return std::unexpected(missed_max.error());

  MeshNode relay(simulation, *host);
  relay.serve_as_relay();
  relay.serve_stun();
  relay.announce();
  Figures figures;
  ScenarioReport report;
  std::string misses;
  std::int64_t missed = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(*pairs); ++i) {
    Rng rng = simulation.rng("pair " + std::to_string(i));
    const DrawnPair pair = draw_pair(rng);
    const auto way = static_cast<std::size_t>(way_through(pair));
    const Outcome outcome = dial(simulation, relay, pair, i, *within);
    ++figures.drawn[way];
    figures.dialled_again += outcome.dials - 1;
    if (!outcome.connected) {
      ++figures.unconnected;
      misses += "; pair " + std::to_string(i) + " is not connected:" + outcome.trouble;
    }
    if (outcome.connected) {
      figures.first_byte_ms.push_back(
          std::chrono::duration<double, std::milli>(outcome.first_byte).count());
    }
    if (outcome.direct) {
      ++figures.direct[way];
      figures.direct_ms[way].push_back(
          std::chrono::duration<double, std::milli>(*outcome.direct).count());
    } else if (way_through(pair) != WayThrough::none) {
      ++missed;
      misses += "; pair " + std::to_string(i) + " (" + std::string(name_of(way_through(pair))) +
                "): " + pair.left.text() + " x " + pair.right.text();
    }
  }
  add_figures(report, figures);
  if (figures.unconnected > 0 || missed * 1000 > *missed_max * *pairs) {
    report.ok = false;
    report.message = std::to_string(figures.unconnected) + " unconnected, " +
                     std::to_string(missed) + " not direct" + misses;
  }
  conclude(report, simulation, RunResult{RunEnd::reached, {}});
  return report;
}

}  // namespace quicmesh::sim
