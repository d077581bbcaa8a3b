// Everything goes through the descriptor of the directory, so that what was checked is what is
// used. A lock on it (flock) keeps two processes from creating or rotating at the same time.
#include "io/key_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "base/base32.hpp"
#include "crypto/constant_time.hpp"
#include "identity/identity_errc.hpp"
#include "identity/key_text.hpp"

namespace quicmesh::io {
namespace {

std::error_code last_error() {
  return {errno, std::generic_category()};
}

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) close(value_);
  }
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  Descriptor(const Descriptor&) = delete;

  [[nodiscard]] int get() const { return value_; }
  [[nodiscard]] bool is_open() const { return value_ >= 0; }

 private:
  int value_;
};

/// A directory that only its owner can change, and a name in it.
struct Place {
  Descriptor directory;
  std::string name;
};

enum class MissingDirectory : bool { refused, created };

/// Each missing directory of `path`, with the mode that the XDG base directory specification wants.
Result<void> make_directories(const std::filesystem::path& path) {
  std::filesystem::path made;
  for (const std::filesystem::path& component : path) {
    made /= component;
    // What exists may be on a read-only file system, hence the second look.
    if (mkdir(made.c_str(), 0700) != 0 && errno != EEXIST && access(made.c_str(), F_OK) != 0) {
      return failure(last_error());
    }
  }
  return {};
}

Result<Place> open_place(const std::string& path, MissingDirectory missing) {
  const std::filesystem::path full(path);
  const std::string parent = full.has_parent_path() ? full.parent_path().string() : ".";
  if (missing == MissingDirectory::created) {
    if (const auto made = make_directories(parent); !made) return failure(made.error());
  }
  Descriptor directory(open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat status{};
  if (!directory.is_open() || fstat(directory.get(), &status) != 0) return failure(last_error());
  if (status.st_uid != geteuid()) return failure(IdentityErrc::key_file_foreign_owner);
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return failure(IdentityErrc::key_directory_exposed);
  }
  return Place{std::move(directory), full.filename().string()};
}

Result<void> check_file(int file) {
  struct stat status{};
  if (fstat(file, &status) != 0) return failure(last_error());
  if (!S_ISREG(status.st_mode)) return failure(IdentityErrc::key_file_not_regular);
  if (status.st_uid != geteuid()) return failure(IdentityErrc::key_file_foreign_owner);
  if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) return failure(IdentityErrc::key_file_exposed);
  return {};
}

Result<Keypair> load(const Place& place) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer.
  const Descriptor file(openat(place.directory.get(), place.name.c_str(),
                               O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file.is_open()) {
    // What cannot be opened this way is a link (ELOOP) or a socket (ENXIO).
    if (errno == ELOOP || errno == ENXIO) return failure(IdentityErrc::key_file_not_regular);
    return failure(last_error());
  }
  if (const auto good = check_file(file.get()); !good) return failure(good.error());

  std::array<std::uint8_t, key_text_size + 1> text{};  // one more, to notice a longer file
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t count = read(file.get(), text.data() + size, text.size() - size);
    if (count == 0) break;
    if (count < 0 && errno != EINTR) return failure(last_error());
    if (count > 0) size += static_cast<std::size_t>(count);
  }
  auto keypair = parse_key_text(as_text(ByteView(text).first(size)));
  secure_wipe(text);
  return keypair;
}

Result<void> write_all(int file, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(file, bytes.data(), bytes.size());
    if (count < 0 && errno != EINTR) return failure(last_error());
    if (count > 0) bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

/// A durable file beside the target with the text of `keypair`. It is removed with this object,
/// unless it was renamed away; a crash may leave it behind, readable by nobody else.
class TemporaryFile {
 public:
  static Result<TemporaryFile> write(const Place& place, const Keypair& keypair, SecureRng& rng) {
    std::array<std::uint8_t, 10> random{};
    rng.fill(random);
    TemporaryFile file(place.directory.get(), "." + place.name + "." + to_base32(random));
    const Descriptor descriptor(openat(file.directory_, file.name_.c_str(),
                                       O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!descriptor.is_open()) {
      file.name_.clear();
      return failure(last_error());
    }
    Bytes text = encode_key_text(keypair);
    const auto written = write_all(descriptor.get(), text);
    secure_wipe(text);
    if (!written) return failure(written.error());
    // fchmod: the umask may have taken the owner's own bits away.
    if (fchmod(descriptor.get(), 0600) != 0 || fsync(descriptor.get()) != 0) {
      return failure(last_error());
    }
    return file;
  }

  ~TemporaryFile() {
    if (!name_.empty()) unlinkat(directory_, name_.c_str(), 0);
  }
  TemporaryFile(TemporaryFile&& other) noexcept
      : directory_(other.directory_), name_(std::exchange(other.name_, {})) {}
  TemporaryFile& operator=(TemporaryFile&&) = delete;

  /// Gives it the name `target` if that is free (errno EEXIST if not).
  [[nodiscard]] bool link_to(const std::string& target) const {
    return linkat(directory_, name_.c_str(), directory_, target.c_str(), 0) == 0;
  }

  /// Puts it in the place of `target`.
  [[nodiscard]] bool replace(const std::string& target) {
    if (renameat(directory_, name_.c_str(), directory_, target.c_str()) != 0) return false;
    name_.clear();
    return true;
  }

 private:
  TemporaryFile(int directory, std::string name) : directory_(directory), name_(std::move(name)) {}

  int directory_;
  std::string name_;
};

/// Waits until no other process changes the directory's keys; ends when `place` goes. Where there
/// is no such lock (NFS) creating is safe all the same, and two rotations at once may keep one new
/// key without the other.
void lock(const Place& place) {
  while (flock(place.directory.get(), LOCK_EX) != 0 && errno == EINTR) {
  }
}

Result<Keypair> create(const Place& place, SecureRng& rng) {
  lock(place);
  Keypair keypair = Keypair::generate(rng);
  const auto file = TemporaryFile::write(place, keypair, rng);
  if (!file) return failure(file.error());
  if (!file->link_to(place.name)) {
    // Somebody without our lock was faster: theirs is the key.
    if (errno == EEXIST) return load(place);
    return failure(last_error());
  }
  if (fsync(place.directory.get()) != 0) return failure(last_error());
  return keypair;
}

/// `20250131T235959Z`.
std::string date_text(WallTime time) {
  const std::chrono::sys_seconds instant{std::chrono::seconds(static_cast<std::int64_t>(time))};
  const auto day = std::chrono::floor<std::chrono::days>(instant);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(instant - day);
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%04d%02u%02uT%02d%02d%02dZ", int(date.year()),
                unsigned(date.month()), unsigned(date.day()), int(clock.hours().count()),
                int(clock.minutes().count()), int(clock.seconds().count()));
  return text.data();
}

}  // namespace

Result<Keypair> load_key_file(const std::string& path) {
  const auto place = open_place(path, MissingDirectory::refused);
  if (!place) return failure(place.error());
  return load(*place);
}

Result<Keypair> load_or_create_key_file(const std::string& path, SecureRng& rng) {
  const auto place = open_place(path, MissingDirectory::created);
  if (!place) return failure(place.error());
  auto keypair = load(*place);
  if (keypair || keypair.error() != std::errc::no_such_file_or_directory) return keypair;
  return create(*place, rng);
}

Result<Keypair> rotate_key_file(const std::string& path, SecureRng& rng, WallTime now) {
  const auto place = open_place(path, MissingDirectory::created);
  if (!place) return failure(place.error());
  lock(*place);
  const int directory = place->directory.get();
  const std::string backup = place->name + "." + date_text(now);
  Keypair keypair = Keypair::generate(rng);
  auto file = TemporaryFile::write(*place, keypair, rng);
  if (!file) return failure(file.error());
  if (linkat(directory, place->name.c_str(), directory, backup.c_str(), 0) != 0 &&
      errno != ENOENT) {
    if (errno == EEXIST) return failure(IdentityErrc::key_file_backup_exists);
    return failure(last_error());
  }
  if (!file->replace(place->name)) return failure(last_error());
  if (fsync(directory) != 0) return failure(last_error());
  return keypair;
}

}  // namespace quicmesh::io
