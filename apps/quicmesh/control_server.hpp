// The side of the control socket (control_protocol.hpp) that has the node.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "data_folder.hpp"
#include "failure.hpp"
#include "operation.hpp"

namespace quicmesh::cli {

/// What the server and its sessions share; it is declared before the io_context.
struct ControlState {
  NodeHost* host = nullptr;
  std::size_t clients = 0;
  bool stopping = false;
  std::function<void()> close;  // stops accepting and removes the socket's name
};

/// Listens in `folder`, whose lock this process holds: a socket that is there is stale, and is
/// replaced.
Outcome<void> start_control_server(asio::io_context& context, const DataFolder& folder,
                                   ControlState& state);

}  // namespace quicmesh::cli
