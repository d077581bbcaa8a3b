#include "relay/relay_message.hpp"

#include <algorithm>
#include <utility>

#include "base/address_codec.hpp"
#include "base/base_errc.hpp"
#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"

namespace quicmesh {
namespace {

enum class Type : std::uint8_t {
  registering = 1,
  connect = 2,
  load_query = 3,
  registered = 4,
  session = 5,
  refused = 6,
  load = 7,
  draining = 8,
  signal = 9,
  close_session = 10,
  attest = 11,
  attested = 12,
  stand_in = 13,
  stood_in = 14,
};

template <class Number>
void require(ByteReader& reader, Number value, Number low, Number high) {
  if (value < low || value > high) reader.fail(BaseErrc::out_of_range);
}

// An enumeration whose values run from `low` to `high`.
template <class Enum>
Enum read_enum(ByteReader& reader, Enum low, Enum high) {
  const std::uint8_t value = reader.u8();
  require(reader, value, std::to_underlying(low), std::to_underlying(high));
  return reader.ok() ? static_cast<Enum>(value) : low;
}

std::uint8_t read_percent(ByteReader& reader) {
  const std::uint8_t percent = reader.u8();
  require<std::uint8_t>(reader, percent, 0, 100);
  return percent;
}

NodeId read_node_id(ByteReader& reader) {
  return {reader.array<NodeId::size>()};
}

void write_hints(ByteWriter& writer, const std::vector<RelayHint>& hints) {
  const std::size_t count = std::min(hints.size(), relay_hints_max);
  writer.u8(static_cast<std::uint8_t>(count));
  for (std::size_t i = 0; i < count; ++i) {
    writer.bytes(hints[i].id.bytes);
    const std::size_t addresses = std::min(hints[i].addresses.size(), relay_hint_addresses_max);
    writer.u8(static_cast<std::uint8_t>(addresses));
    for (std::size_t j = 0; j < addresses; ++j)
      write_address(writer, hints[i].addresses[j]);
  }
}

std::vector<RelayHint> read_hints(ByteReader& reader) {
  std::vector<RelayHint> hints;
  const std::size_t count = reader.u8();
  require(reader, count, std::size_t{0}, relay_hints_max);
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    RelayHint hint{read_node_id(reader), {}};
    const std::size_t addresses = reader.u8();
    require(reader, addresses, std::size_t{0}, relay_hint_addresses_max);
    for (std::size_t j = 0; j < addresses && reader.ok(); ++j)
      hint.addresses.push_back(read_address(reader));
    hints.push_back(std::move(hint));
  }
  return hints;
}

struct Writer {
  ByteWriter& out;

  void type(Type type) const { out.u8(std::to_underlying(type)); }

  void operator()(const RelayRegister&) const { type(Type::registering); }
  void operator()(const RelayConnect& message) const {
    type(Type::connect);
    out.bytes(message.target.bytes);
  }
  void operator()(const RelayLoadQuery& message) const {
    type(Type::load_query);
    out.u32(message.token);
  }
  void operator()(const RelayRegistered& message) const {
    type(Type::registered);
    write_address(out, message.observed);
    out.u64(message.bytes_per_s);
    out.u16(message.sessions);
    out.u8(message.load_percent);
  }
  void operator()(const RelaySession& message) const {
    type(Type::session);
    out.u64(std::to_underlying(message.session));
    out.bytes(message.peer.bytes);
    out.u8(std::to_underlying(message.role));
  }
  void operator()(const RelayRefused& message) const {
    type(Type::refused);
    out.u8(std::to_underlying(message.request));
    out.bytes(message.target.bytes);
    out.u8(std::to_underlying(message.reason));
    out.u8(message.load_percent);
    write_hints(out, message.relays);
  }
  void operator()(const RelayLoad& message) const {
    type(Type::load);
    out.u32(message.token);
    out.u8(message.load_percent);
  }
  void operator()(const RelayDraining& message) const {
    type(Type::draining);
    write_hints(out, message.relays);
  }
  void operator()(const RelaySignal& message) const {
    type(Type::signal);
    out.bytes(message.node.bytes);
    out.bytes(ByteView(message.data).first(std::min(message.data.size(), relay_signal_max)));
  }
  void operator()(const RelayCloseSession& message) const {
    type(Type::close_session);
    out.u64(std::to_underlying(message.session));
    out.u8(std::to_underlying(message.reason));
  }
  void operator()(const RelayAttest& message) const {
    type(Type::attest);
    out.u64(std::to_underlying(message.session));
    write_address(out, message.external);
  }
  void operator()(const RelayAttested& message) const {
    type(Type::attested);
    out.u64(std::to_underlying(message.session));
    write_address(out, message.external);
    out.u8(message.seen ? 1 : 0);
  }
  void operator()(const RelayStandIn& message) const {
    type(Type::stand_in);
    out.bytes(encode(message.request));
  }
  void operator()(const RelayStoodIn& message) const {
    type(Type::stood_in);
    out.bytes(encode(message.answer));
  }
};

RelayRefused read_refused(ByteReader& reader) {
  RelayRefused message;
  message.request = read_enum(reader, RelayRequest::reservation, RelayRequest::signal);
  message.target = read_node_id(reader);
  message.reason = read_enum(reader, RelayRefusal::not_here, RelayRefusal::slow_down);
  message.load_percent = read_percent(reader);
  message.relays = read_hints(reader);
  return message;
}

RelaySession read_session(ByteReader& reader) {
  RelaySession message;
  message.session = RelaySessionId{reader.u64()};
  message.peer = read_node_id(reader);
  message.role = read_enum(reader, RelayRole::initiator, RelayRole::responder);
  return message;
}

RelayRegistered read_registered(ByteReader& reader) {
  RelayRegistered message;
  message.observed = read_address(reader);
  message.bytes_per_s = reader.u64();
  message.sessions = reader.u16();
  message.load_percent = read_percent(reader);
  return message;
}

RelaySignal read_signal(ByteReader& reader) {
  RelaySignal message;
  message.node = read_node_id(reader);
  require(reader, reader.remaining(), std::size_t{1}, relay_signal_max);
  if (reader.ok()) message.data = to_bytes(reader.rest());
  return message;
}

RelayLoad read_load(ByteReader& reader) {
  const std::uint32_t token = reader.u32();
  return {token, read_percent(reader)};
}

RelayCloseSession read_close_session(ByteReader& reader) {
  const RelaySessionId session{reader.u64()};
  return {session, read_enum(reader, RelayCloseReason::by_peer, RelayCloseReason::evicted)};
}

RelayAttest read_attest(ByteReader& reader) {
  const RelaySessionId session{reader.u64()};
  return {session, read_address(reader)};
}

RelayAttested read_attested(ByteReader& reader) {
  const RelayAttest asked = read_attest(reader);
  const std::uint8_t seen = reader.u8();
  require<std::uint8_t>(reader, seen, 0, 1);
  return {asked.session, asked.external, seen == 1};
}

// A body with a codec of its own, of `size` bytes.
template <class Message, std::size_t size, class Decode>
Message read_whole(ByteReader& reader, Decode&& decode) {
  const auto body = decode(reader.array<size>());
  if (!body) reader.fail(BaseErrc::out_of_range);
  return body ? Message{*body} : Message{};
}

// Nothing for an unknown type, whose body is skipped.
std::optional<RelayMessage> read_body(Type type, ByteReader& reader) {
  switch (type) {
    case Type::registering:
      return RelayRegister{};
    case Type::connect:
      return RelayConnect{read_node_id(reader)};
    case Type::load_query:
      return RelayLoadQuery{reader.u32()};
    case Type::registered:
      return read_registered(reader);
    case Type::session:
      return read_session(reader);
    case Type::refused:
      return read_refused(reader);
    case Type::load:
      return read_load(reader);
    case Type::draining:
      return RelayDraining{read_hints(reader)};
    case Type::signal:
      return read_signal(reader);
    case Type::close_session:
      return read_close_session(reader);
    case Type::attest:
      return read_attest(reader);
    case Type::attested:
      return read_attested(reader);
    case Type::stand_in:
      return read_whole<RelayStandIn, stand_in_request_size>(reader, decode_stand_in_request);
    case Type::stood_in:
      return read_whole<RelayStoodIn, stand_in_answer_size>(reader, decode_stand_in_answer);
  }
  (void)reader.rest();
  return std::nullopt;
}

}  // namespace

Bytes encode_relay_message(const RelayMessage& message) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.u16(0);
  std::visit(Writer{writer}, message);
  writer.patch_u16(0, static_cast<std::uint16_t>(writer.size() - 2));
  return bytes;
}

Result<DecodedRelayMessage> decode_relay_message(ByteView bytes) {
  if (bytes.size() < 2) return failure(BaseErrc::truncated);
  const std::size_t length = ByteReader(bytes).u16();
  if (length == 0 || length > relay_message_max) return failure(BaseErrc::out_of_range);
  if (bytes.size() < 2 + length) return failure(BaseErrc::truncated);
  ByteReader reader(bytes.subspan(2, length));
  DecodedRelayMessage decoded;
  decoded.size = 2 + length;
  decoded.message = read_body(static_cast<Type>(reader.u8()), reader);
  // A body that is too short is malformed; "truncated" would ask for bytes that change nothing.
  if (!reader.status()) return failure(BaseErrc::out_of_range);
  if (const auto done = reader.finish(); !done) return failure(done.error());
  return decoded;
}

}  // namespace quicmesh
