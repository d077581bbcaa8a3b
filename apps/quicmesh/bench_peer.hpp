// The two ends of the benchmarks over the public API: a server that serves all of them, and the
// frame in which the client of each runs.
//
// The server prints the addresses of its nodes, then answers each line on its stdin with its own
// CPU time and memory, and ends with its stdin. Its protocols:
//   bench/sink/1   swallows a stream, and ends its own direction when the stream has ended
//   bench/echo/1   sends back what arrives
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/json/object.hpp>

#include "bench_process.hpp"
#include "quicmesh/node.hpp"
#include "quicmesh/runtime.hpp"

namespace quicmesh::cli {

inline constexpr std::string_view sink_protocol = "bench/sink/1";
inline constexpr std::string_view echo_protocol = "bench/echo/1";

/// What every client has: a network thread for its nodes, and the peers to talk to.
struct BenchClient {
  BenchValues values;
  double seconds = 0;
  std::shared_ptr<Runtime> runtime;  // shared by the nodes
  std::vector<NodeAddress> peers;
};

using ClientBody =
    boost::asio::awaitable<Measured<boost::json::object>> (*)(const BenchClient& client);

/// With `role` among the values: runs the server, or `body` as the client, in this process. Nothing
/// if the command itself was asked for.
std::optional<BenchReport> run_end(const BenchOptions& options, ClientBody body);

/// A node on a free port of 127.0.0.1.
Task<std::shared_ptr<Node>> start_bench_node(const BenchValues& values,
                                             std::shared_ptr<Runtime> runtime);

/// A handler of `echo_protocol`.
boost::asio::awaitable<void> echo_streams(Stream stream);

/// Prints `object` on a line of stdout at once, for the command that started this end.
void print_line(const boost::json::object& object);

/// CPU time and memory of this process, as the server answers.
[[nodiscard]] boost::json::object own_figures();

/// A server and a client in processes of their own, until both are dropped.
struct BenchPair {
  std::unique_ptr<BenchProcess> server;
  std::unique_ptr<BenchProcess> client;
};

/// Starts both ends of `bench`; `values` go to both.
Measured<BenchPair> start_pair(const BenchOptions& options, const std::string& bench,
                               const std::vector<std::string>& values);

/// Both ends of one run; the report is the client's, with the server's own figures under "server".
Measured<boost::json::object> run_pair(const BenchOptions& options, const std::string& bench,
                                       const std::vector<std::string>& values);

}  // namespace quicmesh::cli
