// The peer-level simulator: runs PeerCores of one kind over a modelled network, in virtual time.
//
// What the packet simulator does with QUIC, NATs and relays is here a few rules (peer_network.hpp):
// how long a connection takes to stand, by whom it goes, what a message takes. Messages are handed
// over as structs, identities are handles of one shared book; so ten thousand nodes fit in a test
// and a million in a benchmark. A core cannot tell the difference.
//
// A connection, as either end sees it:
//
//     (none) --Open or dialled--> opening --handshake--> up --Close, Down at the other end,
//     other end dead for the idle time-out--> (none)
//
// The other end is up one and a half round trips after the dialler asked, the dialler half a round
// trip later: it speaks only when it has been told that its certificate was taken. A dial that
// nobody answers ends in `Unreachable` at the dial's time-out. Of two simultaneous dials one wins.
// Only who dialled closes, as with DhtHost: what the other side needs no more is spare until then,
// and up again at once if it is wanted. Whoever is stopped without a word is missed by its peers at
// the idle time-out, and with a goodbye half a round trip later. Messages of a connection arrive in
// order.
//
// Tiers: a node's last 64 round trips are clustered (tiers/) every `tier_period`, and told to the
// core if they have changed.
//
// Threads: peers are dealt into a fixed number of shards (peer_shard.hpp), which run side by side
// through windows of virtual time no longer than the shortest way between two peers: what one does
// in a window matters to another only after it (conservative simulation with lookahead; Chandy &
// Misra 1979, "Distributed simulation: a case study in design and verification of distributed
// programs"; Nicol 1993, "The cost of conservative synchronization in parallel discrete event
// simulation"). A window begins at the earliest thing planned, so empty time costs nothing, and
// ends before the next action: actions and commands, which may change anything, happen alone.
// Windows, shards and the order in which messages between shards are taken in follow from the seed
// and the calls, never from the threads.
//
// So everything follows from the seed and the calls. Actions of an instant come before what happens
// to peers in it; what happens to the peers of one shard, in the order in which it was planned. The
// trace hash covers every event that happened, shard by shard.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "base/assert.hpp"
#include "base/hash.hpp"
#include "base/peer_core.hpp"
#include "sim/barrier_pool.hpp"
#include "sim/event_queue.hpp"
#include "sim/peer_fabric_config.hpp"
#include "sim/peer_shard.hpp"

namespace quicmesh::sim {

template <PeerCore Core>
class PeerFabric {
 public:
  using Message = typename Core::Message;
  using Event = typename Core::Event;
  /// Gets each event of a core: within a command at once, else after the window in which it
  /// happened, in the order of time, while `now` is its instant. Changes nothing of the fabric.
  using Sink = decltype(PeerWatch<Core>::sink);
  /// Sees each message just before its receiver does, under the same terms: from, to, message.
  using Tap = decltype(PeerWatch<Core>::tap);
  /// Which messages the tap wants to see; the others cost nothing. Several threads ask it at once,
  /// in the middle of a window: what it reads is changed by actions, sink and tap alone.
  using Wants = decltype(PeerWatch<Core>::wants);

  /// Virtual time begins here and not at zero, so that no core takes `Instant{}` for now.
  static constexpr Instant start{1000s};
  /// Actions are done at whole ones of these; each instant that has some ends a window.
  static constexpr Duration action_step = 1ms;

  PeerFabric(const PeerFabricConfig& config, LatencyModel model, Sink sink = {})
      : config_(config),
        network_(std::move(model), config.loss),
        watch_{std::move(sink), {}, {}},
        pool_(std::clamp<std::size_t>(config.threads, 1, PeerFabricConfig::shards),
              [this](std::size_t thread) { run_shards(thread); }) {
    const Rng rng = Rng(config.seed).fork("fabric");
    for (std::size_t number = 0; number < PeerFabricConfig::shards; ++number)
      shards_.push_back(std::make_unique<Shard>(number, config_, network_, watch_, rng));
  }
  PeerFabric(const PeerFabric&) = delete;
  PeerFabric& operator=(const PeerFabric&) = delete;

  [[nodiscard]] PeerNetwork& network() { return network_; }
  [[nodiscard]] const PeerNetwork& network() const { return network_; }
  [[nodiscard]] Instant now() const { return now_; }
  [[nodiscard]] PeerFabricCounters counters() const {
    PeerFabricCounters all;
    all.events = actions_done_;
    for (const auto& shard : shards_)
      all += shard->counters();
    return all;
  }
  [[nodiscard]] std::uint64_t trace_hash() const {
    std::uint64_t hash = hash_;
    for (const auto& shard : shards_)
      hash = hash_combine(hash, shard->hash());
    return hash;
  }
  [[nodiscard]] std::size_t threads() const { return pool_.threads(); }
  void set_sink(Sink sink) { watch_.sink = std::move(sink); }
  void set_tap(Tap tap, Wants wants = {}) {
    watch_.tap = std::move(tap);
    watch_.wants = std::move(wants);
  }

  /// Runs `core` as `peer`, which the network contains and which runs nothing.
  void start_core(PeerHandle peer, std::unique_ptr<Core> core) {
    QM_ASSERT(network_.contains(peer));
    started_ = std::max(started_, static_cast<std::uint32_t>(peer) + 1);
    ++running_;
    shard_of(peer).start_core(peer, std::move(core));
  }

  /// Ends the core of `peer`, if it runs one.
  void stop_core(PeerHandle peer, Departure departure) {
    if (!runs(peer)) return;
    shard_of(peer).stop_core(peer, departure);
    --running_;
  }

  [[nodiscard]] bool runs(PeerHandle peer) const { return shard_of(peer).runs(peer); }
  [[nodiscard]] std::size_t running() const { return running_; }
  [[nodiscard]] const Core& core(PeerHandle peer) const { return shard_of(peer).core(peer); }
  [[nodiscard]] const std::vector<PeerEnd>& ends(PeerHandle peer) const {
    return shard_of(peer).ends(peer);
  }

  /// Calls `mutate(core, now)` on the running core of `peer`, then drains it; returns its result.
  template <class Mutate>
  auto command(PeerHandle peer, Mutate&& mutate) {
    return shard_of(peer).command(peer, std::forward<Mutate>(mutate));
  }

  /// Has `action` done `delay` from now, or up to an `action_step` later. It may call anything of
  /// the fabric but `run_*`.
  void after(Duration delay, std::function<void()> action) {
    QM_ASSERT(!telling_);
    std::uint32_t slot = 0;
    if (free_actions_.empty()) {
      slot = static_cast<std::uint32_t>(actions_.size());
      actions_.emplace_back();
    } else {
      slot = free_actions_.back();
      free_actions_.pop_back();
    }
    actions_[slot] = std::move(action);
    const Duration at = (now_ + delay).time_since_epoch() + action_step - Duration{1};
    agenda_.push(Instant{at - at % action_step}, slot);
  }

  /// Cuts peers apart: each goes to the side that `side_of` names. Connections across the cut are
  /// lost at the idle time-out if it lasts so long; `heal` ends it.
  template <class SideOf>
  void cut(SideOf&& side_of) {
    for (std::uint32_t i = 0; i < started_; ++i)
      network_.set_side(PeerHandle{i}, side_of(PeerHandle{i}));
    for (std::uint32_t i = 0; i < started_; ++i)
      shard_of(PeerHandle{i}).cut_off(PeerHandle{i});
  }
  void heal() { network_.heal(); }

  /// A round trip of `peer` that was measured by other means than a connection of this run.
  void observe_rtt(PeerHandle peer, Duration rtt) { shard_of(peer).observe_rtt(peer, rtt); }
  /// Clusters at once what was observed.
  void cluster_now(PeerHandle peer) { shard_of(peer).cluster_now(peer); }

  /// Lets everything happen that is planned up to and at `until`; then it is `until`.
  void run_until(Instant until) {
    (void)run_until([] { return false; }, until);
  }
  void run_for(Duration span) { run_until(now_ + span); }

  /// Until `reached` holds, which is asked first and after each action and window, or until
  /// `until`. Whether it holds.
  template <class Reached>
  bool run_until(Reached&& reached, Instant until) {
    while (!reached()) {
      const Instant action = agenda_.next_time();
      Instant next = never;
      for (const auto& shard : shards_)
        next = std::min(next, shard->next());
      next = std::max(next, now_);
      if (std::min(action, next) > until) {
        now_ = std::max(now_, until);
        return false;
      }
      if (action <= next) {
        act();
      } else {
        run_window(std::min({next + PeerNetwork::transit_min, action, until + Duration{1}}));
        now_ = std::min(window_end_, until);
      }
    }
    return true;
  }

  [[nodiscard]] std::size_t pending() const {
    std::size_t pending = agenda_.size();
    for (const auto& shard : shards_)
      pending += shard->pending();
    return pending;
  }

  /// Bytes of the fabric's own records, cores not included.
  [[nodiscard]] std::size_t memory() const {
    std::size_t bytes = network_.memory();
    for (const auto& shard : shards_)
      bytes += shard->memory();
    return bytes;
  }

 private:
  using Shard = PeerShard<Core>;

  [[nodiscard]] const Shard& shard_of(PeerHandle peer) const {
    return *shards_[Shard::number_of(peer)];
  }
  /// To change something of it, now.
  [[nodiscard]] Shard& shard_of(PeerHandle peer) {
    QM_ASSERT(!telling_);
    Shard& shard = *shards_[Shard::number_of(peer)];
    shard.set_now(now_);
    return shard;
  }

  /// The next action.
  void act() {
    const auto entry = agenda_.pop();
    now_ = entry.at;
    ++actions_done_;
    hash_ = hash_combine(hash_, static_cast<std::uint64_t>(now_.time_since_epoch().count()));
    const auto action = std::exchange(actions_[entry.payload], nullptr);
    free_actions_.push_back(entry.payload);
    action();
  }

  void run_window(Instant end) {
    window_end_ = end;
    filled_ = 1 - filled_;
    const std::uint64_t before = happened_;
    if (worth_threads_) {
      pool_.run();
    } else {
      for (const auto& shard : shards_)
        shard->run_window(shards_, filled_, window_end_);
    }
    happened_ = 0;
    for (const auto& shard : shards_)
      happened_ += shard->events();
    // A window is much like the one before.
    worth_threads_ = happened_ - before >= config_.worth_threads;
    tell();
  }

  /// What a thread does in a window.
  void run_shards(std::size_t thread) {
    for (std::size_t i = thread; i < shards_.size(); i += pool_.threads())
      shards_[i]->run_window(shards_, filled_, window_end_);
  }

  /// Tells what was seen in the window.
  void tell() {
    told_.clear();
    for (const auto& shard : shards_)
      for (auto& seen : shard->seen())
        told_.push_back(&seen);
    if (told_.empty()) return;
    std::ranges::stable_sort(told_, {}, [](const auto* seen) { return seen->at; });
    telling_ = true;
    for (auto* seen : told_) {
      now_ = seen->at;
      if (auto* tapped = std::get_if<typename Shard::Tapped>(&seen->what)) {
        if (watch_.tap) watch_.tap(tapped->from, seen->peer, tapped->message);
      } else if (watch_.sink) {
        watch_.sink(seen->peer, std::move(std::get<Event>(seen->what)));
      }
    }
    telling_ = false;
    for (const auto& shard : shards_)
      shard->seen().clear();
  }

  PeerFabricConfig config_;
  PeerNetwork network_;
  PeerWatch<Core> watch_;
  std::vector<std::unique_ptr<Shard>> shards_;
  Instant now_ = start;
  Instant window_end_ = start;
  std::uint64_t happened_ = 0;  // events of peers in all
  bool worth_threads_ = false;
  unsigned filled_ = 0;        // which outboxes
  std::uint32_t started_ = 0;  // handles below it may have run
  std::size_t running_ = 0;
  EventQueue<std::uint32_t> agenda_;  // of actions
  std::vector<std::function<void()>> actions_;
  std::vector<std::uint32_t> free_actions_;
  std::uint64_t actions_done_ = 0;
  std::uint64_t hash_ = 0x51C1'77EB'0F1A'33D5U;
  std::vector<typename Shard::Seen*> told_;
  bool telling_ = false;
  BarrierPool pool_;  // ends before what its threads work on
};

}  // namespace quicmesh::sim
