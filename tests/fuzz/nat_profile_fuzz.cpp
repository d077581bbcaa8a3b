// Any bytes as a NAT profile: what is understood encodes to the very same bytes. Signed, they come
// back as they were.
#include <algorithm>

#include "base/assert.hpp"
#include "identity/signed_record.hpp"
#include "nat/nat_profile.hpp"

using namespace quicmesh;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Keypair keypair = Keypair::from_seed({1, 2, 3});
  const ByteView bytes(data, size);
  (void)verify_nat_profile(bytes);
  const auto profile = decode_nat_profile(bytes);
  if (profile) {
    QM_ASSERT(std::ranges::equal(encode_nat_profile(*profile), bytes));
    QM_ASSERT(profile->port_confidence <= 100);
    QM_ASSERT(!to_string(classic_type(*profile)).empty());
    const auto read = verify_nat_profile(sign_nat_profile(keypair, *profile, WallTime{7}));
    QM_ASSERT(read && read->profile == *profile && read->signer == keypair.node_id());
  }
  // Whoever signs may sign anything.
  const auto record = sign_record(keypair, SignatureDomain::nat_profile, bytes);
  if (!record || size < 8) return 0;
  const auto read = verify_nat_profile(*record);
  QM_ASSERT(read.has_value() == decode_nat_profile(bytes.subspan(8)).has_value());
  return 0;
}
