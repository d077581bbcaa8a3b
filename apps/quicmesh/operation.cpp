// See operation.hpp.
#include "operation.hpp"

#include <array>

#include <fmt/format.h>

#include "dht_reach.hpp"
#include "quic/quic_errc.hpp"
#include "quicmesh/io_errc.hpp"
#include "text.hpp"

namespace quicmesh::cli {
namespace {

struct Entry {
  std::string_view name;
  OperationFunction run;
};

constexpr std::array entries{
    Entry{"status", status_operation},
    Entry{"peers", peers_operation},
    Entry{"paths", paths_operation},
    Entry{"why", why_operation},
    Entry{"doctor", doctor_operation},
    Entry{"ping", ping_operation},
    Entry{"send", send_operation},
    Entry{"recv", recv_operation},
    Entry{"dht_put", dht_put_operation},
    Entry{"dht_get", dht_get_operation},
    Entry{"dht_find", dht_find_operation},
    Entry{"dht_resolve", dht_resolve_operation},
    Entry{"dht_provide", dht_provide_operation},
    Entry{"dht_providers", dht_providers_operation},
};

/// Why nobody of the DHT could tell where a node is, if nobody who was to be asked answers.
asio::awaitable<std::optional<Failure>> nobody_could_tell(NodeHost& host) {
  if (host.settings().nodes("bootstrap").empty()) co_return std::nullopt;
  auto looking = wait_for_dht(host, Duration{});
  const DhtReach reach = co_await std::move(looking);
  if (reach != DhtReach::silent) co_return std::nullopt;
  co_return nobody_to_ask(host, reach);
}

}  // namespace

asio::awaitable<int> run_operation(Operation operation) {
  const std::string name = text_of(operation.request, "cmd");
  for (const Entry& entry : entries) {
    if (entry.name != name) continue;
    auto running = entry.run(std::move(operation));
    co_return co_await std::move(running);
  }
  co_return operation.fail(usage_failure(
      fmt::format("the running node does not know the command \"{}\"", printable(name)),
      "restart it with the version of this program"));
}

Outcome<NodeAddress> node_of(const boost::json::object& request, std::string_view key) {
  const std::string text = text_of(request, key);
  auto address = NodeAddress::parse(text);
  if (address) return std::move(*address);
  Failure failure =
      usage_failure(fmt::format("\"{}\" names no node: {}", text, address.error().message()),
                    std::string(hint(address.error())));
  if (failure.hint.empty()) failure.hint = "write NODEID or NODEID@host:port";
  return std::unexpected(std::move(failure));
}

asio::awaitable<Outcome<Connection>> connect_to(NodeHost& host, NodeAddress peer,
                                                std::string protocol, Duration limit) {
  const std::shared_ptr<Node> node = host.node();
  const NodeId id = peer.id;
  const bool by_id = peer.addresses.empty();
  const std::string what = fmt::format("cannot reach {}", peer.to_string());
  auto dialling = node->connect(std::move(peer), std::move(protocol));
  auto limited = within(limit, std::move(dialling));
  auto connection = co_await std::move(limited);
  if (connection) co_return std::move(*connection);
  // What the peer said explains a refusal; about a time-out nobody has said anything.
  const bool timed_out = exit_code_of(connection.error()) == exit_timed_out;
  Failure failure = make_failure(what, connection.error(), timed_out ? "" : node->last_reason(id));
  if (timed_out) failure.hint = std::string(hint(make_error_code(QuicErrc::handshake_timeout)));
  if (by_id && (timed_out || connection.error() == IoErrc::node_not_found)) {
    auto asking = nobody_could_tell(host);
    if (const auto why = co_await std::move(asking)) {
      failure = {.exit_code = why->exit_code,
                 .code = why->code,
                 .message = fmt::format("{}: {}", what, why->message),
                 .hint = why->hint};
    }
  }
  co_return std::unexpected(std::move(failure));
}

}  // namespace quicmesh::cli
