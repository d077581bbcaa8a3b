// The compression function in plain C++, paper s2.2: seven rounds of eight quarter-rounds on a 4 x
// 4 matrix of words, first its columns, then its diagonals.
#include <bit>
#include <utility>

#include "crypto/blake3_kernel.hpp"

namespace quicmesh::blake3_detail {
namespace {

[[gnu::always_inline]] inline void quarter_round(std::uint32_t& a, std::uint32_t& b,
                                                 std::uint32_t& c, std::uint32_t& d,
                                                 std::uint32_t x, std::uint32_t y) {
  a += b + x;
  d = std::rotr(d ^ a, 16);
  c += d;
  b = std::rotr(b ^ c, 12);
  a += b + y;
  d = std::rotr(d ^ a, 8);
  c += d;
  b = std::rotr(b ^ c, 7);
}

template <std::size_t round>
[[gnu::always_inline]] inline void mix(BlockWords& v, const BlockWords& m) {
  constexpr auto& s = schedule[round];
  quarter_round(v[0], v[4], v[8], v[12], m[s[0]], m[s[1]]);
  quarter_round(v[1], v[5], v[9], v[13], m[s[2]], m[s[3]]);
  quarter_round(v[2], v[6], v[10], v[14], m[s[4]], m[s[5]]);
  quarter_round(v[3], v[7], v[11], v[15], m[s[6]], m[s[7]]);
  quarter_round(v[0], v[5], v[10], v[15], m[s[8]], m[s[9]]);
  quarter_round(v[1], v[6], v[11], v[12], m[s[10]], m[s[11]]);
  quarter_round(v[2], v[7], v[8], v[13], m[s[12]], m[s[13]]);
  quarter_round(v[3], v[4], v[9], v[14], m[s[14]], m[s[15]]);
}

}  // namespace

BlockWords load_block(const std::uint8_t* bytes) {
  BlockWords words{};
  for (std::size_t i = 0; i < 16; ++i) {
    for (std::size_t byte = 0; byte < 4; ++byte) {
      words[i] |= std::uint32_t{bytes[4 * i + byte]} << (8 * byte);
    }
  }
  return words;
}

void store_words(const Words& words, std::uint8_t* out) {
  for (const std::uint32_t word : words) {
    for (unsigned shift = 0; shift < 32; shift += 8)
      *out++ = static_cast<std::uint8_t>(word >> shift);
  }
}

BlockWords compress(const Words& value, const BlockWords& block, std::uint64_t counter,
                    std::uint32_t block_size, std::uint32_t flags) {
  BlockWords v{value[0],
               value[1],
               value[2],
               value[3],
               value[4],
               value[5],
               value[6],
               value[7],
               iv[0],
               iv[1],
               iv[2],
               iv[3],
               static_cast<std::uint32_t>(counter),
               static_cast<std::uint32_t>(counter >> 32),
               block_size,
               flags};
  mix<0>(v, block);
  mix<1>(v, block);
  mix<2>(v, block);
  mix<3>(v, block);
  mix<4>(v, block);
  mix<5>(v, block);
  mix<6>(v, block);
  for (std::size_t i = 0; i < 8; ++i) {
    v[i] ^= v[i + 8];
    v[i + 8] ^= value[i];
  }
  return v;
}

void hash_many_portable(const std::uint8_t* input, const ManyOptions& options, std::uint8_t* out) {
  Words value = *options.key;
  for (std::size_t block = 0; block < options.blocks; ++block) {
    std::uint32_t flags = options.flags;
    if (block == 0) flags |= options.flags_first;
    if (block + 1 == options.blocks) flags |= options.flags_last;
    const BlockWords words = load_block(input + block * block_bytes);
    const BlockWords mixed = compress(value, words, options.counter, block_bytes, flags);
    for (std::size_t i = 0; i < 8; ++i)
      value[i] = mixed[i];
  }
  store_words(value, out);
}

void hash_inputs(const Blake3Kernel& kernel, const std::uint8_t* input, std::size_t count,
                 ManyOptions options, std::uint8_t* out) {
  for (const Blake3Kernel* next = &kernel; count > 0; --next) {
    for (; count >= next->lanes; count -= next->lanes) {
      next->hash_many(input, options, out);
      input += next->lanes * options.blocks * block_bytes;
      out += next->lanes * sizeof(Words);
      options.counter += next->lanes * options.counter_step;
    }
  }
}

}  // namespace quicmesh::blake3_detail
