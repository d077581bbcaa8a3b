#include "dht/adaptation.hpp"

#include <gtest/gtest.h>

#include "dht/network_for_tests.hpp"
#include "dht/request_budget.hpp"

namespace quicmesh::dht {
namespace {

struct Evidence {
  unsigned answers = 0;
  unsigned late = 0;  // more answers
  unsigned busy = 0;
  unsigned silent = 0;
};

struct Judged {
  Config config;
  Adaptation adaptation{config};
  Instant now{1h};

  /// Ten seconds of evidence about contacts.
  void live_through(Evidence evidence) {
    std::uint32_t peer = 0;
    for (unsigned i = 0; i < evidence.answers + evidence.late; ++i)
      adaptation.on_answer(now, {PeerHandle{++peer}, true}, i < evidence.late);
    for (unsigned i = 0; i < evidence.busy; ++i)
      adaptation.on_busy(now, PeerHandle{++peer});
    for (unsigned i = 0; i < evidence.silent; ++i)
      adaptation.on_silence(now, {PeerHandle{++peer}, true});
    now += Adaptation::interval;
    (void)adaptation.handle_timeout(now);
  }
};

// S1.21
TEST(Adaptation, begins_with_twenty_and_three) {
  const Judged calm;
  EXPECT_EQ(calm.adaptation.k(), 20);
  EXPECT_EQ(calm.adaptation.alpha(), 3);
  EXPECT_EQ(calm.adaptation.poll_timeout(), never);
}

// S1.17, S1.19, TD11
TEST(Adaptation, rises_with_silence_one_step_in_ten_seconds_up_to_its_bounds) {
  Judged churn;
  for (int k = 24, alpha = 4; alpha <= 14; k += 4, ++alpha) {
    churn.live_through({.answers = 60, .silent = 20});
    EXPECT_EQ(churn.adaptation.k(), std::min(k, 40));
    EXPECT_EQ(churn.adaptation.alpha(), std::min(alpha, 10));
  }
  // More silence makes it no faster.
  Judged disaster;
  for (int i = 0; i < 1000; ++i)
    disaster.live_through({.silent = i == 0 ? 1000U : 0U});
  EXPECT_EQ(disaster.adaptation.k(), 24);
  EXPECT_EQ(disaster.adaptation.alpha(), 4);
}

// S1.18, S1.20
TEST(Adaptation, falls_back_to_where_it_began_when_the_network_calms) {
  Judged net;
  for (int i = 0; i < 10; ++i)
    net.live_through({.answers = 60, .silent = 20});
  ASSERT_EQ(net.adaptation.k(), 40);
  // Some silence keeps them where they are.
  net.live_through({.answers = 60, .silent = 4});
  EXPECT_EQ(net.adaptation.k(), 40);
  for (int i = 0; i < 20; ++i)
    net.live_through({.answers = 60, .silent = 1});
  EXPECT_EQ(net.adaptation.k(), 20);
  EXPECT_EQ(net.adaptation.alpha(), 3);
}

// TD11
TEST(Adaptation, an_overload_is_not_answered_with_more_questions) {
  Judged late;
  for (int i = 0; i < 5; ++i)
    late.live_through({.answers = 40, .late = 30, .silent = 20});
  EXPECT_EQ(late.adaptation.k(), 20);
  EXPECT_EQ(late.adaptation.alpha(), 3);
  Judged busy;
  for (int i = 0; i < 5; ++i)
    busy.live_through({.answers = 40, .busy = 30, .silent = 20});
  EXPECT_EQ(busy.adaptation.k(), k_min);
  EXPECT_EQ(busy.adaptation.alpha(), alpha_min);
  for (int i = 0; i < 5; ++i)
    busy.live_through({.answers = 40});
  EXPECT_EQ(busy.adaptation.k(), 20);
  EXPECT_EQ(busy.adaptation.alpha(), 3);
}

// TD11
TEST(Adaptation, lookups_that_meet_silence_ask_more_at_a_time_but_not_in_an_overload) {
  Judged net;
  EXPECT_EQ(net.adaptation.alpha(net.now, 0), 3);
  EXPECT_EQ(net.adaptation.alpha(net.now, 2), 7);
  EXPECT_EQ(net.adaptation.alpha(net.now, 1000), alpha_max);
  const Judged fixed{.config = {.adaptive = false}};
  EXPECT_EQ(fixed.adaptation.alpha(fixed.now, 1000), 3);
  // As soon as it shows, and for the ten seconds after that.
  for (std::uint32_t peer = 1; peer <= Adaptation::evidence_min; ++peer)
    net.adaptation.on_answer(net.now, {PeerHandle{peer}, true}, peer % 2 == 0);
  EXPECT_EQ(net.adaptation.alpha(net.now, 1000), 3);
  net.live_through({});
  EXPECT_EQ(net.adaptation.alpha(net.now, 1000), 3);
  net.now += Adaptation::interval;
  EXPECT_EQ(net.adaptation.alpha(net.now, 1000), alpha_max);
  // Nor while a tenth is busy; that one is says nothing.
  for (std::uint32_t peer = 1; peer <= 19; ++peer)
    net.adaptation.on_answer(net.now, {PeerHandle{peer}, true}, false);
  net.adaptation.on_busy(net.now, PeerHandle{20});
  EXPECT_EQ(net.adaptation.alpha(net.now, 1000), alpha_max);
  net.adaptation.on_busy(net.now, PeerHandle{21});
  net.adaptation.on_busy(net.now, PeerHandle{22});
  EXPECT_EQ(net.adaptation.alpha(net.now, 1000), 3);
}

// However much is asked, what is silent is seen beside what answers.
TEST(Adaptation, of_many_requests_a_third_unanswered_is_no_calm) {
  Judged busy;
  busy.live_through({.answers = 2200, .silent = 900});
  EXPECT_EQ(busy.adaptation.k(), 24);
  EXPECT_EQ(busy.adaptation.alpha(), 4);
  // More than can be told apart, and far more answers: nobody knows.
  busy.live_through({.answers = 30'000, .silent = 900});
  EXPECT_EQ(busy.adaptation.k(), 24);
  EXPECT_EQ(busy.adaptation.alpha(), 4);
}

// TD11
TEST(Adaptation, one_peer_counts_once) {
  Judged net;
  for (int i = 0; i < 500; ++i)
    net.adaptation.on_silence(net.now, {PeerHandle{9}, true});
  net.live_through({.answers = 60});
  EXPECT_EQ(net.adaptation.k(), 20);
  EXPECT_EQ(net.adaptation.alpha(), 3);
}

TEST(Adaptation, judges_by_no_less_than_eight_requests) {
  Judged net;
  net.live_through({.silent = 4});
  EXPECT_EQ(net.adaptation.k(), 20);
  net.live_through({});
  EXPECT_EQ(net.adaptation.k(), 20);
  Judged enough;
  enough.live_through({.silent = 8});
  EXPECT_EQ(enough.adaptation.k(), 24);
}

TEST(Adaptation, can_be_switched_off) {
  Judged fixed{.config = {.adaptive = false}};
  for (int i = 0; i < 5; ++i)
    fixed.live_through({.answers = 10, .silent = 60});
  EXPECT_EQ(fixed.adaptation.k(), 20);
  EXPECT_EQ(fixed.adaptation.alpha(), 3);
  EXPECT_EQ(fixed.adaptation.poll_timeout(), never);
}

TEST(RequestBudget, lets_two_seconds_worth_go_at_once_and_then_its_rate) {
  for (const bool opens : {true, false}) {
    const int share = opens ? 1 : RequestBudget::warm_share;
    Instant now{1h};
    RequestBudget budget(now, 100);
    int sent = 0;
    const auto send_all = [&] {
      for (; budget.has_one(now); ++sent)
        budget.spend(now, opens);
    };
    send_all();
    EXPECT_NEAR(sent, 200 * share, 1);
    for (int i = 0; i < 1000; ++i) {
      now += 10ms;
      send_all();
      EXPECT_LE(budget.next(), now + 10ms);
    }
    EXPECT_NEAR(sent, 1200 * share, 2);
  }
}

// S1.17-S1.22: the whole node, without a setting
TEST(DhtCore, tunes_itself_while_half_of_its_network_dies_and_afterwards) {
  // Others look things up as well, and learn who is dead.
  TestNetwork net(31, {.refresh_interval = 60s});
  net.add_all(200);
  net.fill_tables(20);
  const auto look_up = [&](int rounds) {
    std::uint8_t k = 0;
    for (int round = 0; round < rounds; ++round) {
      DhtKey target;
      net.rng().fill(target.bytes);
      EXPECT_TRUE(net.find(0, target));
      (void)net.wait_for(0);
      net.run_for(2s);
      k = std::max(k, net.core(0).table().k());
    }
    return k;
  };
  EXPECT_EQ(look_up(20), 20);
  EXPECT_EQ(net.core(0).adaptation().alpha(), 3);
  for (std::size_t node = 1; node < net.size(); node += 2)
    net.kill(node);
  EXPECT_GE(look_up(10), 24);
  (void)look_up(100);
  EXPECT_EQ(net.core(0).table().k(), 20);
  EXPECT_EQ(net.core(0).adaptation().alpha(), 3);
}

// D3, D4: those who have only just joined have no other evidence.
TEST(DhtCore, a_lookup_among_the_dead_asks_more_at_a_time) {
  const auto time_of_lookups = [](bool adaptive) {
    TestNetwork net(35, {.adaptive = adaptive, .express = false});
    net.add_all(150);
    net.fill_tables(20);
    for (std::size_t node = 1; node < net.size(); node += 3)
      net.kill(node);
    const Instant begun = net.now();
    for (std::size_t node = 0; node < 30; node += 3) {
      EXPECT_TRUE(net.find(node, DhtKey::of(net.random_id())));
      (void)net.wait_for(node);
    }
    return net.now() - begun;
  };
  EXPECT_LT(time_of_lookups(true) * 4, time_of_lookups(false) * 3);
}

// TD11
TEST(DhtCore, sends_no_more_requests_than_its_budget) {
  TestNetwork net(32, {.requests_a_second = 20});
  net.add_all(100);
  net.fill_tables(20);
  for (int i = 0; i < 50; ++i) {
    DhtKey target;
    net.rng().fill(target.bytes);
    ASSERT_TRUE(net.find(0, target));
  }
  const auto spent = [&] {
    const auto warm = net.core(0).counters().requests_sent - net.dials(0);
    return static_cast<double>(net.dials(0)) +
           static_cast<double>(warm) / RequestBudget::warm_share;
  };
  EXPECT_LE(spent(), 42);
  EXPECT_GE(spent(), 40);
  net.run_for(5s);
  EXPECT_LE(spent(), 42 + 100);
  EXPECT_GE(spent(), 130);
  EXPECT_GT(net.core(0).counters().out_of_budget, 0U);
}

TEST(DhtCore, who_asks_too_often_is_told_that_it_is_busy) {
  TestNetwork net(33);
  net.add_all(5);
  net.tell(0, peer::Up{net.peer(1), 10ms});
  net.tell(0, peer::Up{net.peer(2), 10ms});
  unsigned busy = 0;
  const auto ask = [&](std::size_t from) {
    net.core(0).handle(net.now(), peer::Received<Message>{net.peer(from), {1, false, Ping{}}});
    while (auto output = net.core(0).poll_output()) {
      const auto* sent = std::get_if<peer::Send<Message>>(&*output);
      if (sent != nullptr && std::holds_alternative<Busy>(sent->message.body)) ++busy;
    }
  };
  for (int i = 0; i < 1000; ++i)
    ask(1);
  EXPECT_EQ(busy, 1000U - DhtCore::served_a_second);
  ask(2);
  EXPECT_EQ(busy, 1000U - DhtCore::served_a_second);
  net.run_for(1s);
  ask(1);
  EXPECT_EQ(busy, 1000U - DhtCore::served_a_second);
  // Nor does one take the share of others when the DHT keeps no connection to either.
  for (int i = 0; i < 1000; ++i)
    ask(3);
  EXPECT_EQ(busy, 2 * (1000U - DhtCore::served_a_second));
  ask(4);
  EXPECT_EQ(busy, 2 * (1000U - DhtCore::served_a_second));
}

// One that is asked often and says "busy" each time is one.
TEST(Adaptation, one_busy_peer_counts_once) {
  Judged judged;
  for (int i = 0; i < 10; ++i) {
    for (std::uint32_t peer = 1; peer <= 20; ++peer)
      judged.adaptation.on_answer(judged.now, {PeerHandle{peer}, true}, false);
    for (int j = 0; j < 20; ++j)
      judged.adaptation.on_busy(judged.now, PeerHandle{99});
    judged.now += 10s;
    (void)judged.adaptation.handle_timeout(judged.now);
  }
  EXPECT_EQ(judged.adaptation.alpha(), 3);
  EXPECT_EQ(judged.adaptation.k(), 20);
}

}  // namespace
}  // namespace quicmesh::dht
