// Tests of part_file.hpp.
#include "part_file.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/hex.hpp"
#include "file_name.hpp"

namespace quicmesh::cli {
namespace {

class PartFileTest : public testing::Test {
 protected:
  PartFileTest() {
    std::string folder = testing::TempDir() + "/part-file-XXXXXX";
    folder_ = ::mkdtemp(folder.data());
  }
  ~PartFileTest() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] FileOffer offer_of(std::string_view text) const {
    return {.size = text.size(), .hash = blake3(as_bytes(text)), .name = "name"};
  }
  [[nodiscard]] std::string part_path(const FileOffer& offer) const {
    return folder_ + "/" + part_file_name("name", to_hex(offer.hash));
  }

  std::string folder_;
};

/// Opened, with the hash of what it holds.
FileResult<PartFile> open_and_hash(const std::string& folder, const FileOffer& offer) {
  auto part = PartFile::open(folder, offer);
  while (part && !part->hashed()) {
    if (auto hashed = part->hash_held(4); !hashed) return std::unexpected(hashed.error());
  }
  return part;
}

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST_F(PartFileTest, takes_its_name_only_when_all_is_there) {
  auto part = PartFile::open(folder_, offer_of("hello world"));
  ASSERT_TRUE(part);
  ASSERT_TRUE(part->append(as_bytes("hello ")));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/name"));
  ASSERT_TRUE(part->append(as_bytes("world")));
  EXPECT_EQ(part->complete(), folder_ + "/name");
  EXPECT_EQ(read_text(folder_ + "/name"), "hello world");
}

TEST_F(PartFileTest, goes_on_with_the_hash_of_what_is_held) {
  {
    auto part = PartFile::open(folder_, offer_of("hello world"));
    ASSERT_TRUE(part);
    ASSERT_TRUE(part->append(as_bytes("hello ")));
  }
  auto part = open_and_hash(folder_, offer_of("hello world"));
  ASSERT_TRUE(part);
  EXPECT_EQ(part->held(), 6u);
  EXPECT_EQ(part->digest(), blake3(as_bytes("hello ")));
  ASSERT_TRUE(part->append(as_bytes("world")));
  EXPECT_TRUE(part->complete());
}

TEST_F(PartFileTest, wrong_content_is_removed) {
  auto part = PartFile::open(folder_, offer_of("hello"));
  ASSERT_TRUE(part);
  ASSERT_TRUE(part->append(as_bytes("hallo")));
  EXPECT_EQ(part->complete().error().status, FileStatus::hash_mismatch);
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(PartFileTest, too_short_content_is_wrong_content) {
  auto part = PartFile::open(folder_, offer_of("hello"));
  ASSERT_TRUE(part);
  ASSERT_TRUE(part->append(as_bytes("hell")));
  EXPECT_EQ(part->complete().error().status, FileStatus::hash_mismatch);
}

TEST_F(PartFileTest, one_transfer_at_a_time) {
  const auto first = PartFile::open(folder_, offer_of("hello"));
  ASSERT_TRUE(first);
  const auto second = PartFile::open(folder_, offer_of("hello"));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().status, FileStatus::busy);
}

TEST_F(PartFileTest, more_than_was_offered_is_forgotten) {
  const FileOffer offer = offer_of("hello");
  std::ofstream(part_path(offer)) << "hello and more";
  const auto part = PartFile::open(folder_, offer);
  ASSERT_TRUE(part);
  EXPECT_EQ(part->held(), 0u);
}

TEST_F(PartFileTest, what_cannot_fit_is_refused_at_once_and_leaves_nothing) {
  FileOffer offer = offer_of("hello");
  offer.size = file_size_max;
  const auto part = PartFile::open(folder_, offer);
  ASSERT_FALSE(part);
  EXPECT_EQ(part.error().status, FileStatus::no_space);
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(PartFileTest, a_taken_name_is_never_replaced) {
  std::ofstream(folder_ + "/name") << "mine";
  auto part = PartFile::open(folder_, offer_of("hello"));
  ASSERT_TRUE(part);
  ASSERT_TRUE(part->append(as_bytes("hello")));
  EXPECT_EQ(part->complete(), folder_ + "/name (1)");
  EXPECT_EQ(read_text(folder_ + "/name"), "mine");
}

TEST_F(PartFileTest, nothing_held_leaves_nothing) {
  auto part = PartFile::open(folder_, offer_of("hello"));
  ASSERT_TRUE(part);
  part->tidy_up();
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST(FileName, names_are_made_safe) {
  EXPECT_EQ(safe_file_name("../../etc/passwd"), "passwd");
  EXPECT_EQ(safe_file_name("a\nb"), "a_b");
  EXPECT_EQ(safe_file_name(".."), "file");
  EXPECT_EQ(safe_file_name(""), "file");
  EXPECT_EQ(safe_file_name(std::string_view("a\0b", 3)), "a_b");
  EXPECT_EQ(safe_file_name(".ssh"), "_ssh");
  EXPECT_EQ(safe_file_name("photo.jpg"), "photo.jpg");
}

TEST(FileName, long_names_are_cut_between_characters_and_keep_their_extension) {
  const std::string name = safe_file_name(std::string(300, 'x') + ".tar.gz");
  EXPECT_EQ(name.size(), file_name_max);
  EXPECT_TRUE(name.ends_with(".gz"));
  std::string accents = "x";
  for (int i = 0; i < 200; ++i)
    accents += "\u00e9";
  EXPECT_EQ(safe_file_name(accents).size(), file_name_max - 1);
  EXPECT_LE(part_file_name(std::string(file_name_max, 'x'), std::string(64, 'a')).size(), 255u);
  EXPECT_LE(numbered_file_name(std::string(file_name_max, 'x'), 999).size(), 255u);
}

}  // namespace
}  // namespace quicmesh::cli
