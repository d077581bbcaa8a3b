// The keys of MESSAGE-INTEGRITY (RFC 8489 s9): made from passwords that have passed OpaqueString
// (RFC 8265) already; nothing here prepares Unicode.
#pragma once

#include <string_view>

#include "crypto/hmac.hpp"
#include "quicmesh/bytes.hpp"
#include "quicmesh/result.hpp"

namespace quicmesh {

/// RFC 8489 s18.5.
enum class StunPasswordAlgorithm : std::uint16_t { md5 = 1, sha256 = 2 };

struct StunLongTermCredential {
  std::string_view username;
  std::string_view realm;
  std::string_view password;
};

/// RFC 8489 s9.1.1: the password itself.
[[nodiscard]] Bytes stun_short_term_key(std::string_view password);

/// RFC 8489 s9.2.2: the digest of `username:realm:password`. `forbidden_digest` if the system does
/// not allow MD5.
[[nodiscard]] Result<Bytes> stun_long_term_key(const StunLongTermCredential& credential,
                                               StunPasswordAlgorithm algorithm);

/// The USERHASH attribute (s14.4).
[[nodiscard]] Sha256Digest stun_userhash(std::string_view username, std::string_view realm);

}  // namespace quicmesh
