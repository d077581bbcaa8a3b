// What two punchers say to each other, over the control stream of a connection that stands.
//
//     0      version: 1
//     1      type: 1 begin, 2 accept, 3 predicted, 4 openers out, 5 end
//     2      technique: 1 synchronised, 2 predict, 3 birthday
//     3      round, from 1
//     4..5   attempt: drawn by the leading side, repeated by the other
//     then   begin, accept: nothing
//            predicted: port (2), step (2, signed, not 0), count (1): the ports port, port + step
//            ... openers out: count of sockets (2) end: nothing
//
// Big-endian; nothing may follow. The leading side is the one with the lower NodeId for
// synchronised and for prediction on both sides; else the side with the dependent mapping.
#pragma once

#include <cstdint>

#include "nat/punch_plan.hpp"
#include "quicmesh/bytes.hpp"
#include "quicmesh/result.hpp"

namespace quicmesh {

inline constexpr std::size_t punch_message_size_max = 64;

enum class PunchMessageType : std::uint8_t {
  begin = 1,
  accept = 2,
  predicted = 3,
  openers_out = 4,
  end = 5,
};

struct PunchMessage {
  PunchMessageType type{};
  PunchTechnique technique{};  // synchronised, predict or birthday
  std::uint8_t round = 1;
  std::uint16_t attempt = 0;
  std::uint16_t port = 0;   // of `predicted`
  std::int16_t step = 0;    // of `predicted`, not 0
  std::uint16_t count = 0;  // of `predicted`, at most 255, and of `openers_out`

  auto operator<=>(const PunchMessage&) const = default;
};

[[nodiscard]] Bytes encode_punch_message(const PunchMessage& message);

/// Errors: `malformed_punch_message`, `unknown_punch_version`. Whether ports and counts are within
/// bounds is for the puncher to judge.
[[nodiscard]] Result<PunchMessage> decode_punch_message(ByteView bytes);

}  // namespace quicmesh
