#include "stun/stun_writer.hpp"

#include <array>

#include "base/assert.hpp"
#include "crypto/hmac.hpp"

namespace quicmesh {
namespace {

// RFC 8489 s5, figure 3.
std::uint16_t message_type(StunClass message_class, StunMethod method) {
  const unsigned bits = static_cast<unsigned>(method);
  const unsigned kind = static_cast<unsigned>(message_class);
  return static_cast<std::uint16_t>((bits & 0x000f) | (bits & 0x0070) << 1 | (bits & 0x0f80) << 2 |
                                    (kind & 1) << 4 | (kind & 2) << 7);
}

constexpr std::size_t length_offset = 2;

}  // namespace

StunWriter::StunWriter(MutableByteView out, StunClass message_class, StunMethod method,
                       const TransactionId& id)
    : id_(id), writer_(out) {
  writer_.u16(message_type(message_class, method));
  writer_.u16(0);
  writer_.u32(stun_magic_cookie);
  writer_.bytes(id.bytes);
}

void StunWriter::add(StunAttribute type, ByteView value) {
  constexpr std::array<std::uint8_t, 3> zeros{};
  const std::size_t length = writer_.size() + attribute_size(value.size()) - stun_header_size;
  if (length > 0xffff) too_long_ = true;  // nothing longer can be said in the header
  if (!ok()) return;
  writer_.u16(static_cast<std::uint16_t>(type));
  writer_.u16(static_cast<std::uint16_t>(value.size()));
  writer_.bytes(value);
  writer_.bytes(ByteView(zeros).first((4 - value.size() % 4) % 4));
  writer_.patch_u16(length_offset, static_cast<std::uint16_t>(length));
}

void StunWriter::add_address(StunAttribute type, const SocketAddress& address) {
  add(type, stun_address_value(address, nullptr));
}

void StunWriter::add_xor_address(StunAttribute type, const SocketAddress& address) {
  add(type, stun_address_value(address, &id_));
}

void StunWriter::add_u32(StunAttribute type, std::uint32_t value) {
  std::array<std::uint8_t, 4> bytes{};
  ByteWriter(MutableByteView(bytes)).u32(value);
  add(type, bytes);
}

void StunWriter::add_u16(StunAttribute type, std::uint16_t value) {
  add_u32(type, std::uint32_t{value} << 16);
}

void StunWriter::add_u8(StunAttribute type, std::uint8_t value) {
  add_u32(type, std::uint32_t{value} << 24);
}

void StunWriter::add_change_request(const ChangeRequest& change) {
  add_u32(StunAttribute::change_request,
          (change.change_ip ? 4U : 0U) | (change.change_port ? 2U : 0U));
}

void StunWriter::add_error_code(unsigned code, std::string_view reason) {
  QM_ASSERT(code >= 300 && code <= 699);
  Bytes value{0, 0, static_cast<std::uint8_t>(code / 100), static_cast<std::uint8_t>(code % 100)};
  const ByteView text = as_bytes(reason);
  value.insert(value.end(), text.begin(), text.end());
  add(StunAttribute::error_code, value);
}

void StunWriter::add_unknown_attributes(std::span<const StunAttribute> types) {
  Bytes value;
  ByteWriter writer(value);
  for (const StunAttribute type : types)
    writer.u16(static_cast<std::uint16_t>(type));
  add(StunAttribute::unknown_attributes, value);
}

void StunWriter::add_integrity(ByteView key) {
  if (!ok()) return;
  const StunIntegrityInput input(written(), writer_.size(), HmacSha1{}.size());
  add(StunAttribute::message_integrity, hmac_sha1(key, input.parts()));
}

void StunWriter::add_integrity_sha256(ByteView key) {
  if (!ok()) return;
  const StunIntegrityInput input(written(), writer_.size(), HmacSha256{}.size());
  add(StunAttribute::message_integrity_sha256, hmac_sha256(key, input.parts()));
}

void StunWriter::add_fingerprint() {
  if (!ok()) return;
  // RFC 8489 s14.7: the length in the header already counts this attribute.
  writer_.patch_u16(length_offset, static_cast<std::uint16_t>(writer_.size() + attribute_size(4) -
                                                              stun_header_size));
  add_u32(StunAttribute::fingerprint, stun_fingerprint(written()));
}

}  // namespace quicmesh
