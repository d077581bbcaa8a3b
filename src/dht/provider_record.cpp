#include "dht/provider_record.hpp"

#include <algorithm>
#include <utility>

#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"
#include "base/checked.hpp"
#include "crypto/blake3.hpp"

namespace quicmesh::dht {
namespace {

constexpr std::uint8_t version = 1;

std::int64_t seconds(WallTime time) {
  return std::to_underlying(time);
}

}  // namespace

DhtKey provider_key(ByteView content) {
  return {blake3_derive_key("quicmesh 2025 dht provider key", content)};
}

ProviderRecord make_provider_record(const Keypair& provider, const ProviderFields& fields) {
  Bytes payload;
  ByteWriter writer(payload);
  writer.u8(version);
  writer.bytes(fields.key.bytes);
  writer.u64(fields.sequence);
  writer.u64(static_cast<std::uint64_t>(std::max<std::int64_t>(seconds(fields.expiry), 0)));
  const Bytes signed_bytes = sign_record(provider, SignatureDomain::provider, payload).value();
  ProviderRecord record{};
  std::ranges::copy(signed_bytes, record.begin());
  return record;
}

NodeId provider_of(ByteView bytes) {
  PublicKey signer;
  std::ranges::copy(bytes.subspan(1, PublicKey::size), signer.bytes.begin());
  return NodeId::of(signer);
}

DhtKey provided_key_of(ByteView bytes) {
  DhtKey key;
  std::ranges::copy(bytes.subspan(signed_record_overhead + 1, key.bytes.size()), key.bytes.begin());
  return key;
}

Result<CheckedProvider> check_provider(RecordVerifier& verifier, std::optional<WallTime> now,
                                       ByteView bytes) {
  if (!now) return failure(DhtErrc::no_wall_time);
  if (bytes.size() != provider_record_size) return failure(DhtErrc::malformed_provider);
  ByteReader reader(bytes.subspan(signed_record_overhead));
  if (reader.u8() != version) return failure(DhtErrc::malformed_provider);
  CheckedProvider checked;
  std::ranges::copy(reader.bytes(checked.key.bytes.size()), checked.key.bytes.begin());
  checked.sequence = reader.u64();
  const auto expiry = saturating_cast<std::int64_t>(reader.u64());
  const std::int64_t left = saturating_sub(expiry, seconds(*now));
  if (left <= -(clock_tolerance / 1s)) return failure(DhtErrc::provider_expired);
  if (left > (provider_lifetime_max + clock_tolerance) / 1s ||
      checked.sequence >
          sequence_of(WallTime{saturating_add(seconds(*now), clock_tolerance / 1s)})) {
    return failure(DhtErrc::provider_from_the_future);
  }
  const auto record = verifier.verify(SignatureDomain::provider, bytes);
  if (!record) return failure(record.error());
  checked.provider = record->signer_id();
  // Who is five minutes behind the provider's clock keeps it a little longer.
  checked.lifetime = std::min(provider_lifetime_max, left * Duration(1s) + clock_tolerance);
  return checked;
}

}  // namespace quicmesh::dht
