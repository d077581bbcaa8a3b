// PartFile: a file that is arriving. It has a hidden name of its own beside the target until all of
// it is there and its BLAKE3 is right; then it takes its name by renameat2(RENAME_NOREPLACE), which
// replaces nothing. So nothing half-written is ever seen under the final name.
//
// What is held of a file survives the process: the name of the part file tells its content, and the
// hash of the held bytes is computed anew before anybody goes on from there; in stretches, since it
// may take minutes. flock(2) keeps two transfers apart. All calls may block.
#pragma once

#include <cstdint>
#include <string>

#include "crypto/blake3.hpp"
#include "file_wire.hpp"
#include "io/file_descriptor.hpp"

namespace quicmesh::cli {

/// Why a part file cannot be used, in the terms of the protocol.
struct FileTrouble {
  FileStatus status = FileStatus::cannot_write;
  std::string text;
};

template <class T>
using FileResult = std::expected<T, FileTrouble>;

class PartFile {
 public:
  /// Final names tried: "a.txt", "a (1).txt", ... .
  static constexpr std::uint32_t names_max = 1000;
  /// Room that is left on the disk, whatever a peer offers.
  static constexpr std::uint64_t spare_bytes = 1u << 20;

  PartFile() = default;

  /// Opens or creates the part file of `offer` in `folder`, and locks it. `busy` if another
  /// transfer has it; `no_space` if the rest would not fit.
  static FileResult<PartFile> open(const std::string& folder, const FileOffer& offer);
  /// Hashes up to `size` bytes more of what it holds. To be called until `hashed`, before anything
  /// else is done with it.
  FileResult<void> hash_held(std::uint64_t size);
  [[nodiscard]] bool hashed() const { return hashed_ == held_; }

  [[nodiscard]] std::uint64_t held() const { return held_; }
  [[nodiscard]] Blake3Digest digest() const { return hash_.digest(); }

  /// Forgets what is held.
  FileResult<void> start_over();
  /// Appends, hashing as it goes.
  FileResult<void> append(ByteView data);
  /// All is there: checks the hash, makes the file durable and gives it its name; the path.
  /// A wrong one is removed (`hash_mismatch`).
  FileResult<std::string> complete();
  /// Removes the part file if it holds nothing.
  void tidy_up();

 private:
  FileResult<void> check_room() const;

  std::string folder_path_;
  std::string name_;  // the final one
  std::string part_name_;
  io::FileDescriptor folder_;
  io::FileDescriptor file_;
  FileOffer offer_;
  std::uint64_t held_ = 0;
  std::uint64_t hashed_ = 0;
  Blake3 hash_;  // of the first `hashed_` bytes
};

}  // namespace quicmesh::cli
