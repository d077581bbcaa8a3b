// See decision_log.hpp.
#include "node/decision_log.hpp"

#include <algorithm>
#include <ranges>
#include <utility>

namespace quicmesh {
namespace {

void cut_reason(Decision& what) {
  const auto cut = [](std::string& reason) {
    if (reason.size() > DecisionLog::reason_max) reason.resize(DecisionLog::reason_max);
  };
  if (auto* failed = std::get_if<decision::DirectFailed>(&what)) cut(failed->reason);
  if (auto* failed = std::get_if<decision::Unreachable>(&what)) cut(failed->reason);
  if (auto* gone = std::get_if<decision::Disconnected>(&what)) cut(gone->reason);
}

}  // namespace

void DecisionLog::write(Instant now, const NodeId& peer, Decision what) {
  cut_reason(what);
  History& history = history_of(now, peer);
  digest(history, what);
  if (count_again(history, what)) {
    ++counters_.repeated;
    return;
  }
  auto& records = history.records;
  const auto same_kind = [&](const Record& one) { return one.what.index() == what.index(); };
  auto oldest = records.end();
  if (std::ranges::count_if(records, same_kind) >= static_cast<std::ptrdiff_t>(of_a_kind_max)) {
    oldest = std::ranges::find_if(records, same_kind);
  } else if (records.size() >= records_max) {
    oldest = records.begin();
  }
  if (oldest != records.end()) {
    records.erase(oldest);
    ++history.dropped;
    ++counters_.dropped;
  }
  records.push_back({now, 1, std::move(what)});
  ++counters_.recorded;
}

bool DecisionLog::count_again(History& history, const Decision& what) {
  const bool anywhere = std::holds_alternative<decision::CandidateRefused>(what);
  for (Record& record : std::views::reverse(history.records)) {
    if (record.what == what) {
      ++record.times;
      return true;
    }
    if (!anywhere) return false;
  }
  return false;
}

void DecisionLog::digest(History& history, const Decision& what) {
  using namespace decision;
  if (std::holds_alternative<Dialled>(what)) {
    history.dialled = true;
    history.failed.reset();
  } else if (std::holds_alternative<FirstAnswered>(what)) {
    history.path = what;
    history.failed.reset();
    history.punch.reset();
    history.punched.reset();
  } else if (std::holds_alternative<Moved>(what)) {
    history.path = what;
  } else if (const auto* punch = std::get_if<PunchOver>(&what)) {
    history.punch = *punch;
  } else if (const auto* failed = std::get_if<Unreachable>(&what)) {
    history.failed = failed->error;
  } else if (const auto* gone = std::get_if<Disconnected>(&what)) {
    history.failed = gone->error;
    history.path.reset();
    history.told.clear();
  }
}

void DecisionLog::note_punched(Instant now, const NodeId& peer, const NetworkPath& path) {
  history_of(now, peer).punched = path;
}

void DecisionLog::note_told(Instant now, const NodeId& peer, std::vector<Candidate> told) {
  history_of(now, peer).told = std::move(told);
}

const DecisionLog::History* DecisionLog::find(const NodeId& peer) const {
  const auto found = histories_.find(peer);
  return found == histories_.end() ? nullptr : &found->second;
}

DecisionLog::History& DecisionLog::history_of(Instant now, const NodeId& peer) {
  const auto found = histories_.find(peer);
  if (found == histories_.end() && histories_.size() >= peers_max) make_room();
  History& history = histories_[peer];
  history.written_at = now;
  return history;
}

void DecisionLog::make_room() {
  // The id at last, so that two runs of one seed forget the same peer.
  const auto goes = std::ranges::min_element(histories_, {}, [](const auto& entry) {
    const History& history = entry.second;
    return std::tuple(history.dialled, history.written_at, entry.first);
  });
  histories_.erase(goes);
  ++counters_.peers_dropped;
}

}  // namespace quicmesh
