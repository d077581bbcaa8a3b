// Tests of node ids: the known answer, both texts, and what the checksum must find.
//
// The expected short forms come from a model written apart from this code (in Python, with
// BIP-173's reference checksum), the hashes from b3sum.
#include "quicmesh/node_id.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "base/hex.hpp"
#include "base/rng.hpp"
#include "identity/identity_errc.hpp"

namespace quicmesh {
namespace {

constexpr std::string_view alphabet = "abcdefghijklmnopqrstuvwxyz234567";

NodeId random_id(Rng& rng) {
  NodeId id;
  rng.fill(id.bytes);
  return id;
}

struct KnownAnswer {
  std::string_view public_key;
  std::string_view hex;
  std::string_view short_form;
};

constexpr KnownAnswer known_answers[] = {
    // The keys of RFC 8032 s7.1 test 1, and of a seed of 32 zero bytes.
    {"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
     "6c31041268f471609c79f5f2dbcc38e4a4ab2f4d416109a4e09fcf50fd0f0062",
     "nqyqieti6rywbhdz6xznxtby4sskwl2nifqqtjhat7hvb7ipabrawsdpch"},
    {"3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29",
     "51f1365add907c3dcaead8fae90cfe55902638248377b4dd1db501b11554ac46",
     "khytmww5sb6d3sxk3d5osdh6kwicmobeqn33jxi5wua3cfkuvrdaretwi3"},
};

// S1.64
TEST(NodeId, is_the_blake3_hash_of_the_public_key) {
  for (const KnownAnswer& known : known_answers) {
    PublicKey key;
    ASSERT_TRUE(from_hex(known.public_key, key.bytes));
    EXPECT_EQ(NodeId::of(key).to_hex(), known.hex);
  }
}

TEST(NodeId, both_forms_are_as_the_model_has_them_and_are_read_back) {
  for (const KnownAnswer& known : known_answers) {
    const auto id = NodeId::parse(known.hex);
    ASSERT_TRUE(id);
    EXPECT_EQ(id->to_hex(), known.hex);
    EXPECT_EQ(id->to_short_string(), known.short_form);
    EXPECT_EQ(id->prefix(), known.short_form.substr(0, 10));
    EXPECT_EQ(NodeId::parse(known.short_form), *id);
  }
  NodeId ones;
  ones.bytes.fill(0xff);
  EXPECT_EQ(NodeId{}.to_short_string(),
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaakxajy5");
  EXPECT_EQ(ones.to_short_string(), "777777777777777777777777777777777777777777777777777qijdyrk");
}

TEST(NodeId, both_forms_are_read_in_either_case) {
  Rng rng(1);
  for (int round = 0; round < 100; ++round) {
    const NodeId id = random_id(rng);
    for (std::string text : {id.to_hex(), id.to_short_string()}) {
      EXPECT_EQ(NodeId::parse(text), id);
      for (char& character : text) {
        if (rng.chance(1, 2)) character = static_cast<char>(std::toupper(character));
      }
      EXPECT_EQ(NodeId::parse(text), id) << text;
    }
  }
}

TEST(NodeId, short_form_detects_every_single_character_error) {
  Rng rng(2);
  for (int round = 0; round < 20; ++round) {
    const std::string good = random_id(rng).to_short_string();
    for (std::size_t place = 0; place < good.size(); ++place) {
      for (const char wrong : alphabet) {
        if (wrong == good[place]) continue;
        std::string text = good;
        text[place] = wrong;
        const auto id = NodeId::parse(text);
        ASSERT_FALSE(id) << good << " read as " << text;
        EXPECT_EQ(id.error(), IdentityErrc::node_id_checksum);
      }
    }
  }
}

TEST(NodeId, short_form_detects_every_transposition_of_neighbours) {
  Rng rng(3);
  for (int round = 0; round < 500; ++round) {
    const std::string good = random_id(rng).to_short_string();
    for (std::size_t place = 0; place + 1 < good.size(); ++place) {
      if (good[place] == good[place + 1]) continue;
      std::string text = good;
      std::swap(text[place], text[place + 1]);
      EXPECT_FALSE(NodeId::parse(text)) << good << " read as " << text;
    }
  }
}

TEST(NodeId, short_form_detects_up_to_four_wrong_characters) {
  Rng rng(4);
  for (int round = 0; round < 100'000; ++round) {
    const std::string good = random_id(rng).to_short_string();
    std::string text = good;
    for (auto wrong = rng.below(4) + 1; wrong > 0; --wrong) {
      text[rng.below(text.size())] = alphabet[rng.below(alphabet.size())];
    }
    if (text == good) continue;
    ASSERT_FALSE(NodeId::parse(text)) << good << " read as " << text;
  }
}

TEST(NodeId, texts_that_are_neither_form_are_malformed) {
  const std::string good = NodeId{}.to_short_string();
  const std::string hex = NodeId{}.to_hex();
  for (const std::string& text :
       {std::string(), std::string("x"), good + "a", good.substr(1), hex + "0", hex.substr(1),
        " " + good, good + "\n", "0x" + hex.substr(2), "g" + hex.substr(1), "0" + good.substr(1),
        "1" + good.substr(1), "8" + good.substr(1), "-" + good.substr(1), std::string(58, '='),
        std::string(64, '\0'), std::string(58, '\0'), std::string(10'000, 'a')}) {
    const auto id = NodeId::parse(text);
    ASSERT_FALSE(id) << text;
    EXPECT_EQ(id.error(), IdentityErrc::malformed_node_id) << text;
  }
}

TEST(NodeId, a_short_form_with_spare_bits_set_is_refused_even_with_a_good_checksum) {
  // The last base32 character carries one bit of the id; the model made the checksum of "...b".
  const auto id = NodeId::parse("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabxbu4fp");
  ASSERT_FALSE(id);
  EXPECT_EQ(id.error(), IdentityErrc::malformed_node_id);
}

TEST(NodeId, orders_by_bytes_and_hashes_by_all_of_them) {
  NodeId low;
  NodeId high;
  high.bytes[0] = 1;
  low.bytes[31] = 0xff;
  EXPECT_LT(low, high);
  std::unordered_set<std::size_t> hashes;
  for (std::size_t i = 0; i < 256; ++i) {
    NodeId id;
    id.bytes[i / 8] = static_cast<std::uint8_t>(1U << i % 8);
    hashes.insert(std::hash<NodeId>{}(id));
  }
  EXPECT_EQ(hashes.size(), 256U);
}

}  // namespace
}  // namespace quicmesh
