// Decisions: what a node did to reach a peer, and why, as typed records. The chain of them is what
// `quicmesh why` prints. Each is written where it is taken; the words are made in one place
// (decision_text.cpp).
#pragma once

#include <string>
#include <string_view>
#include <system_error>
#include <variant>
#include <vector>

#include "nat/punch_event.hpp"
#include "node/candidate_filter.hpp"
#include "path/path_event.hpp"
#include "path/path_selector.hpp"
#include "quicmesh/explanation.hpp"

namespace quicmesh {

/// A path as people know it: the relay's address if there is one; over a TURN server, the peer's
/// address there.
struct PathName {
  SocketAddress remote;
  std::optional<NodeId> relay;
  bool over_turn = false;

  auto operator<=>(const PathName&) const = default;
};

namespace decision {

/// This side has begun to dial: so many addresses, and the relays if there were any to ask.
struct Dialled {
  unsigned candidates = 0;
  bool relays_asked = false;
  PathPolicy policy = PathPolicy::any;
  bool operator==(const Dialled&) const = default;
};

struct SessionUp {
  NodeId relay;
  bool operator==(const SessionUp&) const = default;
};

struct SessionDown {
  NodeId relay;
  std::error_code error;
  bool operator==(const SessionDown&) const = default;
};

/// No relay has the peer.
struct NoRelayHasPeer {
  std::error_code error;
  bool operator==(const NoRelayHasPeer&) const = default;
};

/// Every address that was dialled failed; the relays were still being asked.
struct DirectFailed {
  std::error_code error;
  std::string reason;
  bool operator==(const DirectFailed&) const = default;
};

struct Unreachable {
  std::error_code error;
  std::string reason;
  bool operator==(const Unreachable&) const = default;
};

/// The first path on which the handshake was confirmed.
struct FirstAnswered {
  PathName path;
  Duration rtt{};
  bool dialled_by_us = false;
  bool operator==(const FirstAnswered&) const = default;
};

/// Not probed, and why.
struct CandidateRefused {
  Candidate candidate;
  CandidateRule rule{};
  bool operator==(const CandidateRefused&) const = default;
};

/// What the two NATs ask for.
struct PlanMade {
  PunchPlan plan;
  ClassicNatType here{};
  ClassicNatType there{};
  bool operator==(const PlanMade&) const = default;
};

struct PunchOver {
  PunchTechnique technique{};
  PunchOutcome outcome{};
  unsigned probes = 0;
  unsigned rounds = 0;
  Duration duration{};
  Duration back_off{};
  bool operator==(const PunchOver&) const = default;
};

struct Moved {
  PathName from;
  PathName to;
  Duration rtt{};
  Duration stall{};
  MoveReason why;
  bool operator==(const Moved&) const = default;
};

/// The path failed in use: it is not chosen for so long.
struct HeldDown {
  PathName path;
  Duration time{};
  bool operator==(const HeldDown&) const = default;
};

enum class UnusableRule : std::uint8_t {
  too_narrow,  // small probes are answered, QUIC's 1,200 bytes are not: RFC 9000 s14, s8.2.1
  no_answer,
};

/// A move to the path did not come about.
struct PathUnusable {
  PathName path;
  UnusableRule rule{};
  bool operator==(const PathUnusable&) const = default;
};

struct Disconnected {
  std::error_code error;
  std::string reason;
  bool operator==(const Disconnected&) const = default;
};

}  // namespace decision

using Decision =
    std::variant<decision::Dialled, decision::SessionUp, decision::SessionDown,
                 decision::NoRelayHasPeer, decision::DirectFailed, decision::Unreachable,
                 decision::FirstAnswered, decision::CandidateRefused, decision::PlanMade,
                 decision::PunchOver, decision::Moved, decision::HeldDown, decision::PathUnusable,
                 decision::Disconnected>;

/// "dialled", "relay_session" and so on: stable, for scripts.
[[nodiscard]] std::string_view kind_of(const Decision& decision);
/// A sentence without a full stop.
[[nodiscard]] std::string to_text(const Decision& decision);
[[nodiscard]] std::vector<DecisionField> fields_of(const Decision& decision);

/// Why a path is in use, as a sentence without a full stop.
[[nodiscard]] std::string rule_text(const decision::FirstAnswered& first);
[[nodiscard]] std::string rule_text(const decision::Moved& moved);

}  // namespace quicmesh
