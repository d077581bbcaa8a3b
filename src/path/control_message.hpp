// Messages between the connection managers of two nodes, on a unidirectional stream of the protocol
// "quicmesh/control/1" that each side opens when it first has something to say.
//
//     0   type: 1 hint, 2 retire, 3 candidates, 4 punch
//     1..2   length of the body, 0..1200    3.. body
//
// hint (8 bytes): the nonce of a probe that the acceptor received; "please move to that path".
// retire (empty): another connection was chosen; the sender opens no more streams on this one and
//   has none open.
// candidates: where the sender may be reached: a count, then for each 1 byte kind, 1 byte family (4
//   or 6), the address, 2 bytes port; then what is left is the sender's NAT profile, opaque here.
//   It replaces what was said before.
// punch (at most 64 bytes): what the two ends say to each other while they make a way through their
//   NATs, opaque here (docs/protocols/punch.md).
// Unknown types are skipped: a later version may add some. Big-endian.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "quicmesh/bytes.hpp"
#include "quicmesh/result.hpp"
#include "quicmesh/socket_address.hpp"

namespace quicmesh {

inline constexpr std::string_view control_protocol = "quicmesh/control/1";
inline constexpr std::size_t control_body_max = 1200;
inline constexpr std::size_t candidates_told_max = 16;
inline constexpr std::size_t nat_profile_told_max = 256;

/// Where a candidate address comes from (RFC 8445 s5.1.1).
enum class CandidateKind : std::uint8_t {
  host = 1,
  server_reflexive = 2,
  mapped = 3,   // by the gateway, at the node's asking
  relayed = 4,  // on a TURN server
};

struct Candidate {
  CandidateKind kind{};
  SocketAddress address;

  auto operator<=>(const Candidate&) const = default;
};

struct HintMessage {
  std::uint64_t nonce = 0;

  auto operator<=>(const HintMessage&) const = default;
};

struct RetireMessage {
  auto operator<=>(const RetireMessage&) const = default;
};

struct CandidatesMessage {
  std::vector<Candidate> candidates;  // at most candidates_told_max
  Bytes nat_profile;                  // at most nat_profile_told_max bytes; empty if unknown

  auto operator<=>(const CandidatesMessage&) const = default;
};

inline constexpr std::size_t punch_told_max = 64;

struct OpaquePunchMessage {
  Bytes body;  // at most punch_told_max bytes

  auto operator<=>(const OpaquePunchMessage&) const = default;
};

using ControlMessage =
    std::variant<HintMessage, RetireMessage, CandidatesMessage, OpaquePunchMessage>;

/// What exceeds the bounds above is left out.
Bytes encode_control_message(const ControlMessage& message);

/// One message from the front of `bytes`; `size` is what it took. Fails with BaseErrc::truncated if
/// more bytes are needed, BaseErrc::out_of_range if it is malformed. A message of an unknown type
/// comes back as nothing, with its size.
struct DecodedControlMessage {
  std::optional<ControlMessage> message;
  std::size_t size = 0;
};
Result<DecodedControlMessage> decode_control_message(ByteView bytes);

}  // namespace quicmesh
