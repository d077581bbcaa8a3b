// The text of a key file: what is written, and a strict reading of it. No I/O (io/key_file.hpp).
//
//     quicmesh-key-v1 ed25519
//     <64 hexadecimal digits: the secret seed>
//     <64 hexadecimal digits: the public key>
//
// Three lines, each ended by a newline, 154 bytes in all. The public key is there as a check: a
// damaged file is refused instead of becoming somebody else.
#pragma once

#include <cstddef>
#include <string_view>

#include "quicmesh/bytes.hpp"
#include "quicmesh/keypair.hpp"
#include "quicmesh/result.hpp"

namespace quicmesh {

inline constexpr std::size_t key_text_size = 154;

/// The text of `keypair`. It holds the secret: wipe it (`secure_wipe`) after use.
[[nodiscard]] Bytes encode_key_text(const Keypair& keypair);

/// Errors: `malformed_key_text`; `key_text_version` for a first line that names another version or
/// kind of key; `key_text_mismatch` if the third line is not the public key of the second.
[[nodiscard]] Result<Keypair> parse_key_text(std::string_view text);

}  // namespace quicmesh
