#include "dht/value.hpp"

#include <algorithm>
#include <utility>

#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"
#include "base/checked.hpp"
#include "crypto/blake3.hpp"

namespace quicmesh::dht {
namespace {

std::int64_t seconds(WallTime time) {
  return std::to_underlying(time);
}

Result<CheckedValue> check_signed(RecordVerifier& verifier, std::optional<WallTime> now,
                                  const DhtKey& key, ByteView bytes) {
  if (!now) return failure(DhtErrc::no_wall_time);
  const auto record = verifier.verify(SignatureDomain::dht_value, bytes);
  if (!record) return failure(record.error());
  ByteReader reader(record->payload);
  const std::uint64_t sequence = reader.u64();
  const auto expiry = saturating_cast<std::int64_t>(reader.u64());
  const ByteView salt = reader.varint_prefixed(salt_max);
  const ByteView value = reader.rest();
  if (!reader.ok()) return failure(DhtErrc::malformed_value);
  if (value.size() > value_max) return failure(DhtErrc::value_too_long);
  if (signed_key(record->signer, salt) != key) return failure(DhtErrc::wrong_key);
  const std::int64_t left = saturating_sub(expiry, seconds(*now));
  if (left <= -(clock_tolerance / 1s)) return failure(DhtErrc::value_expired);
  if (left > (signed_lifetime_max + clock_tolerance) / 1s ||
      sequence > sequence_of(WallTime{saturating_add(seconds(*now), clock_tolerance / 1s)})) {
    return failure(DhtErrc::value_from_the_future);
  }
  // Who is five minutes behind the owner's clock keeps it a little longer.
  return CheckedValue{sequence,
                      std::min(signed_lifetime_max, left * Duration(1s) + clock_tolerance), value};
}

}  // namespace

DhtKey immutable_key(ByteView value) {
  return {blake3(value)};
}

DhtKey signed_key(const PublicKey& owner, ByteView salt) {
  Blake3 hash = Blake3::derive_key("quicmesh 2025 dht signed value key");
  hash.update(owner.bytes);
  hash.update(salt);
  return {hash.digest()};
}

std::uint64_t sequence_of(WallTime time) {
  return saturating_mul(static_cast<std::uint64_t>(std::max<std::int64_t>(seconds(time), 0)),
                        std::uint64_t{1000});
}

Result<Bytes> make_signed_value(const Keypair& owner, const SignedValueFields& fields) {
  if (fields.value.size() > value_max || fields.salt.size() > salt_max) {
    return failure(DhtErrc::value_too_long);
  }
  Bytes payload;
  ByteWriter writer(payload);
  writer.u64(fields.sequence);
  writer.u64(static_cast<std::uint64_t>(std::max<std::int64_t>(seconds(fields.expiry), 0)));
  writer.varint_prefixed(fields.salt);
  writer.bytes(fields.value);
  return sign_record(owner, SignatureDomain::dht_value, payload);
}

Result<CheckedValue> check_value(RecordVerifier& verifier, std::optional<WallTime> now,
                                 ValueKind kind, const DhtKey& key, ByteView bytes) {
  if (kind == ValueKind::signed_value) {
    if (bytes.size() > stored_value_max) return failure(DhtErrc::value_too_long);
    return check_signed(verifier, now, key, bytes);
  }
  if (bytes.size() > value_max) return failure(DhtErrc::value_too_long);
  if (immutable_key(bytes) != key) return failure(DhtErrc::wrong_key);
  return CheckedValue{0, immutable_lifetime_max, bytes};
}

}  // namespace quicmesh::dht
