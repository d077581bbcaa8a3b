// HMAC with SHA-1 and SHA-256 (RFC 2104, RFC 6234), and the plain digests MD5 and SHA-256: what
// standard protocols prescribe (STUN and TURN). Our own protocols use BLAKE3 (mac.hpp).
//
// Done by GnuTLS. The message comes in parts, because STUN computes its HMAC over a header in which
// the length is another than the one received.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "quicmesh/bytes.hpp"

namespace quicmesh {

using HmacSha1 = std::array<std::uint8_t, 20>;
using HmacSha256 = std::array<std::uint8_t, 32>;
using Md5Digest = std::array<std::uint8_t, 16>;
using Sha256Digest = std::array<std::uint8_t, 32>;

/// The HMAC of the parts, one after the other; `key` of any length.
[[nodiscard]] HmacSha1 hmac_sha1(ByteView key, std::span<const ByteView> message);
[[nodiscard]] HmacSha256 hmac_sha256(ByteView key, std::span<const ByteView> message);

/// Broken as a hash; RFC 8489 s9.2.2 makes the long-term key of it. Nothing where the system
/// forbids it (FIPS 140).
[[nodiscard]] std::optional<Md5Digest> md5(ByteView message);
[[nodiscard]] Sha256Digest sha256(ByteView message);

}  // namespace quicmesh
