// See dht_reach.hpp.
#include "dht_reach.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace quicmesh::cli {
namespace {

constexpr Duration look_every = 50ms;
constexpr Duration join_limit = 5s;
constexpr std::size_t shown_max = 3;

/// Nobody was named, remembered or met. The list of those to begin with is tried from the start on.
bool has_nobody(const NodeHost& host, const DhtStatus& status) {
  const Settings& settings = host.settings();
  return settings.nodes("bootstrap").empty() && settings.nodes("relay_via").empty() &&
         status.bootstraps_tried == 0 && status.connections == 0 && host.node()->peers().empty();
}

/// The first of the nodes named by `--bootstrap`, short enough for a line.
std::string bootstraps_of(const Settings& settings) {
  std::string text;
  const auto nodes = settings.nodes("bootstrap");
  for (const NodeAddress& node : nodes) {
    if (&node == nodes.data() + shown_max)
      return text + fmt::format(" and {} more", nodes.size() - shown_max);
    text.append(text.empty() ? "" : ", ").append(node.id.prefix());
    const char* separator = "@";
    for (const HostPort& address : node.addresses)
      text.append(std::exchange(separator, ",")).append(address.to_string());
  }
  return text;
}

}  // namespace

asio::awaitable<DhtReach> wait_for_dht(NodeHost& host, Duration limit) {
  const std::shared_ptr<Node> node = host.node();
  const auto end = std::chrono::steady_clock::now() + std::min(limit, join_limit);
  // A node that has just started has not begun to dial at the first look.
  for (bool first = true;; first = false) {
    auto asking = node->dht_status();
    const auto status = co_await std::move(asking);
    if (!status || !status->on || status->contacts > 0) co_return DhtReach::joined;
    if (!first && has_nobody(host, *status)) co_return DhtReach::alone;
    if (std::chrono::steady_clock::now() >= end) co_return DhtReach::silent;
    auto resting = pause_for(look_every);
    co_await std::move(resting);
  }
}

Failure nobody_to_ask(NodeHost& host, DhtReach reach) {
  if (reach == DhtReach::alone) {
    return {.code = "nobody_known",
            .message = "there is nobody to ask: this node knows no other",
            .hint = "name a node of the network with --bootstrap NODEID@host:port"};
  }
  if (!host.node()->peers().empty()) {
    return {.code = "nobody_reached",
            .message = "nobody of the DHT answers: those who are connected do not serve in it",
            .hint = "begin with a node that does (--bootstrap), or give one `--dht server`"};
  }
  const std::string bootstraps = bootstraps_of(host.settings());
  return {.exit_code = exit_timed_out,
          .code = "nobody_reached",
          .message = bootstraps.empty()
                         ? "nobody of the network answers, of those this node remembers"
                         : fmt::format("nobody of the network answers: bootstrap {}", bootstraps),
          .hint = bootstraps.empty()
                      ? "name a node that is up with --bootstrap NODEID@host:port"
                      : "see that it is up, its address right and its UDP port open, or name "
                        "another with --bootstrap"};
}

}  // namespace quicmesh::cli
