// Values of the DHT: what is stored under a key, and how anybody can tell that it is right.
//
// An *immutable* value stands under its own BLAKE3 hash: nothing else can stand there.
//
// A *signed* value can change. It stands under the hash of its owner's key and a salt, which keeps
// several of one owner apart, and is a signed record (identity/signed_record.hpp, domain
// dht_value) whose payload is
//
//     sequence (8 bytes, big-endian) | expiry (8, seconds since 1970) | salt (varint length) |
//     value
//
// The higher sequence number replaces the lower, never the other way (TD6). Sequence numbers are
// times in milliseconds, so that they survive a restart of their owner, and one from the future is
// refused: else a single one of 2^64 - 1 could never be replaced (TD7). Expiry is at most two hours
// ahead. Both allow for clocks five minutes apart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "dht/dht_errc.hpp"
#include "dht/dht_key.hpp"
#include "dht/message.hpp"
#include "identity/signed_record.hpp"
#include "quicmesh/bytes.hpp"
#include "quicmesh/keypair.hpp"
#include "quicmesh/result.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh::dht {

inline constexpr std::size_t value_max = 1024;
inline constexpr std::size_t salt_max = 32;
/// Of what is stored and sent: a signed value with all that surrounds it.
inline constexpr std::size_t stored_value_max = value_max + signed_record_overhead + 17 + salt_max;
inline constexpr Duration signed_lifetime_max = 2h;
inline constexpr Duration immutable_lifetime_max = 24h;
inline constexpr Duration clock_tolerance = 5min;

/// Checks signatures. A port, since the simulator meets each record a thousand times and remembers
/// what it found the first time.
class RecordVerifier {
 public:
  virtual ~RecordVerifier() = default;
  /// As quicmesh::verify_record.
  virtual Result<SignedRecord> verify(SignatureDomain domain, ByteView record) = 0;
};

class DirectVerifier final : public RecordVerifier {
 public:
  Result<SignedRecord> verify(SignatureDomain domain, ByteView record) override {
    return verify_record(domain, record);
  }
};

[[nodiscard]] DhtKey immutable_key(ByteView value);
/// `salt` has at most `salt_max` bytes.
[[nodiscard]] DhtKey signed_key(const PublicKey& owner, ByteView salt);

struct SignedValueFields {
  std::uint64_t sequence = 0;
  WallTime expiry{};
  ByteView salt;
  ByteView value;
};
/// Fails with `value_too_long`, of value or salt.
[[nodiscard]] Result<Bytes> make_signed_value(const Keypair& owner,
                                              const SignedValueFields& fields);
/// Sequence numbers of values made at that time begin here.
[[nodiscard]] std::uint64_t sequence_of(WallTime time);

/// What a reader needs to know of a value that is right.
struct CheckedValue {
  std::uint64_t sequence = 0;  // 0 of immutable ones
  Duration lifetime{};         // from now on, at most
  ByteView value;              // what the owner wrote, borrowed from the bytes checked
};

/// Whether `bytes` may stand under `key` at `now`. Errors: `value_too_long`, `wrong_key`,
/// `malformed_value`, those of verify_record, `value_expired`, `value_from_the_future`, and
/// `no_wall_time` for a signed one if `now` is not known.
[[nodiscard]] Result<CheckedValue> check_value(RecordVerifier& verifier,
                                               std::optional<WallTime> now, ValueKind kind,
                                               const DhtKey& key, ByteView bytes);

}  // namespace quicmesh::dht
