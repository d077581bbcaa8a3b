// Round trips between modelled places, and from a file.
#include "sim/latency_model.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace quicmesh::sim {
namespace {

TEST(LatencyModel, round_trips_are_symmetric_and_those_of_the_world) {
  const LatencyModel model = LatencyModel::cities();
  Rng rng(1);
  std::vector<double> ms;
  for (std::uint32_t i = 0; i < 4000; ++i) {
    const PeerPlace a = model.draw_place(rng);
    const PeerPlace b = model.draw_place(rng);
    const Duration rtt = model.rtt(i, a, i + 1, b);
    EXPECT_EQ(rtt, model.rtt(i + 1, b, i, a));
    ms.push_back(std::chrono::duration<double, std::milli>(rtt).count());
  }
  std::ranges::sort(ms);
  EXPECT_LT(ms[200], 40);  // neighbours
  EXPECT_GT(ms[2000], 80);
  EXPECT_LT(ms[2000], 250);
  EXPECT_LT(ms.back(), 700);  // half the earth's circumference is 412 ms
}

TEST(LatencyModel, places_follow_the_shares) {
  const LatencyModel model = LatencyModel::cities();
  Rng rng(2);
  std::vector<int> at(model.sites());
  for (int i = 0; i < 20'000; ++i)
    ++at[model.draw_place(rng).site];
  EXPECT_TRUE(std::ranges::none_of(at, [](int count) { return count == 0; }));
  // The United States: the first nine, 28.5 %.
  int first = 0;
  for (std::size_t i = 0; i < 9; ++i)
    first += at[i];
  EXPECT_NEAR(first, 20'000 * 0.285, 400);
}

TEST(LatencyModel, a_detour_is_the_pairs_own) {
  const LatencyModel model = LatencyModel::from_text("10 200\n200 10").value();
  const PeerPlace here{0, 0};
  const PeerPlace there{1, 0};
  Duration shortest = 1s;
  Duration longest = 0s;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    const Duration rtt = model.rtt(i, here, 5000, there);
    EXPECT_EQ(rtt, model.rtt(i, here, 5000, there));
    shortest = std::min(shortest, rtt);
    longest = std::max(longest, rtt);
  }
  EXPECT_NEAR(static_cast<double>(shortest / 1us), 170'000, 1000);
  EXPECT_NEAR(static_cast<double>(longest / 1us), 230'000, 1000);
}

TEST(LatencyModel, access_delays_count_once_for_each_peer) {
  const LatencyModel model = LatencyModel::cities();
  const Duration bare = model.rtt(1, {0, 0}, 2, {5, 0});
  EXPECT_EQ(model.rtt(1, {0, 700}, 2, {5, 300}) - bare, Duration(10ms));
}

TEST(LatencyModel, a_file_is_averaged_and_its_gaps_are_filled) {
  const auto model =
      LatencyModel::from_text("# three sites\n0.1, 10, 20\n14, 0.1, -1\n20 40 0.1\n");
  ASSERT_TRUE(model);
  EXPECT_EQ(model->sites(), 3U);
  EXPECT_EQ(model->site_rtt(0, 1), Duration(12ms));
  EXPECT_EQ(model->site_rtt(1, 0), Duration(12ms));
  EXPECT_EQ(model->site_rtt(0, 2), Duration(20ms));
  // The median of row 2 is 14 ms, the way back was measured as 40.
  EXPECT_EQ(model->site_rtt(1, 2), Duration(27ms));
  Rng rng(1);
  EXPECT_EQ(model->draw_place(rng).access_10us, 0);
}

TEST(LatencyModel, files_that_are_none_are_refused) {
  for (const char* text : {"", "1", "1 2", "1 2 3", "1 x\n2 3", "1 2\n3 nan", "1 2\n3 1e300",
                           "0 70000\n70000 0", "-1 -1\n-1 -1", "1 2 3 4 5"}) {
    EXPECT_FALSE(LatencyModel::from_text(text)) << text;
  }
  EXPECT_EQ(LatencyModel::from_text("1 2\n3 x").error(), "line 2: is no round trip in ms");
}

TEST(LatencyModel, the_way_by_a_relay_leads_over_a_site_that_has_one) {
  const LatencyModel model = LatencyModel::from_text("2 50 30\n50 2 40\n30 40 2").value();
  // Only site 0 has relays.
  EXPECT_EQ(model.relayed_rtt({1, 0}, {2, 0}), Duration(80ms));
  EXPECT_EQ(model.relayed_rtt({1, 100}, {0, 200}), Duration(55ms));
}

}  // namespace
}  // namespace quicmesh::sim
