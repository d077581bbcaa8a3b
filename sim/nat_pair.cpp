// See nat_pair.hpp.
#include "sim/nat_pair.hpp"

#include <algorithm>
#include <array>

namespace quicmesh::sim {
namespace {

NatDependence draw_dependence(Rng& rng) {
  return static_cast<NatDependence>(rng.below(3));
}

NatConfig draw_nat(Rng& rng) {
  NatConfig nat;
  // Most homes map endpoint-independently (RFC 4787 REQ-1 is law for carriers, RFC 6888).
  nat.mapping = rng.below(2) == 0 ? NatDependence::endpoint_independent : draw_dependence(rng);
  nat.filtering = draw_dependence(rng);
  nat.ports = static_cast<PortAllocation>(rng.below(3));
  nat.port_delta = static_cast<std::uint16_t>(1 + rng.below(3));
  nat.hairpin = rng.below(2) == 0 ? Hairpin::on : Hairpin::off;
  return nat;
}

std::string_view short_name(NatDependence dependence) {
  constexpr std::array<std::string_view, 3> names{"EI", "AD", "APD"};
  return names[static_cast<std::size_t>(dependence)];
}

std::string_view short_name(PortAllocation ports) {
  constexpr std::array<std::string_view, 3> names{"preserving", "sequential", "random"};
  return names[static_cast<std::size_t>(ports)];
}

}  // namespace

std::string DrawnSide::text() const {
  if (nats.empty()) return "none";
  std::string out;
  for (const NatConfig& nat : nats) {
    if (!out.empty()) out += " behind ";
    out.append(short_name(nat.mapping)).append("/").append(short_name(nat.filtering));
    out.append("/").append(short_name(nat.ports));
  }
  return out;
}

DrawnSide draw_side(Rng& rng) {
  DrawnSide side;
  const std::uint64_t kind = rng.below(10);
  const std::size_t nats = kind == 0 ? 0 : kind == 1 ? 2 : 1;
  for (std::size_t i = 0; i < nats; ++i)
    side.nats.push_back(draw_nat(rng));
  side.one_way = 2ms + Duration(1ms) * static_cast<int>(rng.below(59));
  return side;
}

DrawnPair draw_pair(Rng& rng) {
  DrawnPair pair;
  pair.left = draw_side(rng);
  pair.right = draw_side(rng);
  constexpr std::array<unsigned, 4> losses{0, 1, 3, 8};
  pair.loss_percent = losses[rng.below(losses.size())];
  return pair;
}

NatClass nat_class(const DrawnSide& side) {
  NatDependence mapping = NatDependence::endpoint_independent;
  NatDependence filtering = NatDependence::endpoint_independent;
  for (const NatConfig& nat : side.nats) {
    mapping = std::max(mapping, nat.mapping);
    filtering = std::max(filtering, nat.filtering);
  }
  NatClass all;
  all.open = side.nats.empty();
  all.stands = mapping == NatDependence::endpoint_independent;
  all.strict = filtering == NatDependence::address_and_port_dependent;
  if (!side.nats.empty()) all.ports_follow = side.nats.back().ports != PortAllocation::random;
  // An outer NAT that preserves ports passes on what the inner one draws.
  for (const NatConfig& nat : side.nats) {
    if (nat.ports == PortAllocation::random &&
        side.nats.back().ports == PortAllocation::preserving) {
      all.ports_follow = false;
    }
  }
  return all;
}

WayThrough way_through(const NatClass& left, const NatClass& right) {
  if (left.stands && right.stands) return WayThrough::plain;
  if (left.stands || right.stands) {
    const NatClass& standing = left.stands ? left : right;
    const NatClass& moving = left.stands ? right : left;
    if (!standing.strict) return WayThrough::plain;
    return moving.ports_follow ? WayThrough::predicted : WayThrough::birthday;
  }
  return left.ports_follow && right.ports_follow ? WayThrough::predicted : WayThrough::none;
}

WayThrough way_through(const DrawnPair& pair) {
  return way_through(nat_class(pair.left), nat_class(pair.right));
}

std::string_view name_of(WayThrough way) {
  constexpr std::array<std::string_view, 4> names{"plain", "predicted", "birthday", "none"};
  return names[static_cast<std::size_t>(way)];
}

}  // namespace quicmesh::sim
