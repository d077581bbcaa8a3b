// Messages between the connection managers of two nodes, on a unidirectional stream of the protocol
// "quicmesh/control/1" that each side opens when it first has something to say.
//
//     0   type: 1 hint, 2 retire          1   length of the body, 0..63          2.. body
//
// hint (8 bytes): the nonce of a probe that the acceptor received; "please move to that path".
// retire (empty): another connection was chosen; the sender opens no more streams on this one and
//   has none open.
// Unknown types are skipped: a later version may add some.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "quicmesh/bytes.hpp"
#include "quicmesh/result.hpp"

namespace quicmesh {

inline constexpr std::string_view control_protocol = "quicmesh/control/1";
inline constexpr std::size_t control_body_max = 63;

enum class ControlType : std::uint8_t { hint = 1, retire = 2 };

struct ControlMessage {
  ControlType type{};
  std::uint64_t nonce = 0;  // of a hint
};

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
