// The client that `bench connect` and `bench handshake` share: it dials, knows that the peer has
// proved its id and accepted ours, closes, and dials again, with some nodes at once.
#pragma once

#include "bench_peer.hpp"

namespace quicmesh::cli {

/// Value `parallel`: how many nodes dial at once, each with its own id. Reports `connects`,
/// `connects_s`, `p50_ms` and `p99_ms` (from the dial to the confirmed connection) and `cpu_s`.
boost::asio::awaitable<Measured<boost::json::object>> dial_repeatedly(const BenchClient& client);

}  // namespace quicmesh::cli
