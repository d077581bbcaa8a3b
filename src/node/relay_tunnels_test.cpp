#include "node/relay_tunnels.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "base/tunnel_path.hpp"

namespace quicmesh {
namespace {

const Instant start{100s};

NodeId node(std::uint8_t byte) {
  NodeId id;
  id.bytes.fill(byte);
  return id;
}

SocketAddress at(std::uint8_t last, std::uint16_t port) {
  return {IpAddress::v4({203, 0, 113, last}), port};
}

RelayHint hint(std::uint8_t relay, std::size_t addresses = 1) {
  RelayHint hint{node(relay), {}};
  for (std::size_t i = 0; i < addresses; ++i)
    hint.addresses.push_back(at(static_cast<std::uint8_t>(10 * relay + i), 4433));
  return hint;
}

NetworkPath tunnel(std::uint8_t relay, std::uint16_t number = 0) {
  const auto id = static_cast<std::uint16_t>(std::to_underlying(first_tunnel_socket) + number);
  return {SocketId{id}, IpAddress::v4({192, 168, 1, 2}),
          at(static_cast<std::uint8_t>(10 * relay), 443)};
}

NetworkPath udp(std::uint8_t relay) {
  return {SocketId{0}, {}, at(static_cast<std::uint8_t>(10 * relay), 4433)};
}

/// The tunnels under test, and the driver's side of them.
struct Fixture {
  RelayTunnels tunnels{Rng(1)};
  Instant now = start;

  void wait(Duration time) {
    now += time;
    tunnels.handle_timeout(now);
  }
  std::vector<TunnelRequest> requests() {
    std::vector<TunnelRequest> out;
    while (auto request = tunnels.poll_request())
      out.push_back(*request);
    return out;
  }
  /// The one request there is, for a tunnel.
  std::optional<OpenTunnel> opening() {
    const auto all = requests();
    if (all.size() != 1 || !std::holds_alternative<OpenTunnel>(all[0])) return std::nullopt;
    return std::get<OpenTunnel>(all[0]);
  }
  void open(std::uint8_t relay, std::uint16_t number = 0) {
    const auto request = opening();
    ASSERT_TRUE(request.has_value());
    EXPECT_EQ(tunnels.handle_opened(now, request->id, tunnel(relay, number)), node(relay));
  }
  /// `relay` serves over a tunnel.
  void serve_by_tunnel(std::uint8_t relay) {
    tunnels.seek(now, hint(relay));
    wait(RelayTunnels::patience);
    open(relay);
    tunnels.serves(now, node(relay), tunnel(relay));
  }
};

TEST(RelayTunnels, tunnel_is_asked_for_when_a_relay_does_not_serve_within_a_second) {
  Fixture f;
  f.tunnels.seek(f.now, hint(1));
  EXPECT_EQ(f.tunnels.poll_timeout(), start + RelayTunnels::patience);
  f.wait(999ms);
  EXPECT_TRUE(f.requests().empty());
  f.wait(1ms);
  const auto request = f.opening();
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(request->remote, at(10, 443));
  EXPECT_EQ(f.tunnels.poll_timeout(), never);
}

TEST(RelayTunnels, relay_that_answers_over_udp_gets_no_tunnel) {
  Fixture f;
  f.tunnels.seek(f.now, hint(1));
  f.wait(100ms);
  f.tunnels.serves(f.now, node(1), udp(1));
  f.wait(10s);
  EXPECT_TRUE(f.requests().empty());
  EXPECT_FALSE(f.tunnels.serves_by_tunnel(node(1)));
}

TEST(RelayTunnels, udp_that_comes_late_ends_the_attempt) {
  Fixture f;
  f.tunnels.seek(f.now, hint(1));
  f.wait(1s);
  const auto request = f.opening();
  ASSERT_TRUE(request.has_value());
  f.tunnels.serves(f.now, node(1), udp(1));
  auto requests = f.requests();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(std::get<GiveUpTunnel>(requests[0]).id, request->id);
  // The driver had opened it by then.
  EXPECT_EQ(f.tunnels.handle_opened(f.now, request->id, tunnel(1)), std::nullopt);
  requests = f.requests();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(std::get<CloseTunnel>(requests[0]).socket, tunnel(1).socket);
}

TEST(RelayTunnels, nobody_waits_where_udp_is_known_to_be_blocked) {
  Fixture f;
  f.tunnels.set_udp_blocked(true);
  f.tunnels.seek(f.now, hint(1));
  f.wait(0s);
  EXPECT_TRUE(f.opening().has_value());
}

TEST(RelayTunnels, second_relay_is_reached_at_once_if_the_first_needed_a_tunnel) {
  Fixture f;
  f.serve_by_tunnel(1);
  f.tunnels.seek(f.now, hint(2));
  f.wait(0s);
  EXPECT_TRUE(f.opening().has_value());
  // And not if some relay answers over UDP.
  f.tunnels.serves(f.now, node(2), udp(2));
  (void)f.requests();
  f.tunnels.seek(f.now, hint(3));
  f.wait(0s);
  EXPECT_FALSE(f.opening().has_value());
}

TEST(RelayTunnels, addresses_are_tried_in_turn_and_each_once) {
  Fixture f;
  f.tunnels.seek(f.now, hint(1, 3));
  f.wait(1s);
  auto request = f.opening();
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(request->remote, at(10, 443));
  f.tunnels.handle_failed(f.now, request->id, std::make_error_code(std::errc::connection_refused));
  request = f.opening();
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(request->remote, at(11, 443));
  // The second says nothing.
  f.wait(RelayTunnels::attempt_patience);
  auto requests = f.requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(std::get<GiveUpTunnel>(requests[0]).id, request->id);
  EXPECT_EQ(std::get<OpenTunnel>(requests[1]).remote, at(12, 443));
  const auto last = std::get<OpenTunnel>(requests[1]).id;
  f.tunnels.handle_failed(f.now, last, std::make_error_code(std::errc::connection_refused));
  f.wait(1h);
  EXPECT_TRUE(f.requests().empty());
  ASSERT_TRUE(f.tunnels.last_attempt(node(1)).has_value());
  EXPECT_EQ(f.tunnels.last_attempt(node(1))->remote, at(12, 443));
  EXPECT_EQ(f.tunnels.last_attempt(node(1))->error, std::errc::connection_refused);
}

TEST(RelayTunnels, relay_without_a_tls_port_is_left_alone) {
  Fixture f;
  RelayHint without = hint(1);
  without.tls_port = 0;
  f.tunnels.set_udp_blocked(true);
  f.tunnels.seek(f.now, without);
  f.wait(1h);
  EXPECT_TRUE(f.requests().empty());
}

TEST(RelayTunnels, tunnel_is_closed_soon_after_udp_has_taken_over) {
  Fixture f;
  f.serve_by_tunnel(1);
  EXPECT_TRUE(f.tunnels.serves_by_tunnel(node(1)));
  f.wait(1h);
  EXPECT_TRUE(f.requests().empty());
  f.tunnels.serves(f.now, node(1), udp(1));
  f.wait(RelayTunnels::linger - 1ms);
  EXPECT_TRUE(f.requests().empty());
  f.wait(1ms);
  const auto requests = f.requests();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(std::get<CloseTunnel>(requests[0]).socket, tunnel(1).socket);
}

TEST(RelayTunnels, tunnel_in_use_that_ends_is_opened_anew_with_back_off) {
  Fixture f;
  f.serve_by_tunnel(1);
  f.wait(60s);
  const auto lost = std::make_error_code(std::errc::connection_reset);
  EXPECT_EQ(f.tunnels.handle_closed(f.now, tunnel(1), lost), node(1));
  f.wait(0s);
  f.open(1, 1);
  // It ends again at once, and again.
  f.tunnels.serves(f.now, node(1), tunnel(1, 1));
  EXPECT_EQ(f.tunnels.handle_closed(f.now, tunnel(1, 1), lost), node(1));
  f.wait(RelayTunnels::retry_first * 4 / 5 - 1ms);
  EXPECT_TRUE(f.requests().empty());
  f.wait(RelayTunnels::retry_first * 2 / 5 + 1ms);
  f.open(1, 2);
  f.tunnels.serves(f.now, node(1), tunnel(1, 2));
  EXPECT_EQ(f.tunnels.handle_closed(f.now, tunnel(1, 2), lost), node(1));
  EXPECT_GE(f.tunnels.poll_timeout(), f.now + RelayTunnels::retry_first * 8 / 5);
  EXPECT_LE(f.tunnels.poll_timeout(), f.now + RelayTunnels::retry_first * 12 / 5);
}

TEST(RelayTunnels, tunnel_that_ends_after_udp_took_over_is_not_missed) {
  Fixture f;
  f.serve_by_tunnel(1);
  f.tunnels.serves(f.now, node(1), udp(1));
  EXPECT_EQ(f.tunnels.handle_closed(f.now, tunnel(1), {}), node(1));
  f.wait(1h);
  EXPECT_TRUE(f.requests().empty());
  EXPECT_EQ(f.tunnels.handle_closed(f.now, tunnel(1), {}), std::nullopt);
}

TEST(RelayTunnels, new_tunnel_to_a_lost_relay_replaces_the_old_one) {
  Fixture f;
  f.serve_by_tunnel(1);
  f.tunnels.lost(node(1));
  f.tunnels.seek(f.now, hint(1));
  f.wait(1s);
  f.open(1, 1);
  const auto requests = f.requests();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(std::get<CloseTunnel>(requests[0]).socket, tunnel(1).socket);
}

TEST(RelayTunnels, tunnel_is_opened_at_once_when_udp_seems_to_have_stopped) {
  Fixture f;
  f.tunnels.seek(f.now, hint(1));
  f.tunnels.serves(f.now, node(1), udp(1));
  f.wait(1h);
  f.tunnels.doubt(f.now, hint(1));
  f.wait(0s);
  f.open(1);
  f.tunnels.doubt(f.now, hint(1));
  f.wait(5s);
  EXPECT_TRUE(f.requests().empty()) << "one is enough";
  f.tunnels.moved(f.now, node(1), tunnel(1));
  f.wait(1h);
  EXPECT_TRUE(f.requests().empty()) << "it is in use";
  f.tunnels.doubt(f.now, hint(1));
  f.wait(1h);
  EXPECT_TRUE(f.requests().empty()) << "another would lose what waits in this one";
}

TEST(RelayTunnels, tunnel_opened_in_doubt_is_given_back_if_udp_goes_on) {
  Fixture f;
  f.tunnels.seek(f.now, hint(1));
  f.tunnels.serves(f.now, node(1), udp(1));
  f.tunnels.doubt(f.now, hint(1));
  f.wait(0s);
  f.open(1);
  f.wait(RelayTunnels::unused_max);
  const auto requests = f.requests();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(std::get<CloseTunnel>(requests[0]).socket, tunnel(1).socket);
}

TEST(RelayTunnels, tunnel_goes_with_the_connection) {
  Fixture f;
  f.serve_by_tunnel(1);
  f.tunnels.disconnected(node(1));
  const auto requests = f.requests();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(std::get<CloseTunnel>(requests[0]).socket, tunnel(1).socket);
}

TEST(RelayTunnels, relay_that_nobody_wants_is_not_tried) {
  Fixture f;
  f.tunnels.seek(f.now, hint(1));
  f.tunnels.stop(node(1));
  f.wait(1h);
  EXPECT_TRUE(f.requests().empty());
}

TEST(RelayTunnels, relays_that_come_and_go_are_not_remembered_for_ever) {
  Fixture f;
  for (std::uint8_t i = 1; i <= 200; ++i) {
    f.tunnels.seek(f.now, hint(i));
    f.tunnels.stop(node(i));
    EXPECT_LE(f.tunnels.count(), 32u);
  }
}

}  // namespace
}  // namespace quicmesh
