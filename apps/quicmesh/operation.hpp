// Operations: what can be asked of a running node, by the process that has it or by another one
// over the control socket. A request is a JSON object with "cmd"; progress and results are events;
// the end is an exit code.
//
// All of them may be cancelled: when the user interrupts, or the client of the socket has gone.
#pragma once

#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>
#include <boost/json/object.hpp>

#include "node_host.hpp"
#include "output.hpp"

namespace quicmesh::cli {

struct Operation {
  NodeHost& host;
  boost::json::object request;
  EventSink emit;

  /// Tells the failure, and gives its exit code.
  int fail(const Failure& failure) const {
    emit(to_json(failure));
    return failure.exit_code;
  }
};

using OperationFunction = asio::awaitable<int> (*)(Operation operation);

asio::awaitable<int> status_operation(Operation operation);
asio::awaitable<int> peers_operation(Operation operation);
asio::awaitable<int> paths_operation(Operation operation);
asio::awaitable<int> why_operation(Operation operation);
asio::awaitable<int> doctor_operation(Operation operation);
asio::awaitable<int> ping_operation(Operation operation);
asio::awaitable<int> send_operation(Operation operation);
asio::awaitable<int> recv_operation(Operation operation);
asio::awaitable<int> dht_put_operation(Operation operation);
asio::awaitable<int> dht_get_operation(Operation operation);
asio::awaitable<int> dht_find_operation(Operation operation);
asio::awaitable<int> dht_resolve_operation(Operation operation);
asio::awaitable<int> dht_provide_operation(Operation operation);
asio::awaitable<int> dht_providers_operation(Operation operation);

/// Runs what the request names. Ends with exit_usage if it names nothing that there is; nothing is
/// thrown but cancellation.
asio::awaitable<int> run_operation(Operation operation);

/// The node that a request names under `key`.
[[nodiscard]] Outcome<NodeAddress> node_of(const boost::json::object& request,
                                           std::string_view key);

/// Connects within `limit`. A refusal is explained with what the peer said last.
asio::awaitable<Outcome<Connection>> connect_to(NodeHost& host, NodeAddress peer,
                                                std::string protocol, Duration limit);

}  // namespace quicmesh::cli
