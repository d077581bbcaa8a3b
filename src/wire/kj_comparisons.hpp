// Two comparisons that Cap'n Proto 0.9.2 leaves to C++20, included before its headers.
//
// It expects the compiler to turn `text == string` round. Since P2468, which clang 16 has and
// g++ 12 has not, that is not done for a class that has an operator != of its own, as StringPtr.
#pragma once

#include <kj/string.h>

#if defined(__clang__) && __clang_major__ >= 16
namespace kj {

inline bool operator==(const char* a, const StringPtr& b) {
  return b == StringPtr(a);
}
inline bool operator!=(const char* a, const StringPtr& b) {
  return b != StringPtr(a);
}

}  // namespace kj
#endif
