// Challenge and answer: how a client of a relay proves that it moved to another address.
//
//     0       type: 0x32 challenge (relay to claimed source), 0x33 answer (client to relay)
//     1       role: which end of the session is meant, 0 initiator, 1 responder
//     2..9    session id
//     10..17  nonce of the relay; an answer repeats it
//     18..33  MAC: keyed BLAKE3 over bytes 0..17, cut to 16 bytes
//
// Both are keyed by the TLS exporter of the client's control connection, so that only the client
// can answer, and only to a challenge of its relay: it is nobody's oracle. Both have one size,
// less than any relayed QUIC packet has (11 bytes of header, and at least 29 of a short header
// packet with an 8-byte connection id): a challenge is never larger than the frame it answers.
//
// The nonce is a MAC too, of a secret of the relay over the session, the role, the source path, how
// often this client was bound so far, and the time in steps of `challenge_step`. So the relay keeps
// nothing for a challenge, and an answer counts once, from the challenged source, for a few
// seconds.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/network_path.hpp"
#include "crypto/blake3.hpp"
#include "quicmesh/bytes.hpp"
#include "quicmesh/time.hpp"
#include "relay/relay_header.hpp"

namespace quicmesh {

/// 32 bytes of the control connection's TLS exporter under `relay_exporter_label`.
using RelayKey = Blake3Key;
inline constexpr std::string_view relay_exporter_label = "EXPORTER-quicmesh relay challenges 1";

struct ChallengeFrame {
  RelayFrameType type{};  // challenge or answer
  RelayRole role{};
  RelaySessionId session{};
  std::uint64_t nonce = 0;
};

inline constexpr std::size_t challenge_frame_size = 34;
inline constexpr std::size_t relayed_quic_packet_min = relay_header_size + 29;
static_assert(challenge_frame_size <= relayed_quic_packet_min);
using ChallengeFrameBytes = std::array<std::uint8_t, challenge_frame_size>;

ChallengeFrameBytes encode_challenge_frame(const ChallengeFrame& frame, const RelayKey& key);

/// The fields before the MAC, to find the key by; nothing if `datagram` is no such frame.
std::optional<ChallengeFrame> peek_challenge_frame(ByteView datagram);

/// Whether the MAC of a frame that `peek_challenge_frame` accepted is one of `key`.
bool verify_challenge_frame(ByteView datagram, const RelayKey& key);

/// Makes the nonces of one relay.
class ChallengeNonces {
 public:
  static constexpr Duration challenge_step = 5s;  // a nonce is good for one to two steps

  explicit ChallengeNonces(const Blake3Key& secret) : secret_(secret) {}

  struct Claim {
    RelaySessionId session{};
    RelayRole role{};
    NetworkPath source;
    std::uint64_t bindings = 0;  // of the client until now
  };
  [[nodiscard]] std::uint64_t make(Instant now, const Claim& claim) const;
  [[nodiscard]] bool verify(Instant now, const Claim& claim, std::uint64_t nonce) const;

 private:
  [[nodiscard]] std::uint64_t at_step(std::int64_t step, const Claim& claim) const;

  Blake3Key secret_;
};

}  // namespace quicmesh
