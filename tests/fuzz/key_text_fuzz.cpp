// Any bytes as a key file: what is accepted is, but for the case of its digits, what would be
// written.
#include <algorithm>

#include "base/assert.hpp"
#include "identity/key_text.hpp"

using namespace quicmesh;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto keypair = parse_key_text(as_text({data, size}));
  if (!keypair) return 0;
  const Bytes text = encode_key_text(*keypair);
  QM_ASSERT(std::equal(text.begin(), text.end(), data, data + size, [](char ours, char theirs) {
    return ours == theirs || (theirs >= 'A' && theirs <= 'F' && ours == theirs + 32);
  }));
  return 0;
}
