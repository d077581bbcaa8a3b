// A second node stands in for the second address of RFC 5780: NAT behaviour discovery without a
// server that has two addresses.
//
// A node R, behind a NAT, has an authenticated connection to a node S. R asks S, over that
// connection, for one STUN packet to the port that a socket of R's is mapped to. Whether it arrives
// shows how R's NAT filters: R's socket has never sent to S (endpoint-independent filtering lets
// the packet in), or has sent to another port of S's address (address-dependent filtering does).
//
// The rules (docs/protocols/stun.md, "Stand-in"): S sends one packet, no larger than the request,
// only to the IP address from which R's authenticated connection is seen; the port alone is R's
// choice, from 1024 on, and the rate is limited for each prefix. So S hits nobody who did not ask.
//
//     request  type 1 (1) | transaction id (12) | port (2) | zeros up to 32 bytes
//     answer   type 2 (1) | transaction id (12) | verdict (1)
//     packet   a STUN Binding indication with that id and a FINGERPRINT: 28 bytes
//
// How request and answer travel is the connection's business; this file is their codec and the
// judgement of S.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/network_path.hpp"
#include "quicmesh/result.hpp"
#include "stun/prefix_limiter.hpp"
#include "stun/stun_message.hpp"

namespace quicmesh {

inline constexpr std::size_t stand_in_request_size = 32;
inline constexpr std::size_t stand_in_answer_size = 14;
inline constexpr std::size_t stand_in_packet_size = 28;

struct StandInRequest {
  TransactionId id;
  std::uint16_t port = 0;  // at the requester's address, as seen from outside
  auto operator<=>(const StandInRequest&) const = default;
};

enum class StandInVerdict : std::uint8_t {
  sent = 0,
  refused_port = 1,     // below 1024
  refused_rate = 2,     // too many requests of this prefix
  refused_address = 3,  // the requester is seen at an address that is not to be sent to
};

struct StandInAnswer {
  TransactionId id;
  StandInVerdict verdict{};
  auto operator<=>(const StandInAnswer&) const = default;
};

using StandInRequestBytes = std::array<std::uint8_t, stand_in_request_size>;
using StandInAnswerBytes = std::array<std::uint8_t, stand_in_answer_size>;
using StandInPacket = std::array<std::uint8_t, stand_in_packet_size>;

[[nodiscard]] StandInRequestBytes encode(const StandInRequest& request);
[[nodiscard]] StandInAnswerBytes encode(const StandInAnswer& answer);

/// Errors of both: `malformed_message`.
[[nodiscard]] Result<StandInRequest> decode_stand_in_request(ByteView bytes);
[[nodiscard]] Result<StandInAnswer> decode_stand_in_answer(ByteView bytes);

/// What S sends, and R recognises by its id.
[[nodiscard]] StandInPacket make_stand_in_packet(const TransactionId& id);
[[nodiscard]] std::optional<TransactionId> read_stand_in_packet(ByteView datagram);

struct StandInCounters {
  std::array<std::uint64_t, 4> by_verdict{};
};

class StandIn {
 public:
  static constexpr std::uint16_t port_min = 1024;

  StandIn(const PrefixLimits& limits, SecureRng& rng) : limiter_(limits, rng) {}

  struct Decision {
    StandInAnswer answer;
    std::optional<SocketAddress> send_to;  // one `make_stand_in_packet(answer.id)`
  };
  /// `seen_at` is the remote address of the requester's authenticated and validated connection.
  [[nodiscard]] Decision decide(Instant now, const IpAddress& seen_at,
                                const StandInRequest& request);

  [[nodiscard]] const StandInCounters& counters() const { return counters_; }

 private:
  PrefixLimiter limiter_;
  StandInCounters counters_;
};

}  // namespace quicmesh
