// Two homes with NATs drawn at random, and what theory says of the way between them: an oracle that
// shares no code with nat/punch_plan.hpp.
//
// A side has no NAT, one, or one behind another (a carrier's). What two NATs in a row do is what
// the stricter one does, in mapping and in filtering each (RFC 5128 s3.3.3); new external ports are
// the outer one's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/rng.hpp"
#include "sim/nat.hpp"

namespace quicmesh::sim {

struct DrawnSide {
  std::vector<NatConfig> nats;  // innermost first; at most two
  Duration one_way{};           // to the internet's middle

  /// "none", or mapping/filtering/ports of each NAT.
  [[nodiscard]] std::string text() const;
};

struct DrawnPair {
  DrawnSide left;
  DrawnSide right;
  unsigned loss_percent = 0;  // of each direction of each line, in bursts of four
};

DrawnSide draw_side(Rng& rng);
DrawnPair draw_pair(Rng& rng);

/// What the NATs of a side do together, as far as it matters for the way to another side.
struct NatClass {
  bool open = true;          // there is none
  bool stands = true;        // one external port for all destinations
  bool strict = false;       // lets in only whom it sent to, address and port
  bool ports_follow = true;  // the next external port can be told from the last

  auto operator<=>(const NatClass&) const = default;
};

[[nodiscard]] NatClass nat_class(const DrawnSide& side);

/// How two sides can come to a direct path, if at all.
enum class WayThrough : std::uint8_t { plain, predicted, birthday, none };

[[nodiscard]] WayThrough way_through(const NatClass& left, const NatClass& right);
[[nodiscard]] WayThrough way_through(const DrawnPair& pair);
[[nodiscard]] std::string_view name_of(WayThrough way);

}  // namespace quicmesh::sim
