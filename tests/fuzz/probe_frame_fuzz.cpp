// Any bytes as a frame beside QUIC: what passes is what its key's owner would have made, and a
// frame made here passes until a bit of it is turned.
#include <algorithm>

#include "base/assert.hpp"
#include "path/probe_frame.hpp"
#include "script.hpp"

using namespace quicmesh;

namespace {

void check_arbitrary(ByteView bytes, const ProbeKey& key) {
  const auto tag = probe_frame_tag(bytes);
  QM_ASSERT(!tag || (bytes.size() == probe_frame_size && is_probe_frame_type(bytes[0])));
  const auto frame = decode_probe_frame(bytes, key);
  if (!frame) return;
  QM_ASSERT(tag == frame->tag);
  QM_ASSERT(std::ranges::equal(encode_probe_frame(*frame, key), bytes));
}

void check_made(fuzz::Script script, const ProbeKey& key) {
  ProbeFrame frame;
  frame.type = static_cast<ProbeFrameType>(0x20 + script.u8() % 3);
  frame.tag = LinkTag{script.u64()};
  frame.nonce = script.u64();
  frame.epoch = script.u16();
  ProbeFrameBytes bytes = encode_probe_frame(frame, key);
  const auto back = decode_probe_frame(bytes, key);
  QM_ASSERT(back && back->type == frame.type && back->tag == frame.tag);
  QM_ASSERT(back->nonce == frame.nonce && back->epoch == frame.epoch);
  const std::size_t bit = script.u16() % (8 * bytes.size());
  bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] ^ 1u << bit % 8);
  QM_ASSERT(!decode_probe_frame(bytes, key));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr ProbeKey key{7};
  const ByteView bytes(data, size);
  check_arbitrary(bytes, key);
  check_made({data, size}, key);
  // The first 19 bytes with the MAC that they should have: an owner of the key may write anything.
  if (size >= probe_frame_size && is_probe_frame_type(data[0])) {
    fuzz::Script script(data, size);
    ProbeFrame frame{static_cast<ProbeFrameType>(script.u8()), LinkTag{script.u64()}, script.u64(),
                     script.u16()};
    check_arbitrary(encode_probe_frame(frame, key), key);
  }
  return 0;
}
