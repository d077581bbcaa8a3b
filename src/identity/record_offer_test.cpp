#include "identity/record_offer.hpp"

#include <gtest/gtest.h>

#include <utility>

#include "identity/endpoint_record.hpp"
#include "identity/identity_errc.hpp"

namespace quicmesh {
namespace {

using enum AddressScope;

constexpr WallTime now{1'800'000'000};
constexpr std::uint64_t now_ms = 1'800'000'000'000;

class RecordOffer : public ::testing::Test {
 protected:
  Bytes record(std::uint64_t sequence, AddressScope scope = public_internet) {
    EndpointRecord record{.stamp = {.scope = scope, .sequence = sequence},
                          .candidates = {SocketAddress::parse("8.8.4.4:4242").value()}};
    return sign_endpoint_record(owner_, record, AddressRules::internet).value();
  }

  Result<RecordFate> offer(ByteView bytes, const RecordLink& link = {.now = now}) {
    return offer_record(book_, peer_, bytes, link);
  }

  void expect_held(const Bytes& bytes) {
    const ByteView held = book_.record(peer_);
    EXPECT_EQ(Bytes(held.begin(), held.end()), bytes);
  }

  Keypair owner_ = Keypair::from_seed({1, 2, 3});
  PeerBook book_{10, 7};
  PeerHandle peer_ = book_.intern(owner_.node_id());
};

// TD6: replay of old, equal and newer numbers.
TEST_F(RecordOffer, takes_newer_records_only) {
  const Bytes first = record(now_ms);
  EXPECT_EQ(offer(first), RecordFate::taken);
  expect_held(first);
  EXPECT_EQ(offer(first), RecordFate::not_newer);
  EXPECT_EQ(offer(record(now_ms - 1)), RecordFate::not_newer);
  EXPECT_EQ(offer(record(now_ms, private_realm), {private_realm, now}), RecordFate::not_newer);
  expect_held(first);
  const Bytes second = record(now_ms + 1);
  EXPECT_EQ(offer(second), RecordFate::taken);
  expect_held(second);
  EXPECT_EQ(offer(first), RecordFate::not_newer);
  EXPECT_EQ(offer(record(~std::uint64_t{0})), RecordFate::ahead_of_clock);
  expect_held(second);
}

TEST_F(RecordOffer, prefers_the_wider_of_two_signed_at_once) {
  EXPECT_EQ(offer(record(now_ms, loopback), {loopback, now}), RecordFate::taken);
  const Bytes wider = record(now_ms, public_internet);
  EXPECT_EQ(offer(wider, {loopback, now}), RecordFate::taken);
  expect_held(wider);
}

TEST_F(RecordOffer, leaves_out_what_is_expired_ahead_or_of_a_narrower_scope_than_the_link) {
  const Bytes bytes = record(now_ms);
  EXPECT_EQ(offer(bytes, {.now = WallTime{std::to_underlying(now) + 7500}}), RecordFate::expired);
  EXPECT_EQ(offer(bytes, {.now = WallTime{0}}), RecordFate::ahead_of_clock);
  EXPECT_EQ(offer(record(now_ms, private_realm)), RecordFate::out_of_scope);
  EXPECT_TRUE(book_.record(peer_).empty());
}

TEST_F(RecordOffer, calls_forged_records_an_error) {
  Bytes forged = record(now_ms);
  forged.back() ^= 1;
  EXPECT_FALSE(offer(forged));
  EXPECT_EQ(offer(Bytes(5)).error(), IdentityErrc::malformed_endpoint_record);
  EXPECT_EQ(offer(Bytes(endpoint_record_size_max + 1)).error(),
            IdentityErrc::endpoint_record_bounds);
  const Bytes good = record(now_ms);
  const PeerHandle other = book_.intern(Keypair::from_seed({4}).node_id());
  EXPECT_EQ(offer_record(book_, other, good, {.now = now}).error(),
            IdentityErrc::endpoint_record_of_another_node);
  EXPECT_TRUE(book_.record(peer_).empty());
  EXPECT_TRUE(book_.record(other).empty());
}

// TD12: who reached us by the internet is not told of private addresses.
TEST_F(RecordOffer, shows_records_on_links_of_their_scope_or_a_narrower_one) {
  const AddressScope scopes[] = {loopback, link_local, private_realm, public_internet};
  for (const AddressScope scope : scopes) {
    for (const AddressScope link : scopes)
      EXPECT_EQ(may_show(record(now_ms, scope), {link, now}), scope >= link);
  }
  EXPECT_FALSE(may_show({}, {loopback, now}));
  EXPECT_FALSE(may_show(record(now_ms), {.now = WallTime{std::to_underlying(now) + 7500}}));
}

}  // namespace
}  // namespace quicmesh
