// Makes a file name of what a peer calls its file: safe to create, and safe to show.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace quicmesh::cli {

/// Bytes of a name; what the file system allows (255) less what we add to it.
inline constexpr std::size_t file_name_max = 200;

/// The last part of `offered`, with `_` for everything that is no UTF-8, a control, a mark of text
/// direction, or `\`, `:` and their like, which are special elsewhere; never hidden, never empty.
/// Too long a name is cut before its extension.
[[nodiscard]] std::string safe_file_name(std::string_view offered);

/// Where what is held of a file is kept: hidden, told apart by its content and its sender.
[[nodiscard]] std::string part_file_name(std::string_view name, std::string_view hash_hex,
                                         std::string_view sender_hex);

/// "photo (2).jpg" for the second further try.
[[nodiscard]] std::string numbered_file_name(std::string_view name, std::uint32_t number);

}  // namespace quicmesh::cli
