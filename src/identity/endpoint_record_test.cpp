#include "identity/endpoint_record.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <utility>

#include "base/byte_writer.hpp"
#include "base/hex.hpp"
#include "base/rng.hpp"
#include "identity/identity_errc.hpp"
#include "identity/signed_record.hpp"

namespace quicmesh {
namespace {

using enum AddressScope;
using enum IdentityErrc;

constexpr auto internet = AddressRules::internet;
constexpr WallTime now{1'800'000'000};
constexpr std::uint64_t now_ms = 1'800'000'000'000;
constexpr WallTime last_day{std::numeric_limits<std::int64_t>::max()};

WallTime after(std::int64_t seconds) {
  return WallTime{std::to_underlying(now) + seconds};
}

SocketAddress address(std::string_view text) {
  return SocketAddress::parse(text).value();
}

const Keypair& owner() {
  static const Keypair keypair = Keypair::from_seed({1, 2, 3});
  return keypair;
}

const NodeId& other_id() {
  static const NodeId id = Keypair::from_seed({4, 5, 6}).node_id();
  return id;
}

EndpointRecord public_record() {
  return {
      .stamp = {.scope = public_internet, .sequence = now_ms, .lifetime = std::chrono::hours(1)},
      .versions = {2, 1},
      .candidates = {address("8.8.4.4:4242"), address("[2606:4700::1]:4242")},
      .relays = {{other_id(), {address("9.9.9.9:443"), address("[2620:fe::9]:443")}}},
      .nat_profile = {1, 2, 3}};
}

Bytes sign(const EndpointRecord& record) {
  return sign_endpoint_record(owner(), record, internet).value();
}

/// The error of reading; none if the record is good.
std::error_code refusal(ByteView record, WallTime when = now) {
  const auto read = verify_endpoint_record(record, owner().node_id(), when, internet);
  return read ? std::error_code() : read.error();
}

std::error_code signing_error(const EndpointRecord& record) {
  const auto made = sign_endpoint_record(owner(), record, internet);
  return made ? std::error_code() : made.error();
}

/// A record of the owner with that payload, whatever it is.
Bytes record_of_payload(ByteView payload) {
  return sign_record(owner(), SignatureDomain::endpoint_record, payload).value();
}

Bytes payload_of(ByteView record) {
  const ByteView payload = record.subspan(signed_record_overhead);
  return {payload.begin(), payload.end()};
}

// S1.41.
TEST(EndpointRecord, says_what_its_owner_said) {
  const EndpointRecord record = public_record();
  const Bytes bytes = sign(record);
  EXPECT_EQ(verify_endpoint_record(bytes, owner().node_id(), now, internet), record);
  EXPECT_EQ(peek_endpoint_stamp(bytes), record.stamp);
}

TEST(EndpointRecord, has_one_encoding) {
  EXPECT_EQ(to_hex(payload_of(sign(public_record()))),
            "0104"
            "000001a3185c5000"
            "0e10"
            "0200020001"
            "02"
            "04080804041092"
            "06260647000000000000000000000000011092"
            "01" +
                to_hex(other_id().bytes) +
                "02"
                "040909090901bb"
                "062620"
                "00fe00000000000000000000000901bb"
                "03010203");
}

// S1.67: a changed record is refused.
TEST(EndpointRecord, is_refused_with_any_bit_changed) {
  const Bytes good = sign(public_record());
  ASSERT_FALSE(refusal(good));
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes changed = good;
    changed[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    EXPECT_TRUE(refusal(changed)) << "bit " << bit;
  }
}

TEST(EndpointRecord, is_refused_cut_short_or_prolonged) {
  Bytes good = sign(public_record());
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_TRUE(refusal(ByteView(good).first(size))) << size;
  good.push_back(0);
  EXPECT_EQ(refusal(good), record_signature);
}

TEST(EndpointRecord, is_refused_if_its_owner_signed_something_cut_short) {
  const Bytes good = payload_of(sign(public_record()));
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_EQ(refusal(record_of_payload(ByteView(good).first(size))), malformed_endpoint_record)
        << size;
}

TEST(EndpointRecord, of_another_node_or_another_purpose_is_refused) {
  const Keypair other = Keypair::from_seed({4, 5, 6});
  const Bytes others = sign_endpoint_record(other, public_record(), internet).value();
  EXPECT_EQ(refusal(others), endpoint_record_of_another_node);
  EXPECT_TRUE(verify_endpoint_record(others, other.node_id(), now, internet));

  const Bytes payload = payload_of(others);
  const Bytes advert = sign_record(owner(), SignatureDomain::relay_advert, payload).value();
  EXPECT_EQ(refusal(advert), record_signature);
  Bytes claimed = others;  // the owner's key over another's signature
  std::ranges::copy(owner().public_key().bytes, claimed.begin() + 1);
  EXPECT_EQ(refusal(claimed), record_signature);
}

TEST(EndpointRecord, expires_with_five_minutes_of_grace) {
  EndpointRecord record = public_record();
  record.stamp.lifetime = std::chrono::seconds(100);
  const Bytes bytes = sign(record);
  EXPECT_FALSE(refusal(bytes, after(99)));
  EXPECT_FALSE(refusal(bytes, after(399)));
  EXPECT_EQ(refusal(bytes, after(400)), endpoint_record_expired);
  EXPECT_EQ(refusal(bytes, last_day), endpoint_record_expired);
}

// TD7: nobody holds a sequence number that its owner cannot exceed.
TEST(EndpointRecord, ahead_of_the_clock_is_refused) {
  const Bytes bytes = sign(public_record());
  EXPECT_FALSE(refusal(bytes, after(-300)));
  EXPECT_EQ(refusal(bytes, after(-301)), endpoint_record_ahead);
  EXPECT_EQ(refusal(bytes, WallTime{0}), endpoint_record_ahead);
  EXPECT_EQ(refusal(bytes, WallTime{-5}), endpoint_record_ahead);

  EndpointRecord poisoned = public_record();
  poisoned.stamp.sequence = ~std::uint64_t{0};
  EXPECT_EQ(refusal(sign(poisoned)), endpoint_record_ahead);
  EXPECT_EQ(refusal(sign(poisoned), last_day), endpoint_record_ahead);
}

TEST(EndpointRecord, of_a_wrong_clock_is_refused_with_a_hint_that_says_so) {
  const Bytes bytes = sign(public_record());
  EXPECT_NE(hint(refusal(bytes, WallTime{0})).find("clock"), std::string_view::npos);
  EXPECT_NE(hint(refusal(bytes, after(100'000))).find("clock"), std::string_view::npos);
}

TEST(EndpointRecord, the_higher_sequence_wins_then_the_wider_scope) {
  const EndpointStamp held{.scope = private_realm, .sequence = 100};
  const auto with = [&](std::uint64_t sequence, AddressScope scope) {
    return EndpointStamp{.scope = scope, .sequence = sequence};
  };
  EXPECT_FALSE(supersedes(held, held));
  EXPECT_FALSE(supersedes(with(99, public_internet), held));
  EXPECT_TRUE(supersedes(with(101, loopback), held));
  EXPECT_TRUE(supersedes(with(~std::uint64_t{0}, loopback), held));
  EXPECT_TRUE(supersedes(with(100, public_internet), held));
  EXPECT_FALSE(supersedes(with(100, link_local), held));

  EndpointRecord a = public_record();
  EndpointRecord b = a;
  EXPECT_EQ(&newer_of(a, b), &a);
  ++b.stamp.sequence;
  EXPECT_EQ(&newer_of(a, b), &b);
  EXPECT_EQ(&newer_of(b, a), &b);
}

// TD6, TD7: over a restart, with a clock set back, and after a poisoned number.
TEST(EndpointRecord, sequences_follow_the_clock_and_never_repeat) {
  EXPECT_EQ(next_endpoint_sequence(0, now_ms), now_ms);
  EXPECT_EQ(next_endpoint_sequence(now_ms, now_ms), now_ms + 1);
  EXPECT_EQ(next_endpoint_sequence(now_ms + 300'000, now_ms), now_ms + 300'001);
  EXPECT_EQ(next_endpoint_sequence(now_ms + 300'001, now_ms), now_ms);
  EXPECT_EQ(next_endpoint_sequence(~std::uint64_t{0}, now_ms), now_ms);
  EXPECT_EQ(next_endpoint_sequence(0, 0), 1U);
}

// TD4, TD12: no narrower address in a record, neither signed nor read.
TEST(EndpointRecord, names_no_address_of_a_narrower_scope) {
  struct Row {
    AddressScope scope;
    std::string_view address;
    bool allowed;
  };
  const Row rows[] = {
      {public_internet, "8.8.4.4:1", true},    {public_internet, "192.168.1.2:1", false},
      {public_internet, "[fe80::1]:1", false}, {public_internet, "127.0.0.1:1", false},
      {public_internet, "[fd00::1]:1", false}, {public_internet, "0.0.0.0:1", false},
      {public_internet, "8.8.4.4:0", false},   {private_realm, "8.8.4.4:1", true},
      {private_realm, "10.1.2.3:1", true},     {private_realm, "169.254.1.1:1", false},
      {private_realm, "[::1]:1", false},       {link_local, "10.1.2.3:1", true},
      {link_local, "[fe80::1]:1", true},       {link_local, "127.0.0.1:1", false},
      {loopback, "127.0.0.1:1", true},         {loopback, "192.168.1.2:1", true},
      {loopback, "224.0.0.1:1", false},        {public_internet, "192.0.2.1:1", false},
  };
  for (const Row& row : rows) {
    EndpointRecord record = public_record();
    record.stamp.scope = row.scope;
    record.relays.clear();
    record.candidates = {address("8.8.8.8:1"), address(row.address)};
    EXPECT_EQ(signing_error(record), row.allowed ? std::error_code() : endpoint_record_scope)
        << row.address;
    EXPECT_EQ(limited_to(row.scope, record, internet).candidates.size(), row.allowed ? 2U : 1U);

    record.candidates.clear();
    record.relays = {{other_id(), {address(row.address)}}};
    EXPECT_EQ(signing_error(record), row.allowed ? std::error_code() : endpoint_record_scope)
        << row.address;
    EXPECT_EQ(limited_to(row.scope, record, internet).relays.size(), row.allowed ? 1U : 0U);
    if (row.allowed || address(row.address).port == 0) continue;

    // Its owner signed it all the same.
    record.stamp.scope =
        row.address == "0.0.0.0:1" || row.address == "224.0.0.1:1" || row.address == "192.0.2.1:1"
            ? unusable
            : address(row.address).ip.scope();
    if (record.stamp.scope == unusable) continue;
    Bytes payload = payload_of(sign(record));
    payload[1] = static_cast<std::uint8_t>(row.scope);
    EXPECT_EQ(refusal(record_of_payload(payload)), endpoint_record_scope) << row.address;
  }
}

TEST(EndpointRecord, counts_a_laboratorys_addresses_as_public_in_a_laboratory_only) {
  EndpointRecord record = public_record();
  record.candidates = {address("192.0.2.1:4242")};
  const auto bytes = sign_endpoint_record(owner(), record, AddressRules::laboratory);
  ASSERT_TRUE(bytes);
  EXPECT_EQ(refusal(*bytes), endpoint_record_scope);
  EXPECT_TRUE(verify_endpoint_record(*bytes, owner().node_id(), now, AddressRules::laboratory));
}

TEST(EndpointRecord, for_a_scope_has_what_fits_of_everything) {
  EndpointRecord everything = public_record();
  everything.candidates.insert(everything.candidates.begin(), address("192.168.1.2:4242"));
  everything.candidates.insert(everything.candidates.end(), 20, address("8.8.8.8:1"));
  everything.relays.push_back({other_id(), {address("10.0.0.1:443")}});
  everything.relays.insert(everything.relays.end(), 9, everything.relays.front());
  everything.versions.assign(20, 7);
  for (const AddressScope scope : {loopback, link_local, private_realm, public_internet}) {
    const EndpointRecord record = limited_to(scope, everything, internet);
    EXPECT_EQ(record.stamp.scope, scope);
    EXPECT_EQ(record.stamp.sequence, everything.stamp.sequence);
    EXPECT_EQ(record.candidates.front() == address("192.168.1.2:4242"), scope != public_internet);
    EXPECT_FALSE(signing_error(record));
  }
}

EndpointRecord fullest_record() {
  EndpointRecord record = public_record();
  record.versions.assign(endpoint_versions_max, 0xffff);
  record.candidates.assign(endpoint_candidates_max, address("[2606:4700::1]:65535"));
  const std::vector<SocketAddress> addresses(endpoint_relay_addresses_max,
                                             address("[2606:4700::1]:65535"));
  record.relays.assign(endpoint_relays_max, {other_id(), addresses});
  record.nat_profile.assign(endpoint_nat_profile_max, 0xff);
  record.stamp.lifetime = endpoint_lifetime_max;
  return record;
}

TEST(EndpointRecord, may_be_full_but_no_fuller) {
  const EndpointRecord full = fullest_record();
  const Bytes bytes = sign(full);
  EXPECT_LE(bytes.size(), endpoint_record_size_max);
  EXPECT_EQ(verify_endpoint_record(bytes, owner().node_id(), now, internet), full);

  EndpointRecord record = full;
  record.versions.push_back(1);
  EXPECT_EQ(signing_error(record), endpoint_record_bounds);
  record = full;
  record.candidates.push_back(address("8.8.8.8:1"));
  EXPECT_EQ(signing_error(record), endpoint_record_bounds);
  record = full;
  record.relays.push_back(record.relays.front());
  EXPECT_EQ(signing_error(record), endpoint_record_bounds);
  record = full;
  record.relays.back().addresses.push_back(address("8.8.8.8:1"));
  EXPECT_EQ(signing_error(record), endpoint_record_bounds);
  record.relays.back().addresses.clear();
  EXPECT_EQ(signing_error(record), endpoint_record_bounds);
  record = full;
  record.nat_profile.push_back(1);
  EXPECT_EQ(signing_error(record), endpoint_record_bounds);
  for (const int seconds : {0, -1, 7201}) {
    record = full;
    record.stamp.lifetime = std::chrono::seconds(seconds);
    EXPECT_EQ(signing_error(record), endpoint_record_bounds) << seconds;
  }
  record = full;
  record.stamp.scope = unusable;
  EXPECT_EQ(signing_error(record), endpoint_record_bounds);
}

/// The payload of an empty public record, with one byte set.
Bytes minimal_payload(std::size_t at, std::uint8_t value) {
  Bytes payload;
  ByteWriter writer(payload);
  writer.u8(1);
  writer.u8(4);
  writer.u64(now_ms);
  writer.u16(60);
  writer.u32(0);  // no versions, candidates, relays, profile
  payload[at] = value;
  return payload;
}

// What a signer without our bounds could make.
TEST(EndpointRecord, is_refused_with_counts_beyond_the_bounds) {
  struct Row {
    std::size_t at;
    std::uint8_t value;
    IdentityErrc error;
  };
  const Row rows[] = {
      {0, 0, endpoint_record_version},    {0, 2, endpoint_record_version},
      {1, 0, endpoint_record_bounds},     {1, 5, endpoint_record_bounds},
      {11, 0, endpoint_record_bounds},    {10, 0x1c, endpoint_record_bounds},
      {12, 9, endpoint_record_bounds},    {13, 17, endpoint_record_bounds},
      {14, 5, endpoint_record_bounds},    {15, 33, endpoint_record_bounds},
      {12, 8, malformed_endpoint_record}, {13, 1, malformed_endpoint_record},
      {14, 1, malformed_endpoint_record}, {15, 32, malformed_endpoint_record},
  };
  EXPECT_FALSE(refusal(record_of_payload(minimal_payload(0, 1))));
  for (const Row& row : rows) {
    const Bytes record = record_of_payload(minimal_payload(row.at, row.value));
    EXPECT_EQ(refusal(record), row.error) << row.at << ": " << int(row.value);
  }
  Bytes payload = minimal_payload(14, 1);  // a relay with no address, or five
  for (const std::size_t count : {0U, 5U}) {
    payload.resize(15 + NodeId::size);
    payload.push_back(static_cast<std::uint8_t>(count));
    payload.resize(600);
    EXPECT_EQ(refusal(record_of_payload(payload)), endpoint_record_bounds) << count;
  }
}

TEST(EndpointRecord, skips_the_fields_of_later_releases_up_to_its_size) {
  Bytes payload = payload_of(sign(public_record()));
  payload.push_back(99);
  const Bytes longer = record_of_payload(payload);
  EXPECT_EQ(verify_endpoint_record(longer, owner().node_id(), now, internet), public_record());
  payload.resize(endpoint_record_size_max - signed_record_overhead);
  EXPECT_FALSE(refusal(record_of_payload(payload)));
  payload.push_back(0);
  EXPECT_EQ(refusal(record_of_payload(payload)), endpoint_record_bounds);
}

TEST(EndpointRecord, without_any_address_says_that_its_node_is_not_to_be_reached) {
  EndpointRecord record = public_record();
  record.candidates.clear();
  record.relays.clear();
  EXPECT_EQ(verify_endpoint_record(sign(record), owner().node_id(), now, internet), record);
}

}  // namespace
}  // namespace quicmesh
