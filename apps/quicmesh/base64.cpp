// See base64.hpp.
#include "base64.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace quicmesh::cli {
namespace {

constexpr std::string_view base64_digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::string to_base64(std::string_view bytes) {
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t size = std::min<std::size_t>(3, bytes.size() - at);
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i)
      group = group << 8 | (i < size ? static_cast<std::uint8_t>(bytes[at + i]) : 0u);
    for (std::size_t i = 0; i < 4; ++i)
      text += i <= size ? base64_digits[group >> (18 - 6 * i) & 63] : '=';
  }
  return text;
}

bool from_base64(std::string_view text, std::string& bytes) {
  if (text.size() % 4 != 0) return false;
  std::string digits(text);
  while (text.size() - digits.size() < 2 && digits.ends_with('='))
    digits.pop_back();
  std::string out;
  std::uint32_t bits = 0;
  for (std::size_t at = 0; at < digits.size(); ++at) {
    const std::size_t value = base64_digits.find(digits[at]);
    if (value == std::string_view::npos) return false;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    if (at % 4 != 0) out += static_cast<char>(bits >> (6 - 2 * (at % 4)) & 255);
  }
  if (to_base64(out) != text) return false;  // bits that mean nothing must be zero
  bytes = std::move(out);
  return true;
}

}  // namespace quicmesh::cli
