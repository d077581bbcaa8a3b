// The router in virtual time: what the line does to packets, what is counted, what it is told.
#include "router.hpp"

#include <map>

#include "control.hpp"
#include "packets_fixture.hpp"
#include "router_options.hpp"

namespace quicmesh::natlab {
namespace {

constexpr std::string_view host = "192.168.1.2:5000";
constexpr std::string_view server = "203.0.113.1:4433";
const Instant start{1h};

RouterOptions options(const std::vector<const char*>& more) {
  std::vector<const char*> words = {"natlab_router", "--inner",    "a:eth0",      "--outer",
                                    "sw:a",          "--external", "198.51.100.1"};
  words.insert(words.end(), more.begin(), more.end());
  auto parsed = parse_options(static_cast<int>(words.size()), words.data());
  EXPECT_TRUE(parsed.has_value());
  return parsed.value_or(RouterOptions{});
}

struct Box {
  explicit Box(std::vector<const char*> more) : router(preserving(std::move(more)), Rng(3)) {}

  static RouterConfig preserving(std::vector<const char*> more) {
    more.insert(more.end(), {"--ports", "preserving"});
    return options(more).router;
  }

  std::optional<std::string> next(Instant now) {
    const auto packet = router.poll_packet(now);
    if (!packet) return std::nullopt;
    expect_checksums_right(packet->packet);
    return from_to(packet->packet);
  }
  bool says(std::string_view text) {
    return router.counters_json().find(text) != std::string::npos;
  }
  Router router;
};

TEST(Router, holds_packets_for_the_delay_of_the_line_both_ways) {
  Box box({"--line", "delay-ms=10"});
  box.router.handle_packet(start, Side::inner, udp(host, server));
  EXPECT_EQ(box.router.poll_timeout(), start + 10ms);
  EXPECT_EQ(box.next(start + 9ms), std::nullopt);
  EXPECT_EQ(box.next(start + 10ms), "198.51.100.1:5000 > 203.0.113.1:4433");
  box.router.handle_packet(start + 10ms, Side::outer, udp(server, "198.51.100.1:5000"));
  EXPECT_EQ(box.next(start + 19ms), std::nullopt);
  EXPECT_EQ(box.next(start + 20ms), "203.0.113.1:4433 > 192.168.1.2:5000");
  EXPECT_EQ(box.router.poll_timeout(), never);
}

TEST(Router, translates_what_comes_in_when_it_has_crossed_the_line) {
  Box box({"--line", "delay-ms=10"});
  box.router.handle_packet(start, Side::outer, udp(server, "198.51.100.1:5000"));
  box.router.handle_packet(start + 5ms, Side::inner, udp(host, server));
  EXPECT_EQ(box.next(start + 10ms), "203.0.113.1:4433 > 192.168.1.2:5000");
}

TEST(Router, a_hairpinned_packet_sees_no_line) {
  Box box({"--line", "delay-ms=10", "--hairpin", "--filtering", "ei"});
  box.router.handle_packet(start, Side::inner, udp(host, server));
  box.router.handle_packet(start, Side::inner, udp("192.168.1.3:6000", "198.51.100.1:5000"));
  EXPECT_EQ(box.router.poll_timeout(), Instant{});
  EXPECT_EQ(box.next(start), "198.51.100.1:6000 > 192.168.1.2:5000");
}

TEST(Router, loses_about_what_it_is_told_and_in_bursts) {
  Box box({"--line-up", "loss=12", "--line-up", "burst=25"});
  constexpr int sent = 50'000;
  int bursts = 0;
  bool was_lost = false;
  for (int i = 0; i < sent; ++i) {
    box.router.handle_packet(start, Side::inner, udp(host, server));
    const auto packet = box.router.poll_packet(start);
    bursts += !packet && !was_lost;
    was_lost = !packet;
    if (packet) box.router.recycle(packet->packet);
  }
  // 240 bursts of 25 in the mean; three deviations of a sum of geometric ones are about 20 %.
  EXPECT_GT(bursts, 180);
  EXPECT_LT(bursts, 300);
}

TEST(Router, a_packet_above_the_mtu_and_a_queue_that_is_full_are_silence) {
  Box box({"--line-up", "mtu=200", "--line-up", "rate-kbit=80", "--line-up", "queue-kib=1"});
  box.router.handle_packet(start, Side::inner, udp(host, server, std::string(180, 'x')));
  EXPECT_TRUE(box.says(R"("too_big":1)"));
  for (int i = 0; i < 10; ++i)
    box.router.handle_packet(start, Side::inner, udp(host, server, std::string(172, 'x')));
  EXPECT_TRUE(box.says(R"("queue_full":5)"));
  // 200 bytes at 10 kB/s.
  EXPECT_EQ(box.router.poll_timeout(), start + 20ms);
}

TEST(Router, low_time_to_live_dies_on_the_line_but_counts_as_sent) {
  Box box({"--hops", "4"});
  box.router.handle_packet(start, Side::inner, udp(host, server, "x", 5));
  EXPECT_EQ(box.next(start), std::nullopt);
  EXPECT_TRUE(box.says(R"("died_on_line":1)"));
  EXPECT_TRUE(box.says(R"("203.0.113.1":{"packets_out":1,"bytes_out":29,)"));
  // It made the mapping, which is what an opener is for.
  box.router.handle_packet(start, Side::outer, udp(server, "198.51.100.1:5000", "y", 6));
  EXPECT_EQ(box.next(start), "203.0.113.1:4433 > 192.168.1.2:5000");
  box.router.handle_packet(start, Side::outer, udp(server, "198.51.100.1:5000", "y", 5));
  EXPECT_EQ(box.next(start), std::nullopt);
}

TEST(Router, counts_by_remote_what_came_and_what_passed) {
  Box box({});
  box.router.handle_packet(start, Side::inner, udp(host, server));
  box.router.handle_packet(start, Side::outer, udp(server, "198.51.100.1:5000"));
  box.router.handle_packet(start, Side::outer, udp("203.0.113.1:1", "198.51.100.1:5000"));
  while (box.next(start)) {
  }
  EXPECT_TRUE(
      box.says(R"("203.0.113.1":{"packets_out":1,"bytes_out":33,"packets_in":2,"bytes_in":66,)"
               R"("packets_passed_in":1,"bytes_passed_in":33,"largest_out":33})"));
}

TEST(Router, forwards_nothing_that_belongs_to_one_link) {
  Box box({});
  for (const char* to : {"224.0.0.251:5353", "255.255.255.255:67", "169.254.1.1:1", "0.0.0.0:1"})
    box.router.handle_packet(start, Side::inner, udp(host, to));
  EXPECT_EQ(box.next(start), std::nullopt);
  EXPECT_TRUE(box.says(R"("of_one_link":4)"));
  EXPECT_TRUE(box.says(R"("remotes":{}})"));
}

TEST(Router, counts_a_flood_of_remotes_in_bounded_memory) {
  Box box({});
  for (std::size_t i = 0; i < Router::remotes_max + 10; ++i) {
    const std::string flooder =
        "203.0." + std::to_string(i / 250) + "." + std::to_string(i % 250) + ":9";
    box.router.handle_packet(start, Side::outer, udp(flooder, "198.51.100.1:5000"));
  }
  EXPECT_TRUE(box.says(R"("0.0.0.0":{"packets_out":0,"bytes_out":0,"packets_in":10,)"));
}

TEST(Router, keeps_a_bounded_number_of_packets_in_its_lines) {
  Box box({"--line", "delay-ms=1000"});
  for (std::size_t i = 0; i < Router::waiting_max + 5; ++i)
    box.router.handle_packet(start, Side::inner, udp(host, server));
  EXPECT_TRUE(box.says(R"("waiting_overflow":5)"));
}

TEST(Control, obeys_and_refuses) {
  Box box({"--line", "delay-ms=10"});
  EXPECT_EQ(obey(box.router, start, "line both delay-ms=2.5 loss=5 burst=25"), R"({"ok":true})");
  EXPECT_EQ(box.router.up().delay, 2500us);
  EXPECT_EQ(box.router.down().loss.rate, (sim::Ratio{5000, 100'000}));
  EXPECT_EQ(obey(box.router, start, "line up delay-ms=7"), R"({"ok":true})");
  EXPECT_EQ(box.router.up().delay, 7ms);
  EXPECT_EQ(box.router.down().delay, 2500us);
  EXPECT_EQ(obey(box.router, start, "deny 203.0.113.1"), R"({"ok":true})");
  box.router.handle_packet(start, Side::inner, udp(host, server));
  EXPECT_TRUE(box.says(R"("denied":1)"));
  EXPECT_EQ(obey(box.router, start, "allow all"), R"({"ok":true})");
  EXPECT_EQ(obey(box.router, start, "rebind"), R"({"ok":true})");
  for (const char* bad :
       {"", "line", "line sideways delay-ms=1", "line up delay-ms", "line up colour=1",
        "line up loss=100", "line up delay-ms=-1", "deny", "deny nobody", "stop"})
    EXPECT_NE(obey(box.router, start, bad).find(R"("ok":false)"), std::string::npos) << bad;
  EXPECT_EQ(box.router.up().delay, 7ms);
}

TEST(Control, denies_a_bounded_number_of_addresses) {
  Box box({});
  for (std::size_t i = 0; i < Gateway::denied_max; ++i)
    EXPECT_EQ(obey(box.router, start, "deny 10.0.0." + std::to_string(i)), R"({"ok":true})");
  EXPECT_NE(obey(box.router, start, "deny 10.0.1.1"), R"({"ok":true})");
}

TEST(RouterOptions, says_every_behaviour_of_rfc_4787) {
  const RouterConfig config =
      options({"--mapping", "apd", "--filtering", "ad", "--ports", "sequential", "--port-delta",
               "3", "--lifetime", "30", "--hairpin", "--sloppy", "--block-udp", "--tcp-port", "443",
               "--inner-network", "192.168.1.0/24", "--hops", "4"})
          .router;
  EXPECT_EQ(config.gateway.udp.mapping, sim::NatDependence::address_and_port_dependent);
  EXPECT_EQ(config.gateway.udp.filtering, sim::NatDependence::address_dependent);
  EXPECT_EQ(config.gateway.udp.ports, sim::PortAllocation::sequential);
  EXPECT_EQ(config.gateway.udp.port_delta, 3);
  EXPECT_EQ(config.gateway.udp.lifetime, 30s);
  EXPECT_EQ(config.gateway.udp.hairpin, sim::Hairpin::on);
  EXPECT_TRUE(config.gateway.sloppy);
  EXPECT_TRUE(config.gateway.blocks_udp);
  EXPECT_EQ(config.gateway.tcp_ports, std::vector<std::uint16_t>{443});
  EXPECT_TRUE(config.gateway.inner);
  EXPECT_EQ(config.hops, 4U);
}

TEST(RouterOptions, refuses_what_means_nothing) {
  const auto refused = [](std::initializer_list<const char*> more, const char* inner = "a:eth0") {
    std::vector<const char*> words = {"natlab_router", "--inner", inner, "--outer", "sw:a"};
    words.insert(words.end(), more);
    return !parse_options(static_cast<int>(words.size()), words.data()).has_value();
  };
  EXPECT_FALSE(refused({}));
  EXPECT_TRUE(refused({"--mapping", "cone"}));
  EXPECT_TRUE(refused({"--external", "::1"}));
  EXPECT_TRUE(refused({"--external", "198.51.100.1", "--port-delta", "0"}));
  EXPECT_TRUE(refused({"--inner-network", "192.168.1.0"}));
  EXPECT_TRUE(refused({"--line", "loss=5x"}));
  EXPECT_TRUE(refused({"--line", "burst=0.5"}));
  EXPECT_TRUE(refused({}, "nocolon"));
}

}  // namespace
}  // namespace quicmesh::natlab
