// The side of the control socket (control_protocol.hpp) that asks: plain blocking calls, since the
// process has nothing else to do.
#pragma once

#include <boost/json/object.hpp>

#include "data_folder.hpp"
#include "failure.hpp"
#include "output.hpp"

namespace quicmesh::cli {

/// Sends `request` to the node that has the lock of `folder`, gives the events to `sink`, and
/// returns the exit code: `interrupted_code` after SIGINT or SIGTERM, which give the operation up.
/// Fails with the code "not_running" if nobody has the lock.
[[nodiscard]] Outcome<int> ask_running_node(const DataFolder& folder,
                                            const boost::json::object& request,
                                            const EventSink& sink, int interrupted_code);

}  // namespace quicmesh::cli
