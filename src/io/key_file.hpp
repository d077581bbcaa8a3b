// The file that holds a node's secret key: made once, guarded, replaced on request.
//
// Creating: the text is written to a new file of mode 0600 beside the target (O_EXCL, O_NOFOLLOW),
// made durable (fsync), and linked to its name, which fails if the name is taken. So the name never
// shows half a key, and of several processes that create at once one wins and the others load its
// key. Rotating: the old file first gets a second, dated name, then the new one takes its place by
// rename. A crash at any point leaves the old key or the new one under the name, and no key is
// lost.
//
// Loading refuses what might not be ours alone: anything but a regular file (links are not
// followed), a file of another user, one that others may read or write, or a directory that others
// may write. A damaged file is refused and left as it is: the identity may still be saved from it.
#pragma once

#include <string>

#include "base/rng.hpp"
#include "quicmesh/keypair.hpp"
#include "quicmesh/result.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh::io {

/// The key in the file at `path`. Errors: those of errno (`ENOENT` if there is none);
/// `key_file_not_regular`, `key_file_foreign_owner`, `key_file_exposed`, `key_directory_exposed`;
/// `malformed_key_text`, `key_text_version`, `key_text_mismatch`.
[[nodiscard]] Result<Keypair> load_key_file(const std::string& path);

/// The same, but a missing file is created with a new key, missing directories with mode 0700.
[[nodiscard]] Result<Keypair> load_or_create_key_file(const std::string& path, SecureRng& rng);

/// Puts a new key at `path` and keeps the old file, if there is one, as
/// `<path>.<YYYYMMDD>T<HHMMSS>Z` by `now`. The old file's contents are not looked at, so a damaged
/// one can be replaced too. `key_file_backup_exists` if that name is taken.
[[nodiscard]] Result<Keypair> rotate_key_file(const std::string& path, SecureRng& rng,
                                              WallTime now);

}  // namespace quicmesh::io
