// Tests of the two sources of secrets; TS6: a forked child never repeats its parent's bytes.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <set>

#include "base/hex.hpp"
#include "crypto/seeded_rng.hpp"
#include "crypto/system_rng.hpp"

namespace quicmesh {
namespace {

using Draw = std::array<std::uint8_t, 32>;

/// What a forked child draws from its copy of `rng`.
Draw drawn_by_child(SecureRng& rng) {
  Draw draw{};
  std::array<int, 2> ends{};
  EXPECT_EQ(pipe(ends.data()), 0);
  const pid_t child = fork();
  EXPECT_GE(child, 0);
  if (child == 0) {
    rng.fill(draw);
    const bool written = write(ends[1], draw.data(), draw.size()) == ssize_t{sizeof(Draw)};
    _exit(written ? 0 : 1);
  }
  EXPECT_EQ(read(ends[0], draw.data(), draw.size()), ssize_t{sizeof(Draw)});
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  close(ends[0]);
  close(ends[1]);
  return draw;
}

Draw drawn_by(SecureRng& rng) {
  Draw draw{};
  rng.fill(draw);
  return draw;
}

TEST(SystemRng, TS6_children_and_parent_draw_different_bytes_after_a_fork) {
  SystemRng rng;
  (void)rng.next_u64();
  std::set<Draw> draws;
  for (int i = 0; i < 4; ++i)
    draws.insert(drawn_by_child(rng));
  draws.insert(drawn_by(rng));
  EXPECT_EQ(draws.size(), 5U);
}

TEST(SystemRng, TS6_the_fork_test_would_notice_a_generator_that_repeats) {
  SeededRng rng(1);
  const Draw child = drawn_by_child(rng);
  EXPECT_EQ(child, drawn_by(rng));
}

TEST(SystemRng, fills_every_byte_of_large_buffers) {
  SystemRng rng;
  Bytes bytes(1 << 20);
  rng.fill(bytes);
  std::array<int, 256> counts{};
  for (const std::uint8_t byte : bytes)
    ++counts[byte];
  // 4096 of each, standard deviation 64; ten of them: one false alarm in 10^20 runs.
  for (const int count : counts)
    EXPECT_NEAR(count, 4096, 640);
  rng.fill({});
}

TEST(SeededRng, replays_from_seed_and_name) {
  SeededRng first(7, "alice");
  SeededRng second(7, "alice");
  EXPECT_EQ(drawn_by(first), drawn_by(second));
  EXPECT_EQ(drawn_by(first), drawn_by(second));
  EXPECT_NE(drawn_by(first), drawn_by(first));
  SeededRng other_name(7, "bob");
  SeededRng other_seed(8, "alice");
  SeededRng again(7, "alice");
  const Draw draw = drawn_by(again);
  EXPECT_NE(drawn_by(other_name), draw);
  EXPECT_NE(drawn_by(other_seed), draw);
}

TEST(SeededRng, gives_one_stream_however_it_is_cut) {
  SeededRng first(7);
  SeededRng second(7);
  Bytes at_once(100);
  first.fill(at_once);
  Bytes in_pieces(100);
  for (std::size_t i = 0; i < 100; i += 4)
    second.fill(MutableByteView(in_pieces).subspan(i, 4));
  EXPECT_EQ(at_once, in_pieces);
}

TEST(SeededRng, keeps_its_stream_from_version_to_version) {
  // Simulations are replayed by later versions. Derived with b3sum:
  // printf '\0\0\0\0\0\0\0\7alice' | b3sum --length 16 --derive-key '<the context>'
  SeededRng rng(7, "alice");
  std::array<std::uint8_t, 16> bytes{};
  rng.fill(bytes);
  EXPECT_EQ(to_hex(bytes), "8a97ab8e7d91c43cb9a977960d4646a5");
}

}  // namespace
}  // namespace quicmesh
