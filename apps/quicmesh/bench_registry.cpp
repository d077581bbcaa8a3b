// See bench_registry.hpp.
#include "bench_registry.hpp"

namespace quicmesh::cli {

std::span<const Bench> benches() {
  static constexpr Bench table[] = {
      {"quic", "one stream in bulk, beside bare ngtcp2+GnuTLS and raw UDP", bench_quic},
      {"rpc", "64-byte echoes on one stream, 1 and 64 outstanding", bench_rpc},
      {"connect", "dial, prove both ids, close; 1 and 32 at once", bench_connect},
      {"handshake", "connections for each second of CPU time, beside TLS alone", bench_handshake},
      {"memory", "resident memory of an idle connection, 10,000 held", bench_memory},
      {"relay", "a relay in bulk, beside a bare forwarder and coturn; latency, flows, fairness",
       bench_relay},
      {"dht", "put and get in a DHT of 200 real nodes, bootstrap, processor time of a lookup",
       bench_dht},
      {"simulator", "the event queue, and simulated datagrams a second", bench_simulator},
  };
  return table;
}

}  // namespace quicmesh::cli
