// Fuzzes the messages of quicmesh/file/1 and the names that a peer proposes: decoders are total,
// what they accept is encoded to the same bytes again, and a safe name is one.
#include "apps/quicmesh/file_wire.hpp"

#include "apps/quicmesh/file_name.hpp"
#include "apps/quicmesh/text.hpp"
#include "base/assert.hpp"

namespace quicmesh::cli {
namespace {

template <class Message>
void check(ByteView input, Result<Message> (*decode)(ByteView frame)) {
  const auto message = decode(input);
  if (!message) return;
  // A length may be written in more bytes than needed, so the message is compared, not its bytes.
  const Bytes again = encode(*message);
  const auto size = decode_frame_size(ByteView(again).first(frame_header_size));
  QM_ASSERT(size && *size == again.size() - frame_header_size);
  const auto same = decode(ByteView(again).subspan(frame_header_size));
  QM_ASSERT(same && *same == *message);
}

void check_name(ByteView input) {
  const std::string name = safe_file_name(as_text(input));
  QM_ASSERT(!name.empty() && name.size() <= file_name_max);
  QM_ASSERT(name.find('/') == std::string::npos && name.front() != '.' && name.front() != '-');
  QM_ASSERT(printable(name) == name && valid_utf8(name) == name);
}

}  // namespace
}  // namespace quicmesh::cli

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace quicmesh::cli;
  const quicmesh::ByteView input(data, size);
  check(input, decode_offer);
  check(input, decode_answer);
  check(input, decode_begin);
  check(input, decode_verdict);
  check_name(input);
  return 0;
}
