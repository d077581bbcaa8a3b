// The tree of BLAKE3: chunks, the stack of subtrees, the root. Paper s2.4 and s5.1.
#include "crypto/blake3.hpp"

#include <algorithm>
#include <bit>

#include "base/assert.hpp"

namespace quicmesh {

using blake3_detail::block_bytes;
using blake3_detail::BlockWords;
using blake3_detail::chunk_bytes;
using blake3_detail::ManyOptions;
using blake3_detail::Words;

namespace {

// The largest run of chunks that is hashed in one go: enough that the last few parents, for which
// there are not enough lanes, do not count; its chaining values take 2 KiB of the stack.
constexpr std::size_t batch_chunks = 64;

Words words_of(const Blake3Key& bytes) {
  Words words{};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    words[i / 4] |= std::uint32_t{bytes[i]} << (8 * (i % 4));
  }
  return words;
}

Words first_half(const BlockWords& words) {
  Words half{};
  std::copy_n(words.begin(), half.size(), half.begin());
  return half;
}

BlockWords join(const Words& left, const Words& right) {
  BlockWords block{};
  std::ranges::copy(left, block.begin());
  std::ranges::copy(right, block.begin() + 8);
  return block;
}

Words parent_value(const Words& key, const Words& left, const Words& right, std::uint32_t flags) {
  return first_half(blake3_detail::compress(key, join(left, right), 0, block_bytes,
                                            flags | blake3_detail::parent));
}

/// The chaining value of a complete subtree of `chunks` chunks, a power of two up to
/// `batch_chunks`.
Words subtree_value(const Blake3Kernel& kernel, ByteView input, ManyOptions options) {
  std::size_t count = input.size() / chunk_bytes;
  std::array<std::uint8_t, batch_chunks * sizeof(Words)> values;
  std::array<std::uint8_t, batch_chunks * sizeof(Words)> parents;
  blake3_detail::hash_inputs(kernel, input.data(), count, options, values.data());
  options.blocks = 1;
  options.counter = 0;
  options.counter_step = 0;
  options.flags |= blake3_detail::parent;
  options.flags_first = 0;
  options.flags_last = 0;
  // Two neighbouring values are one block of 64 bytes: exactly the input of their parent.
  for (; count > 1; count /= 2) {
    blake3_detail::hash_inputs(kernel, values.data(), count / 2, options, parents.data());
    std::swap(values, parents);
  }
  Blake3Digest value;
  std::copy_n(values.begin(), value.size(), value.begin());
  return words_of(value);
}

}  // namespace

void Blake3Output::fill(MutableByteView out) {
  // Paper s2.6: block i of the output is the root compressed with counter i.
  while (!out.empty()) {
    const BlockWords words = blake3_detail::compress(input_, block_, position_ / block_bytes,
                                                     block_size_, flags_ | blake3_detail::root);
    const std::size_t offset = position_ % block_bytes;
    const std::size_t count = std::min(block_bytes - offset, out.size());
    for (std::size_t i = 0; i < count; ++i) {
      out[i] = static_cast<std::uint8_t>(words[(offset + i) / 4] >> (8 * ((offset + i) % 4)));
    }
    position_ += count;
    out = out.subspan(count);
  }
}

Blake3::Blake3() : Blake3(blake3_detail::iv, 0) {}

Blake3::Blake3(const Words& key, std::uint32_t flags)
    : kernel_(&blake3_kernels().back()), key_(key), flags_(flags), chunk_value_(key) {}

Blake3 Blake3::keyed(const Blake3Key& key) {
  return Blake3(words_of(key), blake3_detail::keyed_hash);
}

Blake3 Blake3::derive_key(std::string_view context) {
  Blake3 context_hash(blake3_detail::iv, blake3_detail::derive_key_context);
  context_hash.update(as_bytes(context));
  return Blake3(words_of(context_hash.digest()), blake3_detail::derive_key_material);
}

Blake3 Blake3::with_kernel(const Blake3Kernel& kernel) const {
  Blake3 copy = *this;
  copy.kernel_ = &kernel;
  return copy;
}

std::uint32_t Blake3::start_flag() const {
  return blocks_compressed_ == 0 ? blake3_detail::chunk_start : 0;
}

std::size_t Blake3::chunk_fill() const {
  return blocks_compressed_ * block_bytes + block_fill_;
}

void Blake3::update(ByteView input) {
  while (!input.empty()) {
    if (chunk_fill() == chunk_bytes) {
      const Blake3Output whole = chunk_output();
      push_subtree(first_half(blake3_detail::compress(whole.input_, whole.block_, chunks_,
                                                      whole.block_size_, whole.flags_)),
                   1);
    }
    if (chunk_fill() == 0) input = absorb_subtrees(input);
    const std::size_t count = std::min(chunk_bytes - chunk_fill(), input.size());
    absorb_blocks(input.first(count));
    input = input.subspan(count);
  }
}

/// Into the current chunk, which has room for all of `input`.
void Blake3::absorb_blocks(ByteView input) {
  while (!input.empty()) {
    if (block_fill_ == block_bytes) {
      chunk_value_ =
          first_half(blake3_detail::compress(chunk_value_, blake3_detail::load_block(block_.data()),
                                             chunks_, block_bytes, flags_ | start_flag()));
      ++blocks_compressed_;
      block_.fill(0);
      block_fill_ = 0;
    }
    const std::size_t count = std::min(block_bytes - block_fill_, input.size());
    std::copy_n(input.begin(), count, block_.begin() + static_cast<std::ptrdiff_t>(block_fill_));
    block_fill_ += count;
    input = input.subspan(count);
  }
}

/// Hashes whole subtrees off the front of `input`; returns the rest, at least one byte: the last
/// chunk may be the root, which has a flag of its own, so it always goes through the chunk state.
ByteView Blake3::absorb_subtrees(ByteView input) {
  while (input.size() > 2 * chunk_bytes) {
    std::size_t chunks = std::min(batch_chunks, std::bit_floor((input.size() - 1) / chunk_bytes));
    // A subtree of n chunks begins at a multiple of n.
    while (chunks_ % chunks != 0)
      chunks /= 2;
    if (chunks == 1) break;
    const ManyOptions options{.key = &key_,
                              .blocks = chunk_bytes / block_bytes,
                              .counter = chunks_,
                              .counter_step = 1,
                              .flags = flags_,
                              .flags_first = blake3_detail::chunk_start,
                              .flags_last = blake3_detail::chunk_end};
    push_subtree(subtree_value(*kernel_, input.first(chunks * chunk_bytes), options), chunks);
    input = input.subspan(chunks * chunk_bytes);
  }
  return input;
}

/// Paper s5.1.2: as many subtrees are complete as the new count of chunks, in units of the pushed
/// subtree, has trailing zeros. Only called when more input follows, so none of them is the root.
void Blake3::push_subtree(Words value, std::uint64_t chunks) {
  chunks_ += chunks;
  for (std::uint64_t units = chunks_ / chunks; units % 2 == 0; units /= 2) {
    value = parent_value(key_, stack_[--stack_size_], value, flags_);
  }
  // 2^64 bytes of input are 2^54 chunks; no input gets there.
  QM_ASSERT(stack_size_ < stack_.size());
  stack_[stack_size_++] = value;
  chunk_value_ = key_;
  block_.fill(0);
  block_fill_ = 0;
  blocks_compressed_ = 0;
}

Blake3Output Blake3::chunk_output() const {
  Blake3Output output;
  output.input_ = chunk_value_;
  output.block_ = blake3_detail::load_block(block_.data());
  output.block_size_ = static_cast<std::uint32_t>(block_fill_);
  output.flags_ = flags_ | start_flag() | blake3_detail::chunk_end;
  return output;
}

Blake3Output Blake3::output() const {
  Blake3Output node = chunk_output();
  std::uint64_t counter = chunks_;
  for (std::size_t i = stack_size_; i > 0; --i) {
    const Words right = first_half(
        blake3_detail::compress(node.input_, node.block_, counter, node.block_size_, node.flags_));
    node.input_ = key_;
    node.block_ = join(stack_[i - 1], right);
    node.block_size_ = block_bytes;
    node.flags_ = flags_ | blake3_detail::parent;
    counter = 0;
  }
  return node;
}

Blake3Digest Blake3::digest() const {
  Blake3Digest digest;
  finish(digest);
  return digest;
}

Blake3Digest blake3(ByteView input) {
  Blake3 hash;
  hash.update(input);
  return hash.digest();
}

Blake3Digest blake3_keyed(const Blake3Key& key, ByteView input) {
  Blake3 hash = Blake3::keyed(key);
  hash.update(input);
  return hash.digest();
}

Blake3Digest blake3_derive_key(std::string_view context, ByteView key_material) {
  Blake3 hash = Blake3::derive_key(context);
  hash.update(key_material);
  return hash.digest();
}

}  // namespace quicmesh
