// Tests of demo_network.hpp: what is asked of `ip` and `nft`. That the network then works is tested
// by running the demo (tests/cli/demo_test.py).
#include "demo_network.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <sstream>

#include <fmt/format.h>

namespace quicmesh::cli {
namespace {

/// All lines of `ip` for a namespace, or the rules of `nft`.
std::string input_of(std::string_view host, std::string_view program) {
  std::string text;
  for (const NetworkCommand& command : network_commands()) {
    if (command.host == host && command.words.front() == program) text += command.input;
  }
  return text;
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(DemoNetwork, makes_namespaces_before_anything_uses_them) {
  std::set<std::string> made;
  bool first = true;
  for (const NetworkCommand& command : network_commands()) {
    if (first) {
      EXPECT_EQ(command.host, "");
      EXPECT_EQ(command.words, (std::vector<std::string>{"ip", "-batch", "-"}));
      std::istringstream lines(command.input);
      for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("netns add ")) {
          EXPECT_TRUE(made.insert(line.substr(10)).second) << line;
          continue;
        }
        std::istringstream words(line);
        std::string before;
        for (std::string word; words >> word; before = word) {
          if (before == "netns") {
            EXPECT_TRUE(made.contains(word)) << line;
          }
        }
      }
    } else {
      EXPECT_TRUE(made.contains(command.host)) << command.host;
    }
    first = false;
  }
  // The switch, the relay, five hosts and four NATs.
  EXPECT_EQ(made.size(), 11u);
}

TEST(DemoNetwork, changes_nothing_outside_of_its_namespaces) {
  const auto commands = network_commands();
  std::istringstream lines(commands.front().input);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("netns add ")) continue;
    // Both ends of every cable are in a namespace of ours.
    EXPECT_TRUE(line.starts_with("link add ")) << line;
    const std::size_t one = line.find(" netns ");
    ASSERT_NE(one, std::string::npos) << line;
    EXPECT_NE(line.find(" netns ", one + 1), std::string::npos) << line;
  }
  EXPECT_EQ(std::ranges::count(commands, "", &NetworkCommand::host), 1);
}

TEST(DemoNetwork, gives_each_home_the_nat_that_it_names) {
  std::multiset<std::string_view> kinds;
  for (const DemoHost& host : demo_hosts) {
    const std::string rules = input_of(fmt::format("{}-nat", host.name), "nft");
    EXPECT_EQ(rules.empty(), host.nat == "none") << host.name;
    EXPECT_EQ(has(rules, "masquerade"), host.nat != "none") << host.name;
    EXPECT_EQ(has(rules, "fully-random"), host.nat == "symmetric") << host.name;
    EXPECT_EQ(has(rules, "dnat to 192.168.1.2"), host.nat == "full cone") << host.name;
    kinds.insert(host.nat);
  }
  EXPECT_EQ(kinds, (std::multiset<std::string_view>{"full cone", "port-restricted cone",
                                                    "port-restricted cone", "symmetric", "none"}));
}

TEST(DemoNetwork, homes_share_their_inner_address_and_have_an_outer_one_each) {
  std::set<std::string_view> outside(demo_relay_addresses.begin(), demo_relay_addresses.end());
  for (const DemoHost& host : demo_hosts) {
    EXPECT_TRUE(outside.insert(host.outside).second) << host.name;
    EXPECT_EQ(host.address == host.outside, host.nat == "none") << host.name;
    EXPECT_TRUE(has(input_of(host.name, "ip"), fmt::format("address add {}/24", host.address)));
    EXPECT_EQ(has(input_of(fmt::format("{}-nat", host.name), "ip"),
                  fmt::format("address add {}/24 dev wan", host.outside)),
              host.nat != "none");
  }
  // Without two addresses it could not tell what a NAT does.
  for (const std::string_view address : demo_relay_addresses)
    EXPECT_TRUE(has(input_of(demo_relay, "ip"), fmt::format("address add {}/24", address)));
}

TEST(DemoNetwork, programs_are_found_in_the_path_and_where_the_systems_own_are) {
  std::string folder = testing::TempDir() + "/demo-network-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const std::string program = folder + "/quicmesh-test-program";
  const char* known = std::getenv("PATH");
  const std::string before = known == nullptr ? "" : known;
  ::setenv("PATH", folder.c_str(), 1);
  EXPECT_EQ(find_program("quicmesh-test-program"), "");
  ASSERT_EQ(::symlink("/bin/true", program.c_str()), 0);
  EXPECT_EQ(find_program("quicmesh-test-program"), program);
  EXPECT_NE(find_program("ldconfig"), "");
  ::setenv("PATH", before.c_str(), 1);
  ::unlink(program.c_str());
  ::rmdir(folder.c_str());
}

}  // namespace
}  // namespace quicmesh::cli
