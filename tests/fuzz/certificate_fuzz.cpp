// Any bytes as a peer's certificate: a key that stands in the bytes, or an error.
#include <algorithm>

#include "base/assert.hpp"
#include "identity/certificate.hpp"

using namespace quicmesh;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView der(data, size);
  const auto key = public_key_of_certificate(der);
  if (!key) return 0;
  QM_ASSERT(size <= certificate_size_max);
  QM_ASSERT(!std::ranges::search(der, key->bytes).empty());
  QM_ASSERT(check_certificate(der, NodeId::of(*key)) == *key);
  QM_ASSERT(!check_certificate(der, NodeId{}));
  return 0;
}
