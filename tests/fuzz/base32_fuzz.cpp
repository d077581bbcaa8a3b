// Any bytes as base32 and hexadecimal text, and any text as bytes: one is the other's inverse.
#include <algorithm>

#include "base/assert.hpp"
#include "base/base32.hpp"
#include "base/hex.hpp"

using namespace quicmesh;

namespace {

char lower(char character) {
  return character >= 'A' && character <= 'Z' ? static_cast<char>(character + 32) : character;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(data, size);
  QM_ASSERT(from_base32(to_base32(bytes)) == to_bytes(bytes));
  QM_ASSERT(from_hex(to_hex(bytes)) == to_bytes(bytes));
  std::string text(as_text(bytes));
  const auto from_text = from_base32(text);
  const auto from_digits = from_hex(text);
  std::ranges::transform(text, text.begin(), lower);
  QM_ASSERT(!from_text || to_base32(*from_text) == text);
  QM_ASSERT(!from_digits || to_hex(*from_digits) == text);
  return 0;
}
