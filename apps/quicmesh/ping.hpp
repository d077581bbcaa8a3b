// The protocol quicmesh/ping/1: whoever opens the stream writes messages of 16 bytes, and the other
// side writes each back as it came.
//
// Over a stream, a lost packet shows as a longer time and not as a missing answer: what is measured
// is what a program sees.
#pragma once

#include <cstddef>
#include <memory>

#include <boost/asio/awaitable.hpp>

#include "ping_quota.hpp"
#include "quicmesh/stream.hpp"

namespace quicmesh::cli {

inline constexpr std::size_t ping_size = 16;

/// Serves one stream until it ends, as far as `quota`, shared by the streams of all peers, permits.
boost::asio::awaitable<void> answer_pings(std::shared_ptr<PingQuota> quota, Stream stream);

}  // namespace quicmesh::cli
