// Tests of demo_mesh.hpp: what it reads from the file system while others write there. The mesh
// itself is tested by running the demo (tests/cli/demo_test.py).
#include "demo_mesh.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace quicmesh::cli {
namespace {

class ArrivingBytes : public testing::Test {
 protected:
  ArrivingBytes() {
    std::string folder = testing::TempDir() + "/demo-mesh-XXXXXX";
    folder_ = ::mkdtemp(folder.data());
  }
  ~ArrivingBytes() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
};

TEST_F(ArrivingBytes, are_those_of_the_part_file) {
  std::ofstream(folder_ + "/done") << "finished";
  EXPECT_EQ(arriving_bytes(folder_), 0u);
  std::ofstream(folder_ + "/.film.part") << "12345";
  EXPECT_EQ(arriving_bytes(folder_), 5u);
}

TEST_F(ArrivingBytes, of_a_part_file_that_vanished_are_none) {
  // Listed, and yet without a size, as one that was renamed between the two.
  std::filesystem::create_symlink(folder_ + "/gone", folder_ + "/.film.part");
  EXPECT_EQ(arriving_bytes(folder_), 0u);
  EXPECT_EQ(arriving_bytes(folder_ + "/none"), 0u);
}

}  // namespace
}  // namespace quicmesh::cli
