// What `natlab_router` is told: on the command line, and for the line also later on its standard
// input (see control.hpp). Numbers are bounded here; what contradicts itself is refused.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "quicmesh/result.hpp"
#include "router.hpp"

namespace quicmesh::natlab {

struct Attachment {
  std::string netns;
  std::string device;
};

struct RouterOptions {
  Attachment inner;
  Attachment outer;
  std::uint64_t seed = 0;
  RouterConfig router;
};

/// The options, or the exit code of a program that has said why not (or has printed its help).
std::expected<RouterOptions, int> parse_options(int argc, const char* const* argv);

/// Changes one property of a line: `delay-ms`, `jitter-ms`, `loss` (percent), `burst` (packets),
/// `rate-kbit` (0: no limit), `queue-kib`, `mtu`, `reorder` (percent). False if it is no such
/// property or no such value; `line` may then have changed. What the value may be with the others
/// is for `sim::check`.
bool set_property(sim::LinkConfig& line, std::string_view name, std::string_view value);

}  // namespace quicmesh::natlab
