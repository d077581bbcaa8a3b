// The rules of the peer-level simulator, with a core that only writes down what it is told.
#include "sim/peer_fabric.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <string>

namespace quicmesh::sim {
namespace {

struct Note {
  Instant at;
  std::string what;  // "up", "down", "unreachable", "path", "tiers", "got"
  PeerHandle peer = no_peer;
  std::int64_t value = 0;  // of a message; the RTT in us; the number of tiers
};

struct ToyMessage {
  std::int64_t value = 0;
  bool wants_answer = false;
};

std::size_t wire_size(const ToyMessage&) {
  return 40;
}

class ToyCore {
 public:
  using Message = ToyMessage;
  using Event = Note;
  using Output = peer::Output<Message>;

  void handle(Instant now, peer::Input<Message> input) {
    std::visit([&](auto& what) { on(now, what); }, input);
  }
  void handle_timeout(Instant now) {
    events_.push_back({now, "timeout", no_peer, 0});
    deadline_ = next_deadline_;
    next_deadline_ = never;
  }
  std::optional<Output> poll_output() {
    if (outputs_.empty()) return std::nullopt;
    Output out = outputs_.front();
    outputs_.pop_front();
    return out;
  }
  std::optional<Event> poll_event() {
    if (events_.empty()) return std::nullopt;
    Note out = events_.front();
    events_.pop_front();
    return out;
  }
  [[nodiscard]] Instant poll_timeout() const { return deadline_; }

  void open(PeerHandle peer) { outputs_.emplace_back(peer::Open{peer}); }
  void close(PeerHandle peer) { outputs_.emplace_back(peer::Close{peer}); }
  void send(PeerHandle peer, std::int64_t value) {
    outputs_.emplace_back(peer::Send<Message>{peer, {value, false}});
  }
  // Asks over whatever it takes: an open connection, or a new one.
  void ask(PeerHandle peer, std::int64_t value) {
    wanted_.push_back({peer, value});
    open(peer);
  }
  void set_deadline(Instant at, Instant then = never) {
    deadline_ = at;
    next_deadline_ = then;
  }

 private:
  void on(Instant now, const peer::Up& up) {
    events_.push_back({now, "up", up.peer, up.rtt / 1us});
    for (const auto& [peer, value] : std::exchange(wanted_, {}))
      outputs_.emplace_back(peer::Send<Message>{peer, {value, true}});
  }
  void on(Instant now, const peer::Down& down) { events_.push_back({now, "down", down.peer, 0}); }
  void on(Instant now, const peer::Unreachable& what) {
    events_.push_back({now, "unreachable", what.peer, 0});
  }
  void on(Instant now, const peer::PathChanged& what) {
    events_.push_back({now, "path", what.peer, what.rtt / 1us});
  }
  void on(Instant now, const peer::Regrouped& what) {
    events_.push_back({now, "regrouped", what.peer, 0});
  }
  void on(Instant now, const peer::TiersChanged& what) {
    events_.push_back({now, "tiers", no_peer, what.tiers.count});
  }
  void on(Instant now, const peer::Received<Message>& what) {
    events_.push_back({now, "got", what.from, what.message.value});
    if (what.message.wants_answer) send(what.from, -what.message.value);
  }

  std::deque<Output> outputs_;
  std::deque<Note> events_;
  std::vector<std::pair<PeerHandle, std::int64_t>> wanted_;
  Instant deadline_ = never;
  Instant next_deadline_ = never;
};
static_assert(PeerCore<ToyCore>);

constexpr NatClass open_class{};
constexpr NatClass cone{false, true, true, true};
constexpr NatClass random_symmetric{false, false, true, false};

class PeerFabricTest : public testing::Test {
 protected:
  using Fabric = PeerFabric<ToyCore>;

  // Two sites, 100 ms apart and 10 ms within.
  static LatencyModel two_sites() { return LatencyModel::from_text("10 100\n100 10").value(); }

  void make(const PeerFabricConfig& config, std::uint32_t count, const NatClass& nat = open_class) {
    fabric.emplace(config, two_sites(),
                   [this](PeerHandle at, Note note) { notes.emplace_back(at, std::move(note)); });
    for (std::uint32_t i = 0; i < count; ++i) {
      fabric->network().add(PeerHandle{i}, {static_cast<std::uint16_t>(i % 2), 0}, nat);
      fabric->start_core(PeerHandle{i}, std::make_unique<ToyCore>());
    }
  }

  void ask(PeerHandle from, PeerHandle to, std::int64_t value) {
    fabric->command(from, [&](ToyCore& core, Instant) { core.ask(to, value); });
  }
  void open(PeerHandle from, PeerHandle to) {
    fabric->command(from, [&](ToyCore& core, Instant) { core.open(to); });
  }
  void send(PeerHandle from, PeerHandle to, std::int64_t value) {
    fabric->command(from, [&](ToyCore& core, Instant) { core.send(to, value); });
  }
  void close(PeerHandle from, PeerHandle to) {
    fabric->command(from, [&](ToyCore& core, Instant) { core.close(to); });
  }

  // The notes of one kind at `peer`, in the order in which they were made.
  std::vector<Note> at(PeerHandle peer, const std::string& what) const {
    std::vector<Note> out;
    for (const auto& [node, note] : notes)
      if (node == peer && note.what == what) out.push_back(note);
    return out;
  }

  std::optional<Fabric> fabric;
  std::vector<std::pair<PeerHandle, Note>> notes;
};

constexpr PeerHandle a{0};
constexpr PeerHandle b{1};

TEST_F(PeerFabricTest, a_connection_costs_one_round_trip_once_and_again_after_it_was_closed) {
  make({}, 2);
  const Duration rtt = fabric->network().rtt(a, b);
  const Instant begin = fabric->now();
  ask(a, b, 1);
  fabric->run_for(1s);
  ASSERT_EQ(at(a, "got").size(), 1U);
  EXPECT_EQ(at(b, "up").at(0).at, begin + rtt * 3 / 2);
  EXPECT_EQ(at(a, "up").at(0).at, begin + rtt);
  EXPECT_EQ(at(a, "got").at(0).at, begin + 2 * rtt);
  EXPECT_EQ(fabric->counters().handshakes, 1U);

  const Instant warm = fabric->now();
  send(a, b, 2);
  fabric->run_for(1s);
  EXPECT_EQ(at(b, "got").at(1).at, warm + rtt / 2);
  open(a, b);  // it stands
  fabric->run_for(1s);
  EXPECT_EQ(fabric->counters().handshakes, 1U);

  close(a, b);
  fabric->run_for(1s);
  EXPECT_EQ(at(a, "down").size(), 1U);
  EXPECT_EQ(at(b, "down").size(), 1U);
  const Instant cold = fabric->now();
  ask(a, b, 3);
  fabric->run_for(1s);
  EXPECT_EQ(at(a, "got").at(1).at, cold + 2 * rtt);
  EXPECT_EQ(fabric->counters().handshakes, 2U);
  EXPECT_EQ(fabric->counters().connections, 2U);
  EXPECT_EQ(fabric->counters().handshake_bytes, 2 * PeerNetwork::handshake_bytes);
}

// As with DhtHost, which closes what it dialled itself and nothing else.
TEST_F(PeerFabricTest, only_who_dialled_closes_and_what_is_spare_is_up_again_at_once) {
  make({}, 2);
  ask(a, b, 1);
  fabric->run_for(1s);
  close(b, a);
  fabric->run_for(1s);
  EXPECT_TRUE(at(a, "down").empty());
  EXPECT_TRUE(at(b, "down").empty());
  send(a, b, 2);
  fabric->run_for(1s);
  EXPECT_EQ(at(b, "got").size(), 2U);

  const Instant wanted = fabric->now();
  ask(b, a, 3);
  fabric->run_for(1s);
  EXPECT_EQ(at(b, "up").at(1).at, wanted);
  EXPECT_EQ(fabric->counters().handshakes, 1U);

  close(b, a);
  close(a, b);
  fabric->run_for(1s);
  EXPECT_EQ(at(a, "down").size(), 1U);
  EXPECT_EQ(at(b, "down").size(), 1U);
}

TEST_F(PeerFabricTest, what_is_sent_without_a_connection_is_dropped) {
  make({}, 2);
  send(a, b, 1);
  fabric->run_for(1s);
  EXPECT_EQ(fabric->counters().not_up, 1U);
  EXPECT_TRUE(at(b, "got").empty());
}

TEST_F(PeerFabricTest, simultaneous_dials_end_in_one_connection) {
  make({}, 2);
  open(a, b);
  fabric->run_for(1ms);
  open(b, a);
  fabric->run_for(20s);
  EXPECT_EQ(at(a, "up").size(), 1U);
  EXPECT_EQ(at(b, "up").size(), 1U);
  EXPECT_EQ(fabric->counters().handshakes, 1U);
  EXPECT_TRUE(at(a, "down").empty() && at(b, "down").empty());
  EXPECT_TRUE(at(b, "unreachable").empty());
  send(a, b, 1);
  send(b, a, 2);
  fabric->run_for(1s);
  EXPECT_EQ(at(a, "got").size() + at(b, "got").size(), 2U);
}

TEST_F(PeerFabricTest, a_dial_that_was_closed_before_it_stood_ends_in_nothing) {
  make({}, 2);
  open(a, b);
  fabric->run_for(20ms);
  close(a, b);
  fabric->run_for(20s);
  EXPECT_TRUE(at(a, "up").empty() && at(a, "down").empty() && at(a, "unreachable").empty());
  EXPECT_TRUE(fabric->ends(b).empty());
}

TEST_F(PeerFabricTest, who_reopens_at_once_is_heard) {
  make({}, 2);
  open(a, b);
  fabric->run_for(1s);
  close(a, b);
  fabric->run_for(0ms);
  open(a, b);
  fabric->run_for(1s);
  EXPECT_EQ(at(a, "up").size(), 2U);
  EXPECT_EQ(at(b, "up").size(), 2U);
  EXPECT_EQ(at(b, "down").size(), 1U);
}

TEST_F(PeerFabricTest, the_dead_are_missed_at_the_idle_timeout_and_cannot_be_dialled) {
  make({}, 3);
  open(a, b);
  fabric->run_for(1s);
  const Instant died = fabric->now();
  fabric->stop_core(b, Departure::silent);
  EXPECT_EQ(fabric->running(), 2U);
  open(PeerHandle{2}, b);
  fabric->run_for(60s);
  ASSERT_EQ(at(a, "down").size(), 1U);
  EXPECT_EQ(at(a, "down").at(0).at, died + 30s);
  ASSERT_EQ(at(PeerHandle{2}, "unreachable").size(), 1U);
  EXPECT_EQ(at(PeerHandle{2}, "unreachable").at(0).at, died + 10s);
}

TEST_F(PeerFabricTest, a_goodbye_is_heard_half_a_round_trip_later) {
  make({}, 2);
  open(a, b);
  fabric->run_for(1s);
  const Instant left = fabric->now();
  fabric->stop_core(b, Departure::with_goodbye);
  fabric->run_for(1s);
  ASSERT_EQ(at(a, "down").size(), 1U);
  EXPECT_EQ(at(a, "down").at(0).at, left + fabric->network().rtt(a, b) / 2);
}

TEST_F(PeerFabricTest, who_comes_back_is_a_stranger_to_old_connections) {
  make({}, 2);
  open(a, b);
  fabric->run_for(1s);
  send(a, b, 1);  // under way when b is stopped
  fabric->stop_core(b, Departure::silent);
  fabric->start_core(b, std::make_unique<ToyCore>());
  fabric->run_for(1s);
  EXPECT_TRUE(at(b, "got").empty());
  EXPECT_EQ(fabric->counters().too_late, 1U);
  ask(b, a, 7);  // a believes that the old connection stands
  fabric->run_for(1s);
  EXPECT_EQ(at(a, "down").size(), 1U);
  EXPECT_EQ(at(b, "got").size(), 1U);
  fabric->run_for(60s);
  EXPECT_EQ(at(a, "down").size(), 1U) << "the old idle time-out hit the new connection";
}

TEST_F(PeerFabricTest, loss_delays_by_probe_timeouts_and_keeps_order) {
  PeerFabricConfig config;
  config.loss = {10, 100};
  make(config, 2);
  open(a, b);
  fabric->run_for(20s);
  const Duration rtt = fabric->network().rtt(a, b);
  const std::uint64_t before = fabric->counters().packets_lost;
  std::vector<Instant> sent;
  for (int i = 0; i < 2000; ++i) {
    sent.push_back(fabric->now());
    send(a, b, i);
    fabric->run_for(1ms);
  }
  fabric->run_for(60s);
  const auto got = at(b, "got");
  ASSERT_EQ(got.size(), sent.size());
  std::size_t late = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].value, static_cast<std::int64_t>(i));
    const Duration taken = got[i].at - sent[i];
    EXPECT_GE(taken, rtt / 2);
    late += taken > rtt / 2;
  }
  const auto lost = static_cast<double>(fabric->counters().packets_lost - before);
  EXPECT_NEAR(lost, 2000 * 0.1 / 0.9, 60);
  EXPECT_GE(late, 200U);
}

TEST_F(PeerFabricTest, without_loss_nothing_is_late) {
  make({}, 2);
  open(a, b);
  fabric->run_for(1s);
  for (int i = 0; i < 100; ++i)
    send(a, b, i);
  fabric->run_for(fabric->network().rtt(a, b) / 2);
  EXPECT_EQ(at(b, "got").size(), 100U);
  EXPECT_EQ(fabric->counters().packets_lost, 0U);
}

TEST_F(PeerFabricTest, a_short_cut_delays_and_a_long_one_parts_until_it_heals) {
  make({}, 4);
  open(a, b);
  fabric->run_for(1s);
  const auto apart = [](PeerHandle peer) {
    return static_cast<std::uint8_t>(static_cast<std::uint32_t>(peer) % 2);
  };
  fabric->cut(apart);
  send(a, b, 1);
  fabric->run_for(10s);
  EXPECT_TRUE(at(b, "got").empty());
  fabric->heal();
  fabric->run_for(2s);
  EXPECT_EQ(at(b, "got").size(), 1U) << "QUIC repeats what was lost";
  EXPECT_TRUE(at(a, "down").empty());

  fabric->run_for(60s);
  EXPECT_TRUE(at(a, "down").empty()) << "the healed cut still counts";
  fabric->cut(apart);
  send(a, b, 2);
  ask(PeerHandle{2}, PeerHandle{3}, 5);
  fabric->run_for(31s);
  EXPECT_EQ(at(a, "down").size(), 1U);
  EXPECT_EQ(at(b, "down").size(), 1U);
  EXPECT_EQ(at(PeerHandle{2}, "unreachable").size(), 1U);
  fabric->heal();
  ask(a, b, 3);
  fabric->run_for(2s);
  ASSERT_EQ(at(b, "got").size(), 2U);
  EXPECT_EQ(at(b, "got").at(1).value, 3);
}

TEST_F(PeerFabricTest, behind_nats_a_connection_begins_relayed_and_becomes_direct) {
  make({}, 2, cone);
  const Duration relayed = fabric->network().relayed_rtt(a, b);
  const Duration direct = fabric->network().rtt(a, b);
  ASSERT_GT(relayed, direct);
  open(a, b);
  fabric->run_for(5s);
  ASSERT_EQ(at(a, "up").size(), 1U);
  EXPECT_EQ(at(a, "up").at(0).value, relayed / 1us);
  for (const PeerHandle peer : {a, b}) {
    ASSERT_EQ(at(peer, "path").size(), 1U);
    EXPECT_EQ(at(peer, "path").at(0).value, direct / 1us);
    // Confirmed a round trip after the dialler's word, then punched.
    EXPECT_EQ(at(peer, "path").at(0).at - at(a, "up").at(0).at, 2 * relayed + direct * 3 / 2);
  }
  const Instant sent = fabric->now();
  send(a, b, 1);
  fabric->run_for(1s);
  EXPECT_EQ(at(b, "got").at(0).at, sent + direct / 2);
}

TEST_F(PeerFabricTest, where_theory_has_no_way_it_stays_relayed) {
  make({}, 2, random_symmetric);
  open(a, b);
  fabric->run_for(60s);
  EXPECT_TRUE(at(a, "path").empty());
  const Instant sent = fabric->now();
  send(a, b, 1);
  fabric->run_for(1s);
  EXPECT_EQ(at(b, "got").at(0).at, sent + fabric->network().relayed_rtt(a, b) / 2);
}

TEST_F(PeerFabricTest, timers_fire_when_they_are_due_even_if_they_move) {
  make({}, 1);
  const Instant begin = fabric->now();
  fabric->command(a, [&](ToyCore& core, Instant now) { core.set_deadline(now + 5s, now + 6s); });
  fabric->command(a, [&](ToyCore& core, Instant now) { core.set_deadline(now + 1s, now + 2s); });
  fabric->run_for(10s);
  auto fired = at(a, "timeout");
  ASSERT_EQ(fired.size(), 2U);
  EXPECT_EQ(fired[0].at, begin + 1s);
  EXPECT_EQ(fired[1].at, begin + 2s);
  fabric->command(a, [&](ToyCore& core, Instant now) { core.set_deadline(now + 1s); });
  fabric->command(a, [&](ToyCore& core, Instant now) { core.set_deadline(now + 3s); });
  const Instant later = fabric->now();
  fabric->run_for(10s);
  fired = at(a, "timeout");
  ASSERT_EQ(fired.size(), 3U);
  EXPECT_EQ(fired[2].at, later + 3s);
  EXPECT_LE(fabric->pending(), 1U) << "only the clustering of tiers";
}

TEST_F(PeerFabricTest, S1_24_tiers_are_clustered_by_period_and_told_when_they_change) {
  make({}, 60);
  // Its own site is 10 ms away, the other one 100.
  for (std::uint32_t i = 1; i < 41; ++i)
    open(a, PeerHandle{i});
  fabric->run_for(2min);
  EXPECT_TRUE(at(a, "tiers").empty());
  fabric->run_for(2min);
  ASSERT_EQ(at(a, "tiers").size(), 1U);
  EXPECT_EQ(at(a, "tiers").at(0).value, 2);
  fabric->run_for(20min);
  EXPECT_EQ(at(a, "tiers").size(), 1U);
}

TEST_F(PeerFabricTest, actions_are_done_in_their_time) {
  make({}, 1);
  std::vector<int> done;
  fabric->after(2s, [&] { done.push_back(2); });
  fabric->after(1s, [&] {
    done.push_back(1);
    fabric->after(5s, [&] { done.push_back(6); });
  });
  fabric->run_for(3s);
  EXPECT_EQ(done, (std::vector<int>{1, 2}));
  EXPECT_TRUE(fabric->run_until([&] { return done.size() == 3; }, fabric->now() + 10s));
  EXPECT_EQ(fabric->now(), Fabric::start + 6s);
  EXPECT_FALSE(fabric->run_until([] { return false; }, fabric->now() + 1s));
}

// A thousand random acts among fifty nodes that come and go.
std::uint64_t busy_run(std::uint64_t seed, std::size_t threads = 1) {
  PeerFabricConfig config;
  config.threads = threads;
  config.worth_threads = 2;
  config.seed = seed;
  config.loss = {2, 100};
  PeerFabric<ToyCore> fabric(config, LatencyModel::cities());
  Rng rng(seed);
  for (std::uint32_t i = 0; i < 50; ++i) {
    Rng place = rng.fork("place " + std::to_string(i));
    fabric.network().add(PeerHandle{i}, fabric.network().draw_place(place),
                         nat_class(draw_side(place)));
    fabric.start_core(PeerHandle{i}, std::make_unique<ToyCore>());
  }
  for (int i = 0; i < 1000; ++i) {
    const PeerHandle one{static_cast<std::uint32_t>(rng.below(50))};
    const PeerHandle other{static_cast<std::uint32_t>(rng.below(50))};
    switch (rng.below(8)) {
      case 0:
        fabric.stop_core(one, rng.below(2) == 0 ? Departure::silent : Departure::with_goodbye);
        break;
      case 1:
        if (fabric.runs(one)) {
          fabric.command(one, [&](ToyCore& core, Instant) { core.close(other); });
        }
        break;
      default:
        if (!fabric.runs(one)) {
          fabric.start_core(one, std::make_unique<ToyCore>());
        } else {
          fabric.command(one, [&](ToyCore& core, Instant) { core.ask(other, i); });
        }
    }
    fabric.run_for(rng.between(0ms, 300ms));
  }
  fabric.run_for(2min);
  // Whatever happened: who is up at one end is up at the other, once all is quiet.
  for (std::uint32_t i = 0; i < 50; ++i) {
    for (const PeerEnd& end : fabric.ends(PeerHandle{i})) {
      EXPECT_TRUE(end.state() == EndState::up || end.state() == EndState::spare);
      bool there = false;
      for (const PeerEnd& far : fabric.ends(end.peer))
        there = there || (far.peer == PeerHandle{i} && far.connection == end.connection);
      EXPECT_TRUE(there) << i << " to " << static_cast<std::uint32_t>(end.peer);
    }
  }
  EXPECT_GT(fabric.counters().messages, 500U);
  return fabric.trace_hash();
}

TEST(PeerFabricRuns, one_seed_one_course) {
  EXPECT_EQ(busy_run(1), busy_run(1));
  EXPECT_NE(busy_run(1), busy_run(2));
}

TEST(PeerFabricRuns, the_number_of_threads_is_not_felt) {
  const std::uint64_t one = busy_run(1);
  for (const std::size_t threads : {std::size_t{2}, std::size_t{3}})
    EXPECT_EQ(busy_run(1, threads), one) << threads;
}

// Two hundred who all ask at once, again and again: much arrives at one instant, from all shards,
// and its order is in the trace hash.
std::uint64_t run_of_coincidences(std::size_t threads) {
  PeerFabricConfig config;
  config.threads = threads;
  config.worth_threads = 0;
  PeerFabric<ToyCore> fabric(config, LatencyModel::from_text("10 100\n100 10").value());
  Rng rng(1);
  constexpr std::uint32_t peers = 200;
  for (std::uint32_t i = 0; i < peers; ++i) {
    fabric.network().add(PeerHandle{i}, {static_cast<std::uint16_t>(i % 2), 0}, open_class);
    fabric.start_core(PeerHandle{i}, std::make_unique<ToyCore>());
  }
  for (int round = 0; round < 30; ++round) {
    for (std::uint32_t i = 0; i < peers; ++i) {
      const PeerHandle other{static_cast<std::uint32_t>(rng.below(peers))};
      fabric.command(PeerHandle{i}, [&](ToyCore& core, Instant) { core.ask(other, round); });
    }
    fabric.run_for(20ms);
  }
  fabric.run_for(1s);
  return fabric.trace_hash();
}

TEST(PeerFabricRuns, what_meets_at_one_instant_keeps_its_order_on_any_number_of_threads) {
  const std::uint64_t one = run_of_coincidences(1);
  EXPECT_EQ(run_of_coincidences(2), one);
  EXPECT_EQ(run_of_coincidences(3), one);
}

TEST(PeerFabricRuns, both_ends_agree_when_all_is_quiet) {
  for (std::uint64_t seed = 3; seed < 23; ++seed)
    (void)busy_run(seed);
}

}  // namespace
}  // namespace quicmesh::sim
