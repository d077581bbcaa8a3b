// Reading STUN messages. All bounds are checked in `Walk`, which every question goes through.
#include "stun/stun_message.hpp"

#include <algorithm>

#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"
#include "crypto/constant_time.hpp"
#include "crypto/hmac.hpp"
#include "stun/stun_errc.hpp"

namespace quicmesh {
namespace {

constexpr std::uint8_t family_v4 = 1;
constexpr std::uint8_t family_v6 = 2;

// Steps through the attributes as they stand in the bytes.
class Walk {
 public:
  explicit Walk(ByteView message) : reader_(message) { reader_.skip(stun_header_size); }

  // The next attribute; nothing at the end or at the first that is cut short.
  std::optional<StunAttributeView> next() {
    if (reader_.at_end() || !reader_.ok()) return std::nullopt;
    StunAttributeView view;
    view.offset = reader_.position();
    view.type = StunAttribute{reader_.u16()};
    const std::size_t size = reader_.u16();
    view.value = reader_.bytes(size);
    // RFC 8489 s14: padding may hold anything.
    reader_.skip((4 - size % 4) % 4);
    if (!reader_.ok()) return std::nullopt;
    return view;
  }

  [[nodiscard]] bool ok() const { return reader_.ok(); }

 private:
  ByteReader reader_;
};

// RFC 8489 s14.5, s14.6: which attributes still count behind an integrity attribute.
class Visibility {
 public:
  bool counts(StunAttribute type) {
    if (type == StunAttribute::fingerprint) return true;
    if (behind_sha256_) return false;
    const bool sha256 = type == StunAttribute::message_integrity_sha256;
    if (behind_sha1_ && !sha256) return false;
    behind_sha256_ = sha256;
    behind_sha1_ = behind_sha1_ || type == StunAttribute::message_integrity;
    return true;
  }

 private:
  bool behind_sha1_ = false;
  bool behind_sha256_ = false;
};

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit)
      value = value >> 1 ^ ((value & 1) != 0 ? 0xedb88320U : 0U);
    table[i] = value;
  }
  return table;
}

constexpr auto crc_table = make_crc_table();

std::optional<SocketAddress> read_address(ByteView value) {
  ByteReader reader(value);
  reader.skip(1);
  const std::uint8_t family = reader.u8();
  SocketAddress address;
  address.port = reader.u16();
  if (family == family_v4) {
    address.ip = IpAddress::v4(reader.array<4>());
  } else if (family == family_v6) {
    address.ip = IpAddress::v6(reader.array<16>());
  } else {
    return std::nullopt;
  }
  if (!reader.finish()) return std::nullopt;
  return address;
}

// RFC 8489 s14.2: the port is XORed with the cookie's first half, the address with the cookie and,
// if it is longer, the transaction id. It is its own inverse.
void xor_address_value(MutableByteView value, const TransactionId& id) {
  std::array<std::uint8_t, 16> mask{0x21, 0x12, 0xa4, 0x42};
  std::ranges::copy(id.bytes, mask.begin() + 4);
  value[2] ^= mask[0];
  value[3] ^= mask[1];
  for (std::size_t i = 4; i < value.size(); ++i)
    value[i] ^= mask[i - 4];
}

// The XOR is taken off before the bytes become an address: an IPv6 address may look IPv4-mapped
// with it.
std::optional<SocketAddress> read_xor_address(ByteView value, const TransactionId& id) {
  std::array<std::uint8_t, 20> plain{};
  if (value.size() < 8 || value.size() > plain.size()) return std::nullopt;
  std::ranges::copy(value, plain.begin());
  const MutableByteView used = MutableByteView(plain).first(value.size());
  xor_address_value(used, id);
  return read_address(used);
}

std::uint16_t type_of(ByteView message) {
  return ByteReader(message).u16();
}

}  // namespace

std::uint32_t crc32(ByteView bytes) {
  std::uint32_t crc = ~0U;
  for (const std::uint8_t byte : bytes)
    crc = crc_table[(crc ^ byte) & 0xff] ^ crc >> 8;
  return ~crc;
}

std::uint32_t stun_fingerprint(ByteView before) {
  return crc32(before) ^ stun_fingerprint_xor;
}

Bytes stun_address_value(const SocketAddress& address, const TransactionId* id) {
  const bool v4 = address.ip.family() == IpFamily::v4;
  Bytes value;
  ByteWriter writer(value);
  writer.u8(0);
  writer.u8(v4 ? family_v4 : family_v6);
  writer.u16(address.port);
  writer.bytes(ByteView(address.ip.bytes()).first(v4 ? 4 : 16));
  if (id != nullptr) xor_address_value(value, *id);
  return value;
}

bool looks_like_stun(ByteView datagram) {
  if (datagram.size() < stun_header_size || (datagram[0] & 0xc0) != 0) return false;
  return ByteReader(datagram.subspan(4)).u32() == stun_magic_cookie;
}

Result<StunMessage> StunMessage::parse(ByteView datagram) {
  if (!looks_like_stun(datagram)) return failure(StunErrc::malformed_message);
  const std::size_t size = ByteReader(datagram.subspan(2)).u16();
  if (size % 4 != 0 || size != datagram.size() - stun_header_size) {
    return failure(StunErrc::malformed_message);
  }
  Walk walk(datagram);
  std::size_t count = 0;
  bool fingerprint_seen = false;
  while (const auto attribute = walk.next()) {
    if (fingerprint_seen || ++count > stun_attributes_max) {
      return failure(StunErrc::malformed_message);
    }
    if (attribute->type != StunAttribute::fingerprint) continue;
    fingerprint_seen = true;
    ByteReader reader(attribute->value);
    const std::uint32_t found = reader.u32();
    if (!reader.finish()) return failure(StunErrc::malformed_message);
    if (found != stun_fingerprint(datagram.first(attribute->offset))) {
      return failure(StunErrc::wrong_fingerprint);
    }
  }
  if (!walk.ok()) return failure(StunErrc::malformed_message);
  return StunMessage(datagram);
}

// RFC 8489 s5, figure 3: the class's bits are bits 4 and 8 of the type.
StunClass StunMessage::message_class() const {
  const std::uint16_t type = type_of(bytes_);
  return static_cast<StunClass>((type >> 7 & 2) | (type >> 4 & 1));
}

StunMethod StunMessage::method() const {
  const std::uint16_t type = type_of(bytes_);
  return static_cast<StunMethod>((type & 0x000f) | (type >> 1 & 0x0070) | (type >> 2 & 0x0f80));
}

TransactionId StunMessage::transaction_id() const {
  TransactionId id;
  std::ranges::copy(bytes_.subspan(8, id.bytes.size()), id.bytes.begin());
  return id;
}

std::vector<StunAttributeView> StunMessage::attributes() const {
  std::vector<StunAttributeView> all;
  Visibility visibility;
  Walk walk(bytes_);
  while (const auto attribute = walk.next()) {
    if (visibility.counts(attribute->type)) all.push_back(*attribute);
  }
  return all;
}

std::optional<StunAttributeView> StunMessage::find_view(StunAttribute type) const {
  Visibility visibility;
  Walk walk(bytes_);
  while (const auto attribute = walk.next()) {
    if (visibility.counts(attribute->type) && attribute->type == type) return attribute;
  }
  return std::nullopt;
}

std::optional<ByteView> StunMessage::find(StunAttribute type) const {
  const auto view = find_view(type);
  if (!view) return std::nullopt;
  return view->value;
}

std::optional<SocketAddress> StunMessage::address(StunAttribute type) const {
  const auto value = find(type);
  return value ? read_address(*value) : std::nullopt;
}

std::optional<SocketAddress> StunMessage::xor_address(StunAttribute type) const {
  const auto value = find(type);
  return value ? read_xor_address(*value, transaction_id()) : std::nullopt;
}

std::optional<std::uint32_t> StunMessage::u32(StunAttribute type) const {
  const auto value = find(type);
  if (!value || value->size() != 4) return std::nullopt;
  return ByteReader(*value).u32();
}

std::optional<std::uint16_t> StunMessage::u16(StunAttribute type) const {
  const auto value = find(type);
  // RFC 5780 s7.5 draws RESPONSE-PORT with two bytes of padding, which some senders do not count.
  if (!value || (value->size() != 4 && value->size() != 2)) return std::nullopt;
  return ByteReader(*value).u16();
}

std::optional<std::uint8_t> StunMessage::u8(StunAttribute type) const {
  const auto value = find(type);
  if (!value || value->size() != 4) return std::nullopt;
  return (*value)[0];
}

std::optional<std::string_view> StunMessage::text(StunAttribute type) const {
  const auto value = find(type);
  if (!value) return std::nullopt;
  return as_text(*value);
}

std::optional<ChangeRequest> StunMessage::change_request() const {
  const auto flags = u32(StunAttribute::change_request);
  if (!flags) return std::nullopt;
  return ChangeRequest{(*flags & 4) != 0, (*flags & 2) != 0};
}

std::optional<StunErrorCode> StunMessage::error_code() const {
  const auto value = find(StunAttribute::error_code);
  if (!value || value->size() < 4) return std::nullopt;
  const unsigned hundreds = (*value)[2] & 7U;
  const unsigned number = (*value)[3];
  if (hundreds < 3 || hundreds > 6 || number > 99) return std::nullopt;
  return StunErrorCode{hundreds * 100 + number, as_text(value->subspan(4))};
}

std::vector<StunAttribute> StunMessage::unknown_attributes() const {
  std::vector<StunAttribute> types;
  const auto value = find(StunAttribute::unknown_attributes);
  if (!value) return types;
  ByteReader reader(*value);
  while (reader.remaining() >= 2 && types.size() < stun_attributes_max)
    types.push_back(StunAttribute{reader.u16()});
  return types;
}

std::optional<SocketAddress> StunMessage::mapped_address() const {
  if (const auto found = xor_address(StunAttribute::xor_mapped_address)) return found;
  return address(StunAttribute::mapped_address);
}

StunIntegrityInput::StunIntegrityInput(ByteView message, std::size_t offset,
                                       std::size_t value_size) {
  const std::size_t length = offset - stun_header_size + 4 + value_size;
  start = {message[0], message[1], static_cast<std::uint8_t>(length >> 8),
           static_cast<std::uint8_t>(length)};
  rest = message.subspan(4, offset - 4);
}

bool StunMessage::has_integrity(ByteView key) const {
  const auto found = find_view(StunAttribute::message_integrity);
  if (!found || found->value.size() != HmacSha1{}.size()) return false;
  const StunIntegrityInput input(bytes_, found->offset, found->value.size());
  return constant_time_equal(hmac_sha1(key, input.parts()), found->value);
}

bool StunMessage::has_integrity_sha256(ByteView key) const {
  const auto found = find_view(StunAttribute::message_integrity_sha256);
  if (!found) return false;
  // RFC 8489 s14.6: at least 16 bytes, a multiple of four; cut at its end.
  const std::size_t size = found->value.size();
  if (size < 16 || size > HmacSha256{}.size() || size % 4 != 0) return false;
  const StunIntegrityInput input(bytes_, found->offset, size);
  const HmacSha256 expected = hmac_sha256(key, input.parts());
  return constant_time_equal(ByteView(expected).first(size), found->value);
}

}  // namespace quicmesh
