// Any bytes as what a puncher says: what is understood encodes to the very same bytes.
#include <algorithm>

#include "base/assert.hpp"
#include "nat/punch_message.hpp"
#include "nat/punch_predict.hpp"

using namespace quicmesh;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(data, size);
  const auto message = decode_punch_message(bytes);
  if (!message) return 0;
  QM_ASSERT(size <= punch_message_size_max);
  QM_ASSERT(std::ranges::equal(encode_punch_message(*message), bytes));
  const auto ports = predicted_ports(*message);
  QM_ASSERT(ports.size() <= predict_window);
  QM_ASSERT(std::ranges::none_of(ports, [](auto port) { return port < PunchTask::first_port; }));
  return 0;
}
