// Why things are as they are: what NodeCore writes down, and the account of it.
//
// The remedy is one: the first of these that is to blame. No connection: what its error says. A
// direct path: nothing. Relayed: the node's own policy; a direct path that is too narrow; unknown
// NATs; the plan's remedy.
#include <algorithm>
#include <ranges>
#include <utility>

#include "base/tunnel_path.hpp"
#include "base/turn_path.hpp"
#include "node/node_core.hpp"
#include "path/path_errc.hpp"

namespace quicmesh {
namespace {

constexpr std::string_view widen_the_path =
    "Raise the MTU of the tunnel or VPN on the direct path to 1,280 bytes or more";
constexpr std::string_view allow_direct = "Run the node without relay-only";
constexpr std::string_view too_narrow =
    "A direct path exists, but it does not carry the 1,200 bytes that QUIC needs";
constexpr std::string_view by_policy = "Only relayed paths are allowed here";
constexpr std::string_view mapped_there = "The peer's gateway forwards a port to it";
constexpr std::string_view mapped_here = "This node's gateway forwards a port to it";
constexpr std::string_view no_plan = "The NAT of one of the two nodes is not known";

template <class Kind>
const Kind* newest(const DecisionLog::History& history) {
  for (const DecisionLog::Record& record : std::views::reverse(history.records)) {
    if (const auto* found = std::get_if<Kind>(&record.what)) return found;
  }
  return nullptr;
}

std::string rule_of(const DecisionLog::History& history) {
  if (!history.path) return {};
  if (const auto* moved = std::get_if<decision::Moved>(&*history.path)) return rule_text(*moved);
  if (const auto* first = std::get_if<decision::FirstAnswered>(&*history.path)) {
    return rule_text(*first);
  }
  return {};
}

void explain_relayed(Explanation& out, const DecisionLog::History& history, PathPolicy policy,
                     const std::optional<PunchPlan>& plan) {
  const auto* unusable = newest<decision::PathUnusable>(history);
  const auto* dialled = newest<decision::Dialled>(history);
  if (policy == PathPolicy::relay_only ||
      (dialled != nullptr && dialled->policy == PathPolicy::relay_only)) {
    out.reason = by_policy;
    out.remedy = allow_direct;
  } else if (unusable != nullptr && !unusable->path.relay && !unusable->path.over_turn &&
             unusable->rule == decision::UnusableRule::too_narrow) {
    out.reason = too_narrow;
    out.remedy = widen_the_path;
  } else if (!plan) {
    out.reason = no_plan;
    out.remedy = to_sentence(PunchRemedy::learn_profile);
  } else {
    out.reason = to_sentence(plan->reason);
    out.remedy = to_sentence(plan->remedy);
    if (history.punch && history.punch->outcome != PunchOutcome::direct) {
      out.reason += "; punching failed: ";
      out.reason += to_string(history.punch->outcome);
    }
  }
}

}  // namespace

PathName NodeCore::name_of(const NodeId& peer, NetworkPath path) const {
  PathName name;
  name.relay = resolve_relay(path);
  name.over_turn = resolve_turn(peer, path);
  name.remote = path.remote;
  return name;
}

std::optional<PathReport> NodeCore::report_of(const NodeId& peer, const NetworkPath& path) const {
  for (const PathReport& report : connectivity_->paths(peer)) {
    if (same_path(report.path, path)) return report;
  }
  return std::nullopt;
}

void NodeCore::note_dialled(Instant now, const NodeId& peer, std::size_t candidates, bool by_relay,
                            PathPolicy policy, const Result<void>& outcome) {
  if (connectivity_->connected(peer)) return;  // further paths, not a dial
  const bool begun = outcome || outcome.error() == PathErrc::already_connected || by_relay;
  if (!begun) {
    decisions_.write(now, peer, decision::Unreachable{outcome.error(), ""});
    return;
  }
  decisions_.write(now, peer,
                   decision::Dialled{static_cast<unsigned>(candidates), by_relay, policy});
}

void NodeCore::note_connected(Instant now, const PeerConnected& connected) {
  decisions_.write(now, connected.peer,
                   decision::FirstAnswered{name_of(connected.peer, connected.path),
                                           connectivity_->path_info(connected.peer).smoothed_rtt,
                                           connected.dialled_by_us});
}

void NodeCore::note_moved(Instant now, const PeerPathChanged& changed, const NetworkPath& from) {
  decisions_.write(now, changed.peer,
                   decision::Moved{{changed.from.remote, changed.from_relay, changed.from_turn},
                                   {changed.to.remote, changed.to_relay, changed.to_turn},
                                   changed.rtt,
                                   changed.stall,
                                   changed.why});
  const auto left = report_of(changed.peer, from);
  if (!left || left->held_until <= now) return;
  decisions_.write(now, changed.peer,
                   decision::HeldDown{name_of(changed.peer, from), left->held_until - now});
}

void NodeCore::note_refused(Instant now, const NodeId& peer, const NetworkPath& path) {
  const auto report = report_of(peer, path);
  const bool answers = report && report->state == PathState::standby && report->probes_answered > 0;
  decisions_.write(
      now, peer,
      decision::PathUnusable{name_of(peer, path), answers ? decision::UnusableRule::too_narrow
                                                          : decision::UnusableRule::no_answer});
}

void NodeCore::note_candidates(Instant now, const NodeId& peer,
                               std::span<const JudgedCandidate> judged) {
  std::vector<Candidate> told;
  for (const JudgedCandidate& one : judged) {
    told.push_back(one.candidate);
    if (one.rule == CandidateRule::usable || one.rule == CandidateRule::told_twice) continue;
    decisions_.write(now, peer, decision::CandidateRefused{one.candidate, one.rule});
  }
  decisions_.note_told(now, peer, std::move(told));
}

void NodeCore::note_plan(Instant now, const NodeId& peer) {
  const auto plan = punching_.plan_with(peer);
  const NatProfile* theirs = punching_.profile_of(peer);
  if (!plan || theirs == nullptr || !nat()) return;
  const decision::PlanMade made{*plan, classic_type(nat()->profile), classic_type(*theirs)};
  const auto* history = decisions_.find(peer);
  const auto* before = history == nullptr ? nullptr : newest<decision::PlanMade>(*history);
  if (before != nullptr && *before == made) return;  // told again with other candidates
  decisions_.write(now, peer, made);
}

void NodeCore::note_punch(Instant now, const PunchEnded& ended) {
  decisions_.write(now, ended.peer,
                   decision::PunchOver{ended.technique, ended.outcome, ended.probes, ended.rounds,
                                       ended.duration, ended.back_off});
  if (ended.path) decisions_.note_punched(now, ended.peer, *ended.path);
}

PathKind NodeCore::kind_of(const NodeId& peer, const NetworkPath& path) const {
  if (is_turn_path(path)) return PathKind::turn;
  if (is_relayed(path)) return PathKind::relay;
  const auto* history = decisions_.find(peer);
  if (history == nullptr) return PathKind::given;
  const auto told = std::ranges::find(history->told, path.remote, &Candidate::address);
  if (told != history->told.end()) {
    if (told->kind == CandidateKind::server_reflexive) return PathKind::server_reflexive;
    if (told->kind == CandidateKind::relayed) return PathKind::turn;
    return told->kind == CandidateKind::mapped ? PathKind::mapped : PathKind::host;
  }
  const auto* first = newest<decision::FirstAnswered>(*history);
  const bool dialled =
      first != nullptr && first->dialled_by_us && first->path.remote == path.remote;
  return dialled ? PathKind::given : PathKind::peer_reflexive;
}

std::vector<PathStatus> NodeCore::paths(Instant now, const NodeId& peer) const {
  std::vector<PathStatus> out;
  for (const PathReport& report : connectivity_->paths(peer)) {
    PathStatus status;
    NetworkPath real = report.path;
    status.relay = resolve_relay(real);
    (void)resolve_turn(peer, real);
    status.remote = real.remote;
    status.local = real.local;
    status.over_tls = is_tunnelled(real);
    status.current = report.current;
    status.rtt = report.rtt;
    status.mtu_bytes = report.mtu_bytes;
    status.state = report.state;
    if (report.held_until > now && !report.current) {
      if (report.state == PathState::standby) status.state = PathState::held_down;
      status.held_for = report.held_until - now;
    }
    status.kind = kind_of(peer, report.path);
    status.probes_sent = report.probes_sent;
    status.probes_answered = report.probes_answered;
    status.bytes_sent = report.bytes_sent;
    status.bytes_received = report.bytes_received;
    out.push_back(status);
  }
  return out;
}

Explanation NodeCore::explain(Instant now, const NodeId& peer) const {
  Explanation out;
  out.peer = peer;
  const auto path = connectivity_->current_path(peer);
  out.connected = path.has_value();
  const auto plan = punching_.plan_with(peer);
  if (plan) out.plan = to_string(plan->technique);
  if (nat()) out.nat_here = classic_type(nat()->profile);
  if (const NatProfile* theirs = punching_.profile_of(peer)) out.nat_there = classic_type(*theirs);
  const auto* history = decisions_.find(peer);
  const DecisionLog::History none;
  const DecisionLog::History& known = history == nullptr ? none : *history;
  if (path) {
    const PathName name = name_of(peer, *path);
    out.remote = name.remote;
    out.relay = name.relay;
    out.rule = rule_of(known);
    if (is_relayed(*path) || name.over_turn) {
      out.technique = to_string(PunchTechnique::relay);
      explain_relayed(out, known, policy_, plan);
    } else {
      const bool punched = known.punched && known.punch && same_path(*known.punched, *path);
      const auto by = punched ? known.punch->technique : PunchTechnique::plain;
      out.technique = to_string(by);
      const bool unplanned = !punched && plan && plan->technique != PunchTechnique::plain;
      if (plan) out.reason = to_sentence(plan->reason);
      if (kind_of(peer, *path) == PathKind::mapped) {
        out.reason = mapped_there;
      } else if (unplanned && !mapped_.addresses.empty()) {
        out.reason = mapped_here;
      }
    }
  } else if (known.failed) {
    out.reason = known.failed->message();
    out.remedy = hint(*known.failed);
  }
  for (const DecisionLog::Record& record : known.records) {
    out.decisions.push_back({now - record.at, record.times, quicmesh::kind_of(record.what),
                             to_text(record.what), fields_of(record.what)});
  }
  out.decisions_dropped = known.dropped;
  return out;
}

}  // namespace quicmesh
