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

std::unexpected<FileTrouble> trouble(FileStatus status, std::string text) {
  return std::unexpected(FileTrouble{.status = status, .text = std::move(text)});
}

/// `what` failed with `error_number`; a full disk, quota or file size limit is `no_space`.
std::unexpected<FileTrouble> system_trouble(std::string_view what, int error_number) {
  const bool full = error_number == ENOSPC || error_number == EDQUOT || error_number == EFBIG;
  return trouble(full ? FileStatus::no_space : FileStatus::cannot_write,
                 fmt::format("{}: {}", what, std::strerror(error_number)));
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

FileResult<PartFile> PartFile::open(const std::string& folder, const FileOffer& offer) {
  PartFile part;
  part.offer_ = offer;
  part.folder_path_ = folder;
  part.name_ = safe_file_name(offer.name);
  part.part_name_ = part_file_name(part.name_, to_hex(offer.hash));
  part.folder_ = io::FileDescriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!part.folder_) return system_trouble("cannot open the folder", errno);
  part.file_ =
      io::FileDescriptor(::openat(part.folder_.get(), part.part_name_.c_str(),
                                  O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666));
  if (!part.file_) return system_trouble("cannot create a file in the folder", errno);
  if (::flock(part.file_.get(), LOCK_EX | LOCK_NB) != 0)
    return trouble(FileStatus::busy, "this file is arriving already");
  struct stat status{};
  if (::fstat(part.file_.get(), &status) != 0 || !S_ISREG(status.st_mode))
    return trouble(FileStatus::cannot_write, "the part file is no regular file");
  part.held_ = static_cast<std::uint64_t>(status.st_size);
  if (part.held_ > offer.size) {
    if (auto restarted = part.start_over(); !restarted) return std::unexpected(restarted.error());
  }
  if (auto room = part.check_room(); !room) {
    part.tidy_up();
    return std::unexpected(room.error());
  }
  return part;
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
    if (got == 0) return trouble(FileStatus::cannot_write, "the part file shrinks");
    hash_.update(ByteView(buffer).first(static_cast<std::size_t>(got)));
    hashed_ += static_cast<std::uint64_t>(got);
  }
  return {};
}

FileResult<void> PartFile::start_over() {
  if (::ftruncate(file_.get(), 0) != 0) return system_trouble("cannot empty the part file", errno);
  held_ = 0;
  hashed_ = 0;
  hash_ = Blake3();
  return {};
}

FileResult<void> PartFile::append(ByteView data) {
  while (!data.empty()) {
    const ssize_t size = ::pwrite(file_.get(), data.data(), data.size(), static_cast<off_t>(held_));
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return system_trouble("cannot write", size < 0 ? errno : ENOSPC);
    const ByteView written = data.first(static_cast<std::size_t>(size));
    hash_.update(written);
    held_ += written.size();
    hashed_ = held_;
    data = data.subspan(written.size());
  }
  return {};
}

FileResult<std::string> PartFile::complete() {
  if (held_ != offer_.size || hash_.digest() != offer_.hash) {
    ::unlinkat(folder_.get(), part_name_.c_str(), 0);
    return trouble(FileStatus::hash_mismatch, "what arrived has another BLAKE3 than was offered");
  }
  if (::fsync(file_.get()) != 0) return system_trouble("cannot make the file durable", errno);
  for (std::uint32_t number = 0; number < names_max; ++number) {
    const std::string name = number == 0 ? name_ : numbered_file_name(name_, number);
    const int error = rename_without_replacing(folder_.get(), part_name_, name);
    if (error == EEXIST) continue;
    if (error != 0) return system_trouble("cannot rename the finished file", error);
    if (::fsync(folder_.get()) != 0) return system_trouble("cannot make the name durable", errno);
    return folder_path_ + "/" + name;
  }
  return trouble(FileStatus::cannot_write, "too many files of this name are in the folder");
}

void PartFile::tidy_up() {
  if (held_ == 0 && file_) ::unlinkat(folder_.get(), part_name_.c_str(), 0);
}

}  // namespace quicmesh::cli
