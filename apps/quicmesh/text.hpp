// Text that came from outside, made safe to show: UTF-8 (RFC 3629) is decoded strictly, and what
// could steer a terminal or mislead a reader is escaped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace quicmesh::cli {

struct CodePoint {
  char32_t value = 0;
  std::size_t size = 1;  // bytes to go on by
  bool valid = false;    // else `value` is the byte itself
};

/// The code point that begins at `at`, which is inside `text`. Overlong forms, surrogates and
/// values above U+10FFFF are invalid.
[[nodiscard]] CodePoint decode_utf8(std::string_view text, std::size_t at);

/// Controls (C0, DEL, C1), line and paragraph separators, and the marks that change the direction
/// of text, by which a name can be made to look like another one.
[[nodiscard]] bool is_unprintable(char32_t value);

/// `text` with every invalid byte replaced by U+FFFD: what JSON may carry.
[[nodiscard]] std::string valid_utf8(std::string_view text);

/// `text` on one line: unprintable code points and invalid bytes as \n, \t, \x1b or \u{202e}.
[[nodiscard]] std::string printable(std::string_view text);

/// "512 B", "1.5 KiB", "100.0 MiB".
[[nodiscard]] std::string human_bytes(std::uint64_t bytes);
/// Per second, in decimal bits as networks are sold: "3.21 Gbit/s".
[[nodiscard]] std::string human_rate(std::uint64_t bytes, double seconds);

/// A number of bytes as people write it: "4096", "64k", "20M", "1G" (powers of 1024). Nothing for
/// anything else, or more than 2^62.
[[nodiscard]] bool parse_bytes(std::string_view text, std::uint64_t& bytes);

}  // namespace quicmesh::cli
