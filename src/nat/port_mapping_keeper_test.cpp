// When a gateway is asked for mappings, and what of its answers is believed (S1.45, S1.46: the
// mapping outlives the gateway's restart, and does not outlive its address).
#include "nat/port_mapping_keeper.hpp"

#include <gtest/gtest.h>

#include "nat/port_mapping_errc.hpp"

namespace quicmesh {
namespace {

using Keeper = PortMappingKeeper;

const Instant t0{1h};

IpAddress ip(std::string_view text) {
  return IpAddress::parse(text).value();
}

class PortMappingKeeperTest : public testing::Test {
 protected:
  /// Answers every step until there is none at `now`; grants what is asked for.
  void settle(Instant now, Duration lifetime = 1h) {
    for (int i = 0; i < 20; ++i) {
      const auto step = keeper.next(now);
      if (std::holds_alternative<Keeper::Wait>(step)) return;
      if (const auto* ask = std::get_if<Keeper::AskMapping>(&step)) {
        ++asked_for_mappings;
        keeper.on_mapping(now, ask->internal_port, GrantedMapping{ask->external_port, lifetime});
      } else {
        ++asked_for_status;
        keeper.on_status(now, status);
      }
    }
    FAIL() << "never rests";
  }
  /// The next time after `now` at which a mapping is asked for, answering checks meanwhile.
  Instant next_mapping(Instant now) {
    for (int i = 0; i < 10'000; ++i) {
      const auto step = keeper.next(now);
      if (std::holds_alternative<Keeper::AskMapping>(step)) return now;
      if (const auto* wait = std::get_if<Keeper::Wait>(&step)) {
        now = wait->until;
      } else {
        if (status && status->epoch_s) status->epoch_s = seconds_at(now);
        keeper.on_status(now, status);
      }
    }
    return never;
  }
  static std::uint32_t seconds_at(Instant now) {
    return static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count());
  }

  Keeper keeper{{4433}, AddressRules::internet, Rng(1)};
  Result<GatewayStatus> status = GatewayStatus{ip("8.8.8.8"), seconds_at(t0), false};
  int asked_for_mappings = 0;
  int asked_for_status = 0;
};

TEST_F(PortMappingKeeperTest, asks_for_the_address_then_for_each_port) {
  ASSERT_TRUE(std::holds_alternative<Keeper::AskStatus>(keeper.next(t0)));
  EXPECT_TRUE(keeper.held().empty());
  settle(t0);
  ASSERT_EQ(keeper.held().size(), 1u);
  EXPECT_EQ(keeper.held()[0].internal_port, 4433);
  EXPECT_EQ(keeper.held()[0].external_port, 4433);
  EXPECT_EQ(keeper.external(), ip("8.8.8.8"));
  EXPECT_FALSE(keeper.verdict());
}

TEST_F(PortMappingKeeperTest, renews_at_half_of_the_lifetime_with_the_same_port) {
  settle(t0);
  const Instant renewed = next_mapping(t0);
  EXPECT_GE(renewed, t0 + 1h * 7 / 16);
  EXPECT_LE(renewed, t0 + 30min);
  keeper.on_mapping(renewed, 4433, GrantedMapping{5555, 1h});
  const auto again = keeper.next(next_mapping(renewed));
  EXPECT_EQ(std::get<Keeper::AskMapping>(again).external_port, 5555);
}

TEST_F(PortMappingKeeperTest, a_short_lifetime_does_not_make_it_ask_without_end) {
  settle(t0, 1s);
  EXPECT_GE(next_mapping(t0), t0 + Keeper::renew_min);
}

TEST_F(PortMappingKeeperTest, a_long_lifetime_is_not_believed) {
  settle(t0, 10'000h);
  EXPECT_EQ(keeper.held()[0].lifetime, Keeper::lifetime_wanted);
}

TEST_F(PortMappingKeeperTest, an_epoch_that_runs_behind_is_a_restart) {
  settle(t0);
  keeper.check_now(t0 + 20s);
  status->epoch_s = seconds_at(t0) + 16;  // 7/8 of 20 s is 17.5: within the slack of 2 s
  settle(t0 + 20s);
  EXPECT_EQ(asked_for_mappings, 1);
  keeper.check_now(t0 + 40s);
  status->epoch_s = 3;
  settle(t0 + 40s);
  EXPECT_EQ(asked_for_mappings, 2);
}

// An absence of some seconds is within what the rule allows, once the gateway has counted on.
TEST_F(PortMappingKeeperTest, an_announcement_is_a_restart_whatever_the_epoch) {
  settle(t0);
  keeper.on_announcement(t0 + 10s);
  status->epoch_s = seconds_at(t0) + 9;
  settle(t0 + 10s);
  EXPECT_EQ(asked_for_mappings, 2);
  EXPECT_EQ(asked_for_status, 2);
  settle(t0 + 11s);
  EXPECT_EQ(asked_for_mappings, 2);
}

TEST_F(PortMappingKeeperTest, a_mapping_that_the_gateway_does_not_know_is_asked_for_again) {
  settle(t0);
  status->mappings_lost = true;
  keeper.check_now(t0 + 1s);
  settle(t0 + 1s);
  EXPECT_EQ(asked_for_mappings, 2);
}

TEST_F(PortMappingKeeperTest, another_external_address_makes_all_mappings_anew) {
  settle(t0);
  status->external = ip("9.9.9.9");
  keeper.check_now(t0 + 1s);
  ASSERT_TRUE(std::holds_alternative<Keeper::AskStatus>(keeper.next(t0 + 1s)));
  keeper.on_status(t0 + 1s, status);
  EXPECT_TRUE(keeper.held().empty()) << "told of an address that is gone";
  settle(t0 + 1s);
  EXPECT_EQ(keeper.held().size(), 1u);
  EXPECT_EQ(asked_for_mappings, 2);
}

TEST_F(PortMappingKeeperTest, a_second_nat_is_reported_and_not_used) {
  for (const char* outside : {"192.168.0.2", "10.1.2.3", "100.64.0.9", "127.0.0.1", "0.0.0.0",
                              "169.254.1.1", "203.0.113.9", "224.0.0.1"}) {
    Keeper other({4433}, AddressRules::internet, Rng(1));
    other.on_status(t0, GatewayStatus{ip(outside)});
    EXPECT_EQ(other.verdict(), PortMappingErrc::double_nat) << outside;
    EXPECT_TRUE(std::holds_alternative<Keeper::Wait>(other.next(t0))) << outside;
    EXPECT_TRUE(other.held().empty());
  }
  Keeper laboratory({4433}, AddressRules::laboratory, Rng(1));
  laboratory.on_status(t0, GatewayStatus{ip("203.0.113.9")});
  EXPECT_TRUE(std::holds_alternative<Keeper::AskMapping>(laboratory.next(t0)));
}

TEST_F(PortMappingKeeperTest, a_second_nat_that_goes_away_is_forgotten) {
  keeper.on_status(t0, GatewayStatus{ip("100.64.0.9")});
  keeper.check_now(t0 + 1s);
  settle(t0 + 1s);
  EXPECT_FALSE(keeper.verdict());
  EXPECT_EQ(keeper.held().size(), 1u);
}

TEST_F(PortMappingKeeperTest, silence_ends_mappings_only_when_repeated) {
  settle(t0);
  Instant now = t0;
  const Result<GatewayStatus> silence = failure(PortMappingErrc::no_answer);
  for (int i = 1; i <= Keeper::failures_max; ++i) {
    EXPECT_EQ(keeper.held().size(), 1u) << i;
    keeper.check_now(now);
    keeper.on_status(now, silence);
    now += 1s;
  }
  EXPECT_TRUE(keeper.held().empty());
  EXPECT_EQ(keeper.verdict(), PortMappingErrc::no_answer);
}

TEST_F(PortMappingKeeperTest, retries_back_off) {
  Instant now = t0;
  Duration longest{};
  int asked = 0;
  for (; now < t0 + 24h; ++asked) {
    keeper.on_status(now, failure(PortMappingErrc::no_answer));
    const Instant next = std::get<Keeper::Wait>(keeper.next(now)).until;
    ASSERT_GT(next, now);
    longest = std::max(longest, next - now);
    now = next;
  }
  EXPECT_LE(longest, Keeper::retry_max * 5 / 4);
  EXPECT_LT(asked, 250);
}

TEST_F(PortMappingKeeperTest, refusals_are_told_and_retried_later) {
  keeper.on_status(t0, status);
  keeper.on_mapping(t0, 4433, failure(PortMappingErrc::not_authorized));
  EXPECT_EQ(keeper.verdict(), PortMappingErrc::not_authorized);
  EXPECT_TRUE(keeper.held().empty());
  EXPECT_GT(next_mapping(t0), t0);
}

TEST_F(PortMappingKeeperTest, what_is_held_stands_while_a_renewal_fails_and_ends_with_its_time) {
  settle(t0);
  keeper.on_mapping(t0 + 30min, 4433, failure(PortMappingErrc::no_answer));
  EXPECT_EQ(keeper.held().size(), 1u);
  keeper.on_mapping(t0 + 1h, 4433, failure(PortMappingErrc::no_answer));
  EXPECT_TRUE(keeper.held().empty());
}

TEST_F(PortMappingKeeperTest, useless_grants_are_refusals) {
  for (const auto& grant : {GrantedMapping{0, 1h}, GrantedMapping{53, 1h}, GrantedMapping{1023, 1h},
                            GrantedMapping{4433, Duration{}}}) {
    Keeper other({4433}, AddressRules::internet, Rng(1));
    other.on_status(t0, status);
    other.on_mapping(t0, 4433, grant);
    EXPECT_TRUE(other.held().empty());
    EXPECT_EQ(other.verdict(), PortMappingErrc::useless_mapping);
  }
}

TEST_F(PortMappingKeeperTest, answers_for_ports_that_nobody_asked_for_are_nothing) {
  keeper.on_status(t0, status);
  keeper.on_mapping(t0, 9, GrantedMapping{4433, 1h});
  EXPECT_TRUE(keeper.held().empty());
}

TEST_F(PortMappingKeeperTest, only_so_many_ports_are_mapped) {
  std::vector<std::uint16_t> many;
  for (std::uint16_t port = 5000; port < 5100; ++port)
    many.push_back(port);
  keeper = Keeper(many, AddressRules::internet, Rng(1));
  settle(t0);
  EXPECT_EQ(keeper.held().size(), Keeper::ports_max);
}

}  // namespace
}  // namespace quicmesh
