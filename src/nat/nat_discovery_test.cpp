// NAT discovery against a scripted network: what the emulated NATs of sim/nat_discovery_test.cpp
// do not do.
#include "nat/nat_discovery.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "base/core.hpp"
#include "crypto/seeded_rng.hpp"
#include "nat/nat_discovery_lifetime.hpp"
#include "nat/nat_errc.hpp"
#include "stun/stun_writer.hpp"

namespace quicmesh {
namespace {

static_assert(DatagramCore<NatDiscovery> && DatagramCore<NatLifetime>);

SocketAddress endpoint(std::string_view text) {
  return SocketAddress::parse(text).value();
}

const SocketAddress server = endpoint("5.5.5.1:3478");
const SocketAddress other = endpoint("5.5.5.2:3479");
constexpr Instant t0{100s};

// A network that answers each request after 20 ms as `script` says.
class Script {
 public:
  struct Packet {
    NetworkPath path;
    StunMessage message;
  };
  struct Reply {
    SocketAddress from;
    SocketAddress mapped;
    std::optional<SocketAddress> other{};
    unsigned error = 0;
  };

  std::function<std::optional<Reply>(const Packet&)> answer;
  std::function<void(const AskStandIn&)> on_ask = [](const AskStandIn&) {};
  std::function<void(const OpenSocket&)> on_open = [this](const OpenSocket& open) {
    const auto number = static_cast<std::uint16_t>(open.id);
    discovery.handle_socket_opened(now, open.id, SocketId{number}, local(number));
  };

  static SocketAddress local(std::uint16_t number) {
    return {endpoint("192.168.1.10:1").ip, static_cast<std::uint16_t>(40'000 + number)};
  }

  // Until the result is there and all sockets are given back.
  NatDiscovered run(NatDiscoveryConfig config = {.servers = {{server}}}) {
    EXPECT_TRUE(discovery.start(now, config));
    while (!result) {
      drain();
      Instant next = discovery.poll_timeout();
      if (!wire_.empty()) next = std::min(next, wire_.begin()->first);
      if (result || next == never) break;
      EXPECT_GE(next, now);
      now = next;
      deliver();
      discovery.handle_timeout(now);
    }
    EXPECT_TRUE(result);
    EXPECT_FALSE(discovery.is_running());
    EXPECT_EQ(discovery.poll_timeout(), never);
    return result.value_or(NatDiscovered{});
  }

  Instant now = t0;
  SeededRng rng{1};
  NatDiscovery discovery{rng};
  std::optional<NatDiscovered> result;
  std::map<SocketAddress, unsigned> sent_to;
  std::size_t opened = 0;
  std::size_t closed = 0;

 private:
  void drain() {
    std::array<std::uint8_t, 2048> buffer{};
    for (int round = 0; round < 20; ++round) {
      while (const auto sent = discovery.poll_transmit(now, buffer)) {
        ++sent_to[sent->path.remote];
        const auto message = StunMessage::parse(ByteView(buffer).first(sent->size));
        const auto reply = answer({sent->path, *message});
        if (reply) post(sent->path, *message, *reply);
      }
      while (const auto event = discovery.poll_event()) {
        if (const auto* open = std::get_if<OpenSocket>(&*event)) {
          ++opened;
          on_open(*open);
        } else if (std::holds_alternative<CloseSocket>(*event)) {
          ++closed;
        } else if (const auto* ask = std::get_if<AskStandIn>(&*event)) {
          on_ask(*ask);
        } else {
          result = std::get<NatDiscovered>(*event);
        }
      }
    }
  }

  void post(const NetworkPath& path, const StunMessage& request, const Reply& reply) {
    std::array<std::uint8_t, 256> buffer{};
    StunWriter writer(buffer, reply.error == 0 ? StunClass::success : StunClass::error,
                      StunMethod::binding, request.transaction_id());
    if (reply.error != 0) writer.add_error_code(reply.error, {});
    if (reply.error == 0) writer.add_xor_address(StunAttribute::xor_mapped_address, reply.mapped);
    if (reply.other) writer.add_address(StunAttribute::other_address, *reply.other);
    NetworkPath back = path;
    back.remote = reply.from;
    wire_.emplace(now + 20ms, std::pair(back, to_bytes(writer.written())));
  }

  void deliver() {
    while (!wire_.empty() && wire_.begin()->first <= now) {
      auto [path, bytes] = std::move(wire_.begin()->second);
      wire_.erase(wire_.begin());
      EXPECT_TRUE(discovery.handle_datagram(now, path, Ecn::not_ect, bytes));
    }
  }

  std::multimap<Instant, std::pair<NetworkPath, Bytes>> wire_;
};

// The external endpoint of a NAT that maps each socket to a port of its own.
SocketAddress mapped_cone(const Script::Packet& packet) {
  return {endpoint("6.6.6.6:1").ip,
          static_cast<std::uint16_t>(20'000 + 13 * static_cast<unsigned>(packet.path.socket))};
}

TEST(NatDiscovery, wants_between_one_and_eight_servers_of_its_family) {
  SeededRng rng(1);
  NatDiscovery discovery(rng);
  EXPECT_EQ(discovery.start(t0, {}).error(), NatErrc::no_servers);
  EXPECT_EQ(discovery.start(t0, {.family = IpFamily::v6, .servers = {{server}}}).error(),
            NatErrc::no_servers);
  NatDiscoveryConfig many;
  many.servers.resize(9, {server});
  EXPECT_EQ(discovery.start(t0, many).error(), NatErrc::too_many_servers);
  EXPECT_EQ(discovery.poll_timeout(), never);
}

// A server that says it has a second address, and then answers from the first.
TEST(NatDiscovery, a_server_that_ignores_change_requests_tells_no_filtering) {
  for (const unsigned error : {0u, 420u}) {
    Script script;
    script.answer = [&](const Script::Packet& packet) -> std::optional<Script::Reply> {
      const bool change = packet.message.has(StunAttribute::change_request);
      return Script::Reply{packet.path.remote, mapped_cone(packet), other, change ? error : 0};
    };
    const NatDiscovered found = script.run();
    EXPECT_EQ(found.profile.mapping, NatBehaviour::endpoint_independent);
    EXPECT_EQ(found.profile.filtering, NatBehaviour::unknown);
    EXPECT_EQ(script.opened, script.closed);
  }
}

// Nothing ever comes from the other address but direct answers: behind endpoint-independent mapping
// the control shows that the server does not do as asked.
TEST(NatDiscovery, a_server_that_swallows_change_requests_tells_no_filtering) {
  Script script;
  script.answer = [&](const Script::Packet& packet) -> std::optional<Script::Reply> {
    if (packet.message.has(StunAttribute::change_request)) return std::nullopt;
    return Script::Reply{packet.path.remote, mapped_cone(packet), other};
  };
  const NatDiscovered found = script.run();
  EXPECT_EQ(found.profile.filtering, NatBehaviour::unknown);
  EXPECT_EQ(found.evidence.heard_stranger, Finding::no);
  EXPECT_EQ(found.evidence.stranger_verified, Finding::no);
}

// THREATS TQ10: a server's OTHER-ADDRESS is somebody whom it wants to hurt.
TEST(NatDiscovery, a_named_victim_gets_ten_packets_at_most) {
  Script script;
  script.answer = [&](const Script::Packet& packet) -> std::optional<Script::Reply> {
    if (packet.path.remote.ip == other.ip) return std::nullopt;
    return Script::Reply{packet.path.remote, mapped_cone(packet), other};
  };
  (void)script.run();
  unsigned sent = 0;
  for (const auto& [address, count] : script.sent_to)
    sent += address.ip == other.ip ? count : 0;
  EXPECT_GT(sent, 0u);
  EXPECT_LE(sent, 10u);
}

// The same by the mapped address: the hairpin test would send there.
TEST(NatDiscovery, a_victim_named_as_our_outside_gets_ten_packets_at_most) {
  for (const char* outside : {"9.9.9.9:53", "5.5.5.2:53", "192.168.1.1:80", "127.0.0.1:53"}) {
    const SocketAddress victim = endpoint(outside);
    Script script;
    script.answer = [&](const Script::Packet& packet) -> std::optional<Script::Reply> {
      if (packet.path.remote != server) return std::nullopt;
      return Script::Reply{server, victim, other};
    };
    (void)script.run();
    unsigned sent = 0;
    for (const auto& [address, count] : script.sent_to)
      sent += address.ip == victim.ip ? count : 0;
    EXPECT_LE(sent, 10u) << outside;
    EXPECT_TRUE(sent == 0 || victim.ip.scope() == server.ip.scope()) << outside;
  }
}

TEST(NatDiscovery, a_server_cannot_point_into_our_own_network) {
  for (const char* named : {"192.168.1.1:80", "127.0.0.1:80", "169.254.169.254:80", "0.0.0.0:1",
                            "224.0.0.1:5", "5.5.5.1:99", "5.5.5.2:3478", "5.5.5.2:0", "[::1]:9"}) {
    Script script;
    script.answer = [&](const Script::Packet& packet) -> std::optional<Script::Reply> {
      return Script::Reply{packet.path.remote, mapped_cone(packet), endpoint(named)};
    };
    (void)script.run();
    for (const auto& [address, count] : script.sent_to) {
      EXPECT_TRUE(address == server || address.ip == endpoint("6.6.6.6:1").ip)
          << address.to_string();
    }
  }
}

TEST(NatDiscovery, without_sockets_it_ends_and_knows_nothing) {
  Script script;
  script.answer = [](const Script::Packet&) { return std::nullopt; };
  script.on_open = [&](const OpenSocket& open) {
    script.discovery.handle_socket_failed(script.now, open.id);
  };
  const NatDiscovered found = script.run();
  EXPECT_EQ(found.profile, NatProfile{});
  EXPECT_EQ(script.closed, 0u);
  // One that comes too late is given back.
  script.discovery.handle_socket_opened(script.now, SocketRequestId{0}, SocketId{7}, {});
  const auto event = script.discovery.poll_event();
  ASSERT_TRUE(event);
  EXPECT_EQ(std::get<CloseSocket>(*event).socket, SocketId{7});
}

TEST(NatDiscovery, without_port_sockets_the_rest_is_still_found) {
  Script script;
  script.answer = [&](const Script::Packet& packet) -> std::optional<Script::Reply> {
    return Script::Reply{packet.path.remote, mapped_cone(packet), other};
  };
  const auto open_socket = script.on_open;
  script.on_open = [&](const OpenSocket& open) {
    if (static_cast<unsigned>(open.id) < 2) return open_socket(open);
    script.discovery.handle_socket_failed(script.now, open.id);
  };
  const NatDiscovered found = script.run();
  EXPECT_EQ(found.profile.mapping, NatBehaviour::endpoint_independent);
  EXPECT_EQ(found.profile.port_allocation, PortAllocation::unknown);
  EXPECT_EQ(found.profile.hairpin, Finding::unknown);
}

TEST(NatDiscovery, at_the_deadline_it_says_what_it_knows) {
  Script script;
  script.answer = [&](const Script::Packet& packet) -> std::optional<Script::Reply> {
    if (packet.message.has(StunAttribute::change_request)) return std::nullopt;
    return Script::Reply{packet.path.remote, mapped_cone(packet), other};
  };
  const NatDiscovered found = script.run({.servers = {{server}}, .deadline = 100ms});
  EXPECT_TRUE(found.evidence.deadline_reached);
  EXPECT_EQ(script.now, t0 + 100ms);
  EXPECT_EQ(found.profile.mapping, NatBehaviour::endpoint_independent);
  EXPECT_EQ(found.profile.filtering, NatBehaviour::unknown);
  EXPECT_EQ(found.evidence.heard_stranger, Finding::unknown);
}

TEST(NatDiscovery, two_external_addresses_are_a_pool_and_a_carriers) {
  Script script;
  script.answer = [&](const Script::Packet& packet) -> std::optional<Script::Reply> {
    SocketAddress mapped = mapped_cone(packet);
    if (packet.path.socket == SocketId{4}) mapped.ip = endpoint("6.6.6.7:1").ip;
    return Script::Reply{packet.path.remote, mapped};
  };
  const NatProfile profile = script.run().profile;
  EXPECT_EQ(profile.pooled, Finding::yes);
  EXPECT_EQ(profile.cgnat, Finding::yes);
}

TEST(NatDiscovery, an_address_of_the_shared_space_is_a_carriers) {
  Script script;
  script.answer = [&](const Script::Packet& packet) -> std::optional<Script::Reply> {
    return Script::Reply{packet.path.remote, {endpoint("100.70.0.1:1").ip, 999}};
  };
  EXPECT_EQ(script.run().profile.cgnat, Finding::yes);
}

TEST(NatDiscovery, tells_how_ipv6_reaches_the_internet) {
  const SocketAddress v6_server = endpoint("[2a00::1]:3478");
  const SocketAddress own = endpoint("[2a01::5]:1");
  const auto run = [&](const IpAddress& seen, bool answers) {
    Script script;
    script.answer = [&](const Script::Packet& packet) -> std::optional<Script::Reply> {
      if (!answers) return std::nullopt;
      const auto port =
          static_cast<std::uint16_t>(40'000 + static_cast<unsigned>(packet.path.socket));
      return Script::Reply{packet.path.remote, {seen, port}};
    };
    script.on_open = [&](const OpenSocket& open) {
      const auto number = static_cast<std::uint16_t>(open.id);
      EXPECT_EQ(open.family, IpFamily::v6);
      script.discovery.handle_socket_opened(
          script.now, open.id, SocketId{number},
          {IpAddress::any(IpFamily::v6), static_cast<std::uint16_t>(40'000 + number)});
    };
    return script
        .run({.family = IpFamily::v6, .servers = {{v6_server}}, .local_addresses = {own.ip}})
        .profile.ipv6;
  };
  EXPECT_EQ(run(own.ip, true), Ipv6State::direct);
  EXPECT_EQ(run(endpoint("[2a02::5]:1").ip, true), Ipv6State::translated);
  EXPECT_EQ(run(own.ip, false), Ipv6State::absent);
}

TEST(NatDiscovery, a_stand_in_that_refuses_proves_nothing) {
  const SocketAddress node = endpoint("5.5.7.7:4433");
  Script script;
  script.answer = [&](const Script::Packet& packet) -> std::optional<Script::Reply> {
    return Script::Reply{packet.path.remote, mapped_cone(packet)};
  };
  unsigned asked = 0;
  script.on_ask = [&](const AskStandIn& ask) {
    ++asked;
    EXPECT_EQ(ask.server, node);
    script.discovery.handle_stand_in_answer(script.now,
                                            {ask.request.id, StandInVerdict::refused_rate});
  };
  const NatDiscovered found = script.run({.servers = {{server}, {node, true}}});
  EXPECT_EQ(asked, 2 * StandInTest::asks_max);
  EXPECT_EQ(found.profile.filtering, NatBehaviour::unknown);
  EXPECT_EQ(found.evidence.heard_stranger, Finding::unknown);
}

TEST(NatDiscovery, a_stand_ins_packet_counts_from_its_address_alone) {
  const SocketAddress node = endpoint("5.5.7.7:4433");
  for (const SocketAddress& from : {node, endpoint("5.5.7.7:9999"), server}) {
    Script script;
    script.answer = [&](const Script::Packet& packet) -> std::optional<Script::Reply> {
      return Script::Reply{packet.path.remote, mapped_cone(packet)};
    };
    script.on_ask = [&](const AskStandIn& ask) {
      NatDiscovery& discovery = script.discovery;
      discovery.handle_stand_in_answer(script.now, {ask.request.id, StandInVerdict::sent});
      for (const std::uint16_t socket : {std::uint16_t{0}, std::uint16_t{1}}) {
        const StandInPacket packet = make_stand_in_packet(ask.request.id);
        (void)discovery.handle_datagram(script.now, {SocketId{socket}, {}, from}, Ecn::not_ect,
                                        packet);
      }
    };
    const NatDiscovered found = script.run({.servers = {{server}, {node, true}}});
    EXPECT_EQ(found.profile.filtering,
              from.ip == node.ip ? NatBehaviour::endpoint_independent : NatBehaviour::unknown);
  }
}

TEST(NatLifetime, gives_back_what_it_got_when_a_socket_cannot_be_had) {
  SeededRng rng(1);
  NatLifetime lifetime(rng);
  lifetime.start(server);
  std::size_t opened = 0;
  while (const auto event = lifetime.poll_event())
    opened += std::holds_alternative<OpenSocket>(*event);
  EXPECT_EQ(opened, NatLifetime::sockets_max);
  lifetime.handle_socket_opened(t0, SocketRequestId{0}, SocketId{5}, Script::local(0));
  lifetime.handle_socket_failed(t0, SocketRequestId{1});
  lifetime.handle_socket_opened(t0, SocketRequestId{2}, SocketId{6}, Script::local(2));
  std::vector<SocketId> closed;
  std::optional<NatLifetimeMeasured> result;
  while (const auto event = lifetime.poll_event()) {
    if (const auto* close = std::get_if<CloseSocket>(&*event)) closed.push_back(close->socket);
    if (const auto* measured = std::get_if<NatLifetimeMeasured>(&*event)) result = *measured;
  }
  EXPECT_EQ(closed, (std::vector{SocketId{5}, SocketId{6}}));
  ASSERT_TRUE(result);
  EXPECT_FALSE(result->survived);
  EXPECT_EQ(lifetime.poll_timeout(), never);
}

TEST(NatDiscovery, datagrams_of_other_sockets_are_left_to_others) {
  Script script;
  script.answer = [](const Script::Packet&) { return std::nullopt; };
  ASSERT_TRUE(script.discovery.start(t0, {.servers = {{server}}}));
  EXPECT_FALSE(script.discovery.handle_datagram(t0, {SocketId{99}, {}, server}, Ecn::not_ect, {}));
}

}  // namespace
}  // namespace quicmesh
