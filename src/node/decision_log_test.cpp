// The bounds of what is remembered of decisions (pains U1 to U4: it must be there when asked for).
#include "node/decision_log.hpp"

#include <gtest/gtest.h>

#include "path/path_errc.hpp"

namespace quicmesh {
namespace {

NodeId node(unsigned number) {
  NodeId id;
  id.bytes[0] = static_cast<std::uint8_t>(number >> 8);
  id.bytes[1] = static_cast<std::uint8_t>(number);
  return id;
}

Instant at(Duration time) {
  return Instant{} + 1h + time;
}

decision::Moved moved(std::uint16_t port) {
  decision::Moved move;
  move.to.remote = {IpAddress::v4({192, 0, 2, 1}), port};
  return move;
}

decision::CandidateRefused refused(std::uint16_t port) {
  return {{CandidateKind::host, {IpAddress::v4({10, 0, 0, 1}), port}},
          CandidateRule::other_network};
}

TEST(DecisionLog, a_ring_holds_so_many_and_drops_the_oldest) {
  DecisionLog log;
  // No kind to its bound, so that only that of the ring counts.
  for (std::uint16_t i = 0; i < 100; ++i) {
    const Decision decisions[] = {decision::Dialled{i, false, PathPolicy::any},
                                  decision::SessionUp{node(i)},
                                  decision::SessionDown{node(i), PathErrc::not_connected},
                                  moved(i),
                                  refused(i),
                                  decision::HeldDown{{}, Duration(i)},
                                  decision::PunchOver{.probes = i}};
    log.write(at(i * 1s), node(1), decisions[i % 7]);
  }
  const auto* history = log.find(node(1));
  ASSERT_NE(history, nullptr);
  EXPECT_EQ(history->records.size(), DecisionLog::records_max);
  EXPECT_EQ(history->dropped, 100 - DecisionLog::records_max);
  EXPECT_EQ(log.counters().recorded, 100u);
  EXPECT_EQ(log.counters().dropped, 100 - DecisionLog::records_max);
  EXPECT_EQ(history->records.front().at, at(36s));
  EXPECT_EQ(history->records.back().at, at(99s));
}

TEST(DecisionLog, one_kind_does_not_drive_out_the_others) {
  DecisionLog log;
  log.write(at(0s), node(1), decision::SessionUp{node(9)});
  for (std::uint16_t i = 0; i < 1000; ++i)
    log.write(at(1s + i * 1s), node(1), moved(i));
  const auto* history = log.find(node(1));
  EXPECT_EQ(history->records.size(), 1 + DecisionLog::of_a_kind_max);
  EXPECT_EQ(history->records.front().what, Decision(decision::SessionUp{node(9)}));
  EXPECT_EQ(history->records.back().what, Decision(moved(999)));
  EXPECT_EQ(history->dropped, 1000 - DecisionLog::of_a_kind_max);
}

TEST(DecisionLog, what_is_decided_again_is_counted) {
  DecisionLog log;
  for (int i = 0; i < 3; ++i)
    log.write(at(i * 1s), node(1), decision::NoRelayHasPeer{PathErrc::no_candidates});
  const auto& records = log.find(node(1))->records;
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].times, 3u);
  EXPECT_EQ(records[0].at, at(0s));
  EXPECT_EQ(log.counters().repeated, 2u);
  log.write(at(4s), node(1), moved(1));
  log.write(at(5s), node(1), decision::NoRelayHasPeer{PathErrc::no_candidates});
  EXPECT_EQ(log.find(node(1))->records.size(), 3u) << "the order of different things is kept";
}

TEST(DecisionLog, candidates_told_again_and_again_take_one_record_each) {
  DecisionLog log;
  for (int round = 0; round < 5; ++round) {
    log.write(at(round * 1s), node(1), refused(1));
    log.write(at(round * 1s), node(1), refused(2));
  }
  EXPECT_EQ(log.find(node(1))->records.size(), 2u);
  EXPECT_EQ(log.find(node(1))->records[0].times, 5u);
}

TEST(DecisionLog, strangers_do_not_drive_out_the_peer_that_was_dialled) {
  DecisionLog log;
  log.write(at(0s), node(0xffff), decision::Dialled{1, false, PathPolicy::any});
  for (unsigned i = 0; i < 1000; ++i)
    log.write(at(1s + i * 1s), node(i), decision::FirstAnswered{});
  EXPECT_EQ(log.peers(), DecisionLog::peers_max);
  EXPECT_EQ(log.counters().peers_dropped, 1001 - DecisionLog::peers_max);
  EXPECT_NE(log.find(node(0xffff)), nullptr);
  EXPECT_EQ(log.find(node(0)), nullptr) << "the one written to for longest ago goes";
  EXPECT_NE(log.find(node(999)), nullptr);
}

TEST(DecisionLog, a_peers_words_are_cut) {
  DecisionLog log;
  log.write(at(0s), node(1),
            decision::Disconnected{PathErrc::not_connected, std::string(60'000, 'x')});
  const auto* gone = std::get_if<decision::Disconnected>(&log.find(node(1))->records[0].what);
  ASSERT_NE(gone, nullptr);
  EXPECT_EQ(gone->reason.size(), DecisionLog::reason_max);
}

TEST(DecisionLog, remembers_what_explains_the_path_in_use) {
  DecisionLog log;
  log.write(at(0s), node(1), decision::Unreachable{PathErrc::no_candidates, ""});
  EXPECT_TRUE(log.find(node(1))->failed);
  log.write(at(1s), node(1), decision::FirstAnswered{});
  EXPECT_FALSE(log.find(node(1))->failed) << "something has answered since";
  log.write(at(2s), node(1), moved(7));
  for (std::uint16_t i = 0; i < 100; ++i)
    log.write(at(3s), node(1), decision::HeldDown{{}, Duration(i)});
  EXPECT_EQ(log.find(node(1))->path, Decision(moved(7)));
  log.write(at(4s), node(1), decision::Disconnected{PathErrc::not_connected, ""});
  EXPECT_FALSE(log.find(node(1))->path);
  EXPECT_EQ(log.find(node(1))->failed, std::error_code(PathErrc::not_connected));
}

}  // namespace
}  // namespace quicmesh
