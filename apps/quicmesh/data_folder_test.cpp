// Tests of data_folder.hpp: the lock, which different descriptors of one process contend for just
// as different processes do.
#include "data_folder.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>

namespace quicmesh::cli {
namespace {

class DataFolderTest : public testing::Test {
 protected:
  DataFolderTest() {
    std::string path = testing::TempDir() + "/data-folder-XXXXXX";
    path_ = ::mkdtemp(path.data());
  }
  ~DataFolderTest() override { std::filesystem::remove_all(path_); }

  std::string path_;
};

TEST_F(DataFolderTest, one_has_it_until_it_is_let_go) {
  const DataFolder folder(path_);
  EXPECT_FALSE(folder.locked());
  {
    const auto first = folder.try_lock();
    ASSERT_TRUE(first && *first);
    EXPECT_TRUE(folder.locked());
    EXPECT_EQ(folder.lock_owner(), std::to_string(::getpid()));
    const auto second = folder.try_lock();
    ASSERT_TRUE(second);
    EXPECT_FALSE(*second);
  }
  EXPECT_FALSE(folder.locked());
  const auto third = folder.try_lock();
  EXPECT_TRUE(third && *third);
}

TEST_F(DataFolderTest, asking_whether_it_is_locked_keeps_nobody_from_it) {
  const DataFolder folder(path_);
  ASSERT_TRUE(folder.try_lock());  // makes the file
  std::atomic<bool> done = false;
  std::jthread asking([&] {
    while (!done)
      (void)folder.locked();
  });
  int refused = 0;
  for (int i = 0; i < 2000; ++i) {
    const auto lock = folder.try_lock();
    refused += lock && *lock ? 0 : 1;
  }
  done = true;
  EXPECT_EQ(refused, 0);
}

TEST_F(DataFolderTest, a_folder_that_is_not_there_is_not_locked) {
  const DataFolder folder(path_ + "/none");
  EXPECT_FALSE(folder.locked());
  EXPECT_EQ(folder.lock_owner(), "");
}

}  // namespace
}  // namespace quicmesh::cli
