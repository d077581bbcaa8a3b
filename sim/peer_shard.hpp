// A part of the peers of a PeerFabric (peer_fabric.hpp): their cores, their connections, and all
// that happens to them, in the order of their own agenda.
//
// A shard is run by one thread at a time, window by window, beside the others. In a window it
// touches nothing of theirs: what one of its peers does to a peer of another shard goes to an
// outbox and is taken from there at the beginning of the next window, by shard and then in the
// order in which it was put in. A window is not longer than the shortest way between two peers, so
// nothing comes too late. There are two sets of outboxes: while one is filled the other is emptied.
// What many shards share (network, book) does not change in a window, and the rest is their own:
// randomness, letters, counters, hash.
//
// A handshake is three events, each at its own end: `dial` arrives, the `answer` of who was
// dialled, with which the connection stands here, and `accepted` there. Who was dialled cannot know
// whether the dialler still wants it; a dialler who does not sends `gone` for an answer.
//
// Numbers of connections are unique among those that a shard's peers dial, and those of two shards
// differ. Of two simultaneous dials the one with the smaller number wins: both ends know both.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
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
#include "sim/peer_fabric_config.hpp"
#include "sim/peer_network.hpp"
#include "tiers/tier_watch.hpp"

namespace quicmesh::sim {

/// Who looks on.
template <PeerCore Core>
struct PeerWatch {
  using Message = typename Core::Message;

  /// Gets each event of a core.
  std::function<void(PeerHandle, typename Core::Event)> sink;
  /// Sees each message just before its receiver does: from, to, message.
  std::function<void(PeerHandle, PeerHandle, const Message&)> tap;
  /// Which messages the tap wants. Asked by several threads at once, in the middle of a window.
  std::function<bool(PeerHandle, PeerHandle, const Message&)> wants;
};

template <PeerCore Core>
class alignas(64) PeerShard {
 public:
  using Message = typename Core::Message;
  using Event = typename Core::Event;

  /// What whoever looks on is told after the window.
  struct Tapped {
    PeerHandle from = no_peer;
    Message message;
  };
  struct Seen {
    Instant at;
    PeerHandle peer = no_peer;
    std::variant<Event, Tapped> what;
  };

  /// All outlive the shard; only between windows may they change.
  PeerShard(std::size_t number, const PeerFabricConfig& config, const PeerNetwork& network,
            const PeerWatch<Core>& watch, const Rng& rng)
      : number_(number),
        config_(config),
        network_(network),
        watch_(watch),
        rng_(rng.fork("shard " + std::to_string(number))),
        losses_{rng_.fork("losses")} {}

  static std::size_t number_of(PeerHandle peer) { return index(peer) % PeerFabricConfig::shards; }

  // Between windows.

  void set_now(Instant now) { now_ = now; }

  void start_core(PeerHandle peer, std::unique_ptr<Core> core) {
    if (place(peer) >= nodes_.size()) nodes_.resize(place(peer) + 1);
    Node& node = node_of(peer);
    QM_ASSERT(node.core == nullptr && core != nullptr);
    node.core = std::move(core);
    node.timer = node.due = never;
    ++node.runs;
    if (config_.tier_period > Duration{}) plan_tiers(peer);
    drain(peer);
  }

  void stop_core(PeerHandle peer, Departure departure) {
    Node& node = node_of(peer);
    for (const PeerEnd& end : node.ends.take()) {
      if (!network_.contains(end.peer)) continue;
      if (departure == Departure::silent) {
        plan(now_ + config_.idle_timeout, Kind::gone, end.peer, peer, end.connection);
      } else {
        say_gone(peer, end.peer, end.connection, rtt_of(peer, end));
      }
    }
    node.core.reset();
    node.recent.reset();
  }

  /// Has connections starve that a cut goes through.
  void cut_off(PeerHandle peer) {
    if (place(peer) >= nodes_.size()) return;
    for (const PeerEnd& end : node_of(peer).ends.all()) {
      if (!network_.contains(end.peer) || !network_.is_cut(peer, end.peer)) continue;
      plan(now_ + config_.idle_timeout, Kind::starved, peer, end.peer, end.connection);
    }
  }

  template <class Mutate>
  auto command(PeerHandle peer, Mutate&& mutate) {
    Core& target = *node_of(peer).core;
    if constexpr (std::is_void_v<std::invoke_result_t<Mutate, Core&, Instant>>) {
      std::forward<Mutate>(mutate)(target, now_);
      drain(peer);
    } else {
      auto result = std::forward<Mutate>(mutate)(target, now_);
      drain(peer);
      return result;
    }
  }

  void observe_rtt(PeerHandle peer, Duration rtt) {
    Node& node = node_of(peer);
    if (config_.tier_period == Duration{}) return;
    if (node.recent == nullptr) node.recent = std::make_unique<RecentRtts>();
    node.recent->add(rtt);
  }

  void cluster_now(PeerHandle peer) {
    Node& node = node_of(peer);
    if (node.recent == nullptr || !std::exchange(node.recent->changed, false)) return;
    ++counters_.clusterings;
    std::array<LogRtt, RecentRtts::max> rtts = node.recent->rtts;
    const LatencyTiers tiers = cluster_tiers(std::span(rtts).first(node.recent->count));
    if (tiers == node.recent->told) return;
    node.recent->told = tiers;
    input(peer, peer::TiersChanged{tiers});
  }

  // A window.

  /// Nothing is planned before it, here or in an outbox.
  [[nodiscard]] Instant next() const { return next_; }

  /// Takes in what all shards have put into their outboxes of the other set than `filled` for this
  /// one, then has everything happen that is planned before `end`, `filled` taking what goes out.
  void run_window(std::span<const std::unique_ptr<PeerShard>> all, unsigned filled, Instant end) {
    in_window_ = true;
    window_end_ = end;
    filled_ = filled;
    out_next_ = never;
    used_[filled] = 0;
    for (const auto& from : all)
      if ((from->used_[1 - filled] >> number_ & 1U) != 0) take_in(from->out_[1 - filled][number_]);
    while (const auto entry = queue_.pop_before(end)) {
      now_ = entry->at;
      ++counters_.events;
      happen(entry->payload);
    }
    next_ = std::min(queue_.bound(), out_next_);
    in_window_ = false;
  }

  /// What was seen in the window, in its order.
  [[nodiscard]] std::vector<Seen>& seen() { return seen_; }

  // What there is.

  [[nodiscard]] std::uint64_t events() const { return counters_.events; }
  [[nodiscard]] bool runs(PeerHandle peer) const {
    return place(peer) < nodes_.size() && nodes_[place(peer)].core != nullptr;
  }
  [[nodiscard]] const Core& core(PeerHandle peer) const { return *nodes_[place(peer)].core; }
  [[nodiscard]] const std::vector<PeerEnd>& ends(PeerHandle peer) const {
    return nodes_[place(peer)].ends.all();
  }
  [[nodiscard]] PeerFabricCounters counters() const {
    PeerFabricCounters counters = counters_;
    counters.packets_lost = losses_.packets;
    return counters;
  }
  [[nodiscard]] std::uint64_t hash() const { return hash_; }
  [[nodiscard]] std::size_t pending() const {
    std::size_t pending = queue_.size();
    for (const auto& set : out_)
      for (const Outbox& box : set)
        pending += box.entries.size();
    return pending;
  }
  [[nodiscard]] std::size_t memory() const {
    std::size_t bytes = nodes_.capacity() * sizeof(Node) + letters_.capacity() * sizeof(Letter) +
                        queue_.size() * sizeof(QueueEntry);
    for (const auto& set : out_)
      for (const Outbox& box : set)
        bytes +=
            box.entries.capacity() * sizeof(QueueEntry) + box.letters.capacity() * sizeof(Letter);
    for (const Node& node : nodes_)
      bytes += node.ends.memory() + (node.recent != nullptr ? sizeof(RecentRtts) : 0);
    return bytes;
  }

 private:
  enum class Kind : std::uint8_t {
    dial,      // arrives at `node`, from `other`
    answer,    // to the dial of `node`
    accepted,  // the connection to `other`, which dialled, is up at `node`
    direct,    // it has been punched
    give_up,   // the dial of `other`
    message,   // `ref` is the letter
    wanted,    // the connection to `other` was spare, and `node` asks for one
    gone,      // `other` has closed, or is silent
    starved,   // nothing has come from `other` across a cut
    timer,
    tiers,
  };
  struct Planned {
    std::uint32_t node = 0;
    std::uint32_t other = 0;
    std::uint32_t ref = 0;
    Kind kind{};
  };
  // A tick of a millisecond, like a window: most of what is planned is placed once.
  using Queue = EventQueue<Planned, 20>;
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
  struct alignas(64) Node {
    std::unique_ptr<Core> core;
    std::unique_ptr<RecentRtts> recent;
    PeerEnds ends;
    Instant timer = never;            // the earliest planned
    Instant due = never;              // what the core said last
    std::uint32_t runs = 0;           // how many cores there were
    std::uint32_t idle_timeouts = 0;  // timeouts in a row in which no time passed
  };
  static_assert(sizeof(Node) == 64);
  struct Letter {
    Message message;
    std::uint32_t connection = 0;
  };
  /// For one other shard; `ref` of a message is its place in `letters`.
  struct Outbox {
    std::vector<QueueEntry> entries;
    std::vector<Letter> letters;
  };

  static constexpr std::uint32_t connection_mask = (1U << 28U) - 1;
  static constexpr std::uint32_t idle_timeouts_max = 1000;

  static std::size_t index(PeerHandle peer) { return static_cast<std::size_t>(peer); }
  static std::size_t place(PeerHandle peer) { return index(peer) / PeerFabricConfig::shards; }
  static std::uint32_t number(PeerHandle peer) { return static_cast<std::uint32_t>(peer); }
  [[nodiscard]] Node& node_of(PeerHandle peer) { return nodes_[place(peer)]; }

  [[nodiscard]] Duration rtt_of(PeerHandle peer, const PeerEnd& end) const {
    return network_.rtt(peer, end.peer, end.relayed != 0);
  }
  [[nodiscard]] Duration transit(Duration rtt, std::uint64_t bytes = 0) {
    return network_.transit(losses_, rtt, bytes);
  }
  [[nodiscard]] PeerEnd* find(PeerHandle peer, PeerHandle other) {
    return place(peer) < nodes_.size() ? node_of(peer).ends.find(other) : nullptr;
  }
  [[nodiscard]] PeerEnd* find(PeerHandle peer, PeerHandle other, std::uint32_t connection) {
    PeerEnd* end = find(peer, other);
    return end != nullptr && end->connection == connection ? end : nullptr;
  }

  // Agenda and outboxes.

  void plan(Instant at, Kind kind, PeerHandle node, PeerHandle other, std::uint32_t ref) {
    const Planned planned{number(node), number(other), ref, kind};
    if (number_of(node) == number_) {
      queue_.push(at, planned);
    } else {
      QM_ASSERT(!in_window_ || at >= window_end_);
      out_[filled_][number_of(node)].entries.push_back({at, planned});
      used_[filled_] |= 1U << number_of(node);
      out_next_ = std::min(out_next_, at);
    }
    next_ = std::min(next_, at);
  }

  void plan_message(Instant at, PeerHandle to, PeerHandle from, Letter letter) {
    std::uint32_t ref = 0;
    if (number_of(to) == number_) {
      ref = keep(std::move(letter));
    } else {
      auto& letters = out_[filled_][number_of(to)].letters;
      ref = static_cast<std::uint32_t>(letters.size());
      letters.push_back(std::move(letter));
    }
    plan(at, Kind::message, to, from, ref);
  }

  void take_in(Outbox& box) {
    for (QueueEntry& entry : box.entries) {
      if (entry.payload.kind == Kind::message) {
        entry.payload.ref = keep(std::move(box.letters[entry.payload.ref]));
      }
      queue_.push(entry.at, entry.payload);
    }
    box.entries.clear();
    box.letters.clear();
  }

  std::uint32_t keep(Letter letter) {
    if (free_letters_.empty()) {
      letters_.push_back(std::move(letter));
      return static_cast<std::uint32_t>(letters_.size() - 1);
    }
    const std::uint32_t slot = free_letters_.back();
    free_letters_.pop_back();
    letters_[slot] = std::move(letter);
    return slot;
  }

  void happen(const Planned& event) {
    const PeerHandle node{event.node};
    const PeerHandle other{event.other};
    if (event.kind == Kind::timer) return on_timer(node);
    fold(static_cast<std::uint64_t>(event.kind), std::uint64_t{event.node} << 32U | event.other);
    switch (event.kind) {
      case Kind::dial:
        return on_dial(node, other, event.ref);
      case Kind::answer:
        return on_answer(node, other, event.ref);
      case Kind::accepted:
        return on_accepted(node, other, event.ref);
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
      case Kind::tiers:
        if (runs(node) && node_of(node).runs == event.ref) {
          cluster_now(node);
          if (runs(node)) plan_tiers(node);
        }
        return;
      case Kind::timer:
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
      if (auto output = node_of(peer).core->poll_output()) {
        std::visit([&](auto& what) { carry_out(peer, what); }, *output);
      } else if (auto event = node_of(peer).core->poll_event()) {
        tell(peer, std::move(*event));
      } else if (!closing_.empty()) {
        finish_closing();
      } else {
        return plan_timer(peer);
      }
    }
  }

  /// Tells a core that what it has closed is closed.
  void finish_closing() {
    const auto [peer, other] = closing_.back();
    closing_.pop_back();
    if (!runs(peer)) return;
    node_of(peer).ends.erase(other);
    node_of(peer).core->handle(now_, peer::Down{other});
  }

  void tell(PeerHandle peer, Event event) {
    if (!watch_.sink) return;
    if (in_window_) {
      seen_.push_back({now_, peer, std::move(event)});
    } else {
      watch_.sink(peer, std::move(event));
    }
  }

  template <class Input>
  void input(PeerHandle peer, Input what) {
    if (!runs(peer)) return;
    node_of(peer).core->handle(now_, std::move(what));
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
    end.connection = next_connection() & connection_mask;
    end.set(EndState::opening);
    ++counters_.dials;
    if (network_.contains(open.peer)) {
      end.relayed = network_.begins_relayed(open.peer) ? 1 : 0;
      const Duration there = network_.first_transit(losses_, rtt_of(peer, end));
      plan(now_ + there, Kind::dial, open.peer, peer, end.connection);
    } else {
      plan(now_ + config_.dial_timeout, Kind::give_up, peer, open.peer, end.connection);
    }
    node_of(peer).ends.put(end);
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
      say_gone(peer, close.peer, connection, rtt_of(peer, *end));
    }
    if (end->state() == EndState::up) {
      end->set(EndState::closing);
      closing_.emplace_back(peer, close.peer);
    } else {
      node_of(peer).ends.erase(close.peer);
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
    const Instant arrival =
        in_order(peer, end->connection, now_ + transit(rtt_of(peer, *end), bytes));
    plan_message(arrival, send.to, peer, {std::move(send.message), end->connection});
  }

  std::uint32_t next_connection() {
    dialled_ += PeerFabricConfig::shards;
    return dialled_ | static_cast<std::uint32_t>(number_);
  }

  // What was sent before and is still under way holds up what comes after it.
  Instant in_order(PeerHandle from, std::uint32_t connection, Instant arrival) {
    if (!network_.lossy()) return arrival;
    if (held_.size() >= 2 * held_checked_) {
      std::erase_if(held_, [&](const auto& entry) { return entry.second <= now_; });
      held_checked_ = std::max<std::size_t>(1024, held_.size());
    }
    Instant& last = held_[std::uint64_t{number(from)} << 32U | connection];
    return last = std::max(last, arrival);
  }

  /// Not before `other` has heard of the connection that `peer` has no more.
  void say_gone(PeerHandle peer, PeerHandle other, std::uint32_t connection, Duration rtt) {
    plan(in_order(peer, connection, now_ + transit(rtt)), Kind::gone, other, peer, connection);
  }

  void plan_timer(PeerHandle peer) {
    Node& node = node_of(peer);
    node.due = std::max(node.core->poll_timeout(), now_);
    plan_timer(peer, node);
  }
  void plan_timer(PeerHandle peer, Node& node) {
    if (node.due >= node.timer || node.due > Queue::latest) return;
    node.timer = node.due;
    plan(node.due, Kind::timer, peer, no_peer, 0);
  }

  void plan_tiers(PeerHandle peer) {
    const Duration period = config_.tier_period;
    plan(now_ + rng_.between(period * 7 / 8, period * 9 / 8), Kind::tiers, peer, no_peer,
         node_of(peer).runs);
  }

  // What happens.

  void on_timer(PeerHandle peer) {
    if (!runs(peer) || node_of(peer).timer != now_) return;  // an earlier one came since
    Node& node = node_of(peer);
    node.timer = never;
    if (node.due > now_) return plan_timer(peer, node);
    fold(static_cast<std::uint64_t>(Kind::timer), number(peer));
    node.core->handle_timeout(now_);
    drain(peer);
    node.idle_timeouts = node.due <= now_ ? node.idle_timeouts + 1 : 0;
    QM_ASSERT(node.idle_timeouts < idle_timeouts_max);  // a core keeps time from passing
  }

  [[nodiscard]] PeerEnd accepted_end(PeerHandle peer, PeerHandle dialler,
                                     std::uint32_t connection) const {
    PeerEnd end;
    end.peer = dialler;
    end.connection = connection & connection_mask;
    end.set(EndState::opening);
    end.accepted = 1;
    end.relayed = network_.begins_relayed(peer) ? 1 : 0;
    return end;
  }

  void on_dial(PeerHandle peer, PeerHandle dialler, std::uint32_t connection) {
    const PeerEnd end = accepted_end(peer, dialler, connection);
    if (network_.is_cut(peer, dialler)) {
      leave_unanswered(peer, end);
      return plan(now_ + PeerNetwork::cut_retry, Kind::dial, peer, dialler, connection);
    }
    if (!runs(peer)) return leave_unanswered(peer, end);
    const PeerEnd* own = find(peer, dialler);
    const bool is_open = own != nullptr && own->state() != EndState::opening;
    if (own != nullptr && own->accepted != 0 && is_after(own->connection, connection)) {
      return;  // it was long under way: the dialler has dialled again since
    }
    if (own != nullptr && own->accepted == 0 && !is_open && own->connection < connection) {
      return leave_unanswered(peer, end);  // both dialled: ours it is, if it comes to anything
    }
    // A connection that stands gives way when the dialler has proved that it wants another one.
    if (!is_open) node_of(peer).ends.put(end);
    const Duration flight = network_.first_transit(losses_, rtt_of(peer, end));
    plan(now_ + flight, Kind::answer, dialler, peer, connection);
  }

  /// Has the dialler give up in time. Only who gets no answer is told to: an event less of each
  /// dial that succeeds.
  void leave_unanswered(PeerHandle peer, const PeerEnd& end) {
    plan(now_ + config_.dial_timeout - rtt_of(peer, end) / 2, Kind::give_up, end.peer, peer,
         end.connection);
  }

  void on_answer(PeerHandle dialler, PeerHandle peer, std::uint32_t connection) {
    const PeerEnd* end = find(dialler, peer, connection);
    if (end == nullptr || end->state() != EndState::opening) {
      return renounce(dialler, peer, connection);
    }
    ++counters_.handshakes;
    counters_.handshake_bytes += PeerNetwork::handshake_bytes;
    const Duration rtt = rtt_of(dialler, *end);
    // The dialler's certificate and Finished, the other side's word that it took them.
    const Instant there =
        in_order(dialler, connection, now_ + network_.handshake_transit(losses_, rtt));
    const Instant confirmed = there + network_.handshake_transit(losses_, rtt);
    plan(there, Kind::accepted, peer, dialler, connection);
    const auto punching = end->relayed == 0 ? std::nullopt : network_.punching_time(dialler, peer);
    if (punching) {
      plan(confirmed + *punching, Kind::direct, dialler, peer, connection);
      plan(confirmed + *punching, Kind::direct, peer, dialler, connection);
    }
    // Its first message goes with its last flight.
    on_stands(dialler, peer, connection);
  }

  /// Of two connections that one peer dialled, whether `one` is the later one; numbers wrap.
  static bool is_after(std::uint32_t one, std::uint32_t other) {
    return one != other && ((one - other) & connection_mask) <= connection_mask / 2;
  }

  /// Tells whom we dialled that we want no such connection (any more).
  void renounce(PeerHandle dialler, PeerHandle peer, std::uint32_t connection) {
    const Duration rtt = network_.rtt(dialler, peer, network_.begins_relayed(peer));
    say_gone(dialler, peer, connection, rtt);
  }

  void on_accepted(PeerHandle peer, PeerHandle dialler, std::uint32_t connection) {
    if (!runs(peer)) return;
    if (const PeerEnd* own = find(peer, dialler)) {
      if (own->connection == connection) return on_stands(peer, dialler, connection);
      if (own->state() == EndState::opening) return;
      if (own->accepted != 0 && is_after(own->connection, connection)) return;
      // The dialler has given it up, and we have not heard of it yet.
      say_gone(peer, dialler, own->connection, rtt_of(peer, *own));
      node_of(peer).ends.erase(dialler);
      input(peer, peer::Down{dialler});
      if (find(peer, dialler) != nullptr) return;
    }
    node_of(peer).ends.put(accepted_end(peer, dialler, connection));
    on_stands(peer, dialler, connection);
  }

  void on_stands(PeerHandle peer, PeerHandle other, std::uint32_t connection) {
    PeerEnd* end = find(peer, other, connection);
    if (end == nullptr) return renounce(peer, other, connection);
    if (end->state() != EndState::opening) return;
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

  void on_direct(PeerHandle peer, PeerHandle other, std::uint32_t connection) {
    if (network_.is_cut(peer, other)) return;
    PeerEnd* end = find(peer, other, connection);
    if (end == nullptr || end->relayed == 0) return;
    end->relayed = 0;
    if (end->state() != EndState::up) return;
    const Duration rtt = network_.rtt(peer, other);
    observe_rtt(peer, rtt);
    input(peer, peer::PathChanged{other, rtt});
  }

  void on_give_up(PeerHandle peer, PeerHandle other, std::uint32_t connection) {
    const PeerEnd* end = find(peer, other, connection);
    if (end == nullptr || end->state() != EndState::opening) return;
    node_of(peer).ends.erase(other);
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
    if (watch_.tap && (!watch_.wants || watch_.wants(from, peer, message))) {
      seen_.push_back({now_, peer, Tapped{from, message}});
    }
    input(peer, peer::Received<Message>{from, std::move(message)});
  }

  void on_gone(PeerHandle peer, PeerHandle other, std::uint32_t connection) {
    const PeerEnd* end = find(peer, other, connection);
    if (end == nullptr) return;
    const EndState state = end->state();
    const bool dialled = end->accepted == 0;
    node_of(peer).ends.erase(other);
    ++counters_.lost_connections;
    if (state != EndState::opening) {
      input(peer, peer::Down{other});
    } else if (dialled) {
      ++counters_.unreachable;
      input(peer, peer::Unreachable{other});
    }
  }

  std::size_t number_;
  const PeerFabricConfig& config_;
  const PeerNetwork& network_;
  const PeerWatch<Core>& watch_;
  Rng rng_;
  PeerNetwork::Losses losses_;
  Instant now_{};
  Instant next_ = never;
  Instant window_end_{};
  bool in_window_ = false;
  Queue queue_;
  std::vector<Node> nodes_;  // of handle / shards
  std::uint32_t dialled_ = 0;
  unsigned filled_ = 0;
  std::array<std::array<Outbox, PeerFabricConfig::shards>, 2> out_;
  std::array<std::uint32_t, 2> used_{};  // those that hold something, a bit each
  Instant out_next_ = never;             // the earliest in those that are being filled
  std::vector<Letter> letters_;
  std::vector<std::uint32_t> free_letters_;
  std::unordered_map<std::uint64_t, Instant> held_;  // the last arrival, by sender and connection
  std::size_t held_checked_ = 512;
  std::vector<std::pair<PeerHandle, PeerHandle>> closing_;  // by whom, to whom; while draining
  std::vector<Seen> seen_;
  PeerFabricCounters counters_;
  std::uint64_t hash_ = 0x51C1'77EB'0F1A'33D5U;
};

}  // namespace quicmesh::sim
