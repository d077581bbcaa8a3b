// Which connection a packet belongs to, for all connections of an endpoint.
//
// Live ids map to a slot. Retired ids leave tombstones: after a switch to a faster path, packets
// with the old id are still queued on the slow one, and answering those with a stateless reset
// would kill a live connection. Tombstones of a closed connection carry its
// CONNECTION_CLOSE, sent again when the peer goes on talking (RFC 9000 s10.2.1).
// Stateless resets carry random ids; they are known by their last 16 bytes (RFC 9000 s10.3).
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "quicmesh/bytes.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh {

/// Our ids are 8 random bytes, kept as a number. Of a longer id (a dialler's first) the first 8.
enum class ConnectionId : std::uint64_t {};

inline constexpr std::size_t connection_id_size = 8;
inline constexpr std::size_t reset_token_size = 16;
using ResetToken = std::array<std::uint8_t, reset_token_size>;

/// Reads the first `connection_id_size` bytes of `bytes`, which must hold as many.
ConnectionId connection_id_from(ByteView bytes);

/// The last words of a closed connection and how often they were asked for.
struct ClosingReply {
  Bytes packet;
  std::uint32_t asked = 0;

  /// True on the 1st, 2nd, 4th, 8th ... question, so that two closed ends never chatter.
  bool should_answer();
};

class ConnectionIds {
 public:
  static constexpr Duration tombstone_lifetime = 40s;
  static constexpr std::size_t tombstones_max = 65'536;  // oldest goes
  /// Of connections that never left their handshake: junk must not push out the others' tombstones.
  static constexpr std::size_t junk_tombstones_max = 4'096;  // oldest goes

  enum class Origin : std::uint8_t { genuine, junk };

  /// False if the id is taken (or still a tombstone): the caller must choose another or drop.
  bool add(ConnectionId id, std::uint32_t slot);
  /// `reply` is shared by the tombstones of one closed connection; null for a mere retirement.
  void retire(ConnectionId id, Instant now, std::shared_ptr<ClosingReply> reply = nullptr,
              Origin origin = Origin::genuine);

  void add_reset_token(const ResetToken& token, std::uint32_t slot);
  /// Ignored unless the token is this slot's.
  void remove_reset_token(const ResetToken& token, std::uint32_t slot);

  [[nodiscard]] std::optional<std::uint32_t> find(ConnectionId id) const;
  [[nodiscard]] std::optional<std::uint32_t> find_by_reset_token(ByteView datagram) const;
  [[nodiscard]] bool is_tombstone(ConnectionId id) const;
  /// The reply to send for a packet with this tombstone's id, if one is due.
  ClosingReply* closing_reply(ConnectionId id);

  void forget_expired(Instant now);

  [[nodiscard]] std::size_t live() const { return live_.size(); }
  [[nodiscard]] std::size_t tombstones() const { return dead_.size(); }

 private:
  struct TokenHash {
    std::size_t operator()(const ResetToken& token) const noexcept;
  };
  struct IdHash {
    using is_avalanching = void;  // ids are random, or chosen by a peer that gains nothing by it
    std::size_t operator()(ConnectionId id) const noexcept;
  };
  struct Tombstone {
    ConnectionId id;
    Instant expires;
  };

  boost::unordered_flat_map<ConnectionId, std::uint32_t, IdHash> live_;
  boost::unordered_flat_map<ResetToken, std::uint32_t, TokenHash> tokens_;
  boost::unordered_flat_map<ConnectionId, std::shared_ptr<ClosingReply>, IdHash> dead_;
  // By origin; oldest first: the lifetime is the same for all.
  std::array<std::deque<Tombstone>, 2> dead_order_;
};

}  // namespace quicmesh
