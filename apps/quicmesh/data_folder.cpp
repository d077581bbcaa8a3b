// See data_folder.hpp.
#include "data_folder.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>

#include <fmt/format.h>

#include "settings.hpp"

namespace quicmesh::cli {
namespace {

Failure folder_failure(const std::string& path, int error_number) {
  Failure failure = make_failure(fmt::format("cannot use the data folder {}", path),
                                 {error_number, std::generic_category()});
  failure.hint = "give another one with --data, or mend its permissions";
  return failure;
}

/// Like `mkdir -p`, with mode 0700 for what is made.
int make_folders(const std::string& path) {
  for (std::size_t at = 1; at != std::string::npos;) {
    at = path.find('/', at);
    const std::string part = path.substr(0, at);
    if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) return errno;
    if (at != std::string::npos) ++at;
  }
  return 0;
}

/// The whole file, for writing; an open-file-description lock has no process id.
struct flock whole_file() {
  struct flock range{};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  return range;
}

}  // namespace

DataFolder::DataFolder(const std::string& path) : path_(absolute_path(path)) {
  while (path_.size() > 1 && path_.back() == '/')
    path_.pop_back();
}

Outcome<std::optional<io::FileDescriptor>> DataFolder::try_lock() const {
  if (const int error = make_folders(path_); error != 0)
    return std::unexpected(folder_failure(path_, error));
  const std::string name = path_ + "/lock";
  io::FileDescriptor file(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return std::unexpected(folder_failure(path_, errno));
  struct flock wanted = whole_file();
  if (::fcntl(file.get(), F_OFD_SETLK, &wanted) != 0) {
    if (errno == EAGAIN || errno == EACCES) return std::nullopt;
    return std::unexpected(folder_failure(path_, errno));
  }
  const std::string owner = fmt::format("{}\n", ::getpid());
  const bool written =
      ::ftruncate(file.get(), 0) == 0 &&
      ::pwrite(file.get(), owner.data(), owner.size(), 0) == static_cast<ssize_t>(owner.size());
  if (!written) return std::unexpected(folder_failure(path_, errno));
  return std::optional(std::move(file));
}

bool DataFolder::locked() const {
  const std::string name = path_ + "/lock";
  const io::FileDescriptor file(::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct flock other = whole_file();
  return file && ::fcntl(file.get(), F_OFD_GETLK, &other) == 0 && other.l_type != F_UNLCK;
}

std::string DataFolder::lock_owner() const {
  const std::string name = path_ + "/lock";
  const io::FileDescriptor file(::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  std::array<char, 32> text{};
  if (!file || ::pread(file.get(), text.data(), text.size() - 1, 0) <= 0) return {};
  std::string owner(text.data());
  return owner.substr(0, owner.find('\n'));
}

std::string control_socket_path(const DataFolder& folder, io::FileDescriptor& holder) {
  std::string path = folder.path() + "/control.sock";
  if (path.size() < sizeof(sockaddr_un::sun_path)) return path;
  holder = io::FileDescriptor(::open(folder.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  return fmt::format("/proc/self/fd/{}/control.sock", holder.get());
}

}  // namespace quicmesh::cli
