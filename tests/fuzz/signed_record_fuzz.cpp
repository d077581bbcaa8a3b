// Any bytes as a signed record of the domain that the first byte names: a payload that stands at
// the end of the record, good for that domain alone, or an error. A second look takes the bytes as
// a payload, signs it, and expects it back.
#include <algorithm>

#include "base/assert.hpp"
#include "identity/signed_record.hpp"

using namespace quicmesh;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Keypair keypair = Keypair::from_seed({1, 2, 3});
  if (size == 0) return 0;
  const std::size_t index = data[0] % signature_domain_count;
  const auto domain = static_cast<SignatureDomain>(index);
  const auto other = static_cast<SignatureDomain>((index + 1) % signature_domain_count);
  const ByteView bytes(data + 1, size - 1);
  if (const auto read = verify_record(domain, bytes)) {
    QM_ASSERT(read->payload.size() + signed_record_overhead == bytes.size());
    QM_ASSERT(!verify_record(other, bytes));
  }
  const auto record = sign_record(keypair, domain, bytes);
  QM_ASSERT(record.has_value() == (bytes.size() <= signed_payload_max));
  if (!record) return 0;
  const auto read = verify_record(domain, *record);
  QM_ASSERT(read && std::ranges::equal(read->payload, bytes));
  return 0;
}
