// Thin calls of GnuTLS. They fail only for lack of memory or where an algorithm is forbidden.
#include "crypto/hmac.hpp"

#include <gnutls/crypto.h>

#include "base/assert.hpp"

namespace quicmesh {
namespace {

void hmac(gnutls_mac_algorithm_t algorithm, ByteView key, std::span<const ByteView> message,
          std::uint8_t* out) {
  gnutls_hmac_hd_t handle = nullptr;
  QM_ASSERT(gnutls_hmac_init(&handle, algorithm, key.data(), key.size()) == 0);
  for (const ByteView part : message) {
    QM_ASSERT(gnutls_hmac(handle, part.data(), part.size()) == 0);
  }
  gnutls_hmac_deinit(handle, out);
}

}  // namespace

HmacSha1 hmac_sha1(ByteView key, std::span<const ByteView> message) {
  HmacSha1 out{};
  hmac(GNUTLS_MAC_SHA1, key, message, out.data());
  return out;
}

HmacSha256 hmac_sha256(ByteView key, std::span<const ByteView> message) {
  HmacSha256 out{};
  hmac(GNUTLS_MAC_SHA256, key, message, out.data());
  return out;
}

std::optional<Md5Digest> md5(ByteView message) {
  Md5Digest out{};
  if (gnutls_hash_fast(GNUTLS_DIG_MD5, message.data(), message.size(), out.data()) != 0) {
    return std::nullopt;
  }
  return out;
}

Sha256Digest sha256(ByteView message) {
  Sha256Digest out{};
  QM_ASSERT(gnutls_hash_fast(GNUTLS_DIG_SHA256, message.data(), message.size(), out.data()) == 0);
  return out;
}

}  // namespace quicmesh
