#include "path/control_message.hpp"

#include <algorithm>
#include <utility>

#include "base/address_codec.hpp"

namespace quicmesh {
namespace {

constexpr std::size_t prefix_size = 3;

enum class Type : std::uint8_t { hint = 1, retire = 2, candidates = 3, punch = 4 };

void write_body(ByteWriter& writer, const HintMessage& message) {
  writer.u64(message.nonce);
}

void write_body(ByteWriter&, const RetireMessage&) {}

void write_body(ByteWriter& writer, const CandidatesMessage& message) {
  const std::size_t count = std::min(message.candidates.size(), candidates_told_max);
  writer.u8(static_cast<std::uint8_t>(count));
  for (std::size_t i = 0; i < count; ++i) {
    writer.u8(std::to_underlying(message.candidates[i].kind));
    write_address(writer, message.candidates[i].address);
  }
  if (message.nat_profile.size() <= nat_profile_told_max) writer.bytes(message.nat_profile);
}

void write_body(ByteWriter& writer, const OpaquePunchMessage& message) {
  if (message.body.size() <= punch_told_max) writer.bytes(message.body);
}

Type type_of(const ControlMessage& message) {
  if (std::holds_alternative<HintMessage>(message)) return Type::hint;
  if (std::holds_alternative<RetireMessage>(message)) return Type::retire;
  return std::holds_alternative<OpaquePunchMessage>(message) ? Type::punch : Type::candidates;
}

CandidatesMessage read_candidates(ByteReader& reader) {
  CandidatesMessage message;
  const std::size_t count = reader.u8();
  if (count > candidates_told_max) reader.fail(BaseErrc::out_of_range);
  for (std::size_t i = 0; i < count && reader.ok(); ++i) {
    Candidate candidate;
    candidate.kind = CandidateKind{reader.u8()};
    candidate.address = read_address(reader);
    const bool known =
        candidate.kind >= CandidateKind::host && candidate.kind <= CandidateKind::relayed;
    if (known) message.candidates.push_back(candidate);  // a later version may know others
  }
  if (reader.remaining() > nat_profile_told_max) reader.fail(BaseErrc::out_of_range);
  message.nat_profile = to_bytes(reader.rest());
  return message;
}

}  // namespace

Bytes encode_control_message(const ControlMessage& message) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.u8(std::to_underlying(type_of(message)));
  writer.u16(0);
  std::visit([&](const auto& body) { write_body(writer, body); }, message);
  writer.patch_u16(1, static_cast<std::uint16_t>(writer.size() - prefix_size));
  return bytes;
}

Result<DecodedControlMessage> decode_control_message(ByteView bytes) {
  if (bytes.size() < prefix_size) return failure(BaseErrc::truncated);
  ByteReader prefix(bytes);
  const Type type{prefix.u8()};
  const std::size_t body_size = prefix.u16();
  if (body_size > control_body_max) return failure(BaseErrc::out_of_range);
  if (bytes.size() < prefix_size + body_size) return failure(BaseErrc::truncated);
  DecodedControlMessage decoded;
  decoded.size = prefix_size + body_size;
  ByteReader body(bytes.subspan(prefix_size, body_size));
  switch (type) {
    case Type::hint:
      decoded.message = HintMessage{body.u64()};
      break;
    case Type::retire:
      decoded.message = RetireMessage{};
      break;
    case Type::candidates:
      decoded.message = read_candidates(body);
      break;
    case Type::punch:
      if (body.remaining() > punch_told_max) return failure(BaseErrc::out_of_range);
      decoded.message = OpaquePunchMessage{to_bytes(body.rest())};
      break;
    default:
      return decoded;
  }
  if (!body.finish()) return failure(BaseErrc::out_of_range);
  return decoded;
}

}  // namespace quicmesh
