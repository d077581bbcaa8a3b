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

NodeId node(std::uint8_t number) {
  NodeId id;
  id.bytes.fill(number);
  return id;
}

const NodeId sender = node(1);

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
    return folder_ + "/" + part_file_name("name", to_hex(offer.hash), sender.to_hex());
  }

  std::string folder_;
};

/// Opened, with the hash of what it holds.
FileResult<PartFile> open_and_hash(const std::string& folder, const FileOffer& offer) {
  auto part = PartFile::open(folder, offer, sender);
  while (part && !part->hashed()) {
    if (auto hashed = part->hash_held(4); !hashed) return std::unexpected(hashed.error());
  }
  return part;
}

/// As an inbox does it.
FileResult<std::string> complete(PartFile& part) {
  part.hash_again();
  while (!part.hashed()) {
    if (auto hashed = part.hash_held(4); !hashed) return std::unexpected(hashed.error());
  }
  return part.complete();
}

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST_F(PartFileTest, takes_its_name_only_when_all_is_there) {
  auto part = PartFile::open(folder_, offer_of("hello world"), sender);
  ASSERT_TRUE(part);
  ASSERT_TRUE(part->append(as_bytes("hello ")));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/name"));
  ASSERT_TRUE(part->append(as_bytes("world")));
  EXPECT_EQ(complete(*part), folder_ + "/name");
  EXPECT_EQ(read_text(folder_ + "/name"), "hello world");
}

TEST_F(PartFileTest, goes_on_with_the_hash_of_what_is_held) {
  {
    auto part = PartFile::open(folder_, offer_of("hello world"), sender);
    ASSERT_TRUE(part);
    ASSERT_TRUE(part->append(as_bytes("hello ")));
  }
  auto part = open_and_hash(folder_, offer_of("hello world"));
  ASSERT_TRUE(part);
  EXPECT_EQ(part->held(), 6u);
  EXPECT_EQ(part->digest(), blake3(as_bytes("hello ")));
  ASSERT_TRUE(part->append(as_bytes("world")));
  EXPECT_TRUE(complete(*part));
}

TEST_F(PartFileTest, wrong_content_is_removed) {
  auto part = PartFile::open(folder_, offer_of("hello"), sender);
  ASSERT_TRUE(part);
  ASSERT_TRUE(part->append(as_bytes("hallo")));
  EXPECT_EQ(complete(*part).error().status, FileStatus::hash_mismatch);
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(PartFileTest, too_short_content_is_wrong_content) {
  auto part = PartFile::open(folder_, offer_of("hello"), sender);
  ASSERT_TRUE(part);
  ASSERT_TRUE(part->append(as_bytes("hell")));
  EXPECT_EQ(complete(*part).error().status, FileStatus::hash_mismatch);
}

TEST_F(PartFileTest, one_transfer_at_a_time) {
  const auto first = PartFile::open(folder_, offer_of("hello"), sender);
  ASSERT_TRUE(first);
  const auto second = PartFile::open(folder_, offer_of("hello"), sender);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().status, FileStatus::busy);
}

TEST_F(PartFileTest, more_than_was_offered_is_forgotten) {
  const FileOffer offer = offer_of("hello");
  std::ofstream(part_path(offer)) << "hello and more";
  const auto part = PartFile::open(folder_, offer, sender);
  ASSERT_TRUE(part);
  EXPECT_EQ(part->held(), 0u);
}

TEST_F(PartFileTest, what_cannot_fit_is_refused_at_once_and_leaves_nothing) {
  FileOffer offer = offer_of("hello");
  offer.size = file_size_max;
  const auto part = PartFile::open(folder_, offer, sender);
  ASSERT_FALSE(part);
  EXPECT_EQ(part.error().status, FileStatus::no_space);
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(PartFileTest, a_taken_name_is_never_replaced) {
  std::ofstream(folder_ + "/name") << "mine";
  auto part = PartFile::open(folder_, offer_of("hello"), sender);
  ASSERT_TRUE(part);
  ASSERT_TRUE(part->append(as_bytes("hello")));
  EXPECT_EQ(complete(*part), folder_ + "/name (1)");
  EXPECT_EQ(read_text(folder_ + "/name"), "mine");
}

TEST_F(PartFileTest, what_one_sender_sent_is_out_of_reach_of_another) {
  FileOffer offer = offer_of("hello world");
  ASSERT_TRUE(PartFile::open(folder_, offer, sender)->append(as_bytes("hello ")));
  offer.size = 0;
  const auto foreign = PartFile::open(folder_, offer, node(2));
  ASSERT_TRUE(foreign);
  EXPECT_EQ(foreign->held(), 0u);
  EXPECT_EQ(read_text(part_path(offer)), "hello ");
}

TEST_F(PartFileTest, a_part_file_that_was_replaced_does_not_get_the_name) {
  const FileOffer offer = offer_of("hello");
  auto part = PartFile::open(folder_, offer, sender);
  ASSERT_TRUE(part);
  ASSERT_TRUE(part->append(as_bytes("hello")));
  std::filesystem::rename(part_path(offer), folder_ + "/stolen");
  std::ofstream(part_path(offer)) << "evil!";
  const auto done = complete(*part);
  ASSERT_FALSE(done);
  EXPECT_TRUE(done.error().ours);
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/name"));
  EXPECT_EQ(read_text(part_path(offer)), "evil!");
}

TEST_F(PartFileTest, what_was_changed_on_the_disk_does_not_get_the_name) {
  const FileOffer offer = offer_of("hello");
  for (const char* change : {"jello", "hell", "hello!"}) {
    auto part = PartFile::open(folder_, offer, sender);
    ASSERT_TRUE(part);
    ASSERT_TRUE(part->start_over());
    ASSERT_TRUE(part->append(as_bytes("hello")));
    std::ofstream(part_path(offer)) << change;
    EXPECT_FALSE(complete(*part)) << change;
    EXPECT_FALSE(std::filesystem::exists(folder_ + "/name"));
  }
}

TEST_F(PartFileTest, a_part_file_with_a_second_name_is_refused_and_left) {
  const FileOffer offer = offer_of("hello");
  std::ofstream(folder_ + "/precious") << "precious";
  std::filesystem::create_hard_link(folder_ + "/precious", part_path(offer));
  const auto part = PartFile::open(folder_, offer, sender);
  ASSERT_FALSE(part);
  EXPECT_EQ(part.error().status, FileStatus::cannot_write);
  EXPECT_EQ(read_text(folder_ + "/precious"), "precious");
}

TEST_F(PartFileTest, a_second_name_given_meanwhile_is_no_way_into_the_finished_file) {
  const FileOffer offer = offer_of("hello");
  auto part = PartFile::open(folder_, offer, sender);
  ASSERT_TRUE(part);
  ASSERT_TRUE(part->append(as_bytes("hello")));
  std::filesystem::create_hard_link(part_path(offer), folder_ + "/other");
  EXPECT_FALSE(complete(*part));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/name"));
}

TEST_F(PartFileTest, an_offer_too_large_is_the_senders_fault_and_a_missing_folder_is_ours) {
  const auto part = PartFile::open(folder_ + "/none", offer_of("hello"), sender);
  ASSERT_FALSE(part);
  EXPECT_TRUE(part.error().ours);
  FileOffer offer = offer_of("hello");
  offer.size = file_size_max;
  EXPECT_FALSE(PartFile::open(folder_, offer, sender).error().ours);
}

TEST_F(PartFileTest, nothing_held_leaves_nothing) {
  auto part = PartFile::open(folder_, offer_of("hello"), sender);
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
  EXPECT_LE(
      part_file_name(std::string(file_name_max, 'x'), std::string(64, 'a'), std::string(64, 'b'))
          .size(),
      255u);
  EXPECT_LE(numbered_file_name(std::string(file_name_max, 'x'), 999).size(), 255u);
}

}  // namespace
}  // namespace quicmesh::cli
