// The compression function of BLAKE3, for one block and for many inputs side by side.
//
// A kernel hashes several equally long inputs at once, one a vector lane. The portable kernel does
// them one after another; the others (blake3_simd.cpp) hold word i of every input in one vector, so
// that the same code runs on 4, 8 or 16 inputs. The fastest that this processor has is chosen at
// run time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace quicmesh {

namespace blake3_detail {

inline constexpr std::size_t block_bytes = 64;
inline constexpr std::size_t chunk_bytes = 1024;

using Words = std::array<std::uint32_t, 8>;        // key, chaining value
using BlockWords = std::array<std::uint32_t, 16>;  // message block, full output

// Domain flags, paper s2.1 table 3.
inline constexpr std::uint32_t chunk_start = 1;
inline constexpr std::uint32_t chunk_end = 2;
inline constexpr std::uint32_t parent = 4;
inline constexpr std::uint32_t root = 8;
inline constexpr std::uint32_t keyed_hash = 16;
inline constexpr std::uint32_t derive_key_context = 32;
inline constexpr std::uint32_t derive_key_material = 64;

inline constexpr Words iv{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                          0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

/// The message word that each step of each round takes: the permutation of paper s2.2 table 2,
/// repeated.
constexpr std::array<std::array<std::uint8_t, 16>, 7> make_schedule() {
  constexpr std::array<std::uint8_t, 16> permutation{2, 6,  3,  10, 7, 0,  4,  13,
                                                     1, 11, 12, 5,  9, 14, 15, 8};
  std::array<std::array<std::uint8_t, 16>, 7> schedule{};
  for (std::uint8_t i = 0; i < 16; ++i)
    schedule[0][i] = i;
  for (std::size_t round = 1; round < 7; ++round) {
    for (std::size_t i = 0; i < 16; ++i)
      schedule[round][i] = schedule[round - 1][permutation[i]];
  }
  return schedule;
}
inline constexpr auto schedule = make_schedule();

/// One compression, all 16 words of output; the first eight are the next chaining value.
BlockWords compress(const Words& value, const BlockWords& block, std::uint64_t counter,
                    std::uint32_t block_size, std::uint32_t flags);

BlockWords load_block(const std::uint8_t* bytes);
void store_words(const Words& words, std::uint8_t* out);

/// What is common to all inputs of one call.
struct ManyOptions {
  const Words* key;
  std::size_t blocks;          // blocks of each input
  std::uint64_t counter;       // of the first input
  std::uint64_t counter_step;  // 1 for chunks, 0 for parents
  std::uint32_t flags;         // of every block
  std::uint32_t flags_first;   // in addition, of the first block
  std::uint32_t flags_last;    // in addition, of the last block
};

}  // namespace blake3_detail

/// Hashes `lanes` inputs that lie one behind the other; writes their 32-byte values likewise.
struct Blake3Kernel {
  using HashMany = void (*)(const std::uint8_t* input, const blake3_detail::ManyOptions& options,
                            std::uint8_t* out);

  std::string_view name;
  std::size_t lanes;
  HashMany hash_many;
};

/// Every kernel that this processor can run, from one lane (the portable one) to the most; one
/// array.
[[nodiscard]] std::span<const Blake3Kernel> blake3_kernels();

namespace blake3_detail {

void hash_many_portable(const std::uint8_t* input, const ManyOptions& options, std::uint8_t* out);

/// Any number of inputs, by `kernel`, an element of `blake3_kernels()`, and for what is left over
/// by the narrower ones before it.
void hash_inputs(const Blake3Kernel& kernel, const std::uint8_t* input, std::size_t count,
                 ManyOptions options, std::uint8_t* out);

}  // namespace blake3_detail
}  // namespace quicmesh
