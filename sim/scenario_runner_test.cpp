// The embedded scenarios, each with a few seeds: what they claim holds, a run replays to the same
// trace, and a run that goes wrong says how to repeat it. Hundreds of seeds are the nightly's.
#include "sim/scenario_runner.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "sim/scenario_catalog.hpp"

namespace quicmesh::sim {
namespace {

std::string text_of(const ScenarioReport& report, std::string_view name) {
  for (const auto& [key, value] : report.figures) {
    if (key != name) continue;
    if (const auto* text = std::get_if<std::string>(&value)) return *text;
  }
  return {};
}

std::string describe(const ScenarioReport& report) {
  std::string out = report.message;
  for (const auto& [key, value] : report.figures) {
    out += "\n  " + key + " = ";
    std::visit(
        [&](const auto& figure) {
          if constexpr (std::is_same_v<std::decay_t<decltype(figure)>, std::string>) {
            out += figure;
          } else {
            out += std::to_string(figure);
          }
        },
        value);
  }
  return out;
}

/// A scenario with what is fixed of it, and how many of its seeds are tried.
struct Suite {
  std::string test_name;
  ScenarioRequest request;
  std::size_t seeds;
};

void PrintTo(const Suite& suite, std::ostream* out) {
  *out << suite.test_name;
}

class ScenarioSuite : public testing::TestWithParam<Suite> {};

// The claim of the scenario: its program's checks in every run, its bars for the medians.
TEST_P(ScenarioSuite, holds_what_it_claims) {
  const Suite& suite = GetParam();
  const auto reports = run_suite(suite.request, suite.seeds);
  ASSERT_TRUE(reports) << reports.error().message;
  ASSERT_FALSE(reports->empty());
  for (const ScenarioReport& report : *reports) {
    EXPECT_EQ(report.number("seeds"), static_cast<double>(suite.seeds)) << describe(report);
    EXPECT_TRUE(report.ok) << describe(report);
  }
}

// S1.10, S1.84 (E7): every byte arrives once and unchanged at 0, 2, 10 and 25 % loss in bursts.
INSTANTIATE_TEST_SUITE_P(
    TransferLoss, ScenarioSuite,
    testing::Values(Suite{"none", {"transfer-loss", {{"loss", "0%"}}}, 3},
                    Suite{"two_percent", {"transfer-loss", {{"loss", "2%"}}}, 3},
                    Suite{"ten_percent", {"transfer-loss", {{"loss", "10%"}}}, 3},
                    Suite{"twenty_five_percent", {"transfer-loss", {{"loss", "25%"}}}, 3}),
    [](const auto& instance) { return instance.param.test_name; });

// S1.45, S1.46: a planned move loses nothing and stalls for two round trips at most.
INSTANTIATE_TEST_SUITE_P(
    PathSwitch, ScenarioSuite,
    testing::Values(Suite{"from_relay", {"path-switch", {{"begin_on", "relay"}}}, 2},
                    Suite{"from_direct", {"path-switch", {{"begin_on", "direct"}}}, 2}),
    [](const auto& instance) { return instance.param.test_name; });

INSTANTIATE_TEST_SUITE_P(
    DeadPath, ScenarioSuite,
    testing::Values(Suite{"of_a_relay", {"dead-path", {{"begin_on", "relay"}}}, 2},
                    Suite{"direct", {"dead-path", {{"begin_on", "direct"}}}, 2}),
    [](const auto& instance) { return instance.param.test_name; });

INSTANTIATE_TEST_SUITE_P(
    NatRebinding, ScenarioSuite,
    testing::Values(
        Suite{"dialler_sends", {"nat-rebinding", {{"sender", "dialler"}, {"bytes", "24MiB"}}}, 1},
        Suite{
            "acceptor_sends", {"nat-rebinding", {{"sender", "acceptor"}, {"bytes", "24MiB"}}}, 1}),
    [](const auto& instance) { return instance.param.test_name; });

INSTANTIATE_TEST_SUITE_P(ManyNodes, ScenarioSuite,
                         testing::Values(Suite{"two_hundred", {"many-nodes", {}}, 1}),
                         [](const auto& instance) { return instance.param.test_name; });

// N2, in small: 60 drawn pairs of homes, of which one may stay relayed against theory.
INSTANTIATE_TEST_SUITE_P(
    NatPairs, ScenarioSuite,
    testing::Values(Suite{
        "sixty_drawn", {"nat-pairs", {{"pairs", "60"}, {"missed_permille", "17"}}}, 1}),
    [](const auto& instance) { return instance.param.test_name; });

class ScenarioReplay : public testing::TestWithParam<Suite> {};

TEST_P(ScenarioReplay, gives_the_same_trace_hash) {
  const ScenarioRequest& request = GetParam().request;
  const auto first = run_scenario(request, 5);
  const auto again = run_scenario(request, 5);
  const auto other = run_scenario(request, 6);
  ASSERT_TRUE(first && again && other);
  EXPECT_FALSE(text_of(*first, "trace_hash").empty());
  EXPECT_EQ(text_of(*first, "trace_hash"), text_of(*again, "trace_hash")) << describe(*again);
  EXPECT_NE(text_of(*first, "trace_hash"), text_of(*other, "trace_hash"));
}

INSTANTIATE_TEST_SUITE_P(
    Scenarios, ScenarioReplay,
    testing::Values(Suite{"transfer_loss", {"transfer-loss", {{"bytes", "1MiB"}}}, 1},
                    Suite{"path_switch", {"path-switch", {}}, 1},
                    Suite{"dead_path", {"dead-path", {}}, 1},
                    Suite{"nat_rebinding", {"nat-rebinding", {{"bytes", "12MiB"}}}, 1}),
    [](const auto& instance) { return instance.param.test_name; });

// An embedded scenario with `from` replaced by `to`, as a file of the user's.
std::string changed_scenario(std::string_view name, std::string_view from, std::string_view to) {
  std::string text(find_embedded_scenario(name)->text);
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos);
  if (at != std::string::npos) text.replace(at, from.size(), to);
  const auto folder = std::filesystem::path(testing::TempDir());
  const std::filesystem::path file = folder / (std::string(name) + "-changed.toml");
  std::ofstream(file) << text;
  return file.string();
}

// The checks can fail: without a path to flee to, a dead one ends the transfer, and the report says
// how to see it again.
TEST(ScenarioRunner, a_dead_path_without_another_one_fails_and_says_how_to_replay_it) {
  const std::string file =
      changed_scenario("dead-path", "[links.relay]", "[links.relay]\nloss = \"99%\"\nburst = 99");
  const auto report = run_scenario({file, {{"begin_on", "direct"}}}, 7);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_FALSE(report->ok) << describe(*report);
  EXPECT_NE(report->message.find("quicmesh sim"), std::string::npos) << report->message;
  EXPECT_NE(report->message.find("--seed 7"), std::string::npos) << report->message;
  EXPECT_NE(report->message.find("begin_on=direct"), std::string::npos) << report->message;
}

// The bar can be missed: a new path that loses most of what it is given stalls the transfer.
TEST(ScenarioRunner, a_switch_to_a_bad_path_misses_the_bar) {
  const std::string file = changed_scenario("path-switch", "[links.direct]",
                                            "[links.direct]\nloss = \"40%\"\nburst = 6");
  const ScenarioRequest request{
      file, {{"begin_on", "relay"}, {"sender", "dialler"}, {"mover", "dialler"}}};
  const auto reports = run_suite(request, 3);
  ASSERT_TRUE(reports) << reports.error().message;
  EXPECT_FALSE(reports->front().ok) << describe(reports->front());
}

}  // namespace
}  // namespace quicmesh::sim
