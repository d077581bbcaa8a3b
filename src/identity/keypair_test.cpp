// Tests of key pairs.
#include "quicmesh/keypair.hpp"

#include <gtest/gtest.h>

#include <type_traits>
#include <utility>

#include "base/hex.hpp"
#include "crypto/seeded_rng.hpp"

namespace quicmesh {
namespace {

// Secrets are not copied by accident.
static_assert(!std::is_copy_constructible_v<Keypair> && !std::is_copy_assignable_v<Keypair>);
static_assert(std::is_nothrow_move_constructible_v<Keypair>);

// S1.79, S1.80
TEST(Keypair, generate_gives_a_new_identity_each_time) {
  const Keypair first = Keypair::generate();
  const Keypair second = Keypair::generate();
  EXPECT_NE(first.node_id(), second.node_id());
  EXPECT_EQ(first.node_id(), NodeId::of(first.public_key()));
}

TEST(Keypair, generate_replays_from_a_seeded_source) {
  SeededRng first(1);
  SeededRng second(1);
  EXPECT_EQ(Keypair::generate(first).node_id(), Keypair::generate(second).node_id());
  EXPECT_NE(Keypair::generate(first).node_id(), Keypair::from_seed({}).node_id());
}

TEST(Keypair, from_seed_gives_the_key_of_rfc_8032) {
  std::array<std::uint8_t, 32> seed{};
  ASSERT_TRUE(from_hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", seed));
  const Keypair pair = Keypair::from_seed(seed);
  EXPECT_EQ(to_hex(pair.public_key().bytes),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
  EXPECT_EQ(to_hex(pair.seed()), to_hex(seed));
}

TEST(Keypair, its_signatures_are_good_for_its_key_and_message_only) {
  const Keypair pair = Keypair::generate();
  const Signature signature = pair.sign(as_bytes("message"));
  EXPECT_TRUE(verify(pair.public_key(), as_bytes("message"), signature));
  EXPECT_FALSE(verify(pair.public_key(), as_bytes("massage"), signature));
  EXPECT_FALSE(verify(Keypair::generate().public_key(), as_bytes("message"), signature));
}

TEST(Keypair, moves_with_its_identity) {
  Keypair first = Keypair::generate();
  const NodeId id = first.node_id();
  Keypair second = std::move(first);
  EXPECT_EQ(second.node_id(), id);
  Keypair third = Keypair::generate();
  third = std::move(second);
  EXPECT_EQ(third.node_id(), id);
  EXPECT_TRUE(verify(third.public_key(), as_bytes("x"), third.sign(as_bytes("x"))));
}

TEST(KeypairDeathTest, a_moved_from_pair_does_not_sign) {
  Keypair first = Keypair::generate();
  const Keypair second = std::move(first);
  // NOLINTNEXTLINE(bugprone-use-after-move): that is what must end the process.
  EXPECT_DEATH((void)first.sign({}), "secret_ != nullptr");
}

}  // namespace
}  // namespace quicmesh
