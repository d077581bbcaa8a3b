// BLAKE3: hash, keyed hash, key derivation, with output of any length.
//
// Source: O'Connor, Aumasson, Neves, Wilcox-O'Hearn, "BLAKE3: one function, fast everywhere"
// (2020), cited below as "paper". The input is cut into chunks of 1024 bytes; each is compressed
// block by block (64 bytes) to a chaining value of 32 bytes. Chaining values are the leaves of a
// binary tree whose left subtrees are complete, and a parent compresses the values of its two
// children. The root alone is compressed with a flag of its own, and with a counter for as many
// output bytes as are asked for.
//
// `Blake3` takes its input in pieces and keeps one chunk and a stack of at most 54 chaining values:
// 2 KiB, whatever the input's size. Runs of whole chunks are hashed side by side in vector lanes
// (blake3_kernel.hpp); large pieces (64 KiB and up) make it fastest.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "crypto/blake3_kernel.hpp"
#include "quicmesh/bytes.hpp"

namespace quicmesh {

inline constexpr std::size_t blake3_size = 32;

using Blake3Digest = std::array<std::uint8_t, blake3_size>;
using Blake3Key = std::array<std::uint8_t, 32>;

/// The endless output of one finished hash, read from its beginning.
class Blake3Output {
 public:
  void fill(MutableByteView out);

 private:
  friend class Blake3;

  blake3_detail::Words input_{};
  blake3_detail::BlockWords block_{};
  std::uint32_t block_size_ = 0;
  std::uint32_t flags_ = 0;
  std::uint64_t position_ = 0;
};

class Blake3 {
 public:
  /// The plain hash.
  Blake3();

  /// The keyed hash: a MAC and a PRF under `key`.
  static Blake3 keyed(const Blake3Key& key);

  /// Key derivation: what is hashed is the key material. `context` is a constant of the program,
  /// unique to the use, never input (paper s6.2); ours read "quicmesh 2025 <protocol> <use>".
  static Blake3 derive_key(std::string_view context);

  /// The same hash computed by `kernel` (tests hold all kernels to the same vectors).
  [[nodiscard]] Blake3 with_kernel(const Blake3Kernel& kernel) const;

  void update(ByteView input);

  /// Output of the input so far; more input may follow and changes nothing in it.
  [[nodiscard]] Blake3Output output() const;
  void finish(MutableByteView out) const { output().fill(out); }
  [[nodiscard]] Blake3Digest digest() const;

 private:
  using Words = blake3_detail::Words;

  Blake3(const Words& key, std::uint32_t flags);

  void absorb_blocks(ByteView input);
  ByteView absorb_subtrees(ByteView input);
  void push_subtree(Words value, std::uint64_t chunks);
  [[nodiscard]] std::uint32_t start_flag() const;
  [[nodiscard]] std::size_t chunk_fill() const;
  [[nodiscard]] Blake3Output chunk_output() const;

  const Blake3Kernel* kernel_;
  Words key_;
  std::uint32_t flags_;

  // The chunk being filled. Its last block waits until it is known not to be the last of the chunk.
  Words chunk_value_;
  std::array<std::uint8_t, blake3_detail::block_bytes> block_{};
  std::size_t block_fill_ = 0;
  std::size_t blocks_compressed_ = 0;
  std::uint64_t chunks_ = 0;  // whole chunks before this one

  // Complete subtrees left of the current chunk, the largest first; paper s5.1.2.
  std::array<Words, 54> stack_;
  std::size_t stack_size_ = 0;
};

[[nodiscard]] Blake3Digest blake3(ByteView input);
[[nodiscard]] Blake3Digest blake3_keyed(const Blake3Key& key, ByteView input);
[[nodiscard]] Blake3Digest blake3_derive_key(std::string_view context, ByteView key_material);

}  // namespace quicmesh
