// The words for decisions: the only place where they are made.
#include <utility>

#include "node/decision.hpp"

namespace quicmesh {
namespace {

using Fields = std::vector<DecisionField>;

std::string ms_text(Duration time) {
  const auto tenths = std::chrono::duration_cast<std::chrono::microseconds>(time).count() / 100;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " ms";
}

std::string seconds_text(Duration time) {
  return std::to_string(std::chrono::round<std::chrono::seconds>(time).count()) + " s";
}

std::string path_text(const PathName& path) {
  if (path.over_turn) return "the path to " + path.remote.to_string() + " over a TURN server";
  if (!path.relay) return "the direct path to " + path.remote.to_string();
  return "the relay " + path.relay->prefix() + " at " + path.remote.to_string();
}

std::string error_text(const std::error_code& error, const std::string& reason) {
  return reason.empty() ? error.message() : error.message() + " (\"" + reason + "\")";
}

std::int64_t microseconds(Duration time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time).count();
}

std::string_view name_of(PathPolicy policy) {
  switch (policy) {
    case PathPolicy::direct_only:
      return "direct_only";
    case PathPolicy::relay_only:
      return "relay_only";
    case PathPolicy::any:
      break;
  }
  return "any";
}

std::string_view name_of(CandidateKind kind) {
  switch (kind) {
    case CandidateKind::server_reflexive:
      return "srflx";
    case CandidateKind::mapped:
      return "mapped";
    case CandidateKind::relayed:
      return "turn";
    case CandidateKind::host:
      break;
  }
  return "host";
}

std::string_view name_of(MoveRule rule) {
  switch (rule) {
    case MoveRule::cheaper:
      return "cheaper";
    case MoveRule::policy:
      return "policy";
    case MoveRule::rescue:
      return "rescue";
    case MoveRule::hint:
      return "hint";
    case MoveRule::asked:
      return "asked";
    case MoveRule::rebound:
      return "rebound";
    case MoveRule::overload:
      return "overload";
    case MoveRule::followed:
      break;
  }
  return "followed";
}

std::string_view name_of(CandidateRule rule) {
  switch (rule) {
    case CandidateRule::system_port:
      return "system_port";
    case CandidateRule::own_address:
      return "own_address";
    case CandidateRule::loopback:
      return "loopback";
    case CandidateRule::unusable:
      return "unusable";
    case CandidateRule::other_network:
      return "other_network";
    case CandidateRule::too_many_ports:
      return "too_many_ports";
    case CandidateRule::told_twice:
      return "told_twice";
    case CandidateRule::usable:
      break;
  }
  return "usable";
}

std::string_view sentence_of(CandidateRule rule) {
  switch (rule) {
    case CandidateRule::system_port:
      return "ports below 1024 are never probed on a peer's word";
    case CandidateRule::own_address:
      return "it is this node's own address";
    case CandidateRule::loopback:
      return "a loopback address means another machine here";
    case CandidateRule::unusable:
      return "no packet may go to such an address";
    case CandidateRule::other_network:
      return "a private address of another network";
    case CandidateRule::too_many_ports:
      return "two ports of one host are enough";
    case CandidateRule::told_twice:
      return "it was told twice";
    case CandidateRule::usable:
      break;
  }
  return "it is usable";
}

std::string_view name_of(PunchOutcome outcome) {
  switch (outcome) {
    case PunchOutcome::direct:
      return "direct";
    case PunchOutcome::no_way_through:
      return "no_way_through";
    case PunchOutcome::silent_peer:
      return "silent_peer";
    case PunchOutcome::given_up_there:
      return "given_up_there";
    case PunchOutcome::not_attested:
      return "not_attested";
    case PunchOutcome::no_sockets:
      return "no_sockets";
    case PunchOutcome::no_sample:
      return "no_sample";
    case PunchOutcome::busy:
      break;
  }
  return "busy";
}

struct PathFields {
  std::string_view remote;
  std::string_view relay;
  std::string_view turn;
};
constexpr PathFields of_path{"remote", "relay", "turn"};
constexpr PathFields of_former{"from", "from_relay", "from_turn"};
constexpr PathFields of_next{"to", "to_relay", "to_turn"};

void add_path(Fields& fields, const PathFields& names, const PathName& path) {
  fields.push_back({names.remote, path.remote.to_string()});
  if (path.relay) fields.push_back({names.relay, path.relay->to_hex()});
  if (path.over_turn) fields.push_back({names.turn, true});
}

void add_error(Fields& fields, const std::error_code& error, const std::string& reason) {
  fields.push_back({"error", error.message()});
  if (!reason.empty()) fields.push_back({"peer_says", reason});
}

struct Kind {
  std::string_view operator()(const decision::Dialled&) { return "dialled"; }
  std::string_view operator()(const decision::SessionUp&) { return "relay_session"; }
  std::string_view operator()(const decision::SessionDown&) { return "relay_session_over"; }
  std::string_view operator()(const decision::NoRelayHasPeer&) { return "no_relay_has_peer"; }
  std::string_view operator()(const decision::DirectFailed&) { return "direct_failed"; }
  std::string_view operator()(const decision::Unreachable&) { return "unreachable"; }
  std::string_view operator()(const decision::FirstAnswered&) { return "connected"; }
  std::string_view operator()(const decision::CandidateRefused&) { return "candidate_refused"; }
  std::string_view operator()(const decision::PlanMade&) { return "plan"; }
  std::string_view operator()(const decision::PunchOver&) { return "punch_ended"; }
  std::string_view operator()(const decision::Moved&) { return "moved"; }
  std::string_view operator()(const decision::HeldDown&) { return "held_down"; }
  std::string_view operator()(const decision::PathUnusable&) { return "path_unusable"; }
  std::string_view operator()(const decision::Disconnected&) { return "disconnected"; }
};

struct Text {
  std::string operator()(const decision::Dialled& d) {
    std::string text = "Dialled ";
    if (d.candidates == 0 && d.relays_asked) return "Asked the relays for the peer";
    text += std::to_string(d.candidates) + (d.candidates == 1 ? " address" : " addresses");
    if (d.relays_asked) text += ", and asked the relays for the peer";
    if (d.policy == PathPolicy::direct_only) text += "; relays are not allowed";
    if (d.policy == PathPolicy::relay_only) text += "; direct paths are not allowed";
    return text;
  }
  std::string operator()(const decision::SessionUp& d) {
    return "The relay " + d.relay.prefix() + " has the peer: a session over it stands";
  }
  std::string operator()(const decision::SessionDown& d) {
    return "The session over the relay " + d.relay.prefix() + " is over: " + d.error.message();
  }
  std::string operator()(const decision::NoRelayHasPeer& d) {
    return "No relay has the peer: " + d.error.message();
  }
  std::string operator()(const decision::DirectFailed& d) {
    return "No address answered, the relays are still being asked: " +
           error_text(d.error, d.reason);
  }
  std::string operator()(const decision::Unreachable& d) {
    return "Could not be reached: " + error_text(d.error, d.reason);
  }
  std::string operator()(const decision::FirstAnswered& d) {
    return std::string(d.dialled_by_us ? "Connected: " : "The peer connected: ") +
           path_text(d.path) + " answered first, in " + ms_text(d.rtt);
  }
  std::string operator()(const decision::CandidateRefused& d) {
    return "Did not probe " + d.candidate.address.to_string() +
           ", which the peer named: " + std::string(sentence_of(d.rule));
  }
  std::string operator()(const decision::PlanMade& d) {
    return "Plan: " + std::string(to_string(d.plan.technique)) +
           ". Here: " + std::string(to_string(d.here)) +
           ", there: " + std::string(to_string(d.there)) + ". " +
           std::string(to_sentence(d.plan.reason));
  }
  std::string operator()(const decision::PunchOver& d) {
    std::string text = "Punching by " + std::string(to_string(d.technique));
    text += d.outcome == PunchOutcome::direct ? " made a way through"
                                              : " failed: " + std::string(to_string(d.outcome));
    text += ", after " + std::to_string(d.probes) + " probes and " + ms_text(d.duration);
    if (d.back_off > Duration{}) text += "; again in " + seconds_text(d.back_off);
    return text;
  }
  std::string operator()(const decision::Moved& d) {
    return "Moved from " + path_text(d.from) + " to " + path_text(d.to) + ": " + rule_text(d);
  }
  std::string operator()(const decision::HeldDown& d) {
    return "Keeps off " + path_text(d.path) + " for " + seconds_text(d.time) +
           ": it failed while it was in use";
  }
  std::string operator()(const decision::PathUnusable& d) {
    const std::string head = "Did not move to " + path_text(d.path) + ": ";
    if (d.rule == decision::UnusableRule::no_answer) return head + "it does not answer any more";
    return head + "it answers small packets, but none of the 1,200 bytes that QUIC needs came back";
  }
  std::string operator()(const decision::Disconnected& d) {
    return "Disconnected: " + error_text(d.error, d.reason);
  }
};

struct ToFields {
  Fields operator()(const decision::Dialled& d) {
    return {{"candidates", std::int64_t{d.candidates}},
            {"relays_asked", d.relays_asked},
            {"policy", std::string(name_of(d.policy))}};
  }
  Fields operator()(const decision::SessionUp& d) { return {{"relay", d.relay.to_hex()}}; }
  Fields operator()(const decision::SessionDown& d) {
    return {{"relay", d.relay.to_hex()}, {"error", d.error.message()}};
  }
  Fields operator()(const decision::NoRelayHasPeer& d) { return {{"error", d.error.message()}}; }
  Fields operator()(const decision::DirectFailed& d) { return error_fields(d); }
  Fields operator()(const decision::Unreachable& d) { return error_fields(d); }
  Fields operator()(const decision::Disconnected& d) { return error_fields(d); }
  Fields operator()(const decision::FirstAnswered& d) {
    Fields fields{{"rtt_us", microseconds(d.rtt)}, {"dialled_by_us", d.dialled_by_us}};
    add_path(fields, of_path, d.path);
    return fields;
  }
  Fields operator()(const decision::CandidateRefused& d) {
    return {{"address", d.candidate.address.to_string()},
            {"candidate", std::string(name_of(d.candidate.kind))},
            {"rule", std::string(name_of(d.rule))}};
  }
  Fields operator()(const decision::PlanMade& d) {
    return {{"technique", std::string(to_string(d.plan.technique))},
            {"role", std::string(to_string(d.plan.role))},
            {"nat_here", std::string(to_string(d.here))},
            {"nat_there", std::string(to_string(d.there))},
            {"reason", std::string(to_sentence(d.plan.reason))},
            {"remedy", std::string(to_sentence(d.plan.remedy))}};
  }
  Fields operator()(const decision::PunchOver& d) {
    return {{"technique", std::string(to_string(d.technique))},
            {"outcome", std::string(name_of(d.outcome))},
            {"probes", std::int64_t{d.probes}},
            {"rounds", std::int64_t{d.rounds}},
            {"duration_us", microseconds(d.duration)},
            {"back_off_us", microseconds(d.back_off)}};
  }
  Fields operator()(const decision::Moved& d) {
    Fields fields{{"rule", std::string(name_of(d.why.rule))},
                  {"rtt_us", microseconds(d.rtt)},
                  {"stall_us", microseconds(d.stall)}};
    if (d.why.rule == MoveRule::cheaper) {
      fields.push_back({"cost_from_us", microseconds(d.why.cost_from)});
      fields.push_back({"cost_to_us", microseconds(d.why.cost_to)});
    }
    add_path(fields, of_former, d.from);
    add_path(fields, of_next, d.to);
    return fields;
  }
  Fields operator()(const decision::HeldDown& d) {
    Fields fields{{"time_us", microseconds(d.time)}};
    add_path(fields, of_path, d.path);
    return fields;
  }
  Fields operator()(const decision::PathUnusable& d) {
    const bool narrow = d.rule == decision::UnusableRule::too_narrow;
    Fields fields{{"rule", std::string(narrow ? "too_narrow" : "no_answer")}};
    add_path(fields, of_path, d.path);
    return fields;
  }

 private:
  template <class Failed>
  Fields error_fields(const Failed& d) {
    Fields fields;
    add_error(fields, d.error, d.reason);
    return fields;
  }
};

}  // namespace

std::string_view kind_of(const Decision& decision) {
  return std::visit(Kind{}, decision);
}

std::string to_text(const Decision& decision) {
  return std::visit(Text{}, decision);
}

std::vector<DecisionField> fields_of(const Decision& decision) {
  return std::visit(ToFields{}, decision);
}

std::string rule_text(const decision::FirstAnswered& first) {
  return first.dialled_by_us ? "it answered the dial first" : "the peer came along it";
}

std::string rule_text(const decision::Moved& moved) {
  switch (moved.why.rule) {
    case MoveRule::cheaper:
      return "it costs " + ms_text(moved.why.cost_to) + " instead of " +
             ms_text(moved.why.cost_from) +
             ", a round trip each, a relayed one counted twice with 20 ms more";
    case MoveRule::policy:
      return "the other path is not allowed";
    case MoveRule::rescue:
      return "the other path was silent for " + ms_text(moved.stall) + ", and this one answered";
    case MoveRule::hint:
      return "one side asked the other for it";
    case MoveRule::asked:
      return "the application asked for it";
    case MoveRule::rebound:
      return "the peer's NAT has given it another port";
    case MoveRule::overload:
      return "the other path's relay is overloaded";
    case MoveRule::followed:
      break;
  }
  if (moved.stall == Duration{}) return "the peer chose it";
  return "the peer chose it after " + ms_text(moved.stall) + " of silence";
}

}  // namespace quicmesh
