// StunClient: STUN transactions over UDP (RFC 8489 s6.2, s6.3) as a core.
//
// A transaction is one request, sent on a schedule until it is answered, cancelled or given up. Its
// id is 96 random bits, so that who does not see the request cannot answer it. An answer counts
// only if it is well-formed (its FINGERPRINT right, if there is one), has the id of a transaction
// under way, comes to the socket that asked, and from the address that was asked - or, after a
// CHANGE-REQUEST, from the address named in `expected_source`; with a key, only if its integrity
// holds. All else is counted and dropped, and the transaction goes on: a forger must not end it.
//
// Requests and indications are not ours: `handle_datagram` says whether it took the datagram.
//
// Bounds: 64 transactions (one more is refused), events 128 (what is beyond is dropped and
// counted; each transaction makes one), answers of 1500 bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "base/bounded_queue.hpp"
#include "base/network_path.hpp"
#include "base/rng.hpp"
#include "quicmesh/result.hpp"
#include "stun/retransmission.hpp"
#include "stun/stun_message.hpp"

namespace quicmesh {

struct StunRequest {
  TransactionId id;  // from `StunClient::new_id`, and in `message`
  NetworkPath path;  // where to and from which socket
  Bytes message;     // the whole request
  Retransmission schedule{};
  /// Where the answer comes from; nothing: from whom was asked.
  std::optional<SocketAddress> expected_source{};
  /// With which MESSAGE-INTEGRITY (either kind) the answer must come; nothing: none is needed.
  std::optional<Bytes> integrity_key{};
};

/// A success response. `rtt` only if the request was sent once (Karn & Partridge 1987); `elapsed`
/// is the time since it was first sent, never less than the round trip.
struct StunAnswered {
  TransactionId id;
  NetworkPath path;  // the answer came on it
  Bytes message;
  std::optional<Duration> rtt;
  Duration elapsed{};
  unsigned sends = 0;
};

/// An error response; its ERROR-CODE is in `message`.
struct StunRefused {
  TransactionId id;
  unsigned code = 0;
  Bytes message;
};

/// `no_answer`, or `change_request_ignored`: the answer came from the address asked instead of
/// the expected one.
struct StunFailed {
  TransactionId id;
  std::error_code error;
  unsigned sends = 0;
};

using StunClientEvent = std::variant<StunAnswered, StunRefused, StunFailed>;

struct StunClientCounters {
  std::uint64_t sent = 0;
  std::uint64_t unknown_id = 0;
  std::uint64_t wrong_source = 0;
  std::uint64_t wrong_integrity = 0;
  std::uint64_t malformed = 0;
};

class StunClient {
 public:
  static constexpr std::size_t transactions_max = 64;
  static constexpr std::size_t events_max = 128;
  static constexpr std::size_t message_max = 1500;

  /// `rng` outlives the client.
  explicit StunClient(SecureRng& rng) : rng_(rng) {}

  [[nodiscard]] TransactionId new_id();

  /// Sends `request` at once and then on its schedule.
  /// Errors: `too_many_transactions`; `message_too_long` above `message_max`.
  Result<void> start(Instant now, StunRequest request);
  /// No event comes for it any more.
  void cancel(const TransactionId& id);

  /// True if the datagram was a STUN response, whether it counted or not: nobody else wants it.
  bool handle_datagram(Instant now, const NetworkPath& path, Ecn ecn, ByteView datagram);
  void handle_timeout(Instant now);
  std::optional<Transmit> poll_transmit(Instant now, MutableByteView buffer);
  std::optional<StunClientEvent> poll_event() { return events_.pop(); }
  [[nodiscard]] Instant poll_timeout() const;

  /// How often the request was sent so far, and when first; nothing if it is not under way.
  struct Progress {
    unsigned sends = 0;
    Instant first_sent{};
  };
  [[nodiscard]] std::optional<Progress> progress(const TransactionId& id) const;
  [[nodiscard]] std::size_t transactions() const { return transactions_.size(); }
  [[nodiscard]] const StunClientCounters& counters() const { return counters_; }

 private:
  struct Transaction {
    StunRequest request;
    unsigned sends = 0;
    Instant first_sent{};
    Instant due{};
  };

  [[nodiscard]] std::vector<Transaction>::iterator find(const TransactionId& id);
  void on_response(Instant now, const NetworkPath& path, const StunMessage& message);
  [[nodiscard]] static bool integrity_counts(const Transaction& transaction,
                                             const StunMessage& message);

  SecureRng& rng_;
  // In the order of `start`, which is the order of sending among those due at once.
  std::vector<Transaction> transactions_;
  BoundedQueue<StunClientEvent, DropPolicy::refuse_newest> events_{events_max};
  StunClientCounters counters_;
};

}  // namespace quicmesh
