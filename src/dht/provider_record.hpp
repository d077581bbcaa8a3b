// Provider records: a node's word that it has what a key names, signed by itself.
//
// A record is a signed record (identity/signed_record.hpp, domain `provider`) whose payload is
//
//     version (1 byte, 1) | key (32) | sequence (8, big-endian) | expiry (8, seconds since 1970)
//
// so every one has 146 bytes. Who provides follows from the signer's key. The sequence number is
// the time of signing in milliseconds: the higher one replaces the lower, so nobody can bring back
// a record that its owner has let expire. As with values (value.hpp) one from the future is
// refused, clocks may be five minutes apart, and a node that does not know the time of day judges
// none.
//
// The key is a hash of what the application names (`provider_key`), so who keeps or sees records
// cannot tell what is provided unless he knows it anyway (THREATS TD12).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "dht/dht_errc.hpp"
#include "dht/dht_key.hpp"
#include "dht/value.hpp"
#include "identity/signed_record.hpp"
#include "quicmesh/bytes.hpp"
#include "quicmesh/keypair.hpp"
#include "quicmesh/node_id.hpp"
#include "quicmesh/result.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh::dht {

inline constexpr std::size_t provider_record_size =
    signed_record_overhead + 1 + sizeof(DhtKey) + 8 + 8;
/// Of a record from its signing on.
inline constexpr Duration provider_lifetime_max = 24h;

using ProviderRecord = std::array<std::uint8_t, provider_record_size>;

/// Where the providers of what `content` names stand.
[[nodiscard]] DhtKey provider_key(ByteView content);

struct ProviderFields {
  DhtKey key;
  std::uint64_t sequence = 0;
  WallTime expiry{};
};
[[nodiscard]] ProviderRecord make_provider_record(const Keypair& provider,
                                                  const ProviderFields& fields);

/// What a record says that is right.
struct CheckedProvider {
  DhtKey key;
  NodeId provider;
  std::uint64_t sequence = 0;
  Duration lifetime{};  // from now on, at most
};

/// Whether `bytes` holds at `now`. Errors: `malformed_provider`, those of verify_record,
/// `provider_expired`, `provider_from_the_future`, and `no_wall_time` if `now` is not known. Cheap
/// checks come first, the signature last.
[[nodiscard]] Result<CheckedProvider> check_provider(RecordVerifier& verifier,
                                                     std::optional<WallTime> now, ByteView bytes);

/// Whose a record says to be, before anything of it is checked. `bytes` has the size of one.
[[nodiscard]] NodeId provider_of(ByteView bytes);
/// Where it says to belong, likewise.
[[nodiscard]] DhtKey provided_key_of(ByteView bytes);

}  // namespace quicmesh::dht
