// What a node remembers of the DHT over a restart: with whom to begin, and the sequence number of
// its last endpoint records. A text file:
//
//     quicmesh-dht-cache 1
//     sequence NUMBER
//     NODEID@address:port,...          at most `dht_cache_nodes_max` of these
//
// It is written to a new file that then takes the old one's place, so that there always is a whole
// one. It is a hint and no more: whatever in it cannot be read is passed over, and a node that it
// names proves itself like any other.
#pragma once

#include <string>

#include "node/dht_host.hpp"
#include "quicmesh/result.hpp"

namespace quicmesh::io {

inline constexpr std::size_t dht_cache_nodes_max = 128;
inline constexpr std::size_t dht_cache_size_max = std::size_t{256} << 10;  // a longer file is none

struct DhtCache {
  std::uint64_t sequence = 0;
  std::vector<DhtContact> contacts;

  bool operator==(const DhtCache&) const = default;
};

/// Empty if there is no such file, or another one.
[[nodiscard]] DhtCache load_dht_cache(const std::string& path);
/// Fails with the system's errors.
Result<void> save_dht_cache(const std::string& path, const DhtCache& cache);

}  // namespace quicmesh::io
