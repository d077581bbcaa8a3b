// Two nodes with two paths between them, for tests of moving between paths.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "sim/mesh_node.hpp"

namespace quicmesh::sim {

inline LinkConfig link_of(Duration one_way, std::uint64_t megabits) {
  LinkConfig link;
  link.delay = one_way;
  link.bits_per_s = megabits * 1'000'000;
  return link;
}

// Two hosts with two interfaces each: a relay-like path of 40 ms and a direct one of 6 ms.
struct TwoPaths {
  explicit TwoPaths(std::uint64_t seed) : simulation({.seed = seed, .replay = "TwoPaths"}) {
    Network& network = simulation.network();
    for (const char* name : {"dialler", "acceptor"}) {
      const HostId host = network.add_host(name).value();
      const std::uint8_t last = hosts.empty() ? 1 : 2;
      slow.push_back(
          network.add_interface(host, {"slow", internet, IpAddress::v4({192, 0, 2, last}), {}})
              .value());
      fast.push_back(
          network.add_interface(host, {"fast", internet, IpAddress::v4({198, 51, 100, last}), {}})
              .value());
      hosts.push_back(host);
    }
    const auto set = [&](const std::vector<InterfaceId>& pair, const LinkConfig& link) {
      (void)network.set_path(network.attachment_of(pair[0]), network.attachment_of(pair[1]), link,
                             link);
    };
    set(slow, link_of(20ms, 100));
    set(fast, link_of(3ms, 300));
    dialler.emplace(simulation, hosts[0]);
    acceptor.emplace(simulation, hosts[1]);
    for (auto* node : {&dialler, &acceptor})
      (*node)->command([](NodeCore& core, Instant) { core.connectivity().choose_paths(false); });
  }

  [[nodiscard]] NetworkPath slow_path() const {
    return dialler->path(slow[0], acceptor->address(slow[1]));
  }
  [[nodiscard]] NetworkPath fast_path() const {
    return dialler->path(fast[0], acceptor->address(fast[1]));
  }
  [[nodiscard]] NetworkPath fast_path_seen_by_acceptor() const {
    return acceptor->path(fast[1], dialler->address(fast[0]));
  }
  bool connect(const std::vector<NetworkPath>& paths) {
    const auto started = dialler->command(
        [&](NodeCore& core, Instant now) { return core.connect(now, acceptor->id(), paths); });
    EXPECT_TRUE(started);
    const auto both = [&] {
      return dialler->core().connectivity().connected(acceptor->id()) &&
             acceptor->core().connectivity().connected(dialler->id());
    };
    return bool(simulation.run_until(both, simulation.elapsed() + 5s));
  }

  [[nodiscard]] Network::Links links(const std::vector<InterfaceId>& pair) {
    const Network& network = simulation.network();
    return *network.path_links(network.attachment_of(pair[0]), network.attachment_of(pair[1]));
  }

  Simulation simulation;
  std::vector<HostId> hosts;
  std::vector<InterfaceId> slow;
  std::vector<InterfaceId> fast;
  std::optional<MeshNode> dialler;
  std::optional<MeshNode> acceptor;
};

}  // namespace quicmesh::sim
