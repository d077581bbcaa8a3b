#include "relay/challenge_frame.hpp"

#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"
#include "crypto/constant_time.hpp"
#include "crypto/mac.hpp"

namespace quicmesh {
namespace {

constexpr std::size_t authenticated_size = 18;

void write_ip(ByteWriter& writer, const IpAddress& ip) {
  writer.u8(ip.family() == IpFamily::v4 ? 4 : 6);
  writer.bytes(ip.bytes());
}

}  // namespace

ChallengeFrameBytes encode_challenge_frame(const ChallengeFrame& frame, const RelayKey& key) {
  ChallengeFrameBytes bytes{};
  ByteWriter writer{MutableByteView(bytes)};
  writer.u8(static_cast<std::uint8_t>(frame.type));
  writer.u8(static_cast<std::uint8_t>(frame.role));
  writer.u64(static_cast<std::uint64_t>(frame.session));
  writer.u64(frame.nonce);
  writer.bytes(make_mac(key, ByteView(bytes).first(authenticated_size)));
  return bytes;
}

std::optional<ChallengeFrame> peek_challenge_frame(ByteView datagram) {
  if (datagram.size() != challenge_frame_size) return std::nullopt;
  const auto type = static_cast<RelayFrameType>(datagram[0]);
  if (type != RelayFrameType::challenge && type != RelayFrameType::answer) return std::nullopt;
  if (datagram[1] > static_cast<std::uint8_t>(RelayRole::responder)) return std::nullopt;
  ByteReader reader(datagram.subspan(1));
  ChallengeFrame frame;
  frame.type = type;
  frame.role = RelayRole{reader.u8()};
  frame.session = RelaySessionId{reader.u64()};
  frame.nonce = reader.u64();
  return frame;
}

bool verify_challenge_frame(ByteView datagram, const RelayKey& key) {
  return datagram.size() == challenge_frame_size &&
         verify_mac(key, datagram.first(authenticated_size), datagram.subspan(authenticated_size));
}

std::uint64_t ChallengeNonces::at_step(std::int64_t step, const Claim& claim) const {
  std::array<std::uint8_t, 80> bytes{};
  ByteWriter writer{MutableByteView(bytes)};
  writer.u64(static_cast<std::uint64_t>(step));
  writer.u64(static_cast<std::uint64_t>(claim.session));
  writer.u8(static_cast<std::uint8_t>(claim.role));
  writer.u64(claim.bindings);
  writer.u16(static_cast<std::uint16_t>(claim.source.socket));
  write_ip(writer, claim.source.local);
  write_ip(writer, claim.source.remote.ip);
  writer.u16(claim.source.remote.port);
  return ByteReader(make_mac(secret_, writer.written())).u64();
}

std::uint64_t ChallengeNonces::make(Instant now, const Claim& claim) const {
  return at_step(now.time_since_epoch() / challenge_step, claim);
}

bool ChallengeNonces::verify(Instant now, const Claim& claim, std::uint64_t nonce) const {
  const std::int64_t step = now.time_since_epoch() / challenge_step;
  std::array<std::uint8_t, 8> given{};
  ByteWriter{MutableByteView(given)}.u64(nonce);
  bool good = false;
  for (const std::int64_t tried : {step, step - 1}) {
    std::array<std::uint8_t, 8> expected{};
    ByteWriter{MutableByteView(expected)}.u64(at_step(tried, claim));
    good = constant_time_equal(given, expected) || good;
  }
  return good;
}

}  // namespace quicmesh
