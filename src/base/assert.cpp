// Reports a failed QM_ASSERT on standard error and aborts, so that a core dump shows the culprit.
// It allocates nothing: the heap may be what is broken.
#include "base/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace quicmesh {
namespace {

thread_local const char* assert_context = nullptr;

}  // namespace

void assert_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, condition);
  if (assert_context != nullptr) std::fprintf(stderr, "context: %s\n", assert_context);
  std::fflush(stderr);
  std::abort();
}

void set_assert_context(const char* context) {
  assert_context = context;
}

}  // namespace quicmesh
