// Any bytes as a STUN message: what is understood lies within them, and an attribute that the
// writer made of it comes back the same. A second look makes a message of the bytes as a script.
#include <algorithm>
#include <array>

#include "base/assert.hpp"
#include "script.hpp"
#include "stun/stand_in.hpp"
#include "stun/stun_writer.hpp"

using namespace quicmesh;

namespace {

bool lies_within(ByteView inner, ByteView outer) {
  return inner.empty() || (inner.data() >= outer.data() &&
                           inner.data() + inner.size() <= outer.data() + outer.size());
}

void check_arbitrary(ByteView bytes) {
  const auto message = StunMessage::parse(bytes);
  if (!message) return;
  QM_ASSERT(looks_like_stun(bytes) && bytes.size() % 4 == 0);
  const auto attributes = message->attributes();
  QM_ASSERT(attributes.size() <= stun_attributes_max);
  for (const StunAttributeView& attribute : attributes) {
    QM_ASSERT(lies_within(attribute.value, bytes));
    QM_ASSERT(message->has(attribute.type));
  }
  (void)message->text(StunAttribute::software);
  (void)message->change_request();
  (void)message->u8(StunAttribute::requested_transport);
  (void)message->u16(StunAttribute::channel_number);
  (void)message->u32(StunAttribute::lifetime);
  (void)message->has_integrity(as_bytes("key"));
  (void)message->has_integrity_sha256(as_bytes("key"));
  QM_ASSERT(message->unknown_attributes().size() <= stun_attributes_max);
  if (const auto error = message->error_code()) QM_ASSERT(error->code >= 300 && error->code < 700);
  if (const auto id = read_stand_in_packet(bytes)) QM_ASSERT(*id == message->transaction_id());
  (void)decode_stand_in_request(bytes);
  (void)decode_stand_in_answer(bytes);

  const auto mapped = message->xor_address(StunAttribute::xor_mapped_address);
  if (!mapped) return;
  std::array<std::uint8_t, 64> buffer{};
  StunWriter writer(buffer, message->message_class(), message->method(), message->transaction_id());
  writer.add_xor_address(StunAttribute::xor_mapped_address, *mapped);
  const auto again = StunMessage::parse(writer.written());
  QM_ASSERT(again && again->xor_address(StunAttribute::xor_mapped_address) == mapped);
  QM_ASSERT(again->method() == message->method());
  QM_ASSERT(again->message_class() == message->message_class());
}

void check_made(fuzz::Script script) {
  std::array<std::uint8_t, 1024> buffer{};
  const auto key = script.bytes(8);
  StunWriter writer(MutableByteView(buffer).first(stun_header_size + script.u16() % 1000),
                    static_cast<StunClass>(script.u8() % 4),
                    static_cast<StunMethod>(script.u16() % 0x1000), {});
  std::size_t attributes = 0;
  while (!script.done() && attributes < 30) {
    const StunAttribute type{script.u16()};
    if (type == StunAttribute::fingerprint) continue;
    writer.add(type, script.string());
    ++attributes;
  }
  writer.add_integrity(key);
  writer.add_integrity_sha256(key);
  writer.add_fingerprint();
  if (!writer.ok()) return;
  const Bytes bytes = to_bytes(writer.written());
  const auto message = StunMessage::parse(bytes);
  QM_ASSERT(message && message->attributes().size() <= attributes + 3);
  QM_ASSERT(message->has(StunAttribute::fingerprint));
  check_arbitrary(bytes);
  Bytes changed = bytes;
  changed[8] ^= 1;
  QM_ASSERT(!StunMessage::parse(changed));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check_arbitrary({data, size});
  // The same with the fingerprint that it should have: anybody may compute one.
  if (size >= stun_header_size && size < 2000) {
    Bytes bytes(data, data + size);
    const std::size_t length = size / 4 * 4 - stun_header_size;
    bytes.resize(stun_header_size + length);
    bytes[2] = static_cast<std::uint8_t>(length >> 8);
    bytes[3] = static_cast<std::uint8_t>(length);
    if (length >= 8 && bytes[bytes.size() - 8] == 0x80 && bytes[bytes.size() - 7] == 0x28) {
      const std::uint32_t value = stun_fingerprint(ByteView(bytes).first(bytes.size() - 8));
      for (std::size_t i = 0; i < 4; ++i)
        bytes[bytes.size() - 4 + i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
    }
    check_arbitrary(bytes);
  }
  check_made({data, size});
  return 0;
}
