// The keyed hash, cut.
#include "crypto/mac.hpp"

#include "crypto/constant_time.hpp"

namespace quicmesh {

Mac make_mac(const Blake3Key& key, ByteView message) {
  Blake3 hash = Blake3::keyed(key);
  hash.update(message);
  Mac mac;
  hash.finish(mac);
  return mac;
}

bool verify_mac(const Blake3Key& key, ByteView message, ByteView mac) {
  return constant_time_equal(make_mac(key, message), mac);
}

}  // namespace quicmesh
