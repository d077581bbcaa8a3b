// What a path has carried, and how many of its probes came back: the columns of `quicmesh paths`.
#include <gtest/gtest.h>

#include "path/path_prober.hpp"
#include "path/path_table.hpp"

namespace quicmesh {
namespace {

constexpr Instant t0{100s};

NetworkPath path_to(std::uint8_t host, std::uint16_t port = 4433) {
  return {SocketId{0}, IpAddress::v4({192, 0, 2, 1}), {IpAddress::v4({198, 51, 100, host}), port}};
}

TEST(PathAccount, bytes_are_counted_for_the_path_over_all_its_epochs) {
  PathTable table;
  const PathLabel first = table.label_for(t0, path_to(1));
  table.set_current(first);
  table.find(first)->traffic.sent += 100;
  table.count_received(first, 10);
  const PathLabel again = table.renew(t0, path_to(1)).label;
  table.set_current(again);
  table.find(again)->traffic.sent += 1000;
  table.count_received(again, 1);
  const PathLabel other = table.label_for(t0, path_to(2));
  table.count_received(other, 5);
  EXPECT_EQ(table.traffic_on(path_to(1)).sent, 1100u);
  EXPECT_EQ(table.traffic_on(path_to(1)).received, 11u);
  EXPECT_EQ(table.traffic_on(path_to(2)).received, 5u);
  EXPECT_EQ(table.traffic_on(path_to(3)).received, 0u);
  table.forget(first);
  EXPECT_EQ(table.traffic_on(path_to(1)).sent, 1100u) << "the epoch that is left inherits";
}

TEST(PathAccount, an_evicted_epoch_leaves_its_bytes_to_the_path) {
  PathTable table;
  const PathLabel first = table.label_for(t0, path_to(1));
  table.count_received(first, 7);
  table.set_current(table.renew(t0 + 1s, path_to(1)).label);
  for (std::uint16_t i = 0; i < 100; ++i)
    (void)table.label_of_arrival(t0 + 2s, path_to(2, static_cast<std::uint16_t>(1 + i)));
  EXPECT_EQ(table.find(first), nullptr);
  EXPECT_EQ(table.entries().size(), PathTable::paths_max);
  EXPECT_EQ(table.traffic_on(path_to(1)).received, 7u);
}

// Every fifth probe is lost.
TEST(PathAccount, probes_that_came_back_are_counted_lately) {
  PathProber prober{Rng(1)};
  prober.add(t0, path_to(1));
  EXPECT_EQ(prober.find(path_to(1))->sent_lately(), 0u);
  Instant now = t0;
  for (std::uint64_t nonce = 1; nonce <= 100; ++nonce) {
    now = prober.deadline();
    ASSERT_NE(prober.next_due(now, nonce), nullptr);
    if (nonce % 5 == 0) continue;
    ASSERT_NE(prober.handle_response(now + 1ms, path_to(1), nonce), nullptr);
  }
  // The hundredth, which was lost, may still be answered.
  EXPECT_EQ(prober.find(path_to(1))->sent_lately(), 31u);
  EXPECT_EQ(prober.find(path_to(1))->answered_lately(), 25u);
}

TEST(PathAccount, an_answer_that_comes_late_or_twice_counts_once) {
  PathProber prober{Rng(1)};
  prober.add(t0, path_to(1));
  for (std::uint64_t nonce = 1; nonce <= 3; ++nonce)
    ASSERT_NE(prober.next_due(prober.deadline(), nonce), nullptr);
  const Instant now = prober.deadline();
  for (int i = 0; i < 2; ++i)
    ASSERT_NE(prober.handle_response(now, path_to(1), 2), nullptr);
  EXPECT_EQ(prober.find(path_to(1))->sent_lately(), 2u);
  EXPECT_EQ(prober.find(path_to(1))->answered_lately(), 1u);
}

}  // namespace
}  // namespace quicmesh
