// Any bytes as a control stream: the messages do not depend on how the stream was cut, and what is
// understood comes back from its own bytes.
#include <algorithm>
#include <system_error>
#include <vector>

#include "base/assert.hpp"
#include "base/base_errc.hpp"
#include "path/control_message.hpp"

using namespace quicmesh;

namespace {

constexpr std::size_t prefix_size = 3;

struct Reading {
  std::vector<ControlMessage> messages;  // the known ones
  std::error_code end;
};

// Reads what `pending` holds and leaves the beginning of the next message.
bool take(Bytes& pending, Reading& reading) {
  ByteView rest = pending;
  for (;;) {
    const auto decoded = decode_control_message(rest);
    if (!decoded) {
      reading.end = decoded.error();
      pending = to_bytes(rest);
      return decoded.error() == BaseErrc::truncated;
    }
    QM_ASSERT(decoded->size >= prefix_size && decoded->size <= prefix_size + control_body_max);
    QM_ASSERT(decoded->size <= rest.size());
    if (decoded->message) {
      // Candidates of unknown kinds are left out, so bytes need not come back; values must.
      const Bytes again = encode_control_message(*decoded->message);
      const auto second = decode_control_message(again);
      QM_ASSERT(second && second->size == again.size() && second->message == decoded->message);
      reading.messages.push_back(*decoded->message);
    }
    rest = rest.subspan(decoded->size);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Reading whole;
  Bytes pending(data, data + size);
  take(pending, whole);
  QM_ASSERT(whole.end != BaseErrc::truncated || pending.size() < prefix_size + control_body_max);

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
