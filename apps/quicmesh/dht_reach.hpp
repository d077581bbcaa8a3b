// Whether a node can ask anybody in the DHT, and what to say if it cannot: a network that is not
// reached must not look like one that has nothing to tell.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "node_host.hpp"

namespace quicmesh::cli {

enum class DhtReach {
  joined,  // somebody answers; or the node takes no part, which the question itself will tell
  silent,  // none of those it was to begin with answers
  alone,   // there is nobody to begin with
};

/// Waits until the node knows somebody, for as long as that may take; not at all if it cannot be.
asio::awaitable<DhtReach> wait_for_dht(NodeHost& host, Duration limit);

/// Why nobody could be asked, and what to try. Not for `joined`.
[[nodiscard]] Failure nobody_to_ask(NodeHost& host, DhtReach reach);

}  // namespace quicmesh::cli
