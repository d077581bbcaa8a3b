#include "stun/stand_in.hpp"

#include <algorithm>

#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"
#include "stun/stun_errc.hpp"
#include "stun/stun_writer.hpp"

namespace quicmesh {
namespace {

constexpr std::uint8_t type_request = 1;
constexpr std::uint8_t type_answer = 2;

// The packet is never larger than what asked for it.
static_assert(stand_in_packet_size <= stand_in_request_size);

}  // namespace

StandInRequestBytes encode(const StandInRequest& request) {
  StandInRequestBytes bytes{};
  ByteWriter writer{MutableByteView(bytes)};
  writer.u8(type_request);
  writer.bytes(request.id.bytes);
  writer.u16(request.port);
  return bytes;
}

StandInAnswerBytes encode(const StandInAnswer& answer) {
  StandInAnswerBytes bytes{};
  ByteWriter writer{MutableByteView(bytes)};
  writer.u8(type_answer);
  writer.bytes(answer.id.bytes);
  writer.u8(static_cast<std::uint8_t>(answer.verdict));
  return bytes;
}

Result<StandInRequest> decode_stand_in_request(ByteView bytes) {
  ByteReader reader(bytes);
  const std::uint8_t type = reader.u8();
  StandInRequest request;
  request.id.bytes = reader.array<12>();
  request.port = reader.u16();
  const ByteView zeros = reader.rest();
  if (type != type_request || bytes.size() != stand_in_request_size ||
      !std::ranges::all_of(zeros, [](std::uint8_t byte) { return byte == 0; })) {
    return failure(StunErrc::malformed_message);
  }
  return request;
}

Result<StandInAnswer> decode_stand_in_answer(ByteView bytes) {
  ByteReader reader(bytes);
  const std::uint8_t type = reader.u8();
  StandInAnswer answer;
  answer.id.bytes = reader.array<12>();
  const std::uint8_t verdict = reader.u8();
  if (!reader.finish() || type != type_answer ||
      verdict > static_cast<std::uint8_t>(StandInVerdict::refused_address)) {
    return failure(StunErrc::malformed_message);
  }
  answer.verdict = static_cast<StandInVerdict>(verdict);
  return answer;
}

StandInPacket make_stand_in_packet(const TransactionId& id) {
  StandInPacket packet{};
  StunWriter writer(packet, StunClass::indication, StunMethod::binding, id);
  writer.add_fingerprint();
  return packet;
}

std::optional<TransactionId> read_stand_in_packet(ByteView datagram) {
  const auto message = StunMessage::parse(datagram);
  if (!message || message->message_class() != StunClass::indication ||
      message->method() != StunMethod::binding || !message->has(StunAttribute::fingerprint)) {
    return std::nullopt;
  }
  return message->transaction_id();
}

StandIn::Decision StandIn::decide(Instant now, const IpAddress& seen_at,
                                  const StandInRequest& request) {
  Decision decision{{request.id, StandInVerdict::sent}, std::nullopt};
  if (request.port < port_min) {
    decision.answer.verdict = StandInVerdict::refused_port;
  } else if (seen_at.is_unspecified()) {
    decision.answer.verdict = StandInVerdict::refused_address;
  } else if (!limiter_.take(now, seen_at)) {
    decision.answer.verdict = StandInVerdict::refused_rate;
  } else {
    decision.send_to = SocketAddress{seen_at, request.port};
  }
  ++counters_.by_verdict[static_cast<std::size_t>(decision.answer.verdict)];
  return decision;
}

}  // namespace quicmesh
