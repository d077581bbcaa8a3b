#include "nat/nat_profile.hpp"

#include <gtest/gtest.h>

#include "base/hex.hpp"
#include "base/rng.hpp"
#include "identity/identity_errc.hpp"
#include "identity/signed_record.hpp"
#include "nat/nat_errc.hpp"

namespace quicmesh {
namespace {

using enum NatBehaviour;

NatProfile full_profile() {
  return {.mapping = address_and_port_dependent,
          .filtering = address_dependent,
          .port_allocation = PortAllocation::sequential,
          .port_delta = -2,
          .port_confidence = 75,
          .port_samples = 5,
          .hairpin = Finding::yes,
          .translated = Finding::yes,
          .cgnat = Finding::no,
          .udp_blocked = Finding::no,
          .pooled = Finding::unknown,
          .ipv6 = Ipv6State::direct,
          .ipv6_filtering = endpoint_independent,
          .lifetime_s = 300,
          .port_mapping = {.upnp_igd = true, .nat_pmp = false, .pcp = true}};
}

// S1.33 full cone, S1.34 restricted cone, S1.35 port-restricted cone, S1.36 symmetric, S1.R10.
TEST(NatProfile, derives_the_seeds_names) {
  struct Row {
    Finding translated;
    Finding cgnat;
    NatBehaviour mapping;
    NatBehaviour filtering;
    ClassicNatType type;
    std::string_view name;
  };
  const NatBehaviour any = NatBehaviour::unknown;
  const Row rows[] = {
      {Finding::no, Finding::unknown, endpoint_independent, address_and_port_dependent,
       ClassicNatType::none, "none"},
      {Finding::yes, Finding::no, endpoint_independent, endpoint_independent,
       ClassicNatType::full_cone, "full cone"},
      {Finding::yes, Finding::unknown, endpoint_independent, address_dependent,
       ClassicNatType::restricted_cone, "restricted cone"},
      {Finding::yes, Finding::no, endpoint_independent, address_and_port_dependent,
       ClassicNatType::port_restricted_cone, "port-restricted cone"},
      {Finding::yes, Finding::no, address_dependent, endpoint_independent,
       ClassicNatType::symmetric, "symmetric"},
      {Finding::yes, Finding::no, address_and_port_dependent, any, ClassicNatType::symmetric,
       "symmetric"},
      {Finding::yes, Finding::yes, endpoint_independent, endpoint_independent,
       ClassicNatType::symmetric, "symmetric"},
      {Finding::yes, Finding::no, endpoint_independent, any, ClassicNatType::unknown, "unknown"},
      {Finding::yes, Finding::no, any, endpoint_independent, ClassicNatType::unknown, "unknown"},
  };
  for (const Row& row : rows) {
    NatProfile profile;
    profile.translated = row.translated;
    profile.cgnat = row.cgnat;
    profile.mapping = row.mapping;
    profile.filtering = row.filtering;
    EXPECT_EQ(classic_type(profile), row.type) << row.name;
    EXPECT_EQ(to_string(classic_type(profile)), row.name);
    profile.udp_blocked = Finding::yes;
    EXPECT_EQ(classic_type(profile), ClassicNatType::unknown);
  }
}

// Golden bytes of version 1.
TEST(NatProfile, has_one_encoding) {
  const NatProfileBytes bytes = encode_nat_profile(full_profile());
  EXPECT_EQ(to_hex(bytes), "01ea949afffe4b05012c");
  EXPECT_EQ(decode_nat_profile(bytes), full_profile());
  EXPECT_EQ(to_hex(encode_nat_profile({})), "01000000000000000000");
}

TEST(NatProfile, what_decodes_encodes_to_the_same_bytes) {
  Rng rng(1);
  std::size_t decoded = 0;
  for (int i = 0; i < 50'000; ++i) {
    NatProfileBytes bytes{};
    rng.fill(bytes);
    bytes[0] = 1;
    const auto profile = decode_nat_profile(bytes);
    if (!profile) continue;
    ++decoded;
    ASSERT_EQ(encode_nat_profile(*profile), bytes);
  }
  EXPECT_GT(decoded, 1'000u);
}

TEST(NatProfile, malformed_and_later_versions_are_refused) {
  const NatProfileBytes good = encode_nat_profile(full_profile());
  const auto changed = [&](std::size_t at, std::uint8_t value) {
    NatProfileBytes bytes = good;
    bytes[at] = value;
    return decode_nat_profile(bytes);
  };
  EXPECT_EQ(changed(0, 2).error(), NatErrc::unknown_profile_version);
  EXPECT_EQ(changed(1, 0x03).error(), NatErrc::malformed_profile);  // hairpin 3
  EXPECT_EQ(changed(2, 0xc0).error(), NatErrc::malformed_profile);  // translated 3
  EXPECT_EQ(changed(3, 0x01).error(), NatErrc::malformed_profile);  // reserved bit
  EXPECT_EQ(changed(6, 101).error(), NatErrc::malformed_profile);
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_EQ(decode_nat_profile(ByteView(good).first(size)).error(), NatErrc::malformed_profile);
  Bytes longer = to_bytes(good);
  longer.push_back(0);
  EXPECT_EQ(decode_nat_profile(longer).error(), NatErrc::malformed_profile);
  for (int code = 1; code <= static_cast<int>(NatErrc::too_many_servers); ++code)
    EXPECT_FALSE(hint(make_error_code(static_cast<NatErrc>(code))).empty());
}

TEST(NatProfile, is_signed_by_its_node_for_this_purpose_alone) {
  const Keypair keypair = Keypair::from_seed({1});
  const Bytes record = sign_nat_profile(keypair, full_profile(), WallTime{1'763'000'000});
  const auto read = verify_nat_profile(record);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->signer, keypair.node_id());
  EXPECT_EQ(read->measured, WallTime{1'763'000'000});
  EXPECT_EQ(read->profile, full_profile());

  Bytes forged = record;
  forged.back() ^= 1;
  EXPECT_EQ(verify_nat_profile(forged).error(), IdentityErrc::record_signature);
  const auto other = sign_record(keypair, SignatureDomain::envelope,
                                 ByteView(record).subspan(signed_record_overhead));
  EXPECT_EQ(verify_nat_profile(*other).error(), IdentityErrc::record_signature);
  const auto brief = sign_record(keypair, SignatureDomain::nat_profile, to_bytes("1234"));
  EXPECT_EQ(verify_nat_profile(*brief).error(), NatErrc::malformed_profile);
}

}  // namespace
}  // namespace quicmesh
