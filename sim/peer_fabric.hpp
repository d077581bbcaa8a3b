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
// nobody answers ends in `Unreachable` at the dial's time-out. Of two simultaneous dials the older
// one wins. Only who dialled closes, as with DhtHost: what the other side needs no more is spare
// until then, and up again at once if it is wanted. Whoever is stopped without a word is missed by
// its peers at the idle time-out, and with a goodbye half a round trip later. Messages of a
// connection arrive in order.
//
// Tiers: a node's last 64 round trips are clustered (tiers/) every `tier_period`, and told to the
// core if they have changed.
//
// Everything follows from the seed and the calls; events of one instant happen in the order in
// which they were planned. The trace hash covers every event that happened.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "base/assert.hpp"
#include "base/hash.hpp"
#include "base/peer_core.hpp"
#include "sim/event_queue.hpp"
#include "sim/peer_ends.hpp"
#include "sim/peer_network.hpp"
#include "tiers/tier_watch.hpp"

namespace quicmesh::sim {

struct PeerFabricConfig {
  std::uint64_t seed = 1;
  Ratio loss{};                 // of a packet
  Duration idle_timeout = 30s;  // as in QuicConfig
  Duration dial_timeout = 10s;  // QuicConfig::handshake_timeout
  Duration tier_period = 3min;  // zero: no tiers are told
};

enum class Departure : std::uint8_t { silent, with_goodbye };

struct PeerFabricCounters {
  std::uint64_t events = 0;
  std::uint64_t dials = 0;
  std::uint64_t handshakes = 0;   // that both sides took part in
  std::uint64_t connections = 0;  // that came of them; the others were given up meanwhile
  std::uint64_t handshake_bytes = 0;
  std::uint64_t unreachable = 0;
  std::uint64_t lost_connections = 0;  // by the idle time-out
  std::uint64_t messages = 0;
  std::uint64_t message_bytes = 0;
  std::uint64_t not_up = 0;    // messages to a peer that was not up
  std::uint64_t too_late = 0;  // messages whose connection had gone
  std::uint64_t clusterings = 0;
};

template <PeerCore Core>
class PeerFabric {
 public:
  using Message = typename Core::Message;
  using Event = typename Core::Event;
  /// Gets each event of a core. May call anything of the fabric but `run_*`.
  using Sink = std::function<void(PeerHandle, Event)>;

  /// Virtual time begins here and not at zero, so that no core takes `Instant{}` for now.
  static constexpr Instant start{1000s};

  PeerFabric(const PeerFabricConfig& config, LatencyModel model, Sink sink = {})
      : config_(config),
        rng_(Rng(config.seed).fork("fabric")),
        network_(std::move(model), config.loss, rng_.fork("network")),
        sink_(std::move(sink)) {}

  [[nodiscard]] PeerNetwork& network() { return network_; }
  [[nodiscard]] const PeerNetwork& network() const { return network_; }
  [[nodiscard]] Instant now() const { return now_; }
  [[nodiscard]] const PeerFabricCounters& counters() const { return counters_; }
  [[nodiscard]] std::uint64_t trace_hash() const { return hash_; }
  void set_sink(Sink sink) { sink_ = std::move(sink); }
  /// Sees each message just before its receiver does: from, to, message.
  using Tap = std::function<void(PeerHandle, PeerHandle, const Message&)>;
  void set_tap(Tap tap) { tap_ = std::move(tap); }

  /// Runs `core` as `peer`, which the network contains and which runs nothing.
  void start_core(PeerHandle peer, std::unique_ptr<Core> core) {
    QM_ASSERT(network_.contains(peer));
    if (index(peer) >= nodes_.size()) nodes_.resize(index(peer) + 1);
    Node& node = nodes_[index(peer)];
    QM_ASSERT(node.core == nullptr && core != nullptr);
    node.core = std::move(core);
    node.timer = never;
    ++node.runs;
    ++running_;
    if (config_.tier_period > Duration{}) plan_tiers(peer);
    drain(peer);
  }

  /// Ends the core of `peer`, if it runs one.
  void stop_core(PeerHandle peer, Departure departure) {
    if (!runs(peer)) return;
    Node& node = nodes_[index(peer)];
    for (const PeerEnd& end : node.ends.take()) {
      const Duration noticed = departure == Departure::silent ? config_.idle_timeout
                                                              : network_.transit(rtt_of(peer, end));
      plan(now_ + noticed, Kind::gone, end.peer, peer, end.connection);
    }
    node.core.reset();
    node.recent.reset();
    --running_;
  }

  [[nodiscard]] bool runs(PeerHandle peer) const {
    return index(peer) < nodes_.size() && nodes_[index(peer)].core != nullptr;
  }
  [[nodiscard]] std::size_t running() const { return running_; }
  [[nodiscard]] const Core& core(PeerHandle peer) const { return *nodes_[index(peer)].core; }
  [[nodiscard]] const std::vector<PeerEnd>& ends(PeerHandle peer) const {
    return nodes_[index(peer)].ends.all();
  }

  /// Calls `mutate(core, now)` on the running core of `peer`, then drains it; returns its result.
  template <class Mutate>
  auto command(PeerHandle peer, Mutate&& mutate) {
    Core& target = *nodes_[index(peer)].core;
    if constexpr (std::is_void_v<std::invoke_result_t<Mutate, Core&, Instant>>) {
      std::forward<Mutate>(mutate)(target, now_);
      drain(peer);
    } else {
      auto result = std::forward<Mutate>(mutate)(target, now_);
      drain(peer);
      return result;
    }
  }

  /// Has `action` done `delay` from now.
  void after(Duration delay, std::function<void()> action) {
    std::uint32_t slot = 0;
    if (free_actions_.empty()) {
      slot = static_cast<std::uint32_t>(actions_.size());
      actions_.emplace_back();
    } else {
      slot = free_actions_.back();
      free_actions_.pop_back();
    }
    actions_[slot] = std::move(action);
    plan(now_ + delay, Kind::action, no_peer, no_peer, slot);
  }

  /// Cuts peers apart: each goes to the side that `side_of` names. Connections across the cut are
  /// lost at the idle time-out if it lasts so long; `heal` ends it.
  template <class SideOf>
  void cut(SideOf&& side_of) {
    for (std::uint32_t i = 0; i < nodes_.size(); ++i)
      network_.set_side(PeerHandle{i}, side_of(PeerHandle{i}));
    for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
      for (const PeerEnd& end : nodes_[i].ends.all()) {
        if (!network_.contains(end.peer) || !network_.is_cut(PeerHandle{i}, end.peer)) continue;
        plan(now_ + config_.idle_timeout, Kind::starved, PeerHandle{i}, end.peer, end.connection);
      }
    }
  }
  void heal() { network_.heal(); }

  /// A round trip of `peer` that was measured by other means than a connection of this run.
  void observe_rtt(PeerHandle peer, Duration rtt) {
    Node& node = nodes_[index(peer)];
    if (config_.tier_period == Duration{}) return;
    if (node.recent == nullptr) node.recent = std::make_unique<RecentRtts>();
    node.recent->add(rtt);
  }
  /// Clusters at once what was observed.
  void cluster_now(PeerHandle peer) {
    Node& node = nodes_[index(peer)];
    if (node.recent == nullptr || !std::exchange(node.recent->changed, false)) return;
    ++counters_.clusterings;
    std::array<LogRtt, RecentRtts::max> rtts = node.recent->rtts;
    const LatencyTiers tiers = cluster_tiers(std::span(rtts).first(node.recent->count));
    if (tiers == node.recent->told) return;
    node.recent->told = tiers;
    input(peer, peer::TiersChanged{tiers});
  }

  /// Lets everything happen that is planned up to and at `until`; then it is `until`.
  void run_until(Instant until) {
    (void)run_until([] { return false; }, until);
  }
  void run_for(Duration span) { run_until(now_ + span); }

  /// Until `reached` holds, which is asked before the first event and after each, or until `until`.
  /// Whether it holds.
  template <class Reached>
  bool run_until(Reached&& reached, Instant until) {
    // An event at the end, so that the queue need not look beyond: its wheel would follow, and
    // whatever is planned behind it goes to a slower heap.
    const std::uint32_t pause = ++pauses_;
    plan(std::max(now_, until), Kind::pause, no_peer, no_peer, pause);
    while (!reached()) {
      if (step() == pause) return false;
    }
    return true;
  }

  [[nodiscard]] std::size_t pending() const { return queue_.size(); }

  /// Bytes of the fabric's own records, cores not included.
  [[nodiscard]] std::size_t memory() const {
    std::size_t bytes = network_.memory() + nodes_.capacity() * sizeof(Node) +
                        letters_.capacity() * sizeof(Letter) + queue_.size() * sizeof(QueueEntry);
    for (const Node& node : nodes_)
      bytes += node.ends.memory() + (node.recent != nullptr ? sizeof(RecentRtts) : 0);
    return bytes;
  }

 private:
  enum class Kind : std::uint8_t {
    dial,     // arrives at `node`, from `other`
    stands,   // the connection to `other` is up at `node`
    direct,   // it has been punched; `node` dialled
    give_up,  // the dial of `other`
    message,  // `ref` is the letter
    wanted,   // the connection to `other` was spare, and `node` asks for one
    gone,     // `other` has closed, or is silent
    starved,  // nothing has come from `other` across a cut
    closed,   // `node`'s own Close has been carried out
    timer,
    tiers,
    action,
    pause,  // where `run_until` stops
  };
  struct Planned {
    std::uint32_t node = 0;
    std::uint32_t other = 0;
    std::uint32_t ref = 0;
    Kind kind{};
  };
  using Queue = EventQueue<Planned>;
  using QueueEntry = typename Queue::Entry;

  struct RecentRtts {
    static constexpr std::size_t max = 64;
    std::array<LogRtt, max> rtts{};
    std::uint8_t next = 0;
    std::uint8_t count = 0;
    bool changed = false;
    LatencyTiers told;

    void add(Duration rtt) {
      rtts[next] = log_rtt(rtt);
      next = static_cast<std::uint8_t>((next + 1U) % max);
      count = static_cast<std::uint8_t>(std::min<std::size_t>(count + 1U, max));
      changed = true;
    }
  };
  struct Node {
    std::unique_ptr<Core> core;
    std::unique_ptr<RecentRtts> recent;
    PeerEnds ends;
    Instant timer = never;            // the earliest planned
    std::uint32_t runs = 0;           // how many cores there were
    std::uint32_t idle_timeouts = 0;  // timeouts in a row in which no time passed
  };
  struct Letter {
    Message message;
    std::uint32_t connection = 0;
  };

  static constexpr std::uint32_t connection_mask = (1U << 28U) - 1;
  static constexpr std::uint32_t idle_timeouts_max = 1000;

  static std::size_t index(PeerHandle peer) { return static_cast<std::size_t>(peer); }
  static std::uint32_t number(PeerHandle peer) { return static_cast<std::uint32_t>(peer); }

  [[nodiscard]] Duration rtt_of(PeerHandle peer, const PeerEnd& end) const {
    return network_.rtt(peer, end.peer, end.relayed != 0);
  }
  [[nodiscard]] PeerEnd* find(PeerHandle peer, PeerHandle other) {
    return index(peer) < nodes_.size() ? nodes_[index(peer)].ends.find(other) : nullptr;
  }
  [[nodiscard]] PeerEnd* find(PeerHandle peer, PeerHandle other, std::uint32_t connection) {
    PeerEnd* end = find(peer, other);
    return end != nullptr && end->connection == connection ? end : nullptr;
  }

  void plan(Instant at, Kind kind, PeerHandle node, PeerHandle other, std::uint32_t ref) {
    queue_.push(at, {number(node), number(other), ref, kind});
  }

  // Lets the next event happen; the number of the pause if it was one, else 0.
  std::uint32_t step() {
    const QueueEntry entry = queue_.pop();
    now_ = entry.at;
    if (entry.payload.kind == Kind::pause) return entry.payload.ref;
    ++counters_.events;
    happen(entry.payload);
    return 0;
  }

  void happen(const Planned& event) {
    const PeerHandle node{event.node};
    const PeerHandle other{event.other};
    if (event.kind == Kind::timer) return on_timer(node);
    fold(static_cast<std::uint64_t>(event.kind), std::uint64_t{event.node} << 32U | event.other);
    switch (event.kind) {
      case Kind::dial:
        return on_dial(node, other, event.ref);
      case Kind::stands:
        return on_stands(node, other, event.ref);
      case Kind::direct:
        return on_direct(node, other, event.ref);
      case Kind::give_up:
        return on_give_up(node, other, event.ref);
      case Kind::message:
        return on_message(node, other, event.ref);
      case Kind::wanted:
        return on_wanted(node, other, event.ref);
      case Kind::gone:
        return on_gone(node, other, event.ref);
      case Kind::starved:
        if (network_.is_cut(node, other)) on_gone(node, other, event.ref);
        return;
      case Kind::closed:
        if (const PeerEnd* end = find(node, other, event.ref);
            end != nullptr && end->state() == EndState::closing) {
          nodes_[index(node)].ends.erase(other);
          input(node, peer::Down{other});
        }
        return;
      case Kind::tiers:
        if (runs(node) && nodes_[index(node)].runs == event.ref) {
          cluster_now(node);
          if (runs(node)) plan_tiers(node);
        }
        return;
      case Kind::action: {
        const auto action = std::exchange(actions_[event.ref], nullptr);
        free_actions_.push_back(event.ref);
        return action();
      }
      case Kind::timer:
      case Kind::pause:
        break;
    }
  }

  void fold(std::uint64_t a, std::uint64_t b) {
    const auto ns = static_cast<std::uint64_t>(now_.time_since_epoch().count());
    hash_ = hash_combine(hash_, hash_combine(ns ^ (a << 56U), b));
  }

  // What cores ask for.

  void drain(PeerHandle peer) {
    while (runs(peer)) {
      if (auto output = nodes_[index(peer)].core->poll_output()) {
        std::visit([&](auto& what) { carry_out(peer, what); }, *output);
      } else if (auto event = nodes_[index(peer)].core->poll_event()) {
        if (sink_) sink_(peer, std::move(*event));
      } else {
        return plan_timer(peer);
      }
    }
  }

  template <class Input>
  void input(PeerHandle peer, Input what) {
    if (!runs(peer)) return;
    nodes_[index(peer)].core->handle(now_, std::move(what));
    drain(peer);
  }

  void carry_out(PeerHandle peer, const peer::Open& open) {
    if (open.peer == peer) return;
    if (const PeerEnd* standing = find(peer, open.peer)) {
      if (standing->state() != EndState::spare) return;
      return plan(now_, Kind::wanted, peer, open.peer, standing->connection);
    }
    PeerEnd end;
    end.peer = open.peer;
    end.connection = ++connections_ & connection_mask;
    end.set(EndState::opening);
    ++counters_.dials;
    plan(now_ + config_.dial_timeout, Kind::give_up, peer, open.peer, end.connection);
    if (network_.contains(open.peer)) {
      end.relayed = network_.begins_relayed(open.peer) ? 1 : 0;
      const Duration there = network_.first_transit(rtt_of(peer, end));
      plan(now_ + there, Kind::dial, open.peer, peer, end.connection);
    }
    nodes_[index(peer)].ends.put(end);
  }

  void carry_out(PeerHandle peer, const peer::Close& close) {
    PeerEnd* end = find(peer, close.peer);
    if (end == nullptr || end->state() == EndState::closing) return;
    if (end->accepted != 0) {
      if (end->state() == EndState::up) end->set(EndState::spare);
      return;
    }
    const std::uint32_t connection = end->connection;
    if (network_.contains(close.peer)) {
      plan(now_ + network_.transit(rtt_of(peer, *end)), Kind::gone, close.peer, peer, connection);
    }
    if (end->state() == EndState::up) {
      end->set(EndState::closing);
      plan(now_, Kind::closed, peer, close.peer, connection);
    } else {
      nodes_[index(peer)].ends.erase(close.peer);
    }
  }

  void carry_out(PeerHandle peer, peer::Send<Message>& send) {
    const PeerEnd* end = find(peer, send.to);
    if (end == nullptr || (end->state() != EndState::up && end->state() != EndState::spare)) {
      ++counters_.not_up;
      return;
    }
    const std::uint64_t bytes = wire_size(send.message) + PeerNetwork::packet_overhead;
    ++counters_.messages;
    counters_.message_bytes += bytes;
    fold(bytes, std::uint64_t{number(peer)} << 32U | number(send.to));
    Instant arrival = now_ + network_.transit(rtt_of(peer, *end), bytes);
    if (network_.lossy()) arrival = in_order(peer, end->connection, arrival);
    std::uint32_t slot = 0;
    if (free_letters_.empty()) {
      slot = static_cast<std::uint32_t>(letters_.size());
      letters_.push_back({std::move(send.message), end->connection});
    } else {
      slot = free_letters_.back();
      free_letters_.pop_back();
      letters_[slot] = {std::move(send.message), end->connection};
    }
    plan(arrival, Kind::message, send.to, peer, slot);
  }

  // What was sent before and is still under way holds up what comes after it.
  Instant in_order(PeerHandle from, std::uint32_t connection, Instant arrival) {
    if (held_.size() >= 2 * held_checked_) {
      std::erase_if(held_, [&](const auto& entry) { return entry.second <= now_; });
      held_checked_ = std::max<std::size_t>(1024, held_.size());
    }
    Instant& last = held_[std::uint64_t{number(from)} << 32U | connection];
    return last = std::max(last, arrival);
  }

  void plan_timer(PeerHandle peer) {
    Node& node = nodes_[index(peer)];
    const Instant due = std::max(node.core->poll_timeout(), now_);
    if (due >= node.timer || due > Queue::latest) return;
    node.timer = due;
    plan(due, Kind::timer, peer, no_peer, 0);
  }

  void plan_tiers(PeerHandle peer) {
    const Duration period = config_.tier_period;
    plan(now_ + rng_.between(period * 7 / 8, period * 9 / 8), Kind::tiers, peer, no_peer,
         nodes_[index(peer)].runs);
  }

  // What happens.

  void on_timer(PeerHandle peer) {
    if (!runs(peer) || nodes_[index(peer)].timer != now_) return;  // an earlier one came since
    Node& node = nodes_[index(peer)];
    node.timer = never;
    if (node.core->poll_timeout() > now_) return plan_timer(peer);
    fold(static_cast<std::uint64_t>(Kind::timer), number(peer));
    node.core->handle_timeout(now_);
    node.idle_timeouts = node.core->poll_timeout() <= now_ ? node.idle_timeouts + 1 : 0;
    QM_ASSERT(node.idle_timeouts < idle_timeouts_max);  // a core keeps time from passing
    drain(peer);
  }

  void on_dial(PeerHandle peer, PeerHandle dialler, std::uint32_t connection) {
    const PeerEnd* from = find(dialler, peer, connection);
    if (from == nullptr || from->state() != EndState::opening || from->accepted != 0) return;
    if (network_.is_cut(peer, dialler)) {
      return plan(now_ + PeerNetwork::cut_retry, Kind::dial, peer, dialler, connection);
    }
    if (!runs(peer)) return;
    if (const PeerEnd* own = find(peer, dialler)) {
      if (own->state() == EndState::opening && own->accepted == 0) {
        if (own->connection < connection) return;  // our own dial is the older one
      } else if (own->state() == EndState::up || own->state() == EndState::spare) {
        // The dialler has given it up, and we have not heard of it yet.
        nodes_[index(peer)].ends.erase(dialler);
        input(peer, peer::Down{dialler});
        if (!runs(peer)) return;
      }
    }
    PeerEnd end;
    end.peer = dialler;
    end.connection = connection & connection_mask;
    end.set(EndState::opening);
    end.accepted = 1;
    end.relayed = from->relayed;
    nodes_[index(peer)].ends.put(end);
    ++counters_.handshakes;
    counters_.handshake_bytes += PeerNetwork::handshake_bytes;
    const Duration rtt = rtt_of(peer, end);
    // Our flight, the dialler's certificate and Finished, our word that we took them.
    const Instant here = now_ + network_.first_transit(rtt) + network_.handshake_transit(rtt);
    const Instant there = here + network_.handshake_transit(rtt);
    plan(here, Kind::stands, peer, dialler, connection);
    plan(there, Kind::stands, dialler, peer, connection);
    if (end.relayed == 0) return;
    if (const auto punching = network_.punching_time(dialler, peer)) {
      plan(there + *punching, Kind::direct, dialler, peer, connection);
    }
  }

  void on_stands(PeerHandle peer, PeerHandle other, std::uint32_t connection) {
    PeerEnd* end = find(peer, other, connection);
    if (end == nullptr || end->state() != EndState::opening) return;
    end->set(EndState::up);
    if (end->accepted == 0) ++counters_.connections;
    const Duration rtt = rtt_of(peer, *end);
    observe_rtt(peer, rtt);
    input(peer, peer::Up{other, rtt});
  }

  void on_wanted(PeerHandle peer, PeerHandle other, std::uint32_t connection) {
    PeerEnd* end = find(peer, other, connection);
    if (end == nullptr || end->state() != EndState::spare) return;
    end->set(EndState::up);
    input(peer, peer::Up{other, rtt_of(peer, *end)});
  }

  void on_direct(PeerHandle dialler, PeerHandle other, std::uint32_t connection) {
    if (network_.is_cut(dialler, other)) return;
    for (const auto& [peer, far] : {std::pair(dialler, other), std::pair(other, dialler)}) {
      PeerEnd* end = find(peer, far, connection);
      if (end == nullptr || end->relayed == 0) continue;
      end->relayed = 0;
      if (end->state() != EndState::up) continue;
      const Duration rtt = network_.rtt(peer, far);
      observe_rtt(peer, rtt);
      input(peer, peer::PathChanged{far, rtt});
    }
  }

  void on_give_up(PeerHandle peer, PeerHandle other, std::uint32_t connection) {
    const PeerEnd* end = find(peer, other, connection);
    if (end == nullptr || end->state() != EndState::opening) return;
    nodes_[index(peer)].ends.erase(other);
    ++counters_.unreachable;
    input(peer, peer::Unreachable{other});
  }

  void on_message(PeerHandle peer, PeerHandle from, std::uint32_t slot) {
    const std::uint32_t connection = letters_[slot].connection;
    const PeerEnd* end = find(peer, from, connection);
    if (end == nullptr || end->state() == EndState::closing) {
      ++counters_.too_late;
      letters_[slot].message = Message{};
      free_letters_.push_back(slot);
      return;
    }
    if (network_.is_cut(peer, from)) {
      return plan(now_ + PeerNetwork::cut_retry, Kind::message, peer, from, slot);
    }
    if (end->state() == EndState::opening) on_stands(peer, from, connection);
    Message message = std::move(letters_[slot].message);
    free_letters_.push_back(slot);
    if (find(peer, from, connection) == nullptr) return;
    if (tap_) tap_(from, peer, message);
    input(peer, peer::Received<Message>{from, std::move(message)});
  }

  void on_gone(PeerHandle peer, PeerHandle other, std::uint32_t connection) {
    const PeerEnd* end = find(peer, other, connection);
    if (end == nullptr) return;
    const EndState state = end->state();
    const bool dialled = end->accepted == 0;
    nodes_[index(peer)].ends.erase(other);
    ++counters_.lost_connections;
    if (state != EndState::opening) {
      input(peer, peer::Down{other});
    } else if (dialled) {
      ++counters_.unreachable;
      input(peer, peer::Unreachable{other});
    }
  }

  PeerFabricConfig config_;
  Rng rng_;
  PeerNetwork network_;
  Sink sink_;
  Tap tap_;
  Instant now_ = start;
  Queue queue_;
  std::vector<Node> nodes_;  // by handle
  std::size_t running_ = 0;
  std::uint32_t connections_ = 0;
  std::uint32_t pauses_ = 0;
  std::vector<Letter> letters_;
  std::vector<std::uint32_t> free_letters_;
  std::unordered_map<std::uint64_t, Instant> held_;  // the last arrival, by sender and connection
  std::size_t held_checked_ = 512;
  std::vector<std::function<void()>> actions_;
  std::vector<std::uint32_t> free_actions_;
  PeerFabricCounters counters_;
  std::uint64_t hash_ = 0x51C1'77EB'0F1A'33D5U;
};

}  // namespace quicmesh::sim
