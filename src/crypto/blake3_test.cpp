// Tests of BLAKE3: the vectors published with the paper's reference implementation
// (tests/vectors/blake3.json), every kernel against every other, and b3sum as an independent
// opinion.
#include "crypto/blake3.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "base/hex.hpp"
#include "base/rng.hpp"

namespace quicmesh {
namespace {

struct Vector {
  std::size_t input_size;
  std::string hash;
  std::string keyed_hash;
  std::string derive_key;
};

/// The text after `"name": ` up to the next comma, without quotes; moves `position` behind it.
std::string next_value(const std::string& json, std::string_view name, std::size_t& position) {
  const std::string label = "\"" + std::string(name) + "\": ";
  const std::size_t found = json.find(label, position);
  if (found == std::string::npos) return {};
  position = found + label.size();
  std::string value = json.substr(position, json.find_first_of(",\n", position) - position);
  std::erase(value, '"');
  return value;
}

std::vector<Vector> read_vectors() {
  std::ifstream file(QUICMESH_SOURCE_DIR "/tests/vectors/blake3.json");
  const std::string json{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  std::vector<Vector> vectors;
  std::size_t position = 0;
  while (true) {
    const std::string size = next_value(json, "input_len", position);
    if (size.empty()) return vectors;
    Vector vector{std::stoul(size), {}, {}, {}};
    vector.hash = next_value(json, "hash", position);
    vector.keyed_hash = next_value(json, "keyed_hash", position);
    vector.derive_key = next_value(json, "derive_key", position);
    vectors.push_back(vector);
  }
}

constexpr std::string_view key_text = "whats the Elvish word for friend";
constexpr std::string_view context = "BLAKE3 2019-12-27 16:29:52 test vectors context";

Blake3Key test_key() {
  Blake3Key key{};
  std::copy(key_text.begin(), key_text.end(), key.begin());
  return key;
}

Bytes test_input(std::size_t size) {
  Bytes input(size);
  for (std::size_t i = 0; i < size; ++i)
    input[i] = static_cast<std::uint8_t>(i % 251);
  return input;
}

std::string hex_output(Blake3 hash, ByteView input, std::size_t size) {
  hash.update(input);
  Bytes out(size);
  hash.finish(out);
  return to_hex(out);
}

class Blake3Kernels : public testing::TestWithParam<std::size_t> {
 protected:
  [[nodiscard]] const Blake3Kernel& kernel() const { return blake3_kernels()[GetParam()]; }
};

TEST_P(Blake3Kernels, give_all_published_vectors_in_all_three_modes) {
  const std::vector<Vector> vectors = read_vectors();
  ASSERT_EQ(vectors.size(), 35U);
  for (const Vector& vector : vectors) {
    const Bytes input = test_input(vector.input_size);
    const std::size_t size = vector.hash.size() / 2;
    EXPECT_EQ(hex_output(Blake3().with_kernel(kernel()), input, size), vector.hash)
        << vector.input_size;
    EXPECT_EQ(hex_output(Blake3::keyed(test_key()).with_kernel(kernel()), input, size),
              vector.keyed_hash)
        << vector.input_size;
    EXPECT_EQ(hex_output(Blake3::derive_key(context).with_kernel(kernel()), input, size),
              vector.derive_key)
        << vector.input_size;
  }
}

TEST_P(Blake3Kernels, agree_with_the_portable_one_however_the_input_is_cut) {
  Rng rng(1);
  Bytes input(300'000);
  rng.fill(input);
  for (int round = 0; round < 60; ++round) {
    const std::size_t size = rng.below(input.size() + 1);
    Blake3 whole = Blake3().with_kernel(blake3_kernels().front());
    whole.update(ByteView(input).first(size));
    Blake3 pieces = Blake3().with_kernel(kernel());
    const std::size_t largest = std::size_t{1} << rng.below(19);
    for (std::size_t done = 0; done < size;) {
      const std::size_t piece = std::min<std::size_t>(rng.below(largest) + 1, size - done);
      pieces.update(ByteView(input).subspan(done, piece));
      done += piece;
    }
    ASSERT_EQ(pieces.digest(), whole.digest()) << size << " bytes, pieces up to " << largest;
  }
}

TEST_P(Blake3Kernels, carry_the_chunk_counter_into_its_high_word) {
  // Reached by inputs of 4 TiB only, hence asked of the kernel itself.
  using blake3_detail::ManyOptions;
  constexpr std::size_t count = 37;
  Bytes input(count * blake3_detail::chunk_bytes);
  Rng(3).fill(input);
  const ManyOptions options{.key = &blake3_detail::iv,
                            .blocks = 16,
                            .counter = 0xffff'fff0,
                            .counter_step = 1,
                            .flags = 0,
                            .flags_first = blake3_detail::chunk_start,
                            .flags_last = blake3_detail::chunk_end};
  Bytes ours(count * blake3_size);
  Bytes portable(count * blake3_size);
  blake3_detail::hash_inputs(kernel(), input.data(), count, options, ours.data());
  blake3_detail::hash_inputs(blake3_kernels().front(), input.data(), count, options,
                             portable.data());
  EXPECT_EQ(ours, portable);
}

INSTANTIATE_TEST_SUITE_P(Blake3, Blake3Kernels,
                         testing::Range(std::size_t{0}, blake3_kernels().size()),
                         [](const auto& instance) {
                           return std::to_string(blake3_kernels()[instance.param].lanes) + "_lanes";
                         });

TEST(Blake3, free_functions_give_the_first_32_bytes_of_the_vectors) {
  for (const Vector& vector : read_vectors()) {
    const Bytes input = test_input(vector.input_size);
    EXPECT_EQ(to_hex(blake3(input)), vector.hash.substr(0, 64));
    EXPECT_EQ(to_hex(blake3_keyed(test_key(), input)), vector.keyed_hash.substr(0, 64));
    EXPECT_EQ(to_hex(blake3_derive_key(context, input)), vector.derive_key.substr(0, 64));
  }
}

TEST(Blake3, output_read_in_pieces_is_the_output_read_at_once) {
  Blake3 hash;
  hash.update(test_input(2049));
  Bytes at_once(1000);
  hash.finish(at_once);
  Bytes in_pieces;
  Blake3Output output = hash.output();
  for (std::size_t size = 0; in_pieces.size() < at_once.size(); ++size) {
    Bytes piece(std::min(size, at_once.size() - in_pieces.size()));
    output.fill(piece);
    in_pieces.insert(in_pieces.end(), piece.begin(), piece.end());
  }
  EXPECT_EQ(in_pieces, at_once);
}

TEST(Blake3, a_digest_taken_midway_does_not_disturb_the_hash) {
  const Bytes input = test_input(10'000);
  Blake3 hash;
  for (std::size_t done = 0; done < input.size(); done += 100) {
    EXPECT_EQ(hash.digest(), blake3(ByteView(input).first(done)));
    hash.update(ByteView(input).subspan(done, 100));
  }
  EXPECT_EQ(hash.digest(), blake3(input));
}

TEST(Blake3, the_hasher_is_small_whatever_it_has_hashed) {
  EXPECT_LE(sizeof(Blake3), 2048U);
}

/// What `command` prints, without the final newline.
std::string run(const std::string& command) {
  std::string printed;
  std::FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return {};
  std::array<char, 256> buffer{};
  while (std::fgets(buffer.data(), buffer.size(), pipe) != nullptr)
    printed += buffer.data();
  pclose(pipe);
  if (printed.ends_with('\n')) printed.pop_back();
  return printed;
}

TEST(Blake3, agrees_with_b3sum) {
  if (std::system("b3sum --version >/dev/null 2>&1") != 0) {
    GTEST_SKIP() << "b3sum is not installed (Debian package b3sum): no independent check";
  }
  const std::string path = testing::TempDir() + "quicmesh_b3sum_input";
  const std::string key_path = path + "_key";
  std::ofstream(key_path, std::ios::binary) << key_text;
  Rng rng(2);
  for (const std::size_t size :
       {0UL, 1UL, 64UL, 1023UL, 1025UL, 65'537UL, 1'000'003UL, 9'000'000UL}) {
    Bytes input(size);
    rng.fill(input);
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(input.data()), static_cast<std::streamsize>(size));
    EXPECT_EQ(to_hex(blake3(input)), run("b3sum --no-names " + path)) << size;
    EXPECT_EQ(hex_output(Blake3::keyed(test_key()), input, 100),
              run("b3sum --no-names --length 100 --keyed " + path + " <" + key_path))
        << size;
    EXPECT_EQ(hex_output(Blake3::derive_key("quicmesh test"), input, 7),
              run("b3sum --no-names --length 7 --derive-key 'quicmesh test' " + path))
        << size;
  }
  std::remove(path.c_str());
  std::remove(key_path.c_str());
}

}  // namespace
}  // namespace quicmesh
