// The choice of a path as a table (S1.50, S1.51).
#include "path/path_selector.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace quicmesh {
namespace {

PathCandidate direct(Duration rtt) {
  return {false, rtt, true};
}
PathCandidate relayed(Duration rtt) {
  return {true, rtt, true};
}
PathCandidate overloaded(Duration rtt) {
  return {.relayed = true, .rtt = rtt, .usable = true, .overloaded = true};
}
PathCandidate silent() {
  return {false, std::nullopt, false};
}
PathCandidate held_down(Duration rtt) {
  return {false, rtt, false};
}

struct Case {
  std::string name;
  std::vector<PathCandidate> paths;
  std::size_t current;
  std::size_t chosen;
  PathPolicy policy = PathPolicy::any;
};

TEST(PathSelector, chooses_as_the_table_says) {
  const std::vector<Case> cases{
      {"the only one", {direct(6ms)}, 0, 0},
      {"direct beats relayed", {relayed(40ms), direct(6ms)}, 0, 1},
      {"direct beats relayed though somewhat longer", {relayed(40ms), direct(60ms)}, 0, 1},
      {"a direct detour around the world does not", {relayed(40ms), direct(120ms)}, 0, 0},
      {"an overloaded relay is left for a longer way", {overloaded(20ms), relayed(60ms)}, 0, 1},
      {"and not gone back to", {overloaded(20ms), relayed(60ms)}, 1, 1},
      {"of two overloaded ones the nearer", {overloaded(20ms), overloaded(800ms)}, 1, 0},
      {"the faster direct one", {direct(40ms), direct(6ms)}, 0, 1},
      {"not for a fifth less than a fifth", {direct(40ms), direct(33ms)}, 0, 0},
      {"not for less than 5 ms", {direct(6ms), direct(2ms)}, 0, 0},
      {"for just a fifth", {direct(40ms), direct(32ms)}, 0, 1},
      {"not one that never answered", {relayed(40ms), silent()}, 0, 0},
      {"not one that is held down", {relayed(40ms), held_down(6ms)}, 0, 0},
      {"the best of many", {relayed(40ms), direct(20ms), direct(9ms), direct(30ms)}, 0, 2},
      {"back to a relay from a very long direct path", {direct(300ms), relayed(40ms)}, 0, 1},
      {"direct stays beside a relay as fast", {direct(40ms), relayed(40ms)}, 0, 0},
      {"the faster relay", {relayed(80ms), relayed(40ms)}, 0, 1},
      {"relay only", {relayed(40ms), direct(6ms)}, 0, 0, PathPolicy::relay_only},
      {"leaves what the policy forbids",
       {direct(6ms), relayed(40ms)},
       0,
       1,
       PathPolicy::relay_only},
      {"direct only leaves a relay", {relayed(4ms), direct(300ms)}, 0, 1, PathPolicy::direct_only},
      {"nothing that the policy allows", {direct(6ms), silent()}, 0, 0, PathPolicy::relay_only},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(select_path(one.paths, one.current, one.policy), one.chosen) << one.name;
  }
}

// What moves from a to b must not move back from b to a: no flapping.
TEST(PathSelector, never_goes_back_and_forth_between_two_paths) {
  for (int a = 1; a < 400; a += 3) {
    for (int b = 1; b < 400; b += 3) {
      for (const bool relay : {false, true}) {
        const std::vector<PathCandidate> paths{{relay, Duration(a * 1ms), true}, direct(b * 1ms)};
        const bool there = select_path(paths, 0, PathPolicy::any) == 1;
        const bool back = select_path(paths, 1, PathPolicy::any) == 0;
        EXPECT_FALSE(there && back) << a << " " << b << " " << relay;
      }
    }
  }
}

}  // namespace
}  // namespace quicmesh
