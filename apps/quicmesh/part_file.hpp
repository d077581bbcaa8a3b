// PartFile: a file that is arriving. It has a hidden name of its own beside the target until all of
// it is there and its BLAKE3 is right; then it takes its name by renameat2(RENAME_NOREPLACE), which
// replaces nothing. So nothing half-written is ever seen under the final name.
//
// What is held of a file survives the process: the name of the part file tells its content and its
// sender, so that nobody else goes on with it or destroys it. The hash of the held bytes is
// computed anew before the sender goes on from there. flock(2) keeps two transfers apart.
//
// Others may write to the folder too. So the file that gets the name is hashed once more as a
// whole, through the descriptor that it was written with, and must still be the one of the part
// file's name, without a second one. Hashing goes in stretches, since it may take minutes. All
// calls may block.
#pragma once

#include <cstdint>
#include <string>

#include "crypto/blake3.hpp"
#include "file_wire.hpp"
#include "io/file_descriptor.hpp"
#include "quicmesh/node_id.hpp"

namespace quicmesh::cli {

/// Why a part file cannot be used, in the terms of the protocol.
struct FileTrouble {
  FileStatus status = FileStatus::cannot_write;
  std::string text;
  bool ours = false;  // a fault of this machine, which no sender can cause alone
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

  /// Opens or creates the part file of `offer` by `sender` in `folder`, and locks it. `busy` if
  /// another transfer has it; `no_space` if the rest would not fit; `cannot_write` for what is not
  /// ours alone: no regular file, one of another user, or one with a second name.
  static FileResult<PartFile> open(const std::string& folder, const FileOffer& offer,
                                   NodeId sender);
  /// Hashes up to `size` bytes more of what it holds. To be called until `hashed`, before the
  /// digest is asked for, and before it is completed.
  FileResult<void> hash_held(std::uint64_t size);
  /// Forgets the hash, to be computed from what is on the disk now.
  void hash_again();
  [[nodiscard]] bool hashed() const { return hashed_ == held_; }

  [[nodiscard]] std::uint64_t held() const { return held_; }
  [[nodiscard]] Blake3Digest digest() const { return hash_.digest(); }

  /// Forgets what is held.
  FileResult<void> start_over();
  FileResult<void> append(ByteView data);
  /// All is there and hashed: checks the hash, makes the file durable and gives it its name; the
  /// path. A wrong one is removed (`hash_mismatch`).
  FileResult<std::string> complete();
  /// Removes the part file if it holds nothing.
  void tidy_up();

 private:
  FileResult<void> open_part();
  FileResult<void> check_room() const;
  /// Whether `name` is a name of the open file, and the only one.
  [[nodiscard]] bool is_named(const std::string& name) const;
  void remove() const;

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
