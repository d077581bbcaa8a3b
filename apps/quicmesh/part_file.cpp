// See part_file.hpp.
#include "part_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>

#include "base/hex.hpp"
#include "file_name.hpp"
#include "text.hpp"

namespace quicmesh::cli {
namespace {

constexpr std::size_t read_size = 1u << 20;
constexpr int opening_tries = 10;

std::unexpected<FileTrouble> trouble(FileStatus status, std::string text) {
  return std::unexpected(FileTrouble{.status = status, .text = std::move(text)});
}

std::unexpected<FileTrouble> our_trouble(std::string text) {
  return std::unexpected(
      FileTrouble{.status = FileStatus::cannot_write, .text = std::move(text), .ours = true});
}

/// `what` failed with `error_number`; a full disk, quota or file size limit is `no_space`.
std::unexpected<FileTrouble> system_trouble(std::string_view what, int error_number) {
  const bool full = error_number == ENOSPC || error_number == EDQUOT || error_number == EFBIG;
  // The sender chose the name.
  const bool bad_name =
      error_number == ENAMETOOLONG || error_number == EILSEQ || error_number == EINVAL;
  return std::unexpected(
      FileTrouble{.status = full ? FileStatus::no_space : FileStatus::cannot_write,
                  .text = fmt::format("{}: {}", what, std::strerror(error_number)),
                  .ours = !bad_name});
}

/// Gives the file `from` the name `to`, which must be free: EEXIST otherwise.
int rename_without_replacing(int folder, const std::string& from, const std::string& to) {
  if (::renameat2(folder, from.c_str(), folder, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  // File systems without RENAME_NOREPLACE: a second name fails on a taken one just the same.
  if (::linkat(folder, from.c_str(), folder, to.c_str(), 0) != 0) return errno;
  return ::unlinkat(folder, from.c_str(), 0) == 0 ? 0 : errno;
}

}  // namespace

FileResult<PartFile> PartFile::open(const std::string& folder, const FileOffer& offer,
                                    NodeId sender) {
  PartFile part;
  part.offer_ = offer;
  part.folder_path_ = folder;
  part.name_ = safe_file_name(offer.name);
  part.part_name_ = part_file_name(part.name_, to_hex(offer.hash), sender.to_hex());
  part.folder_ = io::FileDescriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!part.folder_) return system_trouble("cannot open the folder", errno);
  if (auto opened = part.open_part(); !opened) return std::unexpected(opened.error());
  if (part.held_ > offer.size) {
    if (auto restarted = part.start_over(); !restarted) return std::unexpected(restarted.error());
  }
  if (auto room = part.check_room(); !room) {
    part.tidy_up();
    return std::unexpected(room.error());
  }
  return part;
}

FileResult<void> PartFile::open_part() {
  constexpr int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  for (int tries = 0; tries < opening_tries; ++tries) {
    file_ = io::FileDescriptor(
        ::openat(folder_.get(), part_name_.c_str(), flags | O_CREAT | O_EXCL, 0666));
    const bool made = static_cast<bool>(file_);
    if (!made && errno == EEXIST)
      file_ = io::FileDescriptor(::openat(folder_.get(), part_name_.c_str(), flags));
    if (!file_ && errno == ENOENT && tries + 1 < opening_tries) continue;
    if (!file_) return system_trouble("cannot create a file in the folder", errno);
    if (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0)
      return trouble(FileStatus::busy, "this file is arriving already");
    struct stat status{};
    if (::fstat(file_.get(), &status) != 0 || !S_ISREG(status.st_mode))
      return our_trouble("the part file is no regular file");
    if (status.st_nlink > 1) return our_trouble("the part file has a second name");
    if (!made && status.st_uid != ::geteuid())
      return our_trouble("the part file belongs to another user");
    // Whoever had the lock until now may have completed or removed it.
    if (!is_named(part_name_)) continue;
    held_ = static_cast<std::uint64_t>(status.st_size);
    return {};
  }
  return our_trouble("the part file does not stay where it is");
}

bool PartFile::is_named(const std::string& name) const {
  struct stat open{};
  struct stat named{};
  return ::fstat(file_.get(), &open) == 0 &&
         ::fstatat(folder_.get(), name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
         open.st_dev == named.st_dev && open.st_ino == named.st_ino && open.st_nlink == 1;
}

void PartFile::remove() const {
  if (is_named(part_name_)) ::unlinkat(folder_.get(), part_name_.c_str(), 0);
}

FileResult<void> PartFile::check_room() const {
  struct statvfs room{};
  if (::fstatvfs(folder_.get(), &room) != 0) return {};  // then writing will tell
  const std::uint64_t free_bytes = std::uint64_t{room.f_bavail} * room.f_frsize;
  const std::uint64_t wanted = offer_.size - held_;
  if (wanted == 0 || (wanted <= free_bytes && free_bytes - wanted >= spare_bytes)) return {};
  return trouble(FileStatus::no_space, fmt::format("{} are needed, {} are free on the disk",
                                                   human_bytes(wanted), human_bytes(free_bytes)));
}

FileResult<void> PartFile::hash_held(std::uint64_t size) {
  const std::uint64_t end = hashed_ + std::min(size, held_ - hashed_);
  Bytes buffer(static_cast<std::size_t>(std::min<std::uint64_t>(end - hashed_, read_size)));
  while (hashed_ < end) {
    const auto wanted = std::min<std::uint64_t>(buffer.size(), end - hashed_);
    const ssize_t got = ::pread(file_.get(), buffer.data(), static_cast<std::size_t>(wanted),
                                static_cast<off_t>(hashed_));
    if (got < 0) return system_trouble("cannot read what is held", errno);
    if (got == 0) return our_trouble("the part file was changed while it arrived");
    hash_.update(ByteView(buffer).first(static_cast<std::size_t>(got)));
    hashed_ += static_cast<std::uint64_t>(got);
  }
  return {};
}

void PartFile::hash_again() {
  hashed_ = 0;
  hash_ = Blake3();
}

FileResult<void> PartFile::start_over() {
  if (::ftruncate(file_.get(), 0) != 0) return system_trouble("cannot empty the part file", errno);
  held_ = 0;
  hash_again();
  return {};
}

FileResult<void> PartFile::append(ByteView data) {
  while (!data.empty()) {
    const ssize_t size = ::pwrite(file_.get(), data.data(), data.size(), static_cast<off_t>(held_));
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return system_trouble("cannot write", size < 0 ? errno : ENOSPC);
    held_ += static_cast<std::uint64_t>(size);
    data = data.subspan(static_cast<std::size_t>(size));
  }
  return {};
}

FileResult<std::string> PartFile::complete() {
  struct stat status{};
  if (::fstat(file_.get(), &status) != 0 || static_cast<std::uint64_t>(status.st_size) != held_ ||
      !is_named(part_name_))
    return our_trouble("the part file was changed while it arrived");
  if (held_ != offer_.size || !hashed() || hash_.digest() != offer_.hash) {
    remove();
    return trouble(FileStatus::hash_mismatch, "what arrived has another BLAKE3 than was offered");
  }
  if (::fsync(file_.get()) != 0) return system_trouble("cannot make the file durable", errno);
  for (std::uint32_t number = 0; number < names_max; ++number) {
    const std::string name = number == 0 ? name_ : numbered_file_name(name_, number);
    const int error = rename_without_replacing(folder_.get(), part_name_, name);
    if (error == EEXIST) continue;
    if (error != 0) return system_trouble("cannot rename the finished file", error);
    if (!is_named(name)) {
      // Somebody was faster than the look above: what was renamed is theirs, and gets its name
      // back.
      (void)rename_without_replacing(folder_.get(), name, part_name_);
      return our_trouble("the part file was changed while it arrived");
    }
    if (::fsync(folder_.get()) != 0) return system_trouble("cannot make the name durable", errno);
    return folder_path_ + "/" + name;
  }
  return trouble(FileStatus::cannot_write, "too many files of this name are in the folder");
}

void PartFile::tidy_up() {
  if (held_ == 0 && file_) remove();
}

}  // namespace quicmesh::cli
