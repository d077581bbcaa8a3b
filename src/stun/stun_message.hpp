// STUN messages as they are received: RFC 8489, with the attributes of RFC 5780 (NAT behaviour
// discovery) and RFC 8656 (TURN). stun_writer.hpp makes them.
//
//     0..1   type: two zero bits, then the method's 12 bits with the class's 2 among them
//     2..3   bytes after the header, a multiple of 4
//     4..7   magic cookie 0x2112a442
//     8..19  transaction id
//     20..   attributes: type 2 | length 2 | value | padding to a multiple of 4
//
// `parse` checks the frame once: every attribute lies within the message, at most 64 of them, the
// FINGERPRINT, if there is one, is the last and right. A `StunMessage` then is a borrowed view;
// asking for an attribute walks the bytes, nothing is allocated. Of attributes of one type the
// first counts (RFC 8489 s14); what follows MESSAGE-INTEGRITY is invisible, but for
// MESSAGE-INTEGRITY-SHA256 and FINGERPRINT, and likewise after MESSAGE-INTEGRITY-SHA256 (s14.5,
// s14.6): nobody vouches for it. Messages without the cookie (RFC 3489) are none of ours.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "quicmesh/bytes.hpp"
#include "quicmesh/result.hpp"
#include "quicmesh/socket_address.hpp"

namespace quicmesh {

enum class StunClass : std::uint8_t { request = 0, indication = 1, success = 2, error = 3 };

/// RFC 8489 s18.2 and RFC 8656 s17; any other 12-bit number is carried as it is.
enum class StunMethod : std::uint16_t {
  binding = 0x001,
  allocate = 0x003,
  refresh = 0x004,
  send = 0x006,
  data = 0x007,
  create_permission = 0x008,
  channel_bind = 0x009,
};

/// IANA "STUN Attributes". Below 0x8000 an agent that does not understand it must refuse.
enum class StunAttribute : std::uint16_t {
  mapped_address = 0x0001,
  change_request = 0x0003,
  username = 0x0006,
  message_integrity = 0x0008,
  error_code = 0x0009,
  unknown_attributes = 0x000a,
  channel_number = 0x000c,
  lifetime = 0x000d,
  xor_peer_address = 0x0012,
  data = 0x0013,
  realm = 0x0014,
  nonce = 0x0015,
  xor_relayed_address = 0x0016,
  requested_address_family = 0x0017,
  even_port = 0x0018,
  requested_transport = 0x0019,
  dont_fragment = 0x001a,
  message_integrity_sha256 = 0x001c,
  password_algorithm = 0x001d,
  userhash = 0x001e,
  xor_mapped_address = 0x0020,
  reservation_token = 0x0022,
  priority = 0x0024,
  use_candidate = 0x0025,
  padding = 0x0026,
  response_port = 0x0027,
  additional_address_family = 0x8000,
  address_error_code = 0x8001,
  password_algorithms = 0x8002,
  alternate_domain = 0x8003,
  icmp = 0x8004,
  software = 0x8022,
  alternate_server = 0x8023,
  fingerprint = 0x8028,
  ice_controlled = 0x8029,
  ice_controlling = 0x802a,
  response_origin = 0x802b,
  other_address = 0x802c,
};

/// RFC 8489 s14: whether a receiver must understand the attribute to act on the message.
constexpr bool is_comprehension_required(StunAttribute type) {
  return static_cast<std::uint16_t>(type) < 0x8000;
}

inline constexpr std::size_t stun_header_size = 20;
inline constexpr std::size_t stun_attributes_max = 64;
inline constexpr std::uint32_t stun_magic_cookie = 0x2112a442;
inline constexpr std::uint32_t stun_fingerprint_xor = 0x5354554e;

struct TransactionId {
  std::array<std::uint8_t, 12> bytes{};
  auto operator<=>(const TransactionId&) const = default;
};

/// RFC 5780 s7.2.
struct ChangeRequest {
  bool change_ip = false;
  bool change_port = false;
  auto operator<=>(const ChangeRequest&) const = default;
};

/// RFC 8489 s14.8: `code` in [300, 699]; `reason` is borrowed, for people, and of the sender's
/// choosing.
struct StunErrorCode {
  unsigned code = 0;
  std::string_view reason;
};

struct StunAttributeView {
  StunAttribute type{};
  ByteView value;          // without its padding
  std::size_t offset = 0;  // of the attribute's header in the message
};

/// Whether the bytes begin as a STUN message does; what else is in them is for `parse`. A datagram
/// on a shared port is told from QUIC by this (RFC 9443 s3).
[[nodiscard]] bool looks_like_stun(ByteView datagram);

class StunMessage {
 public:
  /// `datagram` is borrowed and outlives the message; all of it is one message.
  /// Errors: `malformed_message`, `wrong_fingerprint`.
  static Result<StunMessage> parse(ByteView datagram);

  [[nodiscard]] StunClass message_class() const;
  [[nodiscard]] StunMethod method() const;
  [[nodiscard]] TransactionId transaction_id() const;
  [[nodiscard]] ByteView bytes() const { return bytes_; }

  /// The attributes that count, in their order.
  [[nodiscard]] std::vector<StunAttributeView> attributes() const;
  /// The first of its type; a missing one is no error.
  [[nodiscard]] std::optional<ByteView> find(StunAttribute type) const;
  [[nodiscard]] bool has(StunAttribute type) const { return find(type).has_value(); }

  // Typed values: nothing if the attribute is missing, or malformed.

  /// MAPPED-ADDRESS, RESPONSE-ORIGIN, OTHER-ADDRESS, ALTERNATE-SERVER.
  [[nodiscard]] std::optional<SocketAddress> address(StunAttribute type) const;
  /// XOR-MAPPED-ADDRESS, XOR-PEER-ADDRESS, XOR-RELAYED-ADDRESS: the first one.
  [[nodiscard]] std::optional<SocketAddress> xor_address(StunAttribute type) const;
  /// LIFETIME (seconds), PRIORITY and other numbers of 32 bits.
  [[nodiscard]] std::optional<std::uint32_t> u32(StunAttribute type) const;
  /// CHANNEL-NUMBER, RESPONSE-PORT: 16 bits, then 16 reserved ones.
  [[nodiscard]] std::optional<std::uint16_t> u16(StunAttribute type) const;
  /// REQUESTED-TRANSPORT (17 is UDP), REQUESTED-ADDRESS-FAMILY (1, 2): 8 bits, then 24 reserved.
  [[nodiscard]] std::optional<std::uint8_t> u8(StunAttribute type) const;
  [[nodiscard]] std::optional<std::string_view> text(StunAttribute type) const;
  [[nodiscard]] std::optional<ChangeRequest> change_request() const;
  [[nodiscard]] std::optional<StunErrorCode> error_code() const;
  /// UNKNOWN-ATTRIBUTES: empty if there is none.
  [[nodiscard]] std::vector<StunAttribute> unknown_attributes() const;

  /// The mapped address by the newer attribute, else by the older one (RFC 8489 s6.3.3: servers of
  /// RFC 3489 know only that).
  [[nodiscard]] std::optional<SocketAddress> mapped_address() const;

  /// Whether MESSAGE-INTEGRITY is there and made with `key` (RFC 8489 s14.5); in constant time.
  [[nodiscard]] bool has_integrity(ByteView key) const;
  /// The same for MESSAGE-INTEGRITY-SHA256 (s14.6), which may be cut to 16 bytes or more.
  [[nodiscard]] bool has_integrity_sha256(ByteView key) const;

 private:
  explicit StunMessage(ByteView bytes) : bytes_(bytes) {}
  [[nodiscard]] std::optional<StunAttributeView> find_view(StunAttribute type) const;

  ByteView bytes_;
};

/// The CRC-32 of ITU-T V.42, which FINGERPRINT is made of.
[[nodiscard]] std::uint32_t crc32(ByteView bytes);

/// The value of the FINGERPRINT attribute that follows `before`.
[[nodiscard]] std::uint32_t stun_fingerprint(ByteView before);

/// The value of an address attribute, XORed with the cookie and `id` if there is one (RFC 8489
/// s14.1, s14.2).
[[nodiscard]] Bytes stun_address_value(const SocketAddress& address, const TransactionId* id);

/// What the integrity attribute at `offset` covers: the header with the length as if the message
/// ended with that attribute of `value_size` bytes, then everything before it.
struct StunIntegrityInput {
  std::array<std::uint8_t, 4> start{};  // the header's type and its length
  ByteView rest;

  StunIntegrityInput(ByteView message, std::size_t offset, std::size_t value_size);
  [[nodiscard]] std::array<ByteView, 2> parts() const { return {ByteView(start), rest}; }
};

}  // namespace quicmesh
