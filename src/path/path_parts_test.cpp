// The parts of the connection manager alone: labels, probes, the death watch, frames, headers.
#include <gtest/gtest.h>

#include <array>
#include <set>

#include "base/base_errc.hpp"
#include "path/control_message.hpp"
#include "path/path_errc.hpp"
#include "path/path_prober.hpp"
#include "path/path_table.hpp"
#include "path/path_watch.hpp"
#include "path/probe_frame.hpp"
#include "path/stream_header.hpp"

namespace quicmesh {
namespace {

constexpr Instant t0{100s};

NetworkPath path_to(std::uint8_t host, std::uint16_t port = 4433) {
  return {SocketId{0}, IpAddress::v4({192, 0, 2, 1}), {IpAddress::v4({198, 51, 100, host}), port}};
}

TEST(PathTable, one_label_stands_for_one_path) {
  PathTable table;
  const PathLabel a = table.label_of_arrival(t0, path_to(1));
  const PathLabel b = table.label_of_arrival(t0, path_to(2));
  EXPECT_NE(a.path, b.path);
  EXPECT_EQ(table.label_of_arrival(t0, path_to(1)), a);
  EXPECT_EQ(table.find(a)->path, path_to(1));
}

// QUIC keeps its congestion state when only the remote port of a label differs.
TEST(PathTable, a_rebinding_changes_the_port_of_the_label_only) {
  PathTable table;
  const PathLabel before = table.label_of_arrival(t0, path_to(1, 1000));
  table.set_current(before);
  const PathLabel after = table.label_of_arrival(t0, path_to(1, 2000));
  EXPECT_EQ(after.path, before.path);
  EXPECT_NE(after.port, before.port);
  EXPECT_EQ(table.find(after)->path, path_to(1, 2000));
  EXPECT_EQ(table.find(before)->path, path_to(1, 1000));
}

TEST(PathTable, the_dialler_knows_only_paths_of_its_own_choice) {
  PathTable table;
  const PathLabel chosen = table.label_for(t0, path_to(1));
  EXPECT_EQ(table.known_arrival(t0, path_to(1)), chosen);
  EXPECT_FALSE(table.known_arrival(t0, path_to(2)));
  EXPECT_FALSE(table.known_arrival(t0, path_to(1, 99)));
}

// A dialler that goes on giving the refused label to what arrives is deaf: QUIC drops all of it.
TEST(PathTable, a_refused_label_gives_its_path_back_to_the_former_one) {
  PathTable table;
  const PathLabel in_use = table.label_for(t0, path_to(1));
  table.set_current(in_use);
  const PathLabel refused = table.renew(t0, path_to(1)).label;
  EXPECT_EQ(table.known_arrival(t0, path_to(1)), refused);
  table.forget(refused);
  EXPECT_EQ(table.known_arrival(t0, path_to(1)), in_use);
  table.forget(in_use);
  EXPECT_EQ(table.known_arrival(t0, path_to(1)), in_use);
}

TEST(PathTable, the_first_answer_tells_which_source_address_the_kernel_took) {
  PathTable table;
  NetworkPath dialled = path_to(1);
  dialled.local = IpAddress::any(IpFamily::v4);
  const PathLabel label = table.label_for(t0, dialled);
  EXPECT_EQ(table.known_arrival(t0, path_to(1)), label);
  EXPECT_EQ(table.find(label)->path, path_to(1));
  NetworkPath other = path_to(1);
  other.local = IpAddress::v4({192, 0, 2, 77});
  EXPECT_FALSE(table.known_arrival(t0, other));
}

TEST(PathTable, a_source_that_is_gone_is_left_to_the_kernel) {
  PathTable table;
  const PathLabel label = table.label_for(t0, path_to(1));
  table.unpin(std::array{IpAddress::v4({192, 0, 2, 7}), path_to(1).local});
  EXPECT_EQ(table.find(label)->path, path_to(1));
  table.unpin(std::array{IpAddress::v4({192, 0, 2, 7})});
  EXPECT_EQ(table.find(label)->path.local, IpAddress::any(IpFamily::v4));
  NetworkPath now_from = path_to(1);
  now_from.local = IpAddress::v4({192, 0, 2, 7});
  EXPECT_EQ(table.known_arrival(t0, now_from), label) << "and the answer tells which it took";
  NetworkPath relayed = path_to(1);
  relayed.socket = relayed_socket;
  EXPECT_FALSE(unpin_source(relayed, {})) << "its addresses are nobody's";
}

TEST(PathTable, coming_back_takes_a_new_label_on_both_sides) {
  PathTable dialler;
  const PathLabel first = dialler.label_for(t0, path_to(1));
  const PathTable::Entry again = dialler.renew(t0, path_to(1));
  EXPECT_NE(again.label.path, first.path);
  EXPECT_EQ(again.epoch, 1);
  EXPECT_NE(dialler.find(first), nullptr) << "what is under way under the old label has a place";

  PathTable acceptor;
  const PathLabel seen = acceptor.label_of_arrival(t0, path_to(1));
  acceptor.note_epoch(t0, path_to(1), again.epoch);
  const PathLabel renewed = acceptor.label_of_arrival(t0, path_to(1));
  EXPECT_NE(renewed.path, seen.path);
  acceptor.note_epoch(t0, path_to(1), again.epoch);  // a repeated or replayed frame
  EXPECT_EQ(acceptor.label_of_arrival(t0, path_to(1)), renewed);
}

TEST(PathTable, spoofed_sources_fill_nothing_and_never_evict_the_current_path) {
  PathTable table;
  const PathLabel current = table.label_of_arrival(t0, path_to(1));
  table.set_current(current);
  for (int i = 0; i < 1000; ++i) {
    (void)table.label_of_arrival(t0 + 1s, path_to(2, static_cast<std::uint16_t>(1 + i)));
  }
  EXPECT_LE(table.entries().size(), PathTable::paths_max);
  EXPECT_NE(table.find(current), nullptr);
}

TEST(PathWatch, nobody_waits_on_an_idle_path) {
  PathWatch watch;
  EXPECT_EQ(watch.deadline(t0, 50ms), never);
  watch.sent(t0, false);
  EXPECT_EQ(watch.verdict(t0 + 100s, 50ms), PathWatch::Verdict::fine);
}

TEST(PathWatch, a_sender_gives_up_after_three_ptos_or_150_ms) {
  struct Row {
    Duration pto;
    Duration suspicious;
    Duration dead;
  };
  for (const Row& row : {Row{10ms, 40ms, 150ms}, Row{60ms, 60ms, 180ms}, Row{1s, 1s, 3s}}) {
    PathWatch watch;
    watch.sent(t0, true);
    EXPECT_EQ(watch.verdict(t0 + row.suspicious - 1ms, row.pto), PathWatch::Verdict::fine);
    EXPECT_EQ(watch.verdict(t0 + row.suspicious, row.pto), PathWatch::Verdict::suspicious);
    EXPECT_EQ(watch.verdict(t0 + row.dead - 1ms, row.pto), PathWatch::Verdict::suspicious);
    EXPECT_EQ(watch.verdict(t0 + row.dead, row.pto), PathWatch::Verdict::dead);
    EXPECT_EQ(watch.deadline(t0, row.pto), t0 + row.suspicious);
    EXPECT_EQ(watch.deadline(t0 + row.suspicious, row.pto), t0 + row.dead);
  }
}

TEST(PathWatch, a_receiver_waits_after_data_until_a_probe_tells_that_the_path_lives) {
  PathWatch watch;
  watch.heard(t0, false, true);
  EXPECT_EQ(watch.verdict(t0 + 200ms, 10ms), PathWatch::Verdict::dead);
  watch.probe_answered(t0 + 60ms, false);
  EXPECT_EQ(watch.verdict(t0 + 10s, 10ms), PathWatch::Verdict::fine);
}

TEST(PathWatch, later_sends_do_not_put_the_verdict_off) {
  PathWatch watch;
  for (Duration at = 0ms; at < 150ms; at += 10ms)
    watch.sent(t0 + at, true);
  EXPECT_EQ(watch.verdict(t0 + 150ms, 10ms), PathWatch::Verdict::dead);
}

// S1.47: health by what the peer has acknowledged, not by what is heard of it.
TEST(PathWatch, unacknowledged_payload_condemns_a_path_on_which_the_peer_is_heard) {
  struct Row {
    Duration pto;
    Duration suspicious;
    Duration dead;
  };
  for (const Row& row : {Row{10ms, 1s, 2s}, Row{500ms, 2s, 4s}, Row{1min, 4s, 8s}}) {
    PathWatch watch;
    watch.switched(t0 - 1s, false);
    watch.payload_waits(t0);
    const auto heard_at = [&](Duration after) {
      watch.heard(t0 + after, true, true);
      watch.probe_answered(t0 + after, true);
      return watch.verdict(t0 + after, row.pto);
    };
    EXPECT_EQ(heard_at(row.suspicious - 1ms), PathWatch::Verdict::fine);
    EXPECT_EQ(heard_at(row.suspicious), PathWatch::Verdict::suspicious);
    EXPECT_EQ(heard_at(row.dead - 1ms), PathWatch::Verdict::suspicious);
    EXPECT_EQ(heard_at(row.dead), PathWatch::Verdict::dead);
    EXPECT_EQ(watch.silence(t0 + row.dead), row.dead);
    EXPECT_EQ(watch.payload_deadline(t0, row.pto, t0), t0 + row.suspicious);
    EXPECT_EQ(watch.payload_deadline(t0 + row.suspicious, row.pto, t0), t0 + row.dead);
    watch.switched(t0 + row.dead, true);
    watch.payload_waits(t0);
    EXPECT_EQ(watch.verdict(t0 + row.dead + 900ms, 1s), PathWatch::Verdict::fine)
        << "what the former path lost is no fault of the new one";
    watch.payload_waits(never);
    EXPECT_EQ(watch.payload_deadline(t0, row.pto, never), never);
  }
}

TEST(PathProber, a_path_that_never_answers_is_asked_ten_times_and_then_once_a_minute) {
  PathProber prober{Rng(1)};
  ASSERT_TRUE(prober.add(t0, path_to(1)));
  std::uint64_t nonce = 0;
  int in_first_10_minutes = 0;
  for (Instant now = t0; now < t0 + 10min; now += 10ms) {
    if (prober.next_due(now, ++nonce) != nullptr) ++in_first_10_minutes;
  }
  EXPECT_GE(in_first_10_minutes, 10);
  EXPECT_LE(in_first_10_minutes, 22);
}

TEST(PathProber, in_a_hurry_an_address_that_never_answered_is_still_spared) {
  PathProber prober{Rng(1)};
  prober.add(t0, path_to(1));
  int probes = 0;
  for (Instant now = t0; now < t0 + 30s; now += 5ms) {
    prober.hurry(now, 20ms);
    while (prober.next_due(now, static_cast<std::uint64_t>(probes + 1)) != nullptr)
      ++probes;
  }
  EXPECT_LE(probes, 11);
}

TEST(PathProber, an_answer_counts_for_its_own_path_and_nonce_only) {
  PathProber prober{Rng(1)};
  prober.add(t0, path_to(1));
  prober.add(t0, path_to(2));
  ASSERT_NE(prober.next_due(t0, 11), nullptr);
  ASSERT_NE(prober.next_due(t0, 12), nullptr);
  EXPECT_EQ(prober.handle_response(t0 + 5ms, path_to(2), 11), nullptr);
  EXPECT_EQ(prober.handle_response(t0 + 5ms, path_to(1), 0), nullptr);
  EXPECT_EQ(prober.handle_response(t0 + 5ms, path_to(3), 11), nullptr);
  const auto* target = prober.handle_response(t0 + 5ms, path_to(1), 11);
  ASSERT_NE(target, nullptr);
  EXPECT_EQ(target->rtt, 5ms);
}

TEST(PathProber, a_slow_answer_counts_although_the_next_probe_has_left) {
  PathProber prober{Rng(1)};
  prober.add(t0, path_to(1));
  prober.hurry(t0, 20ms);
  ASSERT_NE(prober.next_due(t0, 1), nullptr);
  ASSERT_NE(prober.next_due(t0 + 30ms, 2), nullptr);
  ASSERT_NE(prober.handle_response(t0 + 40ms, path_to(1), 1), nullptr);
  EXPECT_EQ(prober.find(path_to(1))->rtt, 40ms);
}

TEST(PathProber, the_best_path_is_the_fastest_that_answered_lately) {
  PathProber prober{Rng(1)};
  prober.set_current(path_to(9));
  for (const int host : {1, 2, 9})
    prober.add(t0, path_to(static_cast<std::uint8_t>(host)));
  std::uint64_t nonce = 0;
  while (prober.next_due(t0, ++nonce) != nullptr) {
  }
  prober.handle_response(t0 + 30ms, path_to(1), 1);
  prober.handle_response(t0 + 20ms, path_to(2), 2);
  EXPECT_EQ(prober.best_since(t0)->path, path_to(2));
  EXPECT_EQ(prober.best_since(t0 + 25ms)->path, path_to(1));
  EXPECT_EQ(prober.best_since(t0 + 31ms), nullptr);
}

// A round trip taken once would keep a connection on a path that has become slow.
TEST(PathProber, the_path_in_use_is_measured_while_there_is_another) {
  PathProber prober{Rng(1)};
  prober.add(t0, path_to(1));
  prober.set_current(path_to(1));
  EXPECT_EQ(prober.next_due(t0, 1), nullptr);
  EXPECT_EQ(prober.deadline(), never) << "nothing to compare it with";
  prober.add(t0, path_to(2));
  int in_use = 0;
  std::uint64_t nonce = 1;
  for (Instant now = t0; now < t0 + 60s; now += 10ms) {
    while (const auto* target = prober.next_due(now, ++nonce)) {
      const NetworkPath path = target->path;
      if (path == path_to(1)) ++in_use;
      EXPECT_NE(prober.handle_response(now + 1ms, path, nonce), nullptr);
    }
    EXPECT_GT(prober.deadline(), now);
  }
  EXPECT_GE(in_use, 10);
  EXPECT_LE(in_use, 16);
}

TEST(PathProber, the_round_trip_is_the_least_of_the_last_four_answers) {
  PathProber prober{Rng(1)};
  prober.add(t0, path_to(1));
  const Duration took[] = {20ms, 5ms, 30ms, 40ms, 50ms, 60ms, 70ms, 8ms};
  const Duration expected[] = {20ms, 5ms, 5ms, 5ms, 5ms, 30ms, 40ms, 8ms};
  Instant now = t0;
  for (std::size_t i = 0; i < std::size(took); ++i) {
    now = prober.deadline();
    ASSERT_NE(prober.next_due(now, i + 1), nullptr);
    ASSERT_NE(prober.handle_response(now + took[i], path_to(1), i + 1), nullptr);
    EXPECT_EQ(prober.find(path_to(1))->rtt, expected[i]) << i;
  }
}

TEST(PathProber, starts_over_when_the_network_has_changed) {
  PathProber prober{Rng(1)};
  NetworkPath twin = path_to(1);
  twin.local = IpAddress::v4({192, 0, 2, 2});
  for (const NetworkPath& path : {path_to(1), twin, path_to(2)})
    prober.add(t0, path);
  std::uint64_t nonce = 0;
  for (Instant now = t0; now < t0 + 2min; now += 10ms) {
    while (prober.next_due(now, ++nonce) != nullptr) {
    }
  }
  const Instant changed = t0 + 2min;
  prober.hold_down(changed, path_to(2));
  prober.start_over(changed, std::array{IpAddress::v4({192, 0, 2, 9})});
  ASSERT_EQ(prober.targets().size(), 2u) << "two that differ in sources that are gone are one";
  for (const PathProber::Target& target : prober.targets()) {
    EXPECT_TRUE(target.path.local.is_unspecified());
    EXPECT_LE(target.held_until, changed);
  }
  int probes = 0;
  for (Instant now = changed; now < changed + 1s; now += 10ms) {
    while (prober.next_due(now, ++nonce) != nullptr)
      ++probes;
  }
  EXPECT_GE(probes, 6) << "what was given up is asked like something new";
}

TEST(PathProber, a_path_told_of_again_is_asked_again_only_if_it_was_given_up) {
  PathProber prober{Rng(1)};
  prober.add(t0, path_to(1));
  EXPECT_FALSE(prober.retry(t0, path_to(1)));
  EXPECT_FALSE(prober.retry(t0, path_to(2)));
  std::uint64_t nonce = 0;
  for (Instant now = t0; now < t0 + 2min; now += 10ms) {
    while (prober.next_due(now, ++nonce) != nullptr) {
    }
  }
  EXPECT_TRUE(prober.retry(t0 + 2min, path_to(1)));
  EXPECT_EQ(prober.deadline(), t0 + 2min);
  EXPECT_FALSE(prober.retry(t0 + 2min, path_to(1)));
}

TEST(PathProber, the_number_of_targets_is_bounded) {
  PathProber prober{Rng(1)};
  for (std::uint8_t host = 1; host <= 50; ++host)
    prober.add(t0, path_to(host));
  EXPECT_EQ(prober.targets().size(), PathProber::targets_max);
  EXPECT_EQ(prober.dropped(), 50 - PathProber::targets_max) << "each made room";
  EXPECT_FALSE(prober.add(t0, path_to(50)));
  EXPECT_EQ(prober.dropped(), 50 - PathProber::targets_max) << "it was known";
}

TEST(PathProber, a_path_for_which_there_is_no_room_is_counted) {
  PathProber prober{Rng(1)};
  for (std::uint8_t host = 1; host <= PathProber::targets_max; ++host) {
    prober.add(t0, path_to(host));
    const PathProber::Target* asked = prober.next_due(t0, host);
    ASSERT_TRUE(prober.handle_response(t0 + 1ms, asked->path, host));
  }
  EXPECT_FALSE(prober.add(t0 + 2ms, path_to(99)));
  EXPECT_EQ(prober.dropped(), 1u);
}

TEST(ProbeFrame, has_its_golden_bytes) {
  ProbeKey key{};
  key[0] = 1;
  const ProbeFrame frame{ProbeFrameType::request, LinkTag{0x0102030405060708}, 0x1112131415161718,
                         0x2122};
  const ProbeFrameBytes bytes = encode_probe_frame(frame, key);
  const std::array<std::uint8_t, 19> head = {
      0x20, 1, 2, 3, 4, 5, 6, 7, 8, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x21, 0x22};
  EXPECT_TRUE(std::equal(head.begin(), head.end(), bytes.begin()));
  const auto decoded = decode_probe_frame(bytes, key);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->nonce, frame.nonce);
  EXPECT_EQ(decoded->epoch, frame.epoch);
  EXPECT_EQ(decoded->tag, frame.tag);
  EXPECT_EQ(probe_frame_tag(bytes), frame.tag);
  EXPECT_EQ(bytes[0] & 0x40, 0) << "QUIC-FACTS Q4: never taken for a QUIC packet";
}

TEST(ProbeFrame, any_changed_bit_other_key_or_size_is_refused) {
  ProbeKey key{};
  const ProbeFrameBytes good = encode_probe_frame({ProbeFrameType::hint, LinkTag{5}, 6, 7}, key);
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    ProbeFrameBytes bad = good;
    bad[bit / 8] ^= static_cast<std::uint8_t>(1 << (bit % 8));
    EXPECT_FALSE(decode_probe_frame(bad, key)) << bit;
  }
  ProbeKey other{};
  other[31] = 1;
  EXPECT_FALSE(decode_probe_frame(good, other));
  EXPECT_FALSE(decode_probe_frame(ByteView(good).first(good.size() - 1), key));
  EXPECT_FALSE(decode_probe_frame({}, key));
}

TEST(StreamHeader, survives_the_wire_and_says_when_bytes_are_missing) {
  const StreamHeader header{StreamKind::datagram_flow, "example/echo/1"};
  const Bytes bytes = encode_stream_header(header);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(decode_stream_header(ByteView(bytes).first(size)).error(), BaseErrc::truncated);
  }
  const auto decoded = decode_stream_header(bytes);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->header.protocol, header.protocol);
  EXPECT_EQ(decoded->header.kind, header.kind);
  EXPECT_EQ(decoded->size, bytes.size());
}

TEST(StreamHeader, malformed_ones_are_refused_at_once) {
  const Bytes cases[] = {{0, 1, 'a'}, {3, 1, 'a'}, {1, 0}, {1, 65}, {1, 1, ' '}, {1, 1, 0x7f}, {0}};
  for (const Bytes& bytes : cases) {
    EXPECT_EQ(decode_stream_header(bytes).error(), PathErrc::malformed_stream_header);
  }
}

TEST(ControlMessage, survives_the_wire_and_unknown_types_are_skipped) {
  const Bytes hint = encode_control_message(HintMessage{0x0102030405060708});
  EXPECT_EQ(hint, (Bytes{1, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(decode_control_message(hint)->message, ControlMessage(HintMessage{0x0102030405060708}));
  EXPECT_EQ(encode_control_message(RetireMessage{}), (Bytes{2, 0, 0}));
  const auto unknown = decode_control_message(Bytes{99, 0, 2, 7, 7, 1});
  ASSERT_TRUE(unknown);
  EXPECT_FALSE(unknown->message);
  EXPECT_EQ(unknown->size, 5u);
  EXPECT_EQ(decode_control_message(Bytes{1, 0, 8, 0}).error(), BaseErrc::truncated);
  EXPECT_EQ(decode_control_message(Bytes{1, 0, 7, 0, 0, 0, 0, 0, 0, 0}).error(),
            BaseErrc::out_of_range);
  EXPECT_EQ(decode_control_message(Bytes{1, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0}).error(),
            BaseErrc::out_of_range);
  EXPECT_EQ(decode_control_message(Bytes{1, 0x04, 0xb1}).error(), BaseErrc::out_of_range);
}

TEST(ControlMessage, tells_candidates_of_both_families_and_a_profile) {
  CandidatesMessage message;
  message.candidates = {
      {CandidateKind::host, SocketAddress::parse("192.168.1.2:4433").value()},
      {CandidateKind::server_reflexive, SocketAddress::parse("203.0.113.9:40000").value()},
      {CandidateKind::mapped, SocketAddress::parse("[2001:db8::1]:1").value()}};
  message.nat_profile = {9, 9};
  const Bytes bytes = encode_control_message(message);
  const auto decoded = decode_control_message(bytes);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->message, ControlMessage(message));
  EXPECT_EQ(decoded->size, bytes.size());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(decode_control_message(ByteView(bytes).first(size)).error(), BaseErrc::truncated);
  }
}

TEST(ControlMessage, skips_candidates_of_unknown_kinds_and_refuses_too_many) {
  const Bytes unknown{3, 0, 9, 1, 77, 4, 1, 2, 3, 4, 0, 80};
  EXPECT_EQ(decode_control_message(unknown)->message, ControlMessage(CandidatesMessage{}));
  CandidatesMessage many;
  many.candidates.assign(candidates_told_max + 5, {CandidateKind::host, {}});
  const auto decoded = decode_control_message(encode_control_message(many));
  EXPECT_EQ(std::get<CandidatesMessage>(*decoded->message).candidates.size(), candidates_told_max);
  const Bytes seventeen{3, 0, 1, 17};
  EXPECT_EQ(decode_control_message(seventeen).error(), BaseErrc::out_of_range);
  const Bytes bad_family{3, 0, 9, 1, 1, 5, 1, 2, 3, 4, 0, 80};
  EXPECT_EQ(decode_control_message(bad_family).error(), BaseErrc::out_of_range);
}

}  // namespace
}  // namespace quicmesh
