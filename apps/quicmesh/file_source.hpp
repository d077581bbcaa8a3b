// FileSource: a file that is being sent, and whether it stays what it was. All calls may block.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>

#include "crypto/blake3.hpp"
#include "failure.hpp"
#include "io/file_descriptor.hpp"
#include "quicmesh/bytes.hpp"

namespace quicmesh::cli {

class FileSource {
 public:
  FileSource() = default;

  /// Opens a regular file for reading.
  static Outcome<FileSource> open(const std::string& path);

  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  /// Without folders.
  [[nodiscard]] std::string name() const;

  /// Adds `size` bytes at `offset` to `hash`.
  [[nodiscard]] Outcome<void> add_to(Blake3& hash, std::uint64_t offset, std::uint64_t size) const;
  /// `size` bytes at `offset`; a file that has become shorter is a failure.
  [[nodiscard]] Outcome<Bytes> read(std::uint64_t offset, std::size_t size) const;
  /// Whether size, time of modification or content's time of change are others than at the start.
  [[nodiscard]] bool changed() const;
  [[nodiscard]] Failure changed_failure() const;

 private:
  std::string path_;
  io::FileDescriptor file_;
  struct stat status_{};
  std::uint64_t size_ = 0;
};

}  // namespace quicmesh::cli
