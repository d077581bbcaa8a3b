#include "stun/stun_credentials.hpp"

#include <string>

#include "stun/stun_errc.hpp"

namespace quicmesh {

Bytes stun_short_term_key(std::string_view password) {
  return to_bytes(password);
}

Result<Bytes> stun_long_term_key(const StunLongTermCredential& credential,
                                 StunPasswordAlgorithm algorithm) {
  std::string text;
  text.append(credential.username).append(1, ':').append(credential.realm).append(1, ':');
  text.append(credential.password);
  if (algorithm == StunPasswordAlgorithm::sha256) return to_bytes(sha256(as_bytes(text)));
  const auto digest = md5(as_bytes(text));
  if (!digest) return failure(StunErrc::forbidden_digest);
  return to_bytes(*digest);
}

Sha256Digest stun_userhash(std::string_view username, std::string_view realm) {
  std::string text(username);
  text.append(1, ':').append(realm);
  return sha256(as_bytes(text));
}

}  // namespace quicmesh
