// LineWriter: writes lines on a thread of its own, so that whoever says them never waits for the
// reader: one who stops reading a pipe, or a terminal after Ctrl-S, must not hold up a node.
//
// The queue is bounded. Beyond that the oldest lines go, and the next one that is written tells how
// many. The thread writes no more than PIPE_BUF bytes at a time, and only after poll(2) said that
// they find room, so that it can be told to give up at any time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace quicmesh::cli {

class LineWriter {
 public:
  static constexpr std::size_t queue_bytes_max = 1u << 20;

  /// Asked on the thread of the writer, which goes on without the line afterwards. It outlives
  /// this.
  using OnError = void (*)(int descriptor, int error_number, bool first);
  /// The line that tells that `count` lines were dropped.
  using DropNote = std::string (*)(std::uint64_t count);

  LineWriter(OnError on_error, DropNote drop_note);
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;
  /// Gives up what is not written.
  ~LineWriter();

  /// Queues `text`, which ends with a line feed, for `descriptor`.
  void write(int descriptor, std::string text);
  /// Nothing waits to be written.
  [[nodiscard]] bool idle() const;
  /// Waits until all is written, for `limit` at most: whether it is.
  bool drain(std::optional<std::chrono::milliseconds> limit);

 private:
  struct State;

  static void run(const std::shared_ptr<State>& state);

  // Shared with the thread: if that hangs in a system call in spite of all, it outlives this.
  std::shared_ptr<State> state_;
};

}  // namespace quicmesh::cli
