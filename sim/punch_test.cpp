// The puncher between the emulated NATs of the packet simulator, for the pairs that plain
// connectivity checks do not pass: N1, N2, N4, N5 of the goals, S1.38, THREATS TQ10.
#include <gtest/gtest.h>

#include <cstdio>

#include "nat/nat_errc.hpp"
#include "sim/punch_world.hpp"

namespace quicmesh::sim {
namespace {

constexpr NatConfig port_restricted{};
constexpr NatConfig sequential{.mapping = NatDependence::address_and_port_dependent,
                               .ports = PortAllocation::sequential};
constexpr NatConfig sequential_by_7{.mapping = NatDependence::address_and_port_dependent,
                                    .ports = PortAllocation::sequential,
                                    .port_delta = 7};
constexpr NatConfig sequential_by_address{.mapping = NatDependence::address_dependent,
                                          .ports = PortAllocation::sequential};
constexpr NatConfig preserving{.mapping = NatDependence::address_and_port_dependent,
                               .ports = PortAllocation::preserving};
constexpr NatConfig random_ports{.mapping = NatDependence::address_and_port_dependent};
constexpr NatConfig random_by_address{.mapping = NatDependence::address_dependent};

constexpr std::size_t relay_bytes_max = 4000;  // N5

struct Tally {
  unsigned runs = 0;
  unsigned direct = 0;
  std::vector<Duration> times;  // until both ends have proved the path
  std::vector<unsigned> probes;
  std::size_t most_relay_bytes = 0;
  int most_sockets = 0;

  [[nodiscard]] Duration time_at(std::size_t percent) const {
    std::vector<Duration> sorted = times;
    std::ranges::sort(sorted);
    return sorted.empty() ? 0s : sorted[std::min(sorted.size() * percent / 100, sorted.size() - 1)];
  }
};

// Runs the pair both ways round with `seeds` seeds and prints a line.
Tally run_pair(std::string_view name, PunchWorldConfig config, unsigned seeds) {
  Tally tally;
  for (unsigned seed = 1; seed <= seeds; ++seed) {
    config.seed = seed;
    std::swap(config.left, config.right);
    PunchWorld world(config);
    EXPECT_TRUE(world.punch()) << name << " seed " << seed << ": " << world.trouble;
    ++tally.runs;
    if (world.direct()) {
      ++tally.direct;
      tally.times.push_back(world.took);
      tally.probes.push_back(world.probes());
    }
    for (const PunchWorld::End& end : world.ends) {
      // What is left open is the adopted one.
      EXPECT_EQ(end.open_sockets, end.ended && end.ended->adopted ? 1 : 0) << "seed " << seed;
      tally.most_sockets = std::max(tally.most_sockets, end.most_sockets);
    }
    tally.most_relay_bytes = std::max(tally.most_relay_bytes, world.relay_bytes());
  }
  std::vector<unsigned> probes = tally.probes;
  std::ranges::sort(probes);
  const auto ms = [](Duration time) { return static_cast<double>(time.count()) / 1e6; };
  std::printf(
      "%-44.*s %u/%u direct, ms %4.0f median %5.0f p95 %5.0f worst, %u probes (median), "
      "%zu relay bytes (most)\n",
      static_cast<int>(name.size()), name.data(), tally.direct, tally.runs, ms(tally.time_at(50)),
      ms(tally.time_at(95)), ms(tally.time_at(100)), probes.empty() ? 0 : probes[probes.size() / 2],
      tally.most_relay_bytes);
  EXPECT_LE(tally.most_relay_bytes, relay_bytes_max) << name;
  return tally;
}

const Loss no_loss{};
const Loss five_percent = Loss::independent({5, 100});

// S1.38: also the one pair that plain checks would do; here it must not get worse.
TEST(Punch, synchronised_opens_two_port_restricted_nats) {
  for (const Loss& loss : {no_loss, five_percent}) {
    const Tally tally =
        run_pair("port-restricted twice",
                 {.left = port_restricted, .right = port_restricted, .loss = loss}, 20);
    EXPECT_EQ(tally.direct, tally.runs);
    EXPECT_LE(tally.time_at(50), 110ms);
  }
}

// Neither end's ordinary probe may meet the other's NAT before that one has sent its own: a sloppy
// gateway would then send ours from another port.
TEST(Punch, synchronised_probes_cross) {
  PunchWorld world({.seed = 1, .left = port_restricted, .right = port_restricted});
  ASSERT_TRUE(world.punch());
  const PunchNode& left = world.ends[0].core->core();
  const PunchNode& right = world.ends[1].core->core();
  ASSERT_TRUE(left.first_sent() && right.first_sent());
  EXPECT_LT(*left.first_sent(), *right.first_arrived() + PunchWorld::one_way);
  EXPECT_LT(*right.first_sent(), *left.first_sent() + PunchWorld::one_way);
  EXPECT_LT(*left.first_sent(), *right.first_sent() + PunchWorld::one_way);
}

// N1: port-restricted x symmetric with ports in a row.
TEST(Punch, predicts_the_port_of_one_side) {
  for (const Loss& loss : {no_loss, five_percent}) {
    for (const auto& [name, nat] :
         {std::pair{"port-restricted x sequential", sequential},
          std::pair{"port-restricted x sequential by 7", sequential_by_7},
          std::pair{"port-restricted x sequential by address", sequential_by_address},
          std::pair{"port-restricted x preserving", preserving}}) {
      const Tally tally = run_pair(name, {.left = port_restricted, .right = nat, .loss = loss}, 20);
      EXPECT_EQ(tally.direct, tally.runs);
      EXPECT_LE(tally.time_at(50), loss == no_loss ? 150ms : 400ms);
      EXPECT_LE(tally.most_sockets, 2);
    }
  }
}

// Other machines of the home take ports in between: 20, and 100 new mappings a second.
TEST(Punch, predicts_the_port_of_one_side_while_others_take_ports) {
  for (const Duration neighbours : {50ms, 10ms}) {
    for (const Loss& loss : {no_loss, five_percent}) {
      const Tally tally = run_pair(
          "port-restricted x sequential, busy",
          {.left = port_restricted, .right = sequential, .loss = loss, .neighbours = neighbours},
          20);
      EXPECT_EQ(tally.direct, tally.runs);
    }
  }
}

// N1: symmetric x symmetric, both with ports in a row.
TEST(Punch, predicts_the_ports_of_both_sides) {
  for (const Loss& loss : {no_loss, five_percent}) {
    for (const auto& [name, left, right] :
         {std::tuple{"sequential twice", sequential, sequential},
          std::tuple{"sequential x sequential by 7", sequential, sequential_by_7},
          std::tuple{"sequential x by address", sequential, sequential_by_address},
          std::tuple{"sequential x preserving", sequential, preserving},
          std::tuple{"preserving twice", preserving, preserving}}) {
      const Tally tally = run_pair(name, {.left = left, .right = right, .loss = loss}, 20);
      EXPECT_EQ(tally.direct, tally.runs);
      EXPECT_LE(tally.time_at(50), loss == no_loss ? 170ms : 400ms);
    }
  }
}

// Up to 20 new mappings a second on both sides: one or two of each before the punch.
TEST(Punch, predicts_the_ports_of_both_sides_while_others_take_ports) {
  for (const Duration neighbours : {200ms, 50ms}) {
    for (const auto& [name, left, right] :
         {std::tuple{"sequential twice, busy", sequential, sequential},
          std::tuple{"sequential x by address, busy", sequential, sequential_by_address}}) {
      const Tally tally =
          run_pair(name, {.left = left, .right = right, .neighbours = neighbours}, 60);
      EXPECT_GE(tally.direct * 100, tally.runs * 95);
    }
  }
}

// A NAT that seemed to count its ports, and does not.
TEST(Punch, guesses_when_prediction_was_in_vain) {
  for (unsigned seed = 1; seed <= 10; ++seed) {
    PunchWorld world({.seed = seed,
                      .left = port_restricted,
                      .right = random_ports,
                      .right_believed = sequential});
    EXPECT_TRUE(world.punch());
    EXPECT_TRUE(world.direct()) << seed;
    for (const PunchWorld::End& end : world.ends) {
      EXPECT_EQ((*end.plan)->technique, PunchTechnique::predict);
      EXPECT_EQ(end.ended->technique, PunchTechnique::birthday);
      EXPECT_EQ(end.open_sockets, end.ended->adopted ? 1 : 0);
    }
    EXPECT_LE(world.relay_bytes(), relay_bytes_max);
    EXPECT_LE(world.took, 4s);
  }
}

// N1, N4: port-restricted x symmetric with random ports; p95 <= 3 s at 40 ms.
TEST(Punch, guesses_random_ports) {
  for (const Loss& loss : {no_loss, five_percent}) {
    for (const auto& [name, nat] :
         {std::pair{"port-restricted x random", random_ports},
          std::pair{"port-restricted x random by address", random_by_address}}) {
      const Tally tally =
          run_pair(name, {.left = port_restricted, .right = nat, .loss = loss}, 100);
      EXPECT_GE(tally.direct * 100, tally.runs * 99);
      EXPECT_LE(tally.time_at(95), 3s);
      EXPECT_EQ(tally.most_sockets, static_cast<int>(birthday_sockets));
      EXPECT_LE(std::ranges::max(tally.probes), 2 * birthday_packets_max);
    }
  }
}

TEST(Punch, does_not_begin_where_there_is_no_way) {
  for (const auto& [left, right] :
       {std::pair{random_ports, random_ports}, std::pair{random_ports, sequential},
        std::pair{random_by_address, random_ports}}) {
    PunchWorld world({.seed = 1, .left = left, .right = right});
    EXPECT_FALSE(world.punch(2s));
    for (const PunchWorld::End& end : world.ends) {
      ASSERT_TRUE(end.plan && *end.plan);
      EXPECT_EQ((*end.plan)->technique, PunchTechnique::relay);
      EXPECT_EQ((*end.plan)->reason, PunchReason::both_dependent);
      EXPECT_EQ(end.most_sockets, 0);
      EXPECT_EQ(end.relay_bytes, 0u);
      EXPECT_EQ(end.core->core().puncher().counters().probes, 0u);
      EXPECT_EQ(end.core->core().puncher().poll_timeout(), never);
    }
  }
}

// THREATS TQ10: nobody attests the addresses; each gets ten packets, whatever the technique wants.
TEST(Punch, gives_an_address_that_nobody_attests_ten_packets) {
  for (const NatConfig& nat : {sequential, random_ports, port_restricted}) {
    PunchWorld world({.seed = 1, .left = port_restricted, .right = nat, .attested = false});
    world.deliver_says = true;
    // The line is cut behind the NATs, so that nobody ever answers.
    Network& network = world.simulation.network();
    ASSERT_TRUE(network.set_path(network.attachment_of(*network.find_nat("left NAT")),
                                 network.attachment_of(*network.find_nat("right NAT")), {}, {}));
    const auto links = *network.path_links(network.attachment_of(*network.find_nat("left NAT")),
                                           network.attachment_of(*network.find_nat("right NAT")));
    network.set_link_state(links.up, LinkState::blackhole);
    network.set_link_state(links.down, LinkState::blackhole);
    EXPECT_TRUE(world.punch(40s));
    for (const LinkId link : {links.up, links.down}) {
      const LinkCounters& counters = network.link(link).counters();
      EXPECT_LE(counters.accepted + counters.dropped_for(LinkDrop::blackhole),
                StrangerAllowance::packets_max);
    }
    for (const PunchWorld::End& end : world.ends) {
      ASSERT_TRUE(end.ended);
      EXPECT_NE(end.ended->outcome, PunchOutcome::direct);
    }
  }
}

// The same with attested addresses: a birthday's bounds, and then 30 s of nothing.
TEST(Punch, gives_an_address_that_never_answers_one_birthday) {
  PunchWorld world({.seed = 1, .left = port_restricted, .right = random_ports});
  Network& network = world.simulation.network();
  const AttachmentId left = network.attachment_of(*network.find_nat("left NAT"));
  const AttachmentId right = network.attachment_of(*network.find_nat("right NAT"));
  ASSERT_TRUE(network.set_path(left, right, {}, {}));
  const auto links = *network.path_links(left, right);
  network.set_link_state(links.up, LinkState::blackhole);
  network.set_link_state(links.down, LinkState::blackhole);
  EXPECT_TRUE(world.punch());
  const auto sent = [&](LinkId link) {
    return network.link(link).counters().dropped_for(LinkDrop::blackhole);
  };
  EXPECT_EQ(sent(links.up), birthday_packets_max);
  EXPECT_GE(sent(links.down), birthday_sockets);
  EXPECT_LE(sent(links.down), birthday_packets_max);
  EXPECT_GE(world.took, birthday_guessing_time);  // 512/s
  for (std::size_t i = 0; i < 2; ++i) {
    const auto& ended = world.ends[i].ended;
    ASSERT_TRUE(ended);
    EXPECT_NE(ended->outcome, PunchOutcome::direct);
    EXPECT_GE(ended->back_off, 15s);
    world.ends[i].plan.reset();
    world.start(i);
    ASSERT_FALSE(*world.ends[i].plan);
    EXPECT_EQ(world.ends[i].plan->error(), NatErrc::punch_too_soon);
  }
}

TEST(Punch, runs_replay) {
  const auto run = [] {
    PunchWorld world(
        {.seed = 9, .left = port_restricted, .right = random_ports, .loss = five_percent});
    EXPECT_TRUE(world.punch());
    return std::pair(world.took, world.probes());
  };
  EXPECT_EQ(run(), run());
}

}  // namespace
}  // namespace quicmesh::sim
