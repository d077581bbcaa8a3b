// Runs an operation where the node is: in the process that has the data folder, or, if none does,
// in this one, with a node that is started for it and ended after it.
//
// A process with a node always serves the control socket, so that two commands at once share one
// node and its identity; it ends when the commands of others that it serves have ended.
#pragma once

#include <functional>

#include <boost/json/object.hpp>

#include "operation.hpp"
#include "output.hpp"
#include "settings.hpp"

namespace quicmesh::cli {

/// What an operation does after the start; it is cancelled by SIGINT and SIGTERM.
using NodeBody = std::function<asio::awaitable<int>(NodeHost& host, EventSink emit)>;

struct NodeRun {
  /// What an interrupt ends with.
  int interrupted_code = exit_interrupted;
  /// Null for `run_operation` with `request`.
  NodeBody body;
  boost::json::object request;
};

/// Uses the running node, or starts one.
int run_with_node(const Settings& settings, Output& output, NodeRun run);

/// Starts a node; fails if one runs with this data folder.
int run_own_node(const Settings& settings, Output& output, NodeRun run);

/// Only ever asks a running node.
int run_with_running_node(const Settings& settings, Output& output,
                          const boost::json::object& request);

}  // namespace quicmesh::cli
