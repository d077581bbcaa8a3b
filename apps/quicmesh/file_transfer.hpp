// What both sides of quicmesh/file/1 use: frames on a stream, time limits, progress.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "async.hpp"
#include "file_wire.hpp"
#include "output.hpp"
#include "quicmesh/stream.hpp"

namespace quicmesh::cli {

/// For a message that the other side only has to write.
inline constexpr Duration message_limit = 20s;
/// For a message before which the other side reads or syncs `bytes` of a file.
[[nodiscard]] Duration disk_limit(std::uint64_t bytes);
/// Without a byte for so long, a transfer is given up; what has arrived is kept.
inline constexpr Duration stall_limit = 60s;

/// Bytes that are hashed at a stretch: whoever gives up meanwhile waits for so many at most.
inline constexpr std::uint64_t hash_stretch = 64u << 20;

/// The next frame, without its header.
Task<Bytes> read_frame(Stream& stream);

/// What `decode` makes of a frame that came.
template <class Message>
[[nodiscard]] Result<Message> decoded(const Result<Bytes>& frame,
                                      Result<Message> (*decode)(ByteView frame)) {
  if (!frame) return failure(frame.error());
  return decode(*frame);
}

/// Emits progress events, at most ten a second.
class Progress {
 public:
  struct Extent {
    std::string name;
    std::uint64_t total = 0;
    std::uint64_t start = 0;  // where this attempt began
  };

  Progress(EventSink emit, Extent extent);

  void show(std::uint64_t bytes);
  [[nodiscard]] double seconds() const { return seconds_since(started_); }
  [[nodiscard]] const Extent& extent() const { return extent_; }
  /// When `show` was last told of more bytes.
  [[nodiscard]] std::chrono::steady_clock::time_point moved_at() const { return moved_at_; }

 private:
  EventSink emit_;
  Extent extent_;
  std::uint64_t bytes_;
  std::chrono::steady_clock::time_point started_;
  std::chrono::steady_clock::time_point moved_at_;
  std::chrono::steady_clock::time_point shown_at_;
};

/// Returns when `progress` has not moved for `stall_limit`.
asio::awaitable<void> until_stalled(const Progress& progress);

}  // namespace quicmesh::cli
