#include "sim/simulation.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "sim/packet_bench.hpp"
#include "sim/request_core.hpp"
#include "sim/sim_errc.hpp"

namespace quicmesh::sim {
namespace {

IpAddress ip(std::string_view text) {
  return IpAddress::parse(text).value();
}

// Two hosts, a server and a client, on lines with every fault of E7.
class RequestWorld {
 public:
  explicit RequestWorld(std::uint64_t seed, const LinkConfig& line = faulty_line(),
                        std::uint32_t requests = 200)
      : simulation({.seed = seed, .replay = "quicmesh sim toy --seed " + std::to_string(seed)}) {
    Network& network = simulation.network();
    server_host = network.add_host("server").value();
    client_host = network.add_host("client").value();
    add_interface(server_host, "192.0.2.1", line);
    client_interface = add_interface(client_host, "192.0.2.2", line);
    const SocketId server_socket = simulation.host(server_host).open_socket({{}, 7}).value();
    server.emplace(simulation.run(
        server_host, std::make_unique<RequestCore>(RequestCoreConfig{.socket = server_socket},
                                                   simulation.rng("server core"))));
    const SocketId client_socket = simulation.host(client_host).open_socket({}).value();
    RequestCoreConfig config{
        .socket = client_socket, .server = SocketAddress{ip("192.0.2.1"), 7}, .requests = requests};
    client.emplace(simulation.run(
        client_host, std::make_unique<RequestCore>(config, simulation.rng("client core")),
        [this](Instant, const RequestAnswered& event) { answered.push_back(event.number); }));
    client->command([](RequestCore& core, Instant now) { core.begin(now); });
  }

  static LinkConfig faulty_line() {
    return {.delay = 10ms,
            .jitter = 2ms,
            .bits_per_s = 20'000'000,
            .loss = {.rate = {10, 100}, .mean_burst = {3, 1}},
            .reorder = {5, 100},
            .duplicate = {5, 100},
            .bit_flip = {1, 100}};
  }

  RunResult run() {
    return simulation.run_until([this] { return client->core().is_done(); }, 300s);
  }

  Simulation simulation;
  HostId server_host{};
  HostId client_host{};
  InterfaceId client_interface{};
  std::optional<CoreHandle<RequestCore>> server;
  std::optional<CoreHandle<RequestCore>> client;
  std::vector<std::uint32_t> answered;

 private:
  InterfaceId add_interface(HostId host, std::string_view address, const LinkConfig& line) {
    return simulation.network()
        .add_interface(host, {.name = "if", .address = ip(address), .access = {line, line}})
        .value();
  }
};

TEST(Simulation, carries_a_retransmitting_core_over_lossy_lines) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    RequestWorld world(seed);
    const RunResult result = world.run();
    ASSERT_TRUE(result) << result.message;
    EXPECT_EQ(world.answered.size(), 200u);
    EXPECT_GT(world.simulation.network().counters().dropped_for(DropCause::loss), 0u);
    EXPECT_GT(world.client->core().damaged() + world.server->core().damaged(), 0u)
        << "bit flips reach the core";
  }
}

TEST(Simulation, replays_to_the_same_trace_hash_from_the_same_seed_only) {
  auto hash = [](std::uint64_t seed) {
    // Other allocations in between move every address; no decision may depend on them.
    static std::vector<std::unique_ptr<char[]>> ballast;
    ballast.push_back(std::make_unique<char[]>(1000 + 777 * ballast.size()));
    RequestWorld world(seed);
    EXPECT_TRUE(world.run());
    return std::pair(world.simulation.trace().hash(), world.simulation.trace().records());
  };
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    EXPECT_EQ(hash(seed), hash(seed));
    EXPECT_NE(hash(seed), hash(seed + 1));
  }
}

// M3: the same in debug and release, with g++ and clang, on this and the next machine.
TEST(Simulation, has_this_very_trace_for_seed_one) {
  RequestWorld world(1);
  EXPECT_TRUE(world.run());
  EXPECT_EQ(world.simulation.trace().hash_text(), "aa7f66dea6f5b691");
}

TEST(Simulation, draws_of_one_host_do_not_depend_on_another_host) {
  RequestWorld plain(5);
  RequestWorld crowded(5);
  const HostId idle = crowded.simulation.network().add_host("idle").value();
  (void)crowded.simulation.network()
      .add_interface(idle, {.name = "if", .address = ip("192.0.2.99")})
      .value();
  EXPECT_TRUE(plain.run());
  EXPECT_TRUE(crowded.run());
  EXPECT_EQ(plain.simulation.trace().hash(), crowded.simulation.trace().hash());
}

TEST(Simulation, a_failed_invariant_names_itself_the_time_and_the_replay_command) {
  RequestWorld world(3);
  world.simulation.add_invariant("at most ten answers", [&]() -> std::optional<std::string> {
    if (world.answered.size() <= 10) return std::nullopt;
    return std::to_string(world.answered.size()) + " answers";
  });
  const RunResult result = world.run();
  EXPECT_EQ(result.end, RunEnd::invariant);
  EXPECT_NE(result.message.find("invariant \"at most ten answers\" failed: "), std::string::npos)
      << result.message;
  EXPECT_NE(result.message.find("seed 3"), std::string::npos);
  EXPECT_NE(result.message.find("replay: quicmesh sim toy --seed 3"), std::string::npos);
}

TEST(Simulation, checks_invariants_at_the_end_of_a_run_too) {
  Simulation simulation({.invariant_interval = 1'000'000});
  bool broken = false;
  simulation.add_invariant("whole", [&]() -> std::optional<std::string> {
    return broken ? std::optional<std::string>("broken") : std::nullopt;
  });
  simulation.after(1s, [&] { broken = true; });
  EXPECT_EQ(simulation.run_for(2s).end, RunEnd::invariant);
}

TEST(Simulation, stops_when_the_event_budget_is_spent) {
  Simulation simulation({.event_budget = 500});
  std::function<void()> again = [&] { simulation.after(1ms, again); };
  again();
  const RunResult result = simulation.run_until(1h);
  EXPECT_EQ(result.end, RunEnd::budget);
  EXPECT_EQ(simulation.events(), 500u);
}

TEST(Simulation, tells_idle_from_deadline_and_reached) {
  Simulation simulation({});
  int count = 0;
  simulation.after(1s, [&] { ++count; });
  simulation.after(3s, [&] { ++count; });
  EXPECT_EQ(simulation.run_until([&] { return count == 1; }, 10s).end, RunEnd::reached);
  EXPECT_EQ(simulation.elapsed(), 1s);
  EXPECT_EQ(simulation.run_until([&] { return count == 2; }, 2s).end, RunEnd::deadline);
  EXPECT_EQ(simulation.elapsed(), 2s);
  EXPECT_EQ(simulation.run_until([&] { return count == 3; }, 10s).end, RunEnd::idle);
  EXPECT_TRUE(simulation.run_until(20s)) << "to a time is always reached";
  EXPECT_EQ(simulation.elapsed(), 20s);
}

TEST(Simulation, runs_actions_of_one_instant_in_the_order_planned) {
  Simulation simulation({});
  std::string order;
  simulation.at(1s, [&] { order += "a"; });
  simulation.at(1s, [&] {
    order += "b";
    simulation.after(0s, [&] { order += "d"; });
  });
  simulation.at(1s, [&] { order += "c"; });
  EXPECT_TRUE(simulation.run_until(1s));
  EXPECT_EQ(order, "abcd");
}

TEST(Simulation, reports_interface_changes_to_the_hosts_listener) {
  RequestWorld world(1);
  std::vector<InterfaceId> changes;
  world.simulation.on_interface_change(world.client_host,
                                       [&](InterfaceId id) { changes.push_back(id); });
  Network& network = world.simulation.network();
  world.simulation.at(1s, [&] {
    network.set_interface_state(world.client_interface, InterfaceState::down);
    network.set_interface_state(world.client_interface, InterfaceState::down);  // no change
  });
  EXPECT_TRUE(world.simulation.run_until(2s));
  EXPECT_EQ(changes, std::vector{world.client_interface});
}

TEST(Simulation, outlives_a_blackhole_in_the_middle_of_the_run) {
  RequestWorld world(9, {.delay = 10ms}, 500);
  Network& network = world.simulation.network();
  const auto links = network.access_links(network.attachment_of(world.client_interface));
  world.simulation.at(1s, [&] { network.set_link_state(links.up, LinkState::blackhole); });
  EXPECT_TRUE(world.simulation.run_until(2s));
  const auto during = world.answered.size();
  EXPECT_TRUE(world.simulation.run_until(4s));
  EXPECT_EQ(world.answered.size(), during);
  network.heal();
  EXPECT_TRUE(world.run());
  EXPECT_EQ(world.answered.size(), 500u);
}

TEST(Host, a_stopped_host_is_silent_and_may_start_again) {
  RequestWorld world(2, {.delay = 10ms}, 300);
  Simulation& simulation = world.simulation;
  EXPECT_TRUE(simulation.run_until(1s));
  Host& server = simulation.host(world.server_host);
  server.stop();
  EXPECT_TRUE(simulation.run_until(2s));
  const auto during = world.answered.size();
  EXPECT_LT(during, 300u);
  EXPECT_GT(simulation.network().counters().dropped_for(DropCause::no_program), 0u);
  const SocketId socket = server.open_socket({{}, 7}).value();
  world.server.emplace(simulation.run(
      world.server_host, std::make_unique<RequestCore>(RequestCoreConfig{.socket = socket},
                                                       simulation.rng("server again"))));
  EXPECT_TRUE(world.run());
  EXPECT_EQ(world.answered.size(), 300u);
}

TEST(Host, binds_sockets_as_a_real_one_does) {
  Simulation simulation({});
  const HostId id = simulation.network().add_host("a").value();
  (void)simulation.network().add_interface(id, {.name = "if", .address = ip("192.0.2.1")}).value();
  Host& host = simulation.host(id);
  const SocketId any = host.open_socket({{}, 7}).value();
  EXPECT_EQ(host.open_socket({{}, 7}).error(), SimErrc::port_in_use);
  EXPECT_TRUE(host.open_socket({ip("192.0.2.1"), 7})) << "a bound address beside any";
  EXPECT_EQ(host.open_socket({ip("192.0.2.2"), 7}).error(), SimErrc::address_not_local);
  const SocketId free = host.open_socket({}).value();
  EXPECT_GE(host.socket_address(free)->port, 49'152);
  host.close_socket(any);
  EXPECT_EQ(host.socket_address(any), std::nullopt);
  EXPECT_TRUE(host.open_socket({{}, 7}));
  for (std::size_t i = 3; i < Host::sockets_max; ++i)
    ASSERT_TRUE(host.open_socket({})) << i;
  EXPECT_EQ(host.open_socket({}).error(), SimErrc::too_many_sockets);
}

// A core that does one thing for its test: it sends a train, hears, or never lets time pass.
class ScriptCore {
 public:
  std::optional<Transmit> train;
  bool train_for_ever = false;
  Instant deadline = never;
  std::vector<std::pair<NetworkPath, Bytes>> heard;
  std::vector<Ecn> marks;
  int timeouts = 0;

  void handle_datagram(Instant, const NetworkPath& path, Ecn ecn, MutableByteView datagram) {
    heard.emplace_back(path, to_bytes(datagram));
    marks.push_back(ecn);
  }
  void handle_timeout(Instant) { ++timeouts; }
  std::optional<Transmit> poll_transmit(Instant, MutableByteView buffer) {
    if (!train) return std::nullopt;
    for (std::size_t i = 0; i < train->size; ++i)
      buffer[i] = static_cast<std::uint8_t>(i);
    const auto out = *train;
    if (!train_for_ever) train.reset();
    return out;
  }
  std::optional<int> poll_event() { return std::nullopt; }
  Instant poll_timeout() { return deadline; }
};

struct ScriptPair {
  ScriptPair() {
    for (int i = 1; i <= 2; ++i) {
      const HostId id = simulation.network().add_host("h" + std::to_string(i)).value();
      for (const char* net : {"192.0.2.", "198.51.100."}) {
        (void)simulation.network()
            .add_interface(id, {.name = net, .address = ip(net + std::to_string(i))})
            .value();
      }
      sockets.push_back(simulation.host(id).open_socket({{}, 7}).value());
      cores.push_back(simulation.run(id, std::make_unique<ScriptCore>()));
    }
  }
  Simulation simulation{{}};
  std::vector<SocketId> sockets;
  std::vector<CoreHandle<ScriptCore>> cores;
};

TEST(Host, splits_a_train_and_leaves_from_the_address_the_path_names) {
  ScriptPair pair;
  const NetworkPath path{pair.sockets[0], ip("198.51.100.1"), {ip("192.0.2.2"), 7}};
  pair.cores[0].command([&](ScriptCore& core, Instant) {
    core.train = {.path = path, .size = 25, .segment_size = 10, .ecn = Ecn::ect0};
  });
  EXPECT_TRUE(pair.simulation.run_for(1s));
  const auto& heard = pair.cores[1].core().heard;
  ASSERT_EQ(heard.size(), 3u);
  EXPECT_EQ(heard[0].second.size(), 10u);
  EXPECT_EQ(heard[1].second.front(), 10);
  EXPECT_EQ(heard[2].second.size(), 5u);
  EXPECT_EQ(heard[0].first.local, ip("192.0.2.2")) << "IP_PKTINFO";
  EXPECT_EQ(heard[0].first.remote, (SocketAddress{ip("198.51.100.1"), 7}));
  EXPECT_EQ(pair.cores[1].core().marks.front(), Ecn::ect0);
}

TEST(Host, ends_the_run_when_a_core_keeps_time_from_passing) {
  ScriptPair pair;
  pair.cores[0].command([](ScriptCore& core, Instant now) { core.deadline = now; });
  const RunResult result = pair.simulation.run_for(1s);
  EXPECT_EQ(result.end, RunEnd::failed);
  EXPECT_NE(result.message.find("host h1 has a deadline"), std::string::npos) << result.message;
}

TEST(Host, ends_the_run_when_a_core_transmits_without_end) {
  ScriptPair pair;
  pair.cores[1].command([&](ScriptCore& core, Instant) {
    core.train = {.path = {pair.sockets[1], {}, {ip("9.9.9.9"), 1}}, .size = 1, .segment_size = 1};
    core.train_for_ever = true;
  });
  EXPECT_EQ(pair.simulation.run_for(1s).end, RunEnd::failed);
}

TEST(Host, heeds_a_deadline_that_moves_both_ways) {
  ScriptPair pair;
  const auto& node = pair.cores[0];
  auto set = [&](Duration from_now) {
    node.command([&](ScriptCore& core, Instant now) { core.deadline = now + from_now; });
  };
  set(10s);
  set(5s);  // earlier
  set(8s);  // later again
  EXPECT_TRUE(pair.simulation.run_until(7s));
  EXPECT_EQ(node.core().timeouts, 0);
  pair.simulation.after(1s,
                        [&] { node.command([](ScriptCore& c, Instant) { c.deadline = never; }); });
  EXPECT_TRUE(pair.simulation.run_until(8s));
  EXPECT_EQ(node.core().timeouts, 1);
  EXPECT_TRUE(pair.simulation.run_until(20s));
  EXPECT_EQ(node.core().timeouts, 1);
}

TEST(Host, plans_no_wake_up_for_a_deadline_that_only_moves_away) {
  ScriptPair pair;
  for (int i = 1; i <= 100; ++i) {
    pair.cores[0].command(
        [&](ScriptCore& core, Instant now) { core.deadline = now + Duration{1s} * i; });
  }
  EXPECT_TRUE(pair.simulation.run_until(99s));
  EXPECT_EQ(pair.cores[0].core().timeouts, 0);
  EXPECT_EQ(pair.simulation.events(), 1u) << "the first one, which planned the last";
}

TEST(PacketBench, answers_every_request_and_repeats) {
  double fake_seconds = 0;
  auto clock = [&] { return fake_seconds += 1; };
  const PacketBenchOptions options{.pairs = 10, .datagrams = 2'000};
  const auto first = bench_packets(clock, options);
  EXPECT_TRUE(first.ok);
  EXPECT_EQ(first.delivered, 2'000u);
  EXPECT_EQ(first.trace_hash, bench_packets(clock, options).trace_hash);
}

}  // namespace
}  // namespace quicmesh::sim
