// See file_source.hpp.
#include "file_source.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

namespace quicmesh::cli {
namespace {

constexpr std::size_t hash_piece = 1u << 20;

Failure source_failure(const std::string& path, int error_number, std::string hint) {
  Failure failure =
      make_failure(fmt::format("cannot read {}", path), {error_number, std::generic_category()});
  failure.hint = std::move(hint);
  return failure;
}

}  // namespace

Outcome<FileSource> FileSource::open(const std::string& path) {
  FileSource source;
  source.path_ = path;
  // O_NONBLOCK: a named pipe would wait for a writer.
  source.file_ = io::FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!source.file_) return std::unexpected(source_failure(path, errno, "check the path"));
  if (::fstat(source.file_.get(), &source.status_) != 0)
    return std::unexpected(source_failure(path, errno, "check the path"));
  if (!S_ISREG(source.status_.st_mode))
    return std::unexpected(
        Failure{.code = "file.not_regular",
                .message = fmt::format("cannot send {}: it is no regular file", path),
                .hint = "send files; pack a folder with tar first"});
  source.size_ = static_cast<std::uint64_t>(source.status_.st_size);
  // Files of the kernel say that they are empty, and are not.
  char first = 0;
  if (source.size_ == 0 && ::pread(source.file_.get(), &first, 1, 0) > 0)
    return std::unexpected(Failure{.code = "file.no_size",
                                   .message = fmt::format("cannot send {}: it has no size", path),
                                   .hint = "copy it first, and send the copy"});
  ::posix_fadvise(source.file_.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  return source;
}

std::string FileSource::name() const {
  return path_.substr(path_.rfind('/') + 1);
}

Outcome<Bytes> FileSource::read(std::uint64_t offset, std::size_t size) const {
  Bytes data(size);
  std::size_t filled = 0;
  while (filled < size) {
    const ssize_t got = ::pread(file_.get(), data.data() + filled, size - filled,
                                static_cast<off_t>(offset + filled));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::unexpected(source_failure(path_, errno, "check the disk"));
    if (got == 0) return std::unexpected(changed_failure());
    filled += static_cast<std::size_t>(got);
  }
  return data;
}

Outcome<void> FileSource::add_to(Blake3& hash, std::uint64_t offset, std::uint64_t size) const {
  while (size > 0) {
    const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(hash_piece, size));
    const auto data = read(offset, piece);
    if (!data) return std::unexpected(data.error());
    hash.update(*data);
    offset += piece;
    size -= piece;
  }
  return {};
}

bool FileSource::changed() const {
  struct stat now{};
  if (::fstat(file_.get(), &now) != 0) return true;
  return now.st_size != status_.st_size || now.st_mtim.tv_sec != status_.st_mtim.tv_sec ||
         now.st_mtim.tv_nsec != status_.st_mtim.tv_nsec;
}

Failure FileSource::changed_failure() const {
  return {.code = "file.changed",
          .message = fmt::format("{} changed while it was being sent", path_),
          .hint = "send it again when nobody writes to it, or send a copy"};
}

}  // namespace quicmesh::cli
