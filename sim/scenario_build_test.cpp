#include "sim/scenario_build.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "sim/request_core.hpp"
#include "sim/scenario_catalog.hpp"
#include "sim/scenario_file.hpp"

namespace quicmesh::sim {
namespace {

const std::string header = R"(title = "t"
claim = "c"
program = "toy"
duration = "100s"
[links.line]
delay = "10ms"
spread = "10ms"
[links.slow]
delay = "100ms"
)";

struct Built {
  explicit Built(const std::string& text, std::uint64_t seed = 1) : simulation({.seed = seed}) {
    auto parsed = parse_scenario(text, "x.toml");
    if (!parsed) {
      error = parsed.error().message;
      return;
    }
    scenario = *parsed;
    const auto built = build_scenario(scenario, simulation, [this](const ScenarioFault& fault) {
      program_events.push_back(fault.event);
    });
    if (!built) error = built.error().message;
  }
  Network& network() { return simulation.network(); }
  Scenario scenario;
  Simulation simulation;
  std::string error;
  std::vector<std::string> program_events;
};

const std::string pair_text = header + R"([[nats]]
name = "home"
address = "203.0.113.1"
link = "line"
[[hosts]]
name = "a"
[[hosts.interfaces]]
name = "if"
realm = "home"
address = "192.168.1.2"
link = "line"
[[hosts]]
name = "b"
[[hosts.interfaces]]
name = "if"
address = "198.51.100.1"
link = "line"
[[hosts]]
name = "c"
[[hosts.interfaces]]
name = "if"
address = "198.51.100.2"
link = "line"
[[paths]]
between = ["b.if", "c.if"]
link = "slow"
)";

std::string timeline(const std::string& at, const std::string& rest) {
  return "[[timeline]]\nat = \"" + at + "\"\n" + rest + "\n";
}

TEST(ScenarioBuild, numbers_the_members_of_groups_and_spreads_them_over_nats) {
  Built built(header + R"([[nats]]
name = "home"
count = 3
address = "203.0.113.254"
link = "line"
[[hosts]]
name = "peer"
count = 7
[[hosts.interfaces]]
name = "if"
realm = "home"
address = "192.168.1.254"
link = "line"
)");
  ASSERT_EQ(built.error, "");
  EXPECT_EQ(built.network().host_count(), 7u);
  EXPECT_EQ(built.network().nat_count(), 3u);
  const auto third = built.network().find_interface("peer-2.if");
  ASSERT_TRUE(third);
  EXPECT_EQ(built.network().address_of(*third).to_string(), "192.168.2.0") << "carries over";
  const auto nat = built.network().find_nat("home-2");
  ASSERT_TRUE(nat);
  EXPECT_EQ(built.network().nat(*nat).external_addresses()[0].to_string(), "203.0.114.0");
}

TEST(ScenarioBuild, spreads_delays_by_seed_and_end) {
  auto delay = [](Built& built, std::string_view name) {
    auto& network = built.network();
    const auto links =
        network.access_links(network.attachment_of(network.find_interface(name).value()));
    return network.link(links.up).config().delay;
  };
  Built first(pair_text);
  Built same(pair_text);
  Built other(pair_text, 2);
  EXPECT_EQ(delay(first, "b.if"), delay(same, "b.if"));
  EXPECT_NE(delay(first, "b.if"), delay(first, "c.if"));
  EXPECT_NE(delay(first, "b.if"), delay(other, "b.if"));
  EXPECT_GE(delay(first, "b.if"), 10ms);
  EXPECT_LE(delay(first, "b.if"), 20ms);
}

TEST(ScenarioBuild, carries_out_each_fault_at_its_time) {
  Built built(pair_text + timeline("1s", "action = \"interface_down\"\ntargets = [\"a.if\"]") +
              timeline("2s", "action = \"interface_up\"\ntargets = [\"a.if\"]") +
              timeline("3s",
                       "action = \"address_change\"\ntargets = [\"b.if\"]\n"
                       "address = \"198.51.100.9\"") +
              timeline("4s",
                       "action = \"address_change\"\ntargets = [\"home\"]\n"
                       "address = \"203.0.113.9\"") +
              timeline("5s",
                       "action = \"set_link\"\ntargets = [\"a.if\"]\nlink = \"slow\"\n"
                       "direction = \"down\"") +
              timeline("6s", "action = \"link_down\"\ntargets = [\"home\"]") +
              timeline("7s", "action = \"link_up\"\ntargets = [\"home\"]") +
              timeline("8s",
                       "action = \"blackhole\"\ntargets = [\"b.if>c.if\"]\n"
                       "direction = \"up\"") +
              timeline("9s", "action = \"heal\"") +
              timeline("10s",
                       "action = \"program\"\nevent = \"kill\"\nevery = \"1s\"\n"
                       "times = 3"));
  ASSERT_EQ(built.error, "");
  Network& network = built.network();
  const auto a = network.find_interface("a.if").value();
  const auto b = network.find_interface("b.if").value();
  const auto c = network.find_interface("c.if").value();
  const auto home = network.find_nat("home").value();
  const auto a_links = network.access_links(network.attachment_of(a));
  const auto home_links = network.access_links(network.attachment_of(home));
  const auto path = network.path_links(network.attachment_of(b), network.attachment_of(c)).value();
  auto run_to = [&](Duration offset) { ASSERT_TRUE(built.simulation.run_until(offset)); };

  run_to(1500ms);
  EXPECT_EQ(network.state_of(a), InterfaceState::down);
  run_to(2500ms);
  EXPECT_EQ(network.state_of(a), InterfaceState::up);
  run_to(3500ms);
  EXPECT_EQ(network.address_of(b).to_string(), "198.51.100.9");
  run_to(4500ms);
  EXPECT_EQ(network.nat(home).external_addresses()[0].to_string(), "203.0.113.9");
  run_to(5500ms);
  EXPECT_EQ(network.link(a_links.down).config().delay, 100ms);
  EXPECT_LT(network.link(a_links.up).config().delay, 100ms);
  run_to(6500ms);
  EXPECT_EQ(network.link(home_links.up).state(), LinkState::blackhole);
  EXPECT_EQ(network.link(home_links.down).state(), LinkState::blackhole);
  run_to(7500ms);
  EXPECT_EQ(network.link(home_links.up).state(), LinkState::carrying);
  run_to(8500ms);
  EXPECT_EQ(network.link(path.up).state(), LinkState::blackhole);
  EXPECT_EQ(network.link(path.down).state(), LinkState::carrying);
  run_to(9500ms);
  EXPECT_EQ(network.link(path.up).state(), LinkState::carrying);
  run_to(20s);
  EXPECT_EQ(built.program_events, (std::vector<std::string>{"kill", "kill", "kill"}));
  EXPECT_EQ(built.simulation.trace().records(), 12u) << "each fault is traced";
}

TEST(ScenarioBuild, says_file_line_and_reason_of_what_does_not_fit) {
  EXPECT_EQ(Built(pair_text).error, "");
  EXPECT_EQ(
      Built(pair_text + timeline("1s", "action = \"nat_rebind\"\ntargets = [\"b.if\"]")).error,
      "x.toml:36: nat_rebind of \"b.if\": it is no NAT");
  EXPECT_EQ(
      Built(pair_text + timeline("1s", "action = \"interface_down\"\ntargets = [\"home\"]")).error,
      "x.toml:36: interface_down of \"home\": it is no interface");
  EXPECT_EQ(Built(pair_text + timeline("1s", "action = \"link_down\"\ntargets = [\"z.if\"]")).error,
            "x.toml:36: \"z.if\" is no interface, NAT or path");
  EXPECT_EQ(
      Built(pair_text + timeline("1s", "action = \"link_down\"\ntargets = [\"a.if>b.if\"]")).error,
      "x.toml:36: \"a.if>b.if\" is no interface, NAT or path");
  EXPECT_EQ(
      Built(pair_text + timeline("1s", "action = \"partition\"\ntargets = [\"b.if>c.if\"]")).error,
      "x.toml:36: partition of \"b.if>c.if\": it is neither an interface nor a NAT");
  EXPECT_EQ(Built(pair_text + "[[paths]]\nbetween = [\"a.if\", \"b.if\"]\nlink = \"slow\"\n").error,
            "x.toml:36: a.if>b.if: the ends must differ, share a realm and have no path yet");
  EXPECT_NE(Built(pair_text + R"([[hosts]]
name = "d"
[[hosts.interfaces]]
name = "if"
address = "198.51.100.2"
link = "line"
)")
                .error.find("x.toml:38: d.if (198.51.100.2): the address is taken"),
            std::string::npos);
  EXPECT_EQ(Built(header + R"([[hosts]]
name = "d"
count = 3
[[hosts.interfaces]]
name = "if"
address = "255.255.255.254"
link = "line"
)")
                .error,
            "x.toml:13: the addresses of d-2 run out");
}

TEST(ScenarioBuild, a_fault_that_cannot_be_done_at_its_time_fails_the_run) {
  Built built(pair_text + timeline("1s",
                                   "action = \"address_change\"\ntargets = [\"b.if\"]\n"
                                   "address = \"198.51.100.2\""));
  ASSERT_EQ(built.error, "");
  const RunResult result = built.simulation.run_until(2s);
  EXPECT_EQ(result.end, RunEnd::failed);
  EXPECT_NE(result.message.find("address_change b.if: the address is taken"), std::string::npos);
}

TEST(ScenarioBuild, expands_ranges_of_targets) {
  EXPECT_EQ(expand_target("home"), std::vector<std::string>{"home"});
  EXPECT_EQ(expand_target("peer-9..11.if"),
            (std::vector<std::string>{"peer-9.if", "peer-10.if", "peer-11.if"}));
  EXPECT_TRUE(expand_target("peer-3..1").empty());
  EXPECT_TRUE(expand_target("peer-..1").empty());
  EXPECT_TRUE(expand_target("peer-1..").empty());
  EXPECT_TRUE(expand_target("peer-0..4294967295").empty());
}

// Every built-in scenario, also in its variants, must build; a client and a server on it must get
// their requests answered until the end of the fault phase.
TEST(ScenarioBuild, builds_every_built_in_scenario) {
  ASSERT_GE(embedded_scenarios().size(), 5u);
  for (const EmbeddedScenario& embedded : embedded_scenarios()) {
    const auto scenario = parse_scenario(embedded.text, std::string(embedded.name) + ".toml");
    ASSERT_TRUE(scenario) << scenario.error().message;
    Simulation simulation({});
    const auto built = build_scenario(*scenario, simulation);
    EXPECT_TRUE(built) << built.error().message;
    EXPECT_TRUE(simulation.run_until(scenario->duration));
  }
}

TEST(ScenarioBuild, transfer_loss_has_the_loss_it_is_set_to) {
  const auto text = find_embedded_scenario("transfer-loss");
  ASSERT_TRUE(text);
  const std::pair<const char*, double> variants[] = {
      {"0%", 0}, {"2%", 0.02}, {"10%", 0.10}, {"25%", 0.25}};
  for (const auto& [loss, rate] : variants) {
    const auto scenario = parse_scenario(text->text, "transfer-loss.toml", {{"loss", loss}});
    ASSERT_TRUE(scenario) << scenario.error().message;
    Simulation simulation({.seed = 3});
    ASSERT_TRUE(build_scenario(*scenario, simulation));
    const HostId server = simulation.network().find_host("server").value();
    const HostId client = simulation.network().find_host("client").value();
    RequestCoreConfig config{.socket = simulation.host(server).open_socket({{}, 7}).value()};
    (void)simulation.run(server, std::make_unique<RequestCore>(config, simulation.rng("s")));
    config.socket = simulation.host(client).open_socket({}).value();
    config.server = SocketAddress{IpAddress::parse("192.0.2.2").value(), 7};
    config.requests = 20'000;
    config.window = 16;
    const auto node =
        simulation.run(client, std::make_unique<RequestCore>(config, simulation.rng("c")));
    node.command([](RequestCore& core, Instant now) { core.begin(now); });
    const auto result = simulation.run_until([&] { return node.core().is_done(); }, 2h);
    ASSERT_TRUE(result) << result.message;
    const NetworkCounters& counters = simulation.network().counters();
    const double lost = static_cast<double>(counters.dropped_for(DropCause::loss)) /
                        static_cast<double>(counters.sent);
    EXPECT_NEAR(lost, rate, 0.02 + rate * 0.05) << loss;
    EXPECT_EQ(counters.dropped_for(DropCause::loss) == 0, rate == 0);
  }
}

}  // namespace
}  // namespace quicmesh::sim
