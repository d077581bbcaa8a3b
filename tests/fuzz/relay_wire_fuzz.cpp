// Any bytes as a relayed datagram, a challenge, and a control stream: what is understood comes back
// from its own bytes, and the messages do not depend on how the stream was cut.
#include <algorithm>

#include "piecewise.hpp"
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

void check_message(const RelayMessage& message, ByteView bytes) {
  QM_ASSERT(bytes.size() >= 3 && bytes.size() <= 2 + relay_message_max);
  QM_ASSERT(std::ranges::equal(encode_relay_message(message), bytes));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check_frames({data, size});
  fuzz::check_piecewise<RelayMessage>({data, size}, 2 + relay_message_max, decode_relay_message,
                                      check_message);
  return 0;
}
