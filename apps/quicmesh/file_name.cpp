// See file_name.hpp.
#include "file_name.hpp"

#include <algorithm>

#include "text.hpp"

namespace quicmesh::cli {
namespace {

constexpr std::size_t extension_max = 20;
constexpr std::size_t hash_digits = 16;
constexpr std::size_t sender_digits = 24;  // 96 bits: nobody finds another key with the same ones

/// Where the extension begins, with its dot; the end if there is none.
std::size_t extension_at(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  const bool none = dot == std::string_view::npos || dot == 0 || name.size() - dot > extension_max;
  return none ? name.size() : dot;
}

/// At most `size` bytes of `text`, cut between code points.
std::string_view cut(std::string_view text, std::size_t size) {
  if (text.size() <= size) return text;
  while (size > 0 && (static_cast<std::uint8_t>(text[size]) & 0xc0) == 0x80)
    --size;
  return text.substr(0, size);
}

}  // namespace

std::string safe_file_name(std::string_view offered) {
  while (offered.ends_with('/'))
    offered.remove_suffix(1);
  offered.remove_prefix(offered.rfind('/') + 1);
  constexpr std::string_view special = "\\:*?\"<>|";
  std::string name;
  for (std::size_t at = 0; at < offered.size();) {
    const CodePoint point = decode_utf8(offered, at);
    const bool good = point.valid && !is_unprintable(point.value) &&
                      (point.size > 1 || !special.contains(offered[at]));
    name.append(good ? offered.substr(at, point.size) : std::string_view("_"));
    at += point.size;
  }
  while (name.ends_with(' ') || name.ends_with('.'))
    name.pop_back();
  if (name.empty()) return "file";
  if (name.front() == '.' || name.front() == ' ' || name.front() == '-') name.front() = '_';
  if (name.size() <= file_name_max) return name;
  const std::string extension = name.substr(extension_at(name));
  return std::string(cut(name, file_name_max - extension.size())) + extension;
}

std::string part_file_name(std::string_view name, std::string_view hash_hex,
                           std::string_view sender_hex) {
  std::string part = ".";
  part.append(name).append(".").append(hash_hex.substr(0, hash_digits));
  part.append(".").append(sender_hex.substr(0, sender_digits)).append(".part");
  return part;
}

std::string numbered_file_name(std::string_view name, std::uint32_t number) {
  const std::size_t extension = extension_at(name);
  std::string out(name.substr(0, extension));
  out.append(" (").append(std::to_string(number)).append(")").append(name.substr(extension));
  return out;
}

}  // namespace quicmesh::cli
