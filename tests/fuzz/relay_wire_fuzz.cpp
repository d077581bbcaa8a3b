// Any bytes as a relayed datagram, a challenge, and a control stream: what is understood comes back
// from its own bytes, and the messages do not depend on how the stream was cut.
#include <algorithm>
#include <system_error>
#include <vector>

#include "base/assert.hpp"
#include "base/base_errc.hpp"
#include "relay/challenge_frame.hpp"
#include "relay/relay_message.hpp"

using namespace quicmesh;

namespace {

void check_frames(ByteView bytes) {
  if (const auto header = decode_relay_header(bytes)) {
    QM_ASSERT(is_relay_frame_type(bytes[0]) && bytes.size() > relay_header_size);
    QM_ASSERT(std::ranges::equal(encode_relay_header(*header), bytes.first(relay_header_size)));
    QM_ASSERT(!peek_challenge_frame(bytes));
  }
  constexpr RelayKey key{7};
  const bool verified = verify_challenge_frame(bytes, key);
  const auto frame = peek_challenge_frame(bytes);
  if (!frame) return;
  QM_ASSERT(is_relay_frame_type(bytes[0]) && bytes.size() == challenge_frame_size);
  const ChallengeFrameBytes made = encode_challenge_frame(*frame, key);
  QM_ASSERT(verified == std::ranges::equal(made, bytes));
  QM_ASSERT(verify_challenge_frame(made, key));
}

struct Reading {
  std::vector<Bytes> messages;  // of known types
  std::error_code end;
};

// Reads what `pending` holds and leaves the beginning of the next message.
bool take(Bytes& pending, Reading& reading) {
  ByteView rest = pending;
  for (;;) {
    const auto decoded = decode_relay_message(rest);
    if (!decoded) {
      reading.end = decoded.error();
      pending = to_bytes(rest);
      return decoded.error() == BaseErrc::truncated;
    }
    QM_ASSERT(decoded->size >= 3 && decoded->size <= 2 + relay_message_max);
    QM_ASSERT(decoded->size <= rest.size());
    if (decoded->message) {
      const Bytes again = encode_relay_message(*decoded->message);
      QM_ASSERT(std::ranges::equal(again, rest.first(decoded->size)));
      reading.messages.push_back(again);
    }
    rest = rest.subspan(decoded->size);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check_frames({data, size});

  Reading whole;
  Bytes pending(data, data + size);
  take(pending, whole);
  QM_ASSERT(whole.end != BaseErrc::truncated || pending.size() < 2 + relay_message_max);

  Reading piecewise;
  Bytes collected;
  const std::size_t step = size == 0 ? 1 : 1 + data[0] % 7;
  bool more = true;
  for (std::size_t at = 0; at < size && more; at += step) {
    collected.insert(collected.end(), data + at, data + std::min(size, at + step));
    more = take(collected, piecewise);
  }
  QM_ASSERT(piecewise.messages == whole.messages);
  QM_ASSERT(size == 0 || piecewise.end == whole.end);
  return 0;
}
