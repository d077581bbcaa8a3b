// A short MAC for small frames of ours (path probes, relay challenges): BLAKE3's keyed hash cut to
// 16 bytes. A forger without the key succeeds once in 2^128 tries; each try is a packet.
#pragma once

#include <array>
#include <cstdint>

#include "crypto/blake3.hpp"
#include "quicmesh/bytes.hpp"

namespace quicmesh {

using Mac = std::array<std::uint8_t, 16>;

[[nodiscard]] Mac make_mac(const Blake3Key& key, ByteView message);

/// Whether `mac` is that of `message`; in constant time. A `mac` of any other size is wrong.
[[nodiscard]] bool verify_mac(const Blake3Key& key, ByteView message, ByteView mac);

}  // namespace quicmesh
