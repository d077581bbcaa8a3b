#include "sim/scenario_file.hpp"

#include <gtest/gtest.h>

#include <string>

#include "sim/scenario_catalog.hpp"
#include "sim/sim_errc.hpp"

namespace quicmesh::sim {
namespace {

// A valid scenario; line numbers in the tests below count from its first line.
const std::string base_text = R"(title = "t"
claim = "c"
program = "toy"
duration = "10s"
[parameters]
loss = "2%"
count = 3
[links.line]
delay = "10ms"
loss = "$loss"
burst = "2.5"
[links.lan]
[[nats]]
name = "home"
count = 2
address = "203.0.113.1"
filtering = "address_dependent"
link = "line"
[[hosts]]
name = "a"
count = "$count"
[[hosts.interfaces]]
name = "if"
realm = "home"
address = "192.168.1.2"
up = "line"
down = "lan"
)";

ScenarioResult<Scenario> parse(const std::string& text,
                               const std::vector<ScenarioOverride>& overrides = {}) {
  return parse_scenario(text, "x.toml", overrides);
}

// The error of the valid text with more behind it.
std::string error_with(const std::string& more) {
  const auto scenario = parse(base_text + more);
  return scenario ? "no error" : scenario.error().message;
}

std::string replaced(const std::string& what, const std::string& with) {
  std::string text = base_text;
  text.replace(text.find(what), what.size(), with);
  return text;
}

std::string error_of(const std::string& text) {
  const auto scenario = parse(text);
  return scenario ? "no error" : scenario.error().message;
}

TEST(ScenarioFile, reads_everything_it_documents) {
  const auto scenario = parse(base_text + R"(
[[paths]]
between = ["home-0", "home-1"]
link = "line"
[[timeline]]
at = "1.5s"
action = "set_link"
targets = ["a-0.if"]
link = "lan"
direction = "down"
every = "2s"
times = 3
[[timeline]]
at = "3s"
action = "program"
event = "kill"
targets = ["a-1"]
[toy]
size = "64KiB"
rounds = 5
fast = true
[toy.deep]
wait = "2s"
)");
  ASSERT_TRUE(scenario) << scenario.error().message;
  EXPECT_EQ(scenario->title, "t");
  EXPECT_EQ(scenario->duration, 10s);
  EXPECT_EQ(scenario->seeds, std::vector<std::uint64_t>{1});
  const LinkConfig& line = scenario->links.at("line").config;
  EXPECT_EQ(line.delay, 10ms);
  EXPECT_EQ(line.loss, (Loss{{1, 50}, {5, 2}}));
  ASSERT_EQ(scenario->nats.size(), 1u);
  EXPECT_EQ(scenario->nats[0].count, 2u);
  EXPECT_EQ(scenario->nats[0].behaviour.filtering, NatDependence::address_dependent);
  ASSERT_EQ(scenario->hosts.size(), 1u);
  EXPECT_EQ(scenario->hosts[0].count, 3u) << "a parameter";
  EXPECT_EQ(scenario->hosts[0].interfaces.at(0).access.down, "lan");
  EXPECT_EQ(scenario->paths.at(0).back, "line");
  ASSERT_EQ(scenario->timeline.size(), 2u);
  EXPECT_EQ(scenario->timeline[0].action, FaultAction::set_link);
  EXPECT_EQ(scenario->timeline[0].direction, LinkDirection::down);
  EXPECT_EQ(scenario->timeline[0].times, 3u);
  EXPECT_EQ(scenario->timeline[1].event, "kill");
  EXPECT_EQ(scenario->settings.bytes("size", 0), 65'536u);
  EXPECT_EQ(scenario->settings.integer("rounds", 0), 5);
  EXPECT_EQ(scenario->settings.flag("fast", false), true);
  EXPECT_EQ(scenario->settings.duration("deep.wait", 0s), 2s);
  EXPECT_EQ(scenario->settings.text("absent", "fallback"), "fallback");
}

TEST(ScenarioFile, takes_overrides_with_the_type_of_the_default) {
  const auto scenario = parse(base_text, {{"loss", "25%"}, {"count", "7"}});
  ASSERT_TRUE(scenario) << scenario.error().message;
  EXPECT_EQ(scenario->links.at("line").config.loss.rate, (Ratio{1, 4}));
  EXPECT_EQ(scenario->hosts[0].count, 7u);
  EXPECT_EQ(scenario->parameters.at("loss"), "25%");
  EXPECT_EQ(parse(base_text, {{"los", "1%"}}).error().message,
            "x.toml:1: --set los=1%: no such parameter; there are: count, loss");
  EXPECT_EQ(parse(base_text, {{"count", "many"}}).error().message,
            "x.toml:1: --set count=many: not like its default 3");
  EXPECT_EQ(parse(base_text, {{"loss", "150%"}}).error().message,
            "x.toml:10: loss must be a probability such as \"2.5%\", not \"150%\"");
}

TEST(ScenarioFile, without_a_burst_losses_are_independent) {
  const auto scenario = parse(replaced("burst = \"2.5\"", ""));
  ASSERT_TRUE(scenario) << scenario.error().message;
  EXPECT_EQ(scenario->links.at("line").config.loss, Loss::independent({1, 50}));
}

TEST(ScenarioFile, says_file_line_and_reason_of_each_mistake) {
  EXPECT_EQ(error_of(base_text), "no error");
  EXPECT_EQ(error_of(replaced("claim = \"c\"", "")), "x.toml:1: the scenario needs claim");
  EXPECT_EQ(error_of(replaced("\"10ms\"", "\"10\"")),
            "x.toml:9: delay must be a duration such as \"1.5s\", not \"10\"");
  EXPECT_EQ(error_of(replaced("delay =", "dealy =")), "x.toml:9: a link has no key \"dealy\"");
  EXPECT_EQ(error_of(replaced("\"$loss\"", "\"$lost\"")),
            "x.toml:10: loss refers to the parameter $lost, which [parameters] does not have");
  EXPECT_EQ(error_of(replaced("\"address_dependent\"", "\"cone\"")),
            "x.toml:17: filtering must be one of endpoint_independent, address_dependent, "
            "address_and_port_dependent, not \"cone\"");
  EXPECT_EQ(error_of(replaced("realm = \"home\"", "realm = \"house\"")),
            "x.toml:22: \"house\" is neither \"internet\" nor a NAT named above");
  EXPECT_EQ(error_of(replaced("up = \"line\"", "up = \"lien\"")),
            "x.toml:22: there is no [links.lien]");
  EXPECT_EQ(error_of(replaced("203.0.113.1", "203.0.113.01")),
            "x.toml:16: address must be an IP address, not \"203.0.113.01\"");
  EXPECT_EQ(error_of(replaced("name = \"a\"", "name = \"a b\"")),
            "x.toml:20: name must be 1 to 64 of the characters a-z A-Z 0-9 - _, not \"a b\"");
  EXPECT_EQ(error_of(replaced("count = 2", "count = 0")),
            "x.toml:15: count must be a whole number in [1, 100000], not \"0\"");
  EXPECT_EQ(error_of(replaced("delay = \"10ms\"", "delay = 10.5")),
            "x.toml:9: delay must be a string, a whole number, true or false; a fraction is a "
            "string");
  EXPECT_EQ(error_with("[[timeline]]\naction = \"heal\"\n"), "x.toml:28: timeline needs at");
  EXPECT_EQ(error_with("[[timeline]]\nat = \"1s\"\naction = \"blackhole\"\n"),
            "x.toml:28: timeline needs targets");
  EXPECT_NE(error_with("[[timeline]]\nat = \"1s\"\naction = \"explode\"\n")
                .find("x.toml:30: action must be a known one"),
            std::string::npos);
  EXPECT_EQ(error_with("[[timeline]]\nat = \"1s\"\naction = \"heal\"\ntimes = 2\n"),
            "x.toml:28: timeline needs every, as times is above one");
  EXPECT_EQ(error_with("[[paths]]\nbetween = [\"a-0.if\"]\nlink = \"lan\"\n"),
            "x.toml:29: between must be a list of two ends");
  EXPECT_NE(
      error_of(replaced("burst = \"2.5\"", "burst = \"0.5\"")).find("x.toml:8: the link's figures"),
      std::string::npos);
  EXPECT_NE(error_of(replaced("\"c\"", "\"c")).find("x.toml:2: "), std::string::npos);
  EXPECT_EQ(parse("= 1").error().code, SimErrc::scenario_syntax);
  EXPECT_EQ(parse("a = 1").error().code, SimErrc::scenario_value);
  EXPECT_EQ(parse(std::string(scenario_bytes_max + 1, ' ')).error().code, SimErrc::scenario_syntax);
}

TEST(ScenarioFile, reads_seed_lists_and_ranges) {
  EXPECT_EQ(parse("seeds = [4, 9]\n" + base_text)->seeds, (std::vector<std::uint64_t>{4, 9}));
  EXPECT_EQ(parse("seeds = { first = 3, count = 2 }\n" + base_text)->seeds,
            (std::vector<std::uint64_t>{3, 4}));
  EXPECT_EQ(error_of("seeds = []\n" + base_text), "x.toml:1: seeds must be at least one");
  EXPECT_EQ(error_of("seeds = [-1]\n" + base_text), "x.toml:1: seeds must be whole numbers");
}

TEST(ScenarioSettings, refuse_wrong_kinds_and_unknown_keys_with_their_place) {
  const auto scenario = parse(base_text + "[toy]\nsize = true\nrounds = \"x\"\n");
  ASSERT_TRUE(scenario) << scenario.error().message;
  const ScenarioSettings& settings = scenario->settings;
  EXPECT_EQ(settings.bytes("size", 0).error().message,
            "x.toml:29: size must be a byte count such as \"64KiB\"");
  EXPECT_FALSE(settings.integer("rounds", 0));
  EXPECT_FALSE(settings.flag("rounds", false));
  EXPECT_FALSE(settings.duration("rounds", 0s));
  EXPECT_FALSE(settings.text("size", ""));
  EXPECT_TRUE(settings.only({"size", "rounds"}));
  EXPECT_EQ(settings.only({"rounds"}).error().message, "x.toml:29: unknown setting \"size\"");
}

TEST(ScenarioFile, replay_command_repeats_seed_and_overrides) {
  EXPECT_EQ(replay_command("transfer-loss", 7, {{"loss", "25%"}}),
            "quicmesh sim transfer-loss --seed 7 --set loss=25%");
}

TEST(ScenarioCatalog, loads_embedded_scenarios_by_name_and_files_by_path) {
  for (const char* name :
       {"dead-path", "many-nodes", "nat-pairs", "nat-rebinding", "path-switch", "transfer-loss"}) {
    const auto embedded = load_scenario_text(name);
    ASSERT_TRUE(embedded) << name;
    const auto file =
        load_scenario_text(std::string(QUICMESH_SOURCE_DIR) + "/sim/scenarios/" + name + ".toml");
    ASSERT_TRUE(file) << name;
    EXPECT_EQ(embedded->text, file->text) << name;
  }
  EXPECT_EQ(load_scenario_text("nope").error().code, SimErrc::scenario_not_found);
  EXPECT_NE(load_scenario_text("nope").error().message.find("transfer-loss"), std::string::npos);
  EXPECT_EQ(load_scenario_text("/nowhere/x.toml").error().code, SimErrc::scenario_not_found);
}

}  // namespace
}  // namespace quicmesh::sim
