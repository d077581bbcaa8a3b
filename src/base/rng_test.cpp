// Tests of the deterministic generator.
//
// The known answers come from a model of SplitMix64 and xoshiro256** written apart from this code
// (in Python, from the papers). The model gives the published first outputs of both: SplitMix64 of
// seed 1234567 begins 6457827717110365317, 3203168211198807973; xoshiro256** of the state 1, 2, 3,
// 4 begins 11520, 0, 1509978240, 1215971899390074240.
#include "base/rng.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <limits>
#include <vector>

namespace quicmesh {
namespace {

struct KnownAnswer {
  std::uint64_t seed;
  std::array<std::uint64_t, 5> outputs;
};

constexpr KnownAnswer known_answers[] = {
    {0,
     {0x99ec5f36cb75f2b4, 0xbf6e1f784956452a, 0x1a5f849d4933e6e0, 0x6aa594f1262d2d2c,
      0xbba5ad4a1f842e59}},
    {1,
     {0xb3f2af6d0fc710c5, 0x853b559647364cea, 0x92f89756082a4514, 0x642e1c7bc266a3a7,
      0xb27a48e29a233673}},
    {1234567,
     {0x30a3a1c363600467, 0x19405f0f579929ca, 0x115beaac046ddbd9, 0xeb17caf48f27d7f6,
      0xa0c94fe1cce9d136}},
    {0xffffffffffffffff,
     {0x8f5520d52a7ead08, 0xc476a018caa1802d, 0x81de31c0d260469e, 0xbf658d7e065f3c2f,
      0x913593fda1bca32a}},
};

TEST(Rng, gives_the_published_sequences) {
  for (const KnownAnswer& known : known_answers) {
    Rng rng(known.seed);
    for (const std::uint64_t output : known.outputs)
      EXPECT_EQ(rng.next(), output) << known.seed;
  }
}

TEST(Rng, a_fork_depends_on_seed_and_name_but_not_on_draws) {
  Rng drawn(7);
  for (int i = 0; i < 100; ++i)
    (void)drawn.next();
  const Rng fresh(7);
  EXPECT_EQ(drawn.fork("links").next(), fresh.fork("links").next());
  EXPECT_NE(fresh.fork("links").next(), fresh.fork("nats").next());
  EXPECT_NE(fresh.fork("links").next(), Rng(8).fork("links").next());
  EXPECT_NE(fresh.fork("").next(), Rng(7).next());
}

TEST(Rng, the_order_of_forks_matters) {
  const Rng root(7);
  EXPECT_NE(root.fork("a").fork("b").next(), root.fork("b").fork("a").next());
  EXPECT_NE(root.fork("a").fork("b").next(), root.fork("ab").next());
}

TEST(Rng, below_is_uniform_and_within_bounds) {
  Rng rng(3);
  std::array<int, 7> counts{};
  for (int i = 0; i < 70'000; ++i)
    ++counts[rng.below(7)];
  // Standard deviation of a count is 93; five of them, for a fixed seed.
  for (const int count : counts)
    EXPECT_NEAR(count, 10'000, 465);
}

TEST(Rng, below_has_no_bias_where_it_would_be_largest) {
  // 2^64 draws do not divide evenly among 3 * 2^62 values. With plain modulo the lowest third would
  // be drawn twice as often; by multiplication without redrawing, the multiples of three.
  Rng rng(4);
  constexpr std::uint64_t bound = std::uint64_t{3} << 62;
  int lowest_third = 0;
  int multiples_of_three = 0;
  for (int i = 0; i < 30'000; ++i) {
    const std::uint64_t drawn = rng.below(bound);
    lowest_third += drawn < bound / 3 ? 1 : 0;
    multiples_of_three += drawn % 3 == 0 ? 1 : 0;
  }
  EXPECT_NEAR(lowest_third, 10'000, 408);  // five standard deviations
  EXPECT_NEAR(multiples_of_three, 10'000, 408);
}

TEST(Rng, below_one_is_zero) {
  Rng rng(5);
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(rng.below(1), 0U);
}

TEST(Rng, chance_is_exact_at_its_ends) {
  Rng rng(6);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_FALSE(rng.chance(0, 3));
    EXPECT_TRUE(rng.chance(3, 3));
  }
  int hits = 0;
  for (int i = 0; i < 30'000; ++i)
    hits += rng.chance(1, 3) ? 1 : 0;
  EXPECT_NEAR(hits, 10'000, 408);
}

TEST(Rng, between_includes_both_ends_and_survives_the_whole_range) {
  Rng rng(7);
  bool low = false;
  bool high = false;
  for (int i = 0; i < 1000; ++i) {
    const Duration drawn = rng.between(Duration(-2), Duration(2));
    ASSERT_GE(drawn, Duration(-2));
    ASSERT_LE(drawn, Duration(2));
    low |= drawn == Duration(-2);
    high |= drawn == Duration(2);
  }
  EXPECT_TRUE(low && high);
  EXPECT_EQ(rng.between(5s, 5s), 5s);
  bool negative = false;
  bool positive = false;
  for (int i = 0; i < 100; ++i) {
    const Duration drawn = rng.between(Duration::min(), Duration::max());
    negative |= drawn < Duration::zero();
    positive |= drawn > Duration::zero();
  }
  EXPECT_TRUE(negative && positive);
}

TEST(Rng, fill_writes_whole_words_and_the_rest_in_little_endian) {
  std::array<std::uint8_t, 11> bytes{};
  Rng(1).fill(bytes);
  const std::array<std::uint8_t, 11> expected{0xc5, 0x10, 0xc7, 0x0f, 0x6d, 0xaf,
                                              0xf2, 0xb3, 0xea, 0x4c, 0x36};
  EXPECT_EQ(bytes, expected);
}

TEST(RngDeathTest, below_zero_is_refused) {
  Rng rng(1);
  EXPECT_DEATH((void)rng.below(0), "assertion failed: bound > 0");
}

class CountingRng : public SecureRng {
 public:
  void fill(MutableByteView out) override {
    for (std::uint8_t& byte : out)
      byte = ++last_;
  }

 private:
  std::uint8_t last_ = 0;
};

TEST(SecureRng, next_u64_uses_eight_fresh_bytes) {
  CountingRng rng;
  EXPECT_EQ(rng.next_u64(), 0x0102030405060708U);
  EXPECT_EQ(rng.next_u64(), 0x090a0b0c0d0e0f10U);
}

}  // namespace
}  // namespace quicmesh
