// The data folder of a node: who has it (one process at a time), and where its parts are.
//
// The lock is an open-file-description lock (fcntl(2), F_OFD_SETLK) on `DATA/lock`. The kernel
// drops it with the process, so that nothing is stale after a crash; and unlike flock(2) it can be
// asked about without being taken for a moment, in which a node that starts would be refused. The
// file holds the owner's process id, for messages only.
#pragma once

#include <optional>
#include <string>

#include "failure.hpp"
#include "io/file_descriptor.hpp"

namespace quicmesh::cli {

class DataFolder {
 public:
  /// `path` is made absolute.
  explicit DataFolder(const std::string& path);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string key_file() const { return path_ + "/identity.key"; }

  /// Makes the folder (0700) if there is none, and takes the lock; nothing if another process has
  /// it. The lock is held as long as the descriptor is open.
  [[nodiscard]] Outcome<std::optional<io::FileDescriptor>> try_lock() const;
  /// Whether a process has the lock.
  [[nodiscard]] bool locked() const;
  /// Who, as it says itself; empty if unknown.
  [[nodiscard]] std::string lock_owner() const;

 private:
  std::string path_;
};

/// The address of `DATA/control.sock` for bind and connect. A unix socket's path has at most 107
/// bytes, so a longer folder is named by the descriptor that `holder` gets.
[[nodiscard]] std::string control_socket_path(const DataFolder& folder, io::FileDescriptor& holder);

}  // namespace quicmesh::cli
