#include "io/dht_cache.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace quicmesh::io {
namespace {

std::string file_of_test() {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  return (std::filesystem::path(::testing::TempDir()) / test->name()).string();
}

DhtContact contact_number(std::uint8_t number) {
  return {Keypair::from_seed({number}).node_id(),
          {{IpAddress::v4({127, 0, 0, number}), 4433}, {IpAddress::loopback(IpFamily::v6), 4434}}};
}

TEST(DhtCache, comes_back_as_it_was_saved) {
  const std::string path = file_of_test();
  DhtCache cache{1'800'000'000'123, {}};
  for (std::uint8_t number = 1; number <= dht_cache_nodes_max; ++number)
    cache.contacts.push_back(contact_number(number));
  ASSERT_TRUE(save_dht_cache(path, cache));
  EXPECT_EQ(load_dht_cache(path), cache);
  // A second time, over the first.
  cache.contacts.resize(3);
  ASSERT_TRUE(save_dht_cache(path, cache));
  EXPECT_EQ(load_dht_cache(path), cache);
}

TEST(DhtCache, passes_over_what_it_cannot_read) {
  const std::string path = file_of_test();
  ASSERT_TRUE(save_dht_cache(path, {7, {contact_number(1)}}));
  std::ofstream(path, std::ios::app) << "nonsense\n\nsequence x\n"
                                     << contact_number(2).id.to_hex() << "@example.org:1\n"
                                     << contact_number(4).id.to_hex() << "@192.0.2.1:53\n"
                                     << contact_number(3).id.to_hex() << "@127.0.0.3:5000\n";
  const DhtCache cache = load_dht_cache(path);
  EXPECT_EQ(cache.sequence, 7u);
  ASSERT_EQ(cache.contacts.size(), 2u);
  EXPECT_EQ(cache.contacts[1].id, contact_number(3).id);
}

TEST(DhtCache, is_empty_without_a_file_or_with_another_one) {
  const std::string path = file_of_test();
  std::filesystem::remove(path);
  EXPECT_EQ(load_dht_cache(path), DhtCache());
  std::ofstream(path) << "[settings]\nlisten = 1\n";
  EXPECT_EQ(load_dht_cache(path), DhtCache());
  std::ofstream(path) << "quicmesh-dht-cache 1\nsequence 5\n"
                      << std::string(dht_cache_size_max, '\n');
  EXPECT_EQ(load_dht_cache(path), DhtCache());
  EXPECT_FALSE(save_dht_cache("/nonexistent-folder/cache", {}));
}

TEST(DhtCache, is_readable_for_its_owner_alone_and_follows_no_link) {
  const std::string path = file_of_test();
  const std::string victim = path + ".victim";
  std::filesystem::remove(path);
  std::filesystem::remove(path + ".new");
  std::ofstream(victim) << "dear";
  ASSERT_TRUE(save_dht_cache(path, {7, {contact_number(1)}}));
  using std::filesystem::perms;
  EXPECT_EQ(std::filesystem::status(path).permissions(), perms::owner_read | perms::owner_write);
  std::filesystem::create_symlink(victim, path + ".new");
  EXPECT_FALSE(save_dht_cache(path, {8, {contact_number(1)}}));
  std::string text;
  std::ifstream(victim) >> text;
  EXPECT_EQ(text, "dear");
  EXPECT_EQ(load_dht_cache(path).sequence, 7u) << "what was there stays";
  std::filesystem::remove(path + ".new");
}

// A line more than it keeps.
TEST(DhtCache, takes_in_so_many_and_no_more) {
  const std::string path = file_of_test();
  DhtCache cache;
  for (unsigned i = 0; i <= dht_cache_nodes_max; ++i)
    cache.contacts.push_back(contact_number(static_cast<std::uint8_t>(i)));
  ASSERT_TRUE(save_dht_cache(path, cache));
  EXPECT_EQ(load_dht_cache(path).contacts.size(), dht_cache_nodes_max);
}

}  // namespace
}  // namespace quicmesh::io
