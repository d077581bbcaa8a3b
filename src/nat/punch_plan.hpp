// The way through two NATs, chosen from both profiles before the first packet: a pure function.
//
// Both ends compute it from the same two profiles and get matching halves. The rule (RFC 4787 in
// words; Ford, Srisuresh & Kegel 2005 and RFC 5128 s3 for the techniques; measured on 97 pairs):
//
//   both mappings endpoint-independent    plain; synchronised where both filters are
//                                         address-and-port-dependent
//   one of them endpoint-dependent        plain, if the other's filter lets other ports in; else
//                                         predict, if the dependent side's ports can be predicted;
//                                         else birthday
//   both endpoint-dependent               predict on both sides, if both can be predicted
//   otherwise, or UDP blocked             relay
//
// What was not measured counts as the worst; but if a side has told no profile at all, plain is
// all that can be tried. "Plain" is what connectivity checks of candidates do anyway,
// peer-reflexive ones among them (RFC 8445 s7.3.1.3).
#pragma once

#include <cstdint>
#include <string_view>

#include "nat/nat_profile.hpp"

namespace quicmesh {

enum class PunchTechnique : std::uint8_t {
  plain,
  synchronised,  // both open with a packet that dies on its way, then send at an agreed moment
  predict,       // the next external port of a dependent side follows from a sample
  birthday,      // many sockets on the dependent side, random ports guessed by the other
  relay,
};

enum class PunchRole : std::uint8_t {
  same,          // both ends do the same
  predicted,     // has the dependent mapping: samples, opens, and tells the other which port
  predicting,    // probes the port told, and some behind it
  many_sockets,  // has the dependent mapping: opens from many sockets
  random_ports,  // guesses ports
};

/// Why this technique; the sentence for people is `to_sentence`.
enum class PunchReason : std::uint8_t {
  no_profile,           // a side has not told any
  both_independent,     // the same external port for everybody, and a filter that is easy
  both_filters_strict,  // the same external port for everybody, both let in only who was sent to
  other_lets_ports_in,  // dependent mapping, but the other side's filter does not look at the port
  ports_follow,         // dependent mapping with ports that can be predicted
  both_ports_follow,
  ports_random,  // dependent mapping with random ports, the other side stands still
  both_dependent,
  udp_blocked,
};

/// The one thing that would make a direct path likelier.
enum class PunchRemedy : std::uint8_t {
  nothing,
  learn_profile,        // let both nodes reach a STUN server
  map_port_here,        // port forwarding, or UPnP / NAT-PMP switched on, at our router
  map_port_there,       // the same at theirs
  map_port_either,      // the same at one of them
  public_address_here,  // a public address or IPv6: our provider's NAT cannot be configured
  public_address_there,
  allow_udp_here,
  allow_udp_there,
};

struct PunchPlan {
  PunchTechnique technique{};
  PunchRole role{};  // ours
  PunchReason reason{};
  PunchRemedy remedy{};

  auto operator<=>(const PunchPlan&) const = default;
};

/// Least share, in percent, of samples that must fit for a sequential allocation to be predicted.
inline constexpr std::uint8_t predict_confidence_min = 50;

/// Symmetric: with the arguments exchanged technique and reason are the same, the role is the
/// opposite one, and the remedy is said from the other end.
[[nodiscard]] PunchPlan plan_punch(const NatProfile& ours, const NatProfile& theirs);

/// The role of the other end in the same plan.
[[nodiscard]] PunchRole opposite(PunchRole role);

/// "plain", "synchronised", "predict", "birthday", "relay": stable, for people and scripts.
[[nodiscard]] std::string_view to_string(PunchTechnique technique);
[[nodiscard]] std::string_view to_string(PunchRole role);
/// One sentence, without a full stop at its end.
[[nodiscard]] std::string_view to_sentence(PunchReason reason);
/// One sentence, without a full stop at its end; empty for `nothing`.
[[nodiscard]] std::string_view to_sentence(PunchRemedy remedy);

}  // namespace quicmesh
