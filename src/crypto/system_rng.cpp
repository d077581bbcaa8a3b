// getrandom(2) may be interrupted and may give less than asked for: it is called until done.
#include "crypto/system_rng.hpp"

#include <sys/random.h>

#include <cerrno>

#include "base/assert.hpp"

namespace quicmesh {

void SystemRng::fill(MutableByteView out) {
  while (!out.empty()) {
    const ssize_t count = getrandom(out.data(), out.size(), 0);
    // Without randomness no key is a secret: there is nothing to go on with.
    QM_ASSERT(count > 0 || errno == EINTR);
    if (count > 0) out = out.subspan(static_cast<std::size_t>(count));
  }
}

}  // namespace quicmesh
