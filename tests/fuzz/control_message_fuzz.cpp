// Any bytes as a control stream: the messages do not depend on how the stream was cut, and what is
// understood comes back from its own bytes.
#include "path/control_message.hpp"
#include "piecewise.hpp"

using namespace quicmesh;

namespace {

constexpr std::size_t prefix_size = 3;

// Candidates of unknown kinds are left out, so bytes need not come back; values must.
void check(const ControlMessage& message, ByteView bytes) {
  QM_ASSERT(bytes.size() >= prefix_size && bytes.size() <= prefix_size + control_body_max);
  const Bytes again = encode_control_message(message);
  const auto second = decode_control_message(again);
  QM_ASSERT(second && second->size == again.size() && second->message == message);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::check_piecewise<ControlMessage>({data, size}, prefix_size + control_body_max,
                                        decode_control_message, check);
  return 0;
}
