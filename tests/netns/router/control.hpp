// The lines that `natlab_router` reads from its standard input, one answer a line, as JSON:
//
//   counters            all counters (Router::counters_json)
//   rebind              forget all mappings
//   deny ADDRESS        packets to and from it vanish
//   allow ADDRESS|all   and no more
//   line up|down|both NAME=VALUE...   see set_property
//
// An answer is {"ok":true}, {"ok":false,"error":"..."} or the counters. The end of the input ends
// the router.
#pragma once

#include <string>
#include <string_view>

#include "quicmesh/time.hpp"
#include "router.hpp"

namespace quicmesh::natlab {

/// Obeys one line and returns its answer, without a line feed.
std::string obey(Router& router, Instant now, std::string_view line);

}  // namespace quicmesh::natlab
