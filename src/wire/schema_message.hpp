// Messages of a Cap'n Proto schema as bytes, and back. All bytes from elsewhere are read through
// here: this is the one place where Cap'n Proto's exceptions are caught.
//
// On the wire a message is Cap'n Proto's stream framing of one message, without packing: nothing in
// it is longer when read than as received. What we write is always a single segment, so one message
// has one form. A reader may follow pointers over as many words as the message has and no more
// (each object is read once), and eight levels deep: a message that names the same object many
// times, or a list of nothing with a billion elements, ends there.
//
// Reading copies the bytes once: Cap'n Proto wants its words aligned.
#pragma once

#include "wire/kj_comparisons.hpp"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/exception.h>

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "base/assert.hpp"
#include "quicmesh/bytes.hpp"
#include "quicmesh/result.hpp"
#include "wire/wire_errc.hpp"

namespace quicmesh {

inline constexpr int schema_nesting_max = 8;

/// The words that hold `size` bytes.
constexpr std::size_t schema_words(std::size_t size) {
  return (size + sizeof(capnp::word) - 1) / sizeof(capnp::word);
}

/// What `read(root)` makes of the message, a Result of its own. Whatever `read` borrows from the
/// root is gone when it returns. Errors besides its own: `message_too_long` above `size_max`,
/// `malformed_message`.
template <class Root, class Read>
[[nodiscard]] auto read_schema(ByteView bytes, std::size_t size_max, Read read)
    -> std::invoke_result_t<Read, typename Root::Reader> {
  if (bytes.size() > size_max) return failure(WireErrc::message_too_long);
  if (bytes.empty() || bytes.size() % sizeof(capnp::word) != 0) {
    return failure(WireErrc::malformed_message);
  }
  try {
    auto words = kj::heapArray<capnp::word>(bytes.size() / sizeof(capnp::word));
    std::ranges::copy(bytes, words.asBytes().begin());
    capnp::FlatArrayMessageReader reader(
        words, {.traversalLimitInWords = words.size(), .nestingLimit = schema_nesting_max});
    if (reader.getEnd() != words.end()) return failure(WireErrc::malformed_message);
    return read(reader.getRoot<Root>());
  } catch (const kj::Exception&) {
    return failure(WireErrc::malformed_message);
  }
}

/// The bytes of what `write(root)` sets; at most `size_max`, which the caller's own bounds ensure.
template <class Root, class Write>
[[nodiscard]] Bytes write_schema(std::size_t size_max, Write write) {
  // Zeroing a segment of the largest size costs a microsecond, and spares a second pass over what
  // is to be written.
  capnp::MallocMessageBuilder builder(static_cast<unsigned>(schema_words(size_max)),
                                      capnp::AllocationStrategy::FIXED_SIZE);
  write(builder.initRoot<Root>());
  const auto segments = builder.getSegmentsForOutput();
  QM_ASSERT(segments.size() == 1);
  const auto body = segments[0].asBytes();
  Bytes bytes(sizeof(capnp::word) + body.size());
  QM_ASSERT(bytes.size() <= size_max);
  // The table of one segment: their number less one, and its size; little-endian.
  const std::size_t words = segments[0].size();
  for (std::size_t i = 0; i < 4; ++i)
    bytes[4 + i] = static_cast<std::uint8_t>(words >> 8 * i);
  std::ranges::copy(body, bytes.begin() + sizeof(capnp::word));
  return bytes;
}

/// Bytes of a message, borrowed.
inline ByteView as_view(capnp::Data::Reader data) {
  return {data.begin(), data.size()};
}
inline capnp::Data::Reader as_data(ByteView bytes) {
  return {bytes.data(), bytes.size()};
}

}  // namespace quicmesh
