// Hexadecimal text of byte strings: printed in lower case, read in either.
#pragma once

#include <string>
#include <string_view>

#include "quicmesh/bytes.hpp"
#include "quicmesh/result.hpp"

namespace quicmesh {

[[nodiscard]] std::string to_hex(ByteView bytes);

/// The bytes of `text`; `malformed_hex` for an odd length or a character that is no digit.
[[nodiscard]] Result<Bytes> from_hex(std::string_view text);

/// The same into `out`, of which every byte must be given: `malformed_hex` for any other length.
[[nodiscard]] Result<void> from_hex(std::string_view text, MutableByteView out);

}  // namespace quicmesh
