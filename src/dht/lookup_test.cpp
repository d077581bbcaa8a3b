#include "dht/lookup.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "dht/network_for_tests.hpp"

namespace quicmesh::dht {
namespace {

// Honest nodes all over the key space, and accomplices all around the target, nearer to it than
// anybody honest. The honest name the honest, the accomplices each other.
class Siege : public testing::Test {
 protected:
  static constexpr std::size_t honest_count = 400;
  static constexpr std::size_t accomplices_count = 400;
  static constexpr std::uint8_t k = 20;

  Siege() {
    rng.fill(target.bytes);
    for (std::size_t i = 0; i < honest_count; ++i) {
      NodeId id;
      rng.fill(id.bytes);
      honest.push_back(book.intern(id));
    }
    for (std::size_t i = 0; i < accomplices_count; ++i) {
      NodeId id{target.bytes};
      rng.fill(std::span(id.bytes).subspan(4));
      accomplices.push_back(book.intern(id));
    }
    by_distance(honest);
    by_distance(accomplices);
  }

  void by_distance(std::vector<PeerHandle>& peers) {
    std::ranges::sort(peers, {},
                      [&](PeerHandle peer) { return distance(target, DhtKey::of(book.id(peer))); });
  }
  [[nodiscard]] bool is_accomplice(PeerHandle peer) const {
    return std::ranges::count(accomplices, peer) != 0;
  }

  // Runs a lookup whose nearest known nodes are `known`, all but the traitor honest; everybody
  // answers at once. Returns who was asked.
  std::vector<PeerHandle> run(std::uint8_t paths, std::span<const PeerHandle> known,
                              PeerHandle traitor) {
    Lookup lookup(book, self, target, k, paths);
    for (const PeerHandle peer : known)
      lookup.add(peer, Lookup::no_tier);
    std::vector<PeerHandle> asked;
    while (const auto peer = lookup.next(paths)) {
      asked.push_back(*peer);
      std::vector<PeerHandle> named;
      if (*peer == traitor || is_accomplice(*peer)) {
        // Others each time, so that they are as many as possible.
        for (std::size_t i = 0; i < k; ++i)
          named.push_back(accomplices[(asked.size() * k + i) % accomplices.size()]);
      } else {
        named.assign(honest.begin(), honest.begin() + k);
      }
      lookup.on_answer(*peer, named, [](PeerHandle) { return Lookup::no_tier; });
      EXPECT_LE(asked.size(), Lookup::candidates_max);
    }
    EXPECT_TRUE(lookup.converged());
    in_windows = lookup.answered_in_windows();
    return asked;
  }
  // Of the nearest honest ones, which hold the value.
  [[nodiscard]] std::ptrdiff_t holders(const std::vector<PeerHandle>& asked) const {
    return std::ranges::count_if(asked, [&](PeerHandle peer) {
      return std::ranges::find(honest.begin(), honest.begin() + k, peer) != honest.begin() + k;
    });
  }

  Rng rng{1};
  PeerBook book{1000, 1};
  PeerHandle self = book.intern(NodeId{});
  DhtKey target;
  std::vector<PeerHandle> honest;
  std::vector<PeerHandle> accomplices;
  std::vector<PeerHandle> in_windows;
};

TEST_F(Siege, a_traitor_captures_one_path_and_the_others_come_through) {
  // Who is known is not near; the traitor is the nearest of them.
  const std::span known(honest.data() + 200, k);
  const auto captured = run(1, known, known[0]);
  EXPECT_EQ(holders(captured), 0) << "one path alone is lost";
  const auto free = run(4, known, known[0]);
  EXPECT_GE(holders(free), 10);
  EXPECT_LE(free.size(), 3U * k);
  // And a value is put to them as well.
  EXPECT_GE(holders(in_windows), 10);
  EXPECT_TRUE(std::ranges::any_of(in_windows, [&](PeerHandle p) { return is_accomplice(p); }));
}

TEST_F(Siege, nobody_stands_on_two_paths) {
  const auto asked = run(8, std::span(honest).subspan(200, k), no_peer);
  EXPECT_EQ(std::set(asked.begin(), asked.end()).size(), asked.size());
  EXPECT_GE(holders(asked), k) << "the nearest of all are found as by one path";
}

TEST_F(Siege, without_traitors_paths_cost_at_most_k_more) {
  const std::span known(honest.data() + 200, k);
  const std::size_t one = run(1, known, no_peer).size();
  const std::size_t four = run(4, known, no_peer).size();
  EXPECT_LE(four, one + k);
}

TEST_F(Siege, of_a_diversity_group_two_are_asked) {
  for (const PeerHandle peer : accomplices)
    book.set_group(peer, DiversityGroup{7});
  const std::span known(honest.data() + 200, k);
  const auto asked = run(1, known, known[0]);
  EXPECT_GE(holders(asked), k - 2);
  EXPECT_LE(std::ranges::count_if(asked, [&](PeerHandle p) { return is_accomplice(p); }), 10);
}

// A few who had it before are not enough: four accomplices on one path may agree on what was true
// yesterday.
TEST(DhtCore, signed_values_are_put_and_got_over_several_paths) {
  for (const std::uint8_t paths : {std::uint8_t{1}, std::uint8_t{4}}) {
    TestNetwork net(71, {.express = false, .disjoint_paths = paths});
    net.add_all(200);
    net.fill_tables(20);
    const Keypair owner = Keypair::from_seed({1, 2, 3});
    const DhtKey key = signed_key(owner.public_key(), {});
    constexpr WallTime wall{1'700'000'000};
    for (std::size_t node = 0; node < net.size(); ++node)
      net.core(node).set_wall_time(net.now(), wall);
    const Bytes value = make_signed_value(owner, {.sequence = sequence_of(wall),
                                                  .expiry = WallTime{1'700'003'600},
                                                  .salt = {},
                                                  .value = as_bytes("here")})
                            .value();
    // How many requests a lookup has under way at a time tells on how many paths it goes.
    std::size_t at_once = 0;
    const Instant begun = net.now();
    net.lose = [&](std::size_t from, std::size_t, const Message& message) {
      if (from == 0 && std::holds_alternative<FindNode>(message.body) && net.now() < begun + 45ms) {
        ++at_once;
      }
      return false;
    };
    ASSERT_TRUE(net.command(0, [&](DhtCore& core) {
      return core.put(net.now(), ValueKind::signed_value, key, value);
    }));
    const auto put = net.wait_for<PutFinished>(0);
    EXPECT_EQ(at_once, paths == 1 ? 3U : 4U);
    EXPECT_GE(put.stored, 20U);
    EXPECT_LE(put.stored, 30U);
    ASSERT_TRUE(net.command(
        150, [&](DhtCore& core) { return core.get(net.now(), ValueKind::signed_value, key); }));
    const auto got = net.wait_for<GetDone>(150);
    EXPECT_EQ(got.bytes, value);
    EXPECT_GE(got.holders, 4U);
  }
}

// Many names do not keep anybody from being asked whom the lookup must not miss.
TEST_F(Siege, who_is_required_is_asked_however_many_are_named) {
  Lookup lookup(book, self, target, k, 4);
  for (const PeerHandle peer : accomplices)
    lookup.add(peer, Lookup::no_tier);
  std::set<PeerHandle> required(honest.end() - 12, honest.end());  // the farthest
  for (const PeerHandle peer : required)
    lookup.add_required(peer, Lookup::no_tier);
  std::set<std::uint8_t> paths;
  for (std::size_t i = 0; i < 12; ++i) {
    const auto peer = lookup.next(100);
    ASSERT_TRUE(peer);
    EXPECT_EQ(required.erase(*peer), 1U);
    paths.insert(lookup.path_of(*peer));
  }
  EXPECT_EQ(paths.size(), 4U) << "they are dealt out";
}

}  // namespace
}  // namespace quicmesh::dht
