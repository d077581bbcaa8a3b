// See simulation.hpp.
#include "sim/simulation.hpp"

#include <cstdio>

namespace quicmesh::sim {

Simulation::Simulation(SimulationConfig config)
    : config_(std::move(config)),
      context_("seed " + std::to_string(config_.seed) + "; replay: " + config_.replay),
      root_(config_.seed),
      network_(queue_, trace_, root_.fork("network")),
      buffer_(transmit_buffer_size) {}

Simulation::~Simulation() = default;

Host& Simulation::host(HostId id) {
  const std::size_t index = index_of(id);
  QM_ASSERT(index < network_.host_count());
  if (index >= hosts_.size()) hosts_.resize(network_.host_count());
  if (hosts_[index] == nullptr) {
    const HostContext context{network_, queue_, trace_, now_, buffer_, complaint_};
    hosts_[index] = std::make_unique<Host>(context, id, root_.fork("host " + network_.name_of(id)));
  }
  return *hosts_[index];
}

void Simulation::after(Duration delay, std::function<void()> action) {
  std::uint32_t index = static_cast<std::uint32_t>(actions_.size());
  if (free_actions_.empty()) {
    actions_.push_back(std::move(action));
  } else {
    index = free_actions_.back();
    free_actions_.pop_back();
    actions_[index] = std::move(action);
  }
  queue_.push(now_ + delay, {EventKind::action, index, 0});
}

void Simulation::at(Duration offset, std::function<void()> action) {
  after(offset - elapsed(), std::move(action));
}

void Simulation::add_invariant(std::string name,
                               std::function<std::optional<std::string>()> check) {
  invariants_.push_back({std::move(name), std::move(check)});
}

void Simulation::fail(std::string what) {
  if (!complaint_) complaint_ = std::move(what);
}

void Simulation::on_interface_change(HostId host, std::function<void(InterfaceId)> listener) {
  listeners_.emplace_back(host, std::move(listener));
}

void Simulation::report_interface_changes() {
  while (const auto interface = network_.poll_interface_change()) {
    const HostId host = network_.host_of(*interface);
    // By index: a listener may add another.
    for (std::size_t i = 0; i < listeners_.size(); ++i) {
      if (listeners_[i].first == host) listeners_[i].second(*interface);
    }
  }
}

RunResult Simulation::ended(RunEnd end, std::string_view what) const {
  char seconds[40];
  std::snprintf(seconds, sizeof seconds, "%.6f", static_cast<double>(elapsed().count()) / 1e9);
  std::string message = std::string(what) + " at " + seconds + " s after " +
                        std::to_string(events_) + " events (seed " + std::to_string(config_.seed) +
                        ", trace " + trace_.hash_text() + ")";
  if (!config_.replay.empty()) message += "\nreplay: " + config_.replay;
  return {end, std::move(message)};
}

std::optional<RunResult> Simulation::check_invariants() {
  for (const Invariant& invariant : invariants_) {
    if (const auto violation = invariant.check()) {
      return ended(RunEnd::invariant, "invariant \"" + invariant.name + "\" failed: " + *violation);
    }
  }
  return std::nullopt;
}

std::optional<RunResult> Simulation::find_trouble() {
  if (complaint_) return ended(RunEnd::failed, *complaint_);
  if (events_ >= config_.event_budget) return ended(RunEnd::budget, "the event budget is spent");
  if (events_ % config_.invariant_interval == 0) return check_invariants();
  return std::nullopt;
}

/// Does the next event, which exists; true if it may have changed what a predicate looks at.
bool Simulation::step() {
  const auto entry = queue_.pop();
  now_ = entry.at;
  ++events_;
  switch (entry.payload.kind) {
    case EventKind::packet_at_core:
      (void)network_.handle(now_, entry.payload);  // reaches no host in this step
      return false;
    case EventKind::packet_at_attachment: {
      const auto delivery = network_.handle(now_, entry.payload);
      if (delivery) host(delivery->host).handle_packet(delivery->packet);
      return delivery.has_value();
    }
    case EventKind::host_wake_up:
      host(HostId{entry.payload.target}).handle_wake_up();
      return true;
    case EventKind::action:
      break;
  }
  const auto action = std::exchange(actions_[entry.payload.target], nullptr);
  free_actions_.push_back(entry.payload.target);
  action();
  return true;
}

RunResult Simulation::run_until(Duration offset) {
  const RunResult result = run_until([] { return false; }, offset);
  if (result.end != RunEnd::deadline && result.end != RunEnd::idle) return result;
  now_ = start + offset;
  return {};
}

RunResult Simulation::run_until(const std::function<bool()>& reached, Duration deadline) {
  const Instant end = start + deadline;
  // A failed assertion anywhere below names the seed and the replay command.
  set_assert_context(context_.c_str());
  const struct ContextEnd {
    ~ContextEnd() { set_assert_context(nullptr); }
  } context_end;

  report_interface_changes();
  std::optional<RunResult> trouble = find_trouble();
  bool done = !trouble && reached();
  while (!trouble && !done && queue_.next_time() <= end) {
    const bool touched = step();
    report_interface_changes();
    trouble = find_trouble();
    done = !trouble && touched && reached();
  }
  if (!trouble) trouble = check_invariants();
  if (trouble) return *trouble;
  if (done) return {};
  if (queue_.empty()) return ended(RunEnd::idle, "nothing is left to happen");
  now_ = end;
  return ended(RunEnd::deadline, "the goal was not reached");
}

}  // namespace quicmesh::sim
