// Writes STUN messages (RFC 8489) into a buffer of the caller's.
//
//     StunWriter writer(buffer, StunClass::request, StunMethod::binding, id);
//     writer.add_text(StunAttribute::software, "quicmesh");
//     writer.add_integrity(key);
//     writer.add_fingerprint();
//     if (!writer.ok()) return failure(StunErrc::message_too_long);
//     send(writer.written());
//
// The header's length is right after every call. What does not fit makes the writer fail; the
// order that the standard wants (integrity, then its SHA-256, then the fingerprint) is the
// caller's. Values are padded with zeros (s14).
#pragma once

#include <span>
#include <string_view>

#include "base/byte_writer.hpp"
#include "stun/stun_message.hpp"

namespace quicmesh {

class StunWriter {
 public:
  /// `out` holds at least `stun_header_size` bytes and outlives the writer.
  StunWriter(MutableByteView out, StunClass message_class, StunMethod method,
             const TransactionId& id);

  void add(StunAttribute type, ByteView value);
  void add_text(StunAttribute type, std::string_view value) { add(type, as_bytes(value)); }
  void add_address(StunAttribute type, const SocketAddress& address);
  void add_xor_address(StunAttribute type, const SocketAddress& address);
  void add_u32(StunAttribute type, std::uint32_t value);
  /// A number of 16 bits and 16 reserved zeros: CHANNEL-NUMBER, RESPONSE-PORT.
  void add_u16(StunAttribute type, std::uint16_t value);
  /// A number of 8 bits and 24 reserved zeros: REQUESTED-TRANSPORT, REQUESTED-ADDRESS-FAMILY.
  void add_u8(StunAttribute type, std::uint8_t value);
  void add_change_request(const ChangeRequest& change);
  /// `code` in [300, 699].
  void add_error_code(unsigned code, std::string_view reason);
  void add_unknown_attributes(std::span<const StunAttribute> types);

  /// MESSAGE-INTEGRITY over everything so far.
  void add_integrity(ByteView key);
  void add_integrity_sha256(ByteView key);
  /// The last attribute.
  void add_fingerprint();

  [[nodiscard]] bool ok() const { return !too_long_ && writer_.ok(); }
  /// The whole message; valid as long as the buffer is.
  [[nodiscard]] ByteView written() const { return writer_.written(); }
  /// Bytes that an attribute with a value of `value_size` bytes takes.
  static constexpr std::size_t attribute_size(std::size_t value_size) {
    return 4 + (value_size + 3) / 4 * 4;
  }

 private:
  TransactionId id_;
  ByteWriter writer_;
  bool too_long_ = false;
};

}  // namespace quicmesh
