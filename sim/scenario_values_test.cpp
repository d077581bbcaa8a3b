#include "sim/scenario_values.hpp"

#include <gtest/gtest.h>

namespace quicmesh::sim {
namespace {

TEST(ScenarioValues, read_durations_exactly) {
  EXPECT_EQ(parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(parse_duration("0.000000001s"), 1ns);
  EXPECT_EQ(parse_duration("40ms"), 40ms);
  EXPECT_EQ(parse_duration("2min"), 2min);
  EXPECT_EQ(parse_duration("0.5h"), 30min);
  EXPECT_EQ(parse_duration("0s"), 0s);
  for (const char* wrong : {"", "s", "1", "1 s", "1.s", ".5s", "-1s", "1e3s", "0.5ns", "1.5.5s",
                            "99999999h", "1234567890123456s", "1S"}) {
    EXPECT_EQ(parse_duration(wrong), std::nullopt) << wrong;
  }
}

TEST(ScenarioValues, read_bit_rates) {
  EXPECT_EQ(parse_bit_rate("100Mbit/s"), 100'000'000u);
  EXPECT_EQ(parse_bit_rate("1.5Gbit/s"), 1'500'000'000u);
  EXPECT_EQ(parse_bit_rate("64kbit/s"), 64'000u);
  EXPECT_EQ(parse_bit_rate("unlimited"), 0u);
  for (const char* wrong : {"", "100", "100Mb/s", "0bit/s", "0.5bit/s", "99999999999Gbit/s"}) {
    EXPECT_EQ(parse_bit_rate(wrong), std::nullopt) << wrong;
  }
}

TEST(ScenarioValues, read_byte_counts) {
  EXPECT_EQ(parse_byte_count("1500"), 1500u);
  EXPECT_EQ(parse_byte_count("64KiB"), 65'536u);
  EXPECT_EQ(parse_byte_count("0.5MiB"), 524'288u);
  EXPECT_EQ(parse_byte_count("2MB"), 2'000'000u);
  for (const char* wrong : {"", "KiB", "64K", "-1", "0.3B"}) {
    EXPECT_EQ(parse_byte_count(wrong), std::nullopt) << wrong;
  }
}

TEST(ScenarioValues, read_ratios_in_lowest_terms) {
  EXPECT_EQ(parse_probability("25%"), (Ratio{1, 4}));
  EXPECT_EQ(parse_probability("0.1%"), (Ratio{1, 1000}));
  EXPECT_EQ(parse_probability("0"), (Ratio{0, 1}));
  EXPECT_EQ(parse_probability("100%"), (Ratio{1, 1}));
  EXPECT_EQ(parse_probability("2/6"), (Ratio{1, 3}));
  EXPECT_EQ(parse_ratio("2.5"), (Ratio{5, 2}));
  for (const char* wrong :
       {"", "%", "101%", "2", "1/0", "1/3%", "1.5/3", "1/3.5", "-1%", "0.0000001", "1/9999999"}) {
    EXPECT_EQ(parse_probability(wrong), std::nullopt) << wrong;
  }
}

}  // namespace
}  // namespace quicmesh::sim
