// Tests of key files in a directory of their own: modes, links, damage, races.
#include "io/key_file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "crypto/system_rng.hpp"
#include "identity/identity_errc.hpp"
#include "identity/key_text.hpp"

namespace quicmesh::io {
namespace {

namespace fs = std::filesystem;

constexpr WallTime some_time{1'738'367'999};  // 2025-01-31 23:59:59 UTC

class KeyFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "quicmesh_key_file_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    directory_ = root_ + "/data";
    path_ = directory_ + "/identity.key";
  }
  void TearDown() override { fs::remove_all(root_); }

  NodeId create() { return load_or_create_key_file(path_, rng_).value().node_id(); }
  void write(const std::string& text, unsigned mode = 0600) {
    fs::remove(path_);
    std::ofstream(path_, std::ios::binary) << text;
    ASSERT_EQ(chmod(path_.c_str(), mode), 0);
  }
  [[nodiscard]] std::string contents(const std::string& path) const {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  [[nodiscard]] std::set<std::string> names() const {
    std::set<std::string> found;
    for (const auto& entry : fs::directory_iterator(directory_)) {
      found.insert(entry.path().filename().string());
    }
    return found;
  }
  /// What loading, and loading or creating, refuse the file for; both must agree.
  std::error_code refusal() {
    const auto loaded = load_key_file(path_);
    const auto loaded_or_created = load_or_create_key_file(path_, rng_);
    EXPECT_FALSE(loaded);
    EXPECT_FALSE(loaded_or_created);
    if (loaded || loaded_or_created) return {};
    EXPECT_EQ(loaded.error(), loaded_or_created.error());
    return loaded.error();
  }

  SystemRng rng_;
  std::string root_;
  std::string directory_;
  std::string path_;
};

unsigned mode_of(const std::string& path) {
  struct stat status{};
  EXPECT_EQ(stat(path.c_str(), &status), 0);
  return status.st_mode & 07777;
}

TEST_F(KeyFile, is_created_once_for_the_owner_alone) {
  const NodeId id = create();
  EXPECT_EQ(mode_of(path_), 0600U);
  EXPECT_EQ(mode_of(directory_), 0700U);
  EXPECT_EQ(names(), (std::set<std::string>{"identity.key"}));
  EXPECT_EQ(contents(path_).size(), key_text_size);
  EXPECT_EQ(create(), id);
  EXPECT_EQ(load_key_file(path_)->node_id(), id);
}

TEST_F(KeyFile, keeps_its_mode_under_any_umask) {
  for (const mode_t mask : {0000, 0777}) {
    ASSERT_EQ(mkdir(directory_.c_str(), 0700) == 0 || errno == EEXIST, true);
    const mode_t before = umask(mask);
    (void)create();
    umask(before);
    EXPECT_EQ(mode_of(path_), 0600U);
    fs::remove(path_);
  }
}

TEST_F(KeyFile, that_is_missing_is_an_error_for_loading_alone) {
  EXPECT_EQ(load_key_file(path_).error(), std::errc::no_such_file_or_directory);
  EXPECT_FALSE(fs::exists(directory_));
  ASSERT_EQ(mkdir(directory_.c_str(), 0700), 0);
  EXPECT_EQ(load_key_file(path_).error(), std::errc::no_such_file_or_directory);
}

TEST_F(KeyFile, is_created_with_every_directory_on_the_way) {
  EXPECT_TRUE(load_or_create_key_file(root_ + "/a/b/identity.key", rng_));
  EXPECT_EQ(mode_of(root_ + "/a"), 0700U);
  EXPECT_EQ(mode_of(root_ + "/a/b"), 0700U);
  const auto below_a_file = load_or_create_key_file(root_ + "/a/b/identity.key/c/key", rng_);
  EXPECT_EQ(below_a_file.error(), std::errc::not_a_directory);
}

TEST_F(KeyFile, that_others_can_touch_is_refused) {
  (void)create();
  for (const unsigned mode : {0640U, 0604U, 0660U, 0620U, 0602U, 0610U, 0777U}) {
    ASSERT_EQ(chmod(path_.c_str(), mode), 0);
    EXPECT_EQ(refusal(), IdentityErrc::key_file_exposed) << std::oct << mode;
    EXPECT_EQ(mode_of(path_), mode);
  }
  ASSERT_EQ(chmod(path_.c_str(), 0400), 0);
  EXPECT_TRUE(load_key_file(path_));
}

TEST_F(KeyFile, in_a_directory_that_others_can_write_is_refused) {
  (void)create();
  for (const unsigned mode : {0770U, 0702U, 0777U, 01777U}) {
    ASSERT_EQ(chmod(directory_.c_str(), mode), 0);
    EXPECT_EQ(refusal(), IdentityErrc::key_directory_exposed) << std::oct << mode;
    EXPECT_EQ(rotate_key_file(path_, rng_, some_time).error(), IdentityErrc::key_directory_exposed);
  }
  ASSERT_EQ(chmod(directory_.c_str(), 0755), 0);
  EXPECT_TRUE(load_key_file(path_));
}

TEST_F(KeyFile, of_another_user_is_refused) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  (void)create();
  ASSERT_EQ(chown(path_.c_str(), 12'345, 12'345), 0);
  EXPECT_EQ(refusal(), IdentityErrc::key_file_foreign_owner);
  ASSERT_EQ(chown(path_.c_str(), 0, 0), 0);
  ASSERT_EQ(chown(directory_.c_str(), 12'345, 12'345), 0);
  EXPECT_EQ(refusal(), IdentityErrc::key_file_foreign_owner);
}

TEST_F(KeyFile, that_is_no_regular_file_is_refused) {
  (void)create();
  const std::string real = directory_ + "/real";
  fs::rename(path_, real);
  fs::create_symlink(real, path_);
  EXPECT_EQ(refusal(), IdentityErrc::key_file_not_regular);
  fs::remove(path_);
  fs::create_symlink(directory_ + "/nowhere", path_);
  EXPECT_EQ(refusal(), IdentityErrc::key_file_not_regular);
  EXPECT_FALSE(fs::exists(directory_ + "/nowhere"));
  fs::remove(path_);
  fs::create_directory(path_);
  EXPECT_EQ(refusal(), IdentityErrc::key_file_not_regular);
  fs::remove(path_);
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_EQ(refusal(), IdentityErrc::key_file_not_regular);
  fs::remove(path_);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  ASSERT_LT(path_.size(), sizeof(address.sun_path));
  std::copy(path_.begin(), path_.end(), address.sun_path);
  const int socket_file = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(bind(socket_file, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(refusal(), IdentityErrc::key_file_not_regular);
  close(socket_file);
}

TEST_F(KeyFile, that_is_damaged_is_refused_and_left_as_it_is) {
  (void)create();
  const std::string good = contents(path_);
  std::string flipped = good;
  flipped[30] = flipped[30] == '0' ? '1' : '0';
  const std::vector<std::pair<std::string, IdentityErrc>> damaged{
      {"", IdentityErrc::malformed_key_text},
      {good.substr(0, 10), IdentityErrc::malformed_key_text},
      {good.substr(0, 100), IdentityErrc::malformed_key_text},
      {good.substr(0, good.size() - 1), IdentityErrc::malformed_key_text},
      {good + "x", IdentityErrc::malformed_key_text},
      {good + std::string(1 << 20, 'x'), IdentityErrc::malformed_key_text},
      {std::string(154, '\0'), IdentityErrc::malformed_key_text},
      {flipped, IdentityErrc::key_text_mismatch},
      {"quicmesh-key-v9 ed25519\n" + good.substr(24), IdentityErrc::key_text_version},
  };
  for (const auto& [text, expected] : damaged) {
    write(text);
    EXPECT_EQ(refusal(), expected) << text.substr(0, 200);
    EXPECT_EQ(contents(path_), text);
  }
}

/// Runs `job(i)` in eight processes that start as nearly at once as can be; the ids that they
/// return.
template <class Job>
std::vector<NodeId> in_processes(Job job) {
  constexpr int processes = 8;
  std::array<int, 2> start{};
  std::array<int, 2> answers{};
  EXPECT_EQ(pipe(start.data()), 0);
  EXPECT_EQ(pipe(answers.data()), 0);
  std::vector<pid_t> children;
  for (int i = 0; i < processes; ++i) {
    children.push_back(fork());
    if (children.back() != 0) continue;
    close(start[1]);
    char byte = 0;
    (void)!read(start[0], &byte, 1);  // returns for all when the parent closes its end
    const Result<Keypair> keypair = job(i);
    const bool told = keypair && write(answers[1], keypair->node_id().bytes.data(), 32) == 32;
    _exit(told ? 0 : 1);
  }
  close(start[0]);
  close(start[1]);
  close(answers[1]);
  std::vector<NodeId> ids(processes);
  for (int i = 0; i < processes; ++i) {
    int status = -1;
    EXPECT_EQ(waitpid(children[i], &status, 0), children[i]);
    EXPECT_EQ(status, 0);
  }
  for (NodeId& id : ids)
    EXPECT_EQ(read(answers[0], id.bytes.data(), 32), 32);
  close(answers[0]);
  return ids;
}

TEST_F(KeyFile, created_by_many_processes_at_once_holds_one_key) {
  for (int round = 0; round < 5; ++round) {
    const auto ids = in_processes([&](int) { return load_or_create_key_file(path_, rng_); });
    EXPECT_EQ(std::set<NodeId>(ids.begin(), ids.end()).size(), 1U);
    EXPECT_EQ(names(), (std::set<std::string>{"identity.key"}));
    EXPECT_EQ(load_key_file(path_)->node_id(), ids[0]);
    fs::remove(path_);
  }
}

TEST_F(KeyFile, rotated_by_many_processes_at_once_loses_no_key) {
  for (int round = 0; round < 5; ++round) {
    const NodeId first = create();
    const auto ids = in_processes([&](int i) {
      return rotate_key_file(path_, rng_, WallTime{static_cast<std::int64_t>(some_time) + i});
    });
    std::set<NodeId> kept;
    for (const std::string& name : names()) {
      kept.insert(load_key_file(directory_ + "/" + name)->node_id());
    }
    std::set<NodeId> made(ids.begin(), ids.end());
    made.insert(first);
    EXPECT_EQ(kept, made);
    fs::remove_all(directory_);
  }
}

TEST_F(KeyFile, that_a_process_without_the_lock_creates_first_is_loaded) {
  // A file that appears between the look and the link, as on a file system without flock: the
  // random source is where that moment can be caught.
  class Intruder final : public SecureRng {
   public:
    explicit Intruder(std::string path) : path_(std::move(path)) {}
    void fill(MutableByteView out) override {
      SystemRng().fill(out);
      if (out.size() == 32) return;  // the key itself; the name of the temporary file follows
      const Bytes text = encode_key_text(keypair_);
      const int file = open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0600);
      EXPECT_EQ(::write(file, text.data(), text.size()), static_cast<ssize_t>(text.size()));
      close(file);
    }
    [[nodiscard]] NodeId id() const { return keypair_.node_id(); }

   private:
    std::string path_;
    Keypair keypair_ = Keypair::generate();
  };
  Intruder intruder(path_);
  const auto keypair = load_or_create_key_file(path_, intruder);
  ASSERT_TRUE(keypair);
  EXPECT_EQ(keypair->node_id(), intruder.id());
  EXPECT_EQ(names(), (std::set<std::string>{"identity.key"}));
}

TEST_F(KeyFile, rotated_keeps_the_old_one_under_a_dated_name) {
  const NodeId old_id = create();
  const auto fresh = rotate_key_file(path_, rng_, some_time);
  ASSERT_TRUE(fresh);
  EXPECT_NE(fresh->node_id(), old_id);
  EXPECT_EQ(load_key_file(path_)->node_id(), fresh->node_id());
  EXPECT_EQ(mode_of(path_), 0600U);
  const std::string backup = "identity.key.20250131T235959Z";
  EXPECT_EQ(names(), (std::set<std::string>{"identity.key", backup}));
  EXPECT_EQ(load_key_file(directory_ + "/" + backup)->node_id(), old_id);
}

TEST_F(KeyFile, rotated_twice_in_a_second_refuses_and_loses_nothing) {
  (void)create();
  const NodeId current = rotate_key_file(path_, rng_, some_time)->node_id();
  EXPECT_EQ(rotate_key_file(path_, rng_, some_time).error(), IdentityErrc::key_file_backup_exists);
  EXPECT_EQ(load_key_file(path_)->node_id(), current);
  EXPECT_EQ(names().size(), 2U);
}

TEST_F(KeyFile, rotated_when_missing_or_damaged_gets_a_new_key) {
  const NodeId first = rotate_key_file(path_, rng_, some_time)->node_id();
  EXPECT_EQ(load_key_file(path_)->node_id(), first);
  EXPECT_EQ(names().size(), 1U);
  write("damaged");
  EXPECT_TRUE(rotate_key_file(path_, rng_, some_time));
  EXPECT_EQ(contents(directory_ + "/identity.key.20250131T235959Z"), "damaged");
}

}  // namespace
}  // namespace quicmesh::io
