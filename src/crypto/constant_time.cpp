// libsodium's sodium_memcmp and sodium_memzero.
#include "crypto/constant_time.hpp"

#include <sodium.h>

namespace quicmesh {

bool constant_time_equal(ByteView a, ByteView b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

void secure_wipe(MutableByteView secret) {
  sodium_memzero(secret.data(), secret.size());
}

}  // namespace quicmesh
