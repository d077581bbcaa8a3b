// One simulated run: virtual time, the network, the hosts, planned faults, and the checks.
//
// Everything follows from the seed: each part draws from a generator forked by its own name, so
// that adding a host changes no draw of another, and events happen in the queue's exact order.
// Invariants are checked every so many events and at the end of each run; when one fails, or the
// event budget is spent, or a core stops time, the result says what happened, when, and the command
// that replays it.
//
//     Simulation simulation({.seed = 7, .replay = "quicmesh sim my-scenario --seed 7"});
//     auto host = simulation.network().add_host("a").value();
//     simulation.network().add_interface(host, {.name = "wifi", .address = ip});
//     auto node = simulation.run<MyCore>(host, std::make_unique<MyCore>(...), sink);
//     node.command([](MyCore& core, Instant now) { core.dial(now, peer); });
//     RunResult result = simulation.run_until([&] { return done; }, 30s);
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/assert.hpp"
#include "base/rng.hpp"
#include "sim/host.hpp"
#include "sim/network.hpp"
#include "sim/trace.hpp"

namespace quicmesh::sim {

struct SimulationConfig {
  std::uint64_t seed = 1;
  std::string replay;                        // the command, printed when something fails
  std::uint64_t event_budget = 200'000'000;  // over the whole simulation
  std::uint64_t invariant_interval = 1'000;  // events between two checks of all invariants
};

enum class RunEnd : std::uint8_t {
  reached,    // the predicate holds, or the time is there
  deadline,   // the time is there and the predicate does not hold
  idle,       // nothing is planned any more and the predicate does not hold
  invariant,  // one failed
  budget,     // too many events
  failed,     // a core kept time from passing, or `fail` was called
};

struct RunResult {
  RunEnd end = RunEnd::reached;
  std::string message;  // empty if reached; else what, when, and how to replay it

  explicit operator bool() const { return end == RunEnd::reached; }
};

/// The typed grip on a running core; valid until its host is stopped.
template <DatagramCore Core>
class CoreHandle {
 public:
  CoreHandle(Host& host, CoreProgram<Core>& program, const Instant& now)
      : host_(&host), program_(&program), now_(&now) {}

  /// Calls `mutate(core, now)`, then drives the host as the drive rule wants; returns its result.
  template <class Mutate>
  auto command(Mutate&& mutate) const {
    if constexpr (std::is_void_v<std::invoke_result_t<Mutate, Core&, Instant>>) {
      std::forward<Mutate>(mutate)(program_->core(), *now_);
      host_->drive();
    } else {
      auto result = std::forward<Mutate>(mutate)(program_->core(), *now_);
      host_->drive();
      return result;
    }
  }

  /// To look at only: what changes the core goes through `command`.
  [[nodiscard]] const Core& core() const { return program_->core(); }
  [[nodiscard]] Host& host() const { return *host_; }

 private:
  Host* host_;
  CoreProgram<Core>* program_;
  const Instant* now_;
};

class Simulation {
 public:
  /// Virtual time begins here and not at zero, so that no core takes `Instant{}` for now.
  static constexpr Instant start{1000s};

  explicit Simulation(SimulationConfig config);
  ~Simulation();
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

  [[nodiscard]] Network& network() { return network_; }
  [[nodiscard]] Trace& trace() { return trace_; }
  [[nodiscard]] Instant now() const { return now_; }
  [[nodiscard]] Duration elapsed() const { return now_ - start; }
  [[nodiscard]] std::uint64_t events() const { return events_; }
  [[nodiscard]] const SimulationConfig& config() const { return config_; }

  /// A generator of its own for `name`; the same name gives the same stream.
  [[nodiscard]] Rng rng(std::string_view name) const { return root_.fork(name); }

  /// The machine behind a host of the network: its sockets.
  [[nodiscard]] Host& host(HostId id);

  /// Runs `core` on `id`, which runs nothing yet; open its sockets first. Each event of the core is
  /// traced and then given to `sink`.
  template <DatagramCore Core>
  CoreHandle<Core> run(HostId id, std::unique_ptr<Core> core,
                       typename CoreProgram<Core>::Sink sink = {}) {
    auto program = std::make_unique<CoreProgram<Core>>(std::move(core), std::move(sink));
    CoreProgram<Core>& typed = *program;
    Host& machine = host(id);
    machine.start(std::move(program));
    return {machine, typed, now_};
  }

  /// Plans `action` for `delay` from now. Actions of one instant run in the order planned.
  void after(Duration delay, std::function<void()> action);

  /// Plans `action` for `offset` after the start; the offset is not in the past.
  void at(Duration offset, std::function<void()> action);

  /// `check` returns what is wrong, or nothing.
  void add_invariant(std::string name, std::function<std::optional<std::string>()> check);

  /// Ends the run at once, and every later one: `what` is wrong. The first reason is kept.
  void fail(std::string what);

  /// Called when an interface of `host` goes up or down or changes address (what netlink reports).
  void on_interface_change(HostId host, std::function<void(InterfaceId)> listener);

  /// Runs until `elapsed()` is `offset`; virtual time then is exactly there.
  RunResult run_until(Duration offset);

  /// Runs until `reached` holds, which is asked before the first event and after each that touched
  /// a host, or until `elapsed()` is `deadline`.
  RunResult run_until(const std::function<bool()>& reached, Duration deadline);

  /// Runs for `span` more.
  RunResult run_for(Duration span) { return run_until(elapsed() + span); }

 private:
  struct Invariant {
    std::string name;
    std::function<std::optional<std::string>()> check;
  };

  bool step();
  void report_interface_changes();
  [[nodiscard]] std::optional<RunResult> find_trouble();
  [[nodiscard]] std::optional<RunResult> check_invariants();
  [[nodiscard]] RunResult ended(RunEnd end, std::string_view what) const;

  SimulationConfig config_;
  std::string context_;  // printed by a failed assertion
  Rng root_;
  Instant now_ = start;
  SimulationQueue queue_;
  Trace trace_{start};
  Network network_;
  Bytes buffer_;
  std::optional<std::string> complaint_;
  std::vector<std::unique_ptr<Host>> hosts_;  // index: HostId; made when first asked for
  std::deque<std::function<void()>> actions_;
  std::vector<std::uint32_t> free_actions_;
  std::vector<Invariant> invariants_;
  std::vector<std::pair<HostId, std::function<void(InterfaceId)>>> listeners_;
  std::uint64_t events_ = 0;
};

}  // namespace quicmesh::sim
