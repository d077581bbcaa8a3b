// Any bytes as an endpoint record, and as the payload of one that its owner signed: what is
// understood can be signed again and says the same.
#include "base/assert.hpp"
#include "identity/endpoint_record.hpp"
#include "identity/signed_record.hpp"

using namespace quicmesh;

namespace {

constexpr auto rules = AddressRules::internet;

void look_at(ByteView record, const Keypair& keypair) {
  const auto stamp = peek_endpoint_stamp(record);
  // A time at which the record is good, if there is one.
  const WallTime now{stamp ? std::int64_t(stamp->sequence / 1000) : 0};
  const auto read = verify_endpoint_record(record, keypair.node_id(), now, rules);
  if (!read) return;
  QM_ASSERT(record.size() <= endpoint_record_size_max);
  QM_ASSERT(stamp && *stamp == read->stamp);
  QM_ASSERT(!supersedes(*stamp, read->stamp));
  const auto again = sign_endpoint_record(keypair, *read, rules);
  QM_ASSERT(again && again->size() <= record.size());
  QM_ASSERT(verify_endpoint_record(*again, keypair.node_id(), now, rules) == *read);
  QM_ASSERT(limited_to(stamp->scope, *read, rules) == *read);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Keypair keypair = Keypair::from_seed({1, 2, 3});
  const ByteView bytes(data, size);
  look_at(bytes, keypair);
  if (size <= 2048) {
    look_at(sign_record(keypair, SignatureDomain::endpoint_record, bytes).value(), keypair);
  }
  return 0;
}
