// The relay of `bench relay`, with rates that no operator would give: a node as Node::start makes
// it, in a process of its own.
//
// It prints its address, then answers each line on its stdin with its own CPU time and memory, and
// ends with its stdin, as the server of bench_peer.hpp does.
#pragma once

#include "bench_process.hpp"

namespace quicmesh::cli {

/// Runs the relay with `client_rate` and `total_rate` of the values, in bytes a second.
BenchReport run_relay_node(const BenchOptions& options);

}  // namespace quicmesh::cli
