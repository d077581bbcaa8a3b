// A stream of messages read whole and in pieces: what is understood must not depend on the cut.
#pragma once

#include <algorithm>
#include <system_error>
#include <utility>
#include <vector>

#include "base/assert.hpp"
#include "base/base_errc.hpp"
#include "quicmesh/bytes.hpp"

namespace quicmesh::fuzz {

template <class Message>
struct Reading {
  std::vector<Message> messages;  // those of known types
  std::error_code end;
};

/// Reads what `pending` holds and leaves the beginning of the next message. `decode` gives
/// `message` (nothing if its type is unknown) and `size`; `check` looks at one message and its
/// bytes. False if the stream has come to its end.
template <class Message, class Decode, class Check>
bool take(Bytes& pending, Reading<Message>& reading, const Decode& decode, const Check& check) {
  ByteView rest = pending;
  for (;;) {
    const auto decoded = decode(rest);
    if (!decoded) {
      reading.end = decoded.error();
      pending = to_bytes(rest);
      return decoded.error() == BaseErrc::truncated;
    }
    QM_ASSERT(decoded->size > 0 && decoded->size <= rest.size());
    if (decoded->message) {
      check(*decoded->message, rest.first(decoded->size));
      reading.messages.push_back(*decoded->message);
    }
    rest = rest.subspan(decoded->size);
  }
}

/// `size_max` is that of one message; the first byte says how large the pieces are.
template <class Message, class Decode, class Check>
void check_piecewise(ByteView data, std::size_t size_max, const Decode& decode,
                     const Check& check) {
  Reading<Message> whole;
  Bytes pending = to_bytes(data);
  take(pending, whole, decode, check);
  QM_ASSERT(whole.end != BaseErrc::truncated || pending.size() < size_max);

  Reading<Message> piecewise;
  Bytes collected;
  const std::size_t step = data.empty() ? 1 : 1 + data[0] % 7;
  bool more = true;
  for (std::size_t at = 0; at < data.size() && more; at += step) {
    const ByteView piece = data.subspan(at, std::min(step, data.size() - at));
    collected.insert(collected.end(), piece.begin(), piece.end());
    more = take(collected, piecewise, decode, check);
  }
  QM_ASSERT(piecewise.messages == whole.messages);
  QM_ASSERT(data.empty() || piecewise.end == whole.end);
}

}  // namespace quicmesh::fuzz
