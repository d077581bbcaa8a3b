// Two nodes behind NATs that have a relay in common, for tests.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "sim/mesh_node.hpp"

namespace quicmesh::sim {

inline constexpr NatConfig full_cone{.filtering = NatDependence::endpoint_independent};
inline constexpr NatConfig restricted_cone{.filtering = NatDependence::address_dependent};
inline constexpr NatConfig port_restricted{};
inline constexpr NatConfig symmetric{.mapping = NatDependence::address_and_port_dependent};

inline constexpr NatConfig sequential{.mapping = NatDependence::address_and_port_dependent,
                                      .ports = PortAllocation::sequential};

inline LinkConfig traversal_link(Duration one_way) {
  LinkConfig link;
  link.delay = one_way;
  link.bits_per_s = 100'000'000;
  return link;
}

// 20 ms from each home to the internet's middle, where the relay is: 40 ms between the two, by the
// relay and directly.
struct TraversalWorld {
  TraversalWorld(std::uint64_t seed, std::optional<NatConfig> left, std::optional<NatConfig> right)
      : simulation({.seed = seed, .replay = "traversal"}) {
    relay.emplace(simulation, place_relay());
    a.emplace(simulation, place("a", "203.0.113.1", left, 10ms));
    b.emplace(simulation, place("b", "203.0.113.2", right, 10ms));
    relay->serve_as_relay();
    relay->serve_stun();
    for (auto* node : {&relay, &a, &b})
      (*node)->announce();
    for (auto* node : {&a, &b}) {
      (*node)->use_relay(*relay);
      (*node)->listen([this](Instant now, const NodeEvent& event) {
        if (std::holds_alternative<RelayUp>(event)) ++relays_up;
        if (const auto* moved = std::get_if<PeerPathChanged>(&event)) {
          if (moved->from_relay && !moved->to_relay) direct_at = now;
        }
        if (const auto* failed = std::get_if<PeerUnreachable>(&event)) {
          unreachable = failed->error;
        }
        if (std::holds_alternative<PeerDisconnected>(event)) ++disconnected;
      });
    }
  }

  HostId place_relay() {
    const HostId host = place("relay", "192.0.2.1", std::nullopt, 0ms);
    const LinkConfig link = traversal_link(0ms);
    EXPECT_TRUE(simulation.network().add_interface(
        host, {"second", internet, IpAddress::parse("192.0.2.2").value(), {link, link}}));
    return host;
  }

  HostId place(const std::string& name, const char* address, std::optional<NatConfig> behaviour,
               Duration one_way) {
    Network& network = simulation.network();
    const HostId host = network.add_host(name).value();
    RealmId realm = internet;
    IpAddress ip = IpAddress::parse(address).value();
    if (behaviour) {
      const NatPlacement placement{name + " NAT",
                                   internet,
                                   {ip},
                                   *behaviour,
                                   {traversal_link(one_way), traversal_link(one_way)}};
      const NatId nat = network.add_nat(placement).value();
      realm = network.inside(nat);
      ip = IpAddress::v4({192, 168, 1, 2});
      one_way = 100us;
    }
    EXPECT_TRUE(network.add_interface(
        host, {"if", realm, ip, {traversal_link(one_way), traversal_link(one_way)}}));
    return host;
  }

  bool dial(PathPolicy policy = PathPolicy::any) {
    if (!simulation.run_until([&] { return relays_up >= 2; }, simulation.elapsed() + 5s)) {
      return false;
    }
    dialled_at = simulation.now();
    const auto started = a->command([&](NodeCore& core, Instant now) {
      return core.connect(now, b->id(), std::span<const NetworkPath>{}, policy);
    });
    EXPECT_TRUE(started) << started.error().message();
    return bool(simulation.run_until([&] { return connected(); }, simulation.elapsed() + 5s));
  }

  [[nodiscard]] bool connected() const {
    return a->core().connectivity().connected(b->id()) &&
           b->core().connectivity().connected(a->id());
  }
  [[nodiscard]] bool relayed() const {
    return is_relayed(*a->core().connectivity().current_path(b->id()));
  }

  Simulation simulation;
  std::optional<MeshNode> relay;
  std::optional<MeshNode> a;
  std::optional<MeshNode> b;
  int relays_up = 0;
  int disconnected = 0;  // of either end, from anybody
  Instant dialled_at{};
  std::optional<Instant> direct_at;
  std::error_code unreachable;
};

}  // namespace quicmesh::sim
