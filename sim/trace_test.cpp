#include "sim/trace.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace quicmesh::sim {
namespace {

const SocketAddress a = SocketAddress::parse("192.0.2.1:1000").value();
const SocketAddress b = SocketAddress::parse("192.0.2.2:1000").value();
const SocketAddress six = SocketAddress::parse("[2001:db8::1]:1000").value();
const SocketAddress other_six = SocketAddress::parse("[2001:db8::2]:1000").value();
constexpr Instant origin{1000s};

TEST(Trace, hash_depends_on_each_field_of_a_record) {
  std::set<std::uint64_t> hashes;
  std::size_t variants = 0;
  auto record = [&](auto&& write) {
    Trace trace(origin);
    write(trace);
    hashes.insert(trace.hash());
    ++variants;
  };
  record([](Trace&) {});
  record([](Trace& t) { t.sent(origin, a, b, 100); });
  record([](Trace& t) { t.sent(origin + 1ns, a, b, 100); });
  record([](Trace& t) { t.sent(origin, b, a, 100); });
  record([](Trace& t) { t.sent(origin, a, a, 100); });
  record([](Trace& t) { t.sent(origin, {a.ip, 1001}, b, 100); });
  record([](Trace& t) { t.sent(origin, a, {b.ip, 1001}, 100); });
  record([](Trace& t) { t.sent(origin, a, b, 101); });
  record([](Trace& t) { t.sent(origin, six, six, 100); });
  record([](Trace& t) { t.sent(origin, six, other_six, 100); });
  record([](Trace& t) { t.delivered(origin, a, b, 100); });
  record([](Trace& t) { t.dropped(origin, DropCause::loss, a, b, 100); });
  record([](Trace& t) { t.dropped(origin, DropCause::no_route, a, b, 100); });
  record([](Trace& t) { t.core_event(origin, HostId{1}, "a", "connected"); });
  record([](Trace& t) { t.core_event(origin, HostId{2}, "a", "connected"); });
  record([](Trace& t) { t.core_event(origin, HostId{1}, "a", "closed"); });
  record([](Trace& t) { t.fault(origin, "connected"); });
  EXPECT_EQ(hashes.size(), variants);
}

TEST(Trace, hash_depends_on_the_order_and_repeats_exactly) {
  Trace first(origin);
  first.sent(origin, a, b, 1);
  first.sent(origin, b, a, 1);
  Trace same(origin);
  same.sent(origin, a, b, 1);
  same.sent(origin, b, a, 1);
  Trace swapped(origin);
  swapped.sent(origin, b, a, 1);
  swapped.sent(origin, a, b, 1);
  EXPECT_EQ(first.hash(), same.hash());
  EXPECT_NE(first.hash(), swapped.hash());
  EXPECT_EQ(first.records(), 2u);
  EXPECT_EQ(first.hash_text().size(), 16u);
}

TEST(Trace, text_is_filtered_by_content_and_time_and_leaves_the_hash_alone) {
  std::vector<std::string> lines;
  Trace trace(origin);
  trace.set_text_sink([&](std::string_view line) { lines.emplace_back(line); },
                      {.contains = "loss", .until = origin + 2s});
  Trace silent(origin);
  for (Trace* t : {&trace, &silent}) {
    t->sent(origin, a, b, 1200);
    t->dropped(origin + 1500ms, DropCause::loss, a, b, 1200);
    t->dropped(origin + 3s, DropCause::loss, a, b, 1200);
  }
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0], "1.500000000 dropped loss 192.0.2.1:1000 > 192.0.2.2:1000 1200");
  EXPECT_EQ(trace.hash(), silent.hash());
}

}  // namespace
}  // namespace quicmesh::sim
