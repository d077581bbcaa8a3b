// StunServer: answers Binding requests (RFC 8489 s6.3) and, given two addresses with two ports
// each, NAT behaviour discovery (RFC 5780), as a core. It keeps no state of anybody.
//
// A success response holds, in this order and as far as it stays within three times the request:
// XOR-MAPPED-ADDRESS, OTHER-ADDRESS, RESPONSE-ORIGIN, MAPPED-ADDRESS, and a FINGERPRINT if the
// request had one. So a bare request of 20 bytes over IPv4 draws the first three, one over IPv6
// the first only; who wants more sends more (SOFTWARE, PADDING). Other answers: 420 for an
// attribute that must be understood and is not, CHANGE-REQUEST among them where there is no second
// address; 400 for a RESPONSE-PORT below 1024, and for one with PADDING (RFC 5780 s7.5). All else
// is dropped and counted.
//
// Amplification: no answer above three times the request, and answers are limited for
// each /24 and /48 (prefix_limiter.hpp), those to a RESPONSE-PORT at a quarter of the rate.
//
// Departures from RFC 5780, because of that: attributes are left out as said (s6.1 wants all of
// them), and PADDING is never sent back (s7.6). USERNAME and integrity are ignored: there is
// nothing to protect.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/bounded_queue.hpp"
#include "base/network_path.hpp"
#include "base/rng.hpp"
#include "stun/prefix_limiter.hpp"
#include "stun/stun_message.hpp"

namespace quicmesh {

/// One of the server's sockets.
struct StunServerEndpoint {
  SocketId socket{};
  IpAddress local;        // the source address of what it sends; unspecified: the kernel chooses
  SocketAddress address;  // as others reach it; port 0 if that is unknown
};

struct StunServerConfig {
  StunServerEndpoint primary;
  /// The same address with another port, another address with the primary's port, the other
  /// address with the other port (RFC 5780 s6: all four are served alike).
  struct Alternates {
    StunServerEndpoint other_port;
    StunServerEndpoint other_ip;
    StunServerEndpoint other_both;
  };
  std::optional<Alternates> alternates;
  PrefixLimits limits;
};

struct StunServerCounters {
  std::uint64_t answered = 0;
  std::uint64_t refused_unknown_attribute = 0;
  std::uint64_t refused_bad_request = 0;
  std::uint64_t dropped_malformed = 0;
  std::uint64_t dropped_method = 0;
  std::uint64_t dropped_source = 0;  // port 0, or an address that nobody has
  std::uint64_t dropped_rate = 0;
  std::uint64_t dropped_queue_full = 0;
  std::uint64_t bytes_in = 0;   // of what was answered
  std::uint64_t bytes_out = 0;  // never above three times as many
};

class StunServer {
 public:
  static constexpr std::size_t amplification_max = 3;
  static constexpr std::size_t queue_max = 256;  // answers; the newest is refused
  static constexpr std::uint16_t response_port_min = 1024;
  static constexpr unsigned response_port_tokens = 4;

  /// `rng` is used here only.
  StunServer(const StunServerConfig& config, SecureRng& rng);

  /// True if the datagram was a STUN request: nobody else wants it.
  bool handle_datagram(Instant now, const NetworkPath& path, Ecn ecn, ByteView datagram);
  std::optional<Transmit> poll_transmit(Instant now, MutableByteView buffer);

  [[nodiscard]] const StunServerCounters& counters() const { return counters_; }
  [[nodiscard]] const PrefixLimiterCounters& limiter_counters() const {
    return limiter_.counters();
  }

 private:
  struct Answer {
    NetworkPath path;
    Bytes message;
  };

  /// What a request asks for, beyond the mapped address.
  struct Wishes {
    ChangeRequest change;
    std::optional<std::uint16_t> response_port;
  };

  [[nodiscard]] std::size_t endpoint_index(const NetworkPath& path) const;
  [[nodiscard]] std::vector<StunAttribute> not_understood(const StunMessage& request) const;
  void answer(Instant now, const NetworkPath& path, const StunMessage& request);
  void refuse(const NetworkPath& path, const StunMessage& request, unsigned code,
              std::span<const StunAttribute> unknown);
  void succeed(const NetworkPath& path, const StunMessage& request, const Wishes& wishes);
  void push(const NetworkPath& path, const StunMessage& request, ByteView message);

  // Index: bit 0 is the other port, bit 1 the other address. One or four.
  std::vector<StunServerEndpoint> endpoints_;
  PrefixLimiter limiter_;
  BoundedQueue<Answer, DropPolicy::refuse_newest> answers_{queue_max};
  StunServerCounters counters_;
};

}  // namespace quicmesh
