// Base64 with padding (RFC 4648 s4): how JSON carries bytes that are no text.
#pragma once

#include <string>
#include <string_view>

namespace quicmesh::cli {

[[nodiscard]] std::string to_base64(std::string_view bytes);
/// False for anything else than what `to_base64` writes.
[[nodiscard]] bool from_base64(std::string_view text, std::string& bytes);

}  // namespace quicmesh::cli
