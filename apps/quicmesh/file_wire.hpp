// The messages of quicmesh/file/1 (docs/protocols/file.md), as bytes and back. Each is a frame: its
// length as four bytes, then its type as one, then its fields.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "crypto/blake3.hpp"
#include "quicmesh/bytes.hpp"
#include "quicmesh/result.hpp"

namespace quicmesh::cli {

inline constexpr const char* file_protocol = "quicmesh/file/1";
inline constexpr std::size_t file_frame_max = 2048;  // a longer one ends the transfer
inline constexpr std::size_t frame_header_size = 4;
inline constexpr std::size_t offered_name_max = 1024;
inline constexpr std::size_t verdict_text_max = 512;
inline constexpr std::uint64_t file_size_max = std::uint64_t{1} << 62;

/// What the receiver says; the numbers are frozen.
enum class FileStatus : std::uint8_t {
  good = 0,
  not_wanted = 1,  // the receiver takes nothing from this sender
  busy = 2,        // too many transfers, or this very file is arriving already
  no_space = 3,
  cannot_write = 4,
  hash_mismatch = 5,  // what arrived is not what was offered
  bad_message = 6,
};

struct FileOffer {
  std::uint64_t size = 0;
  Blake3Digest hash{};
  std::string name;

  bool operator==(const FileOffer&) const = default;
};

/// `held` bytes are here already, and hash to `held_hash`.
struct FileAnswer {
  FileStatus status = FileStatus::good;
  std::uint64_t held = 0;
  Blake3Digest held_hash{};
  std::string text;

  bool operator==(const FileAnswer&) const = default;
};

/// From where the sender goes on: `held`, or 0.
struct FileBegin {
  std::uint64_t start = 0;

  bool operator==(const FileBegin&) const = default;
};

struct FileVerdict {
  FileStatus status = FileStatus::good;
  std::string text;

  bool operator==(const FileVerdict&) const = default;
};

[[nodiscard]] Bytes encode(const FileOffer& offer);
[[nodiscard]] Bytes encode(const FileAnswer& answer);
[[nodiscard]] Bytes encode(const FileBegin& begin);
[[nodiscard]] Bytes encode(const FileVerdict& verdict);

/// The length of the frame behind the header; `too_long` if it is 0 or above `file_frame_max`.
[[nodiscard]] Result<std::size_t> decode_frame_size(ByteView header);

/// Of a frame without its header. `truncated`, `trailing_bytes`, `too_long`, `out_of_range`.
[[nodiscard]] Result<FileOffer> decode_offer(ByteView frame);
[[nodiscard]] Result<FileAnswer> decode_answer(ByteView frame);
[[nodiscard]] Result<FileBegin> decode_begin(ByteView frame);
[[nodiscard]] Result<FileVerdict> decode_verdict(ByteView frame);

[[nodiscard]] std::string_view name_of(FileStatus status);

}  // namespace quicmesh::cli
