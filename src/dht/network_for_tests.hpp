// A few hundred DhtCores that speak to each other at fixed round trips, for unit tests.
//
// Deterministic: one queue, ordered by time and then by the order of sending. A message takes half
// a round trip; a connection costs one before its first message can go, as QUIC's does. Nothing is
// lost, except that dead and mute nodes hear and say nothing: to them nobody gets through, and
// connections that stood before go down `detection` after the death.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "dht/dht_core.hpp"

namespace quicmesh::dht {

class TestNetwork {
 public:
  static constexpr Duration detection = 10s;
  static constexpr Duration dial_patience = 3s;

  explicit TestNetwork(std::uint64_t seed, Config with = {.express = false})
      : config(with), rng_(seed) {
    config.records_needed = false;
  }

  /// The node of handle n is the n-th.
  std::size_t add() { return add(random_id(), &config); }
  /// `own_config` outlives the network.
  std::size_t add(const NodeId& id, const Config* own_config) {
    const PeerHandle self = book.intern(id);
    const std::size_t node = nodes_.size();
    EXPECT_EQ(std::to_underlying(self), node);
    nodes_.push_back(std::make_unique<Node>(
        DhtCore(now_, *own_config, book, self, rng_.fork("node " + std::to_string(node)))));
    drain(node);
    return node;
  }
  void add_all(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
      add();
  }

  NodeId random_id() {
    NodeId id;
    rng_.fill(id.bytes);
    return id;
  }

  DhtCore& core(std::size_t node) { return nodes_[node]->core; }
  static PeerHandle peer(std::size_t node) { return PeerHandle{static_cast<std::uint32_t>(node)}; }
  DhtKey key(std::size_t node) { return DhtKey::of(book.id(peer(node))); }
  [[nodiscard]] std::size_t size() const { return nodes_.size(); }
  [[nodiscard]] Instant now() const { return now_; }
  [[nodiscard]] bool alive(std::size_t node) const { return nodes_[node]->alive; }
  [[nodiscard]] bool connected(std::size_t a, std::size_t b) const {
    return links_.contains(link(a, b));
  }
  /// Connections that it has tried to open.
  [[nodiscard]] std::size_t dials(std::size_t node) const { return nodes_[node]->dials; }
  std::vector<Event>& events(std::size_t node) { return nodes_[node]->events; }
  Rng& rng() { return rng_; }

  /// Fills every table from all nodes, as after a long life: `per_bucket` random ones a bucket.
  void fill_tables(std::size_t per_bucket) {
    for (std::size_t node = 0; node < size(); ++node) {
      std::vector<std::size_t> others;
      for (std::size_t other = 0; other < size(); ++other)
        others.push_back(other);
      std::shuffle(others.begin(), others.end(), rng_);
      std::map<unsigned, std::size_t> filled;
      for (const std::size_t other : others) {
        if (other == node || ++filled[shared_bits(key(node), key(other))] > per_bucket) continue;
        core(node).adopt(now_, peer(other), rtt(node, other));
      }
      drain(node);
    }
  }

  /// Each node joins by the first, one after the other.
  void join_all(Duration apart) {
    for (std::size_t node = 1; node < size(); ++node) {
      const PeerHandle first = peer(0);
      core(node).bootstrap(now_, std::span(&first, 1));
      drain(node);
      run_for(apart);
    }
  }

  void kill(std::size_t node) {
    nodes_[node]->alive = false;
    for (const auto& [a, b] : std::set(links_)) {
      if (a == node || b == node) at(now_ + detection, [this, a = a, b = b] { cut(a, b); });
    }
  }

  Result<QueryId> find(std::size_t node, const DhtKey& target, FindOptions options = {}) {
    const auto query = core(node).find_node(now_, target, options);
    drain(node);
    return query;
  }
  template <class Command>
  Result<QueryId> command(std::size_t node, Command give) {
    const auto query = give(core(node));
    drain(node);
    return query;
  }
  void tell(std::size_t node, DhtCore::Input input) {
    core(node).handle(now_, std::move(input));
    drain(node);
  }

  /// Runs on until `node` has an event, and takes it. Fails after `patience`.
  template <class E = FindNodeDone>
  E wait_for(std::size_t node, Duration patience = 60s) {
    const Instant until = now_ + patience;
    while (events(node).empty() && step(until)) {
    }
    if (events(node).empty()) {
      ADD_FAILURE() << "no event";
      return {};
    }
    auto event = std::get<E>(events(node).front());
    events(node).erase(events(node).begin());
    return event;
  }
  void run_for(Duration duration) {
    const Instant until = now_ + duration;
    while (step(until)) {
    }
    now_ = until;
  }

  /// Runs on to what comes next; false if there is nothing before `until`.
  bool step(Instant until) {
    if (queue_.empty() || queue_.begin()->first.first > until) return false;
    auto next = queue_.extract(queue_.begin());
    now_ = std::max(now_, next.key().first);
    next.mapped()();
    return true;
  }

  /// The live nodes nearest to `target`, by a look at all.
  std::vector<PeerHandle> truly_nearest(const DhtKey& target, std::size_t count,
                                        std::size_t except) {
    std::vector<PeerHandle> peers;
    for (std::size_t node = 0; node < size(); ++node) {
      if (alive(node) && core(node).is_server() && node != except) peers.push_back(peer(node));
    }
    std::ranges::sort(peers, {},
                      [&](PeerHandle p) { return distance(target, DhtKey::of(book.id(p))); });
    peers.resize(std::min(count, peers.size()));
    return peers;
  }

  Config config;
  PeerBook book{1 << 16, 1};
  std::function<Duration(std::size_t, std::size_t)> rtt = [](std::size_t, std::size_t) {
    return 40ms;
  };
  /// Messages that nodes sent, and which are to be lost.
  std::function<bool(std::size_t from, std::size_t to, const Message&)> lose =
      [](std::size_t, std::size_t, const Message&) { return false; };
  /// What arrives instead of an honest message.
  std::function<void(std::size_t from, Message&)> twist = [](std::size_t, Message&) {};
  std::size_t messages = 0;
  std::size_t handshakes = 0;

 private:
  struct Node {
    explicit Node(DhtCore with) : core(std::move(with)) {}
    DhtCore core;
    bool alive = true;
    Instant timer = never;
    std::size_t dials = 0;
    std::vector<Event> events;
  };
  using Link = std::pair<std::size_t, std::size_t>;

  static Link link(std::size_t a, std::size_t b) { return {std::min(a, b), std::max(a, b)}; }
  static std::size_t node_of(PeerHandle peer) { return std::to_underlying(peer); }

  void at(Instant when, std::function<void()> what) {
    queue_.emplace(std::pair(when, ++sequence_), std::move(what));
  }

  void cut(std::size_t a, std::size_t b) {
    if (links_.erase(link(a, b)) == 0) return;
    for (const auto& [self, other] : {std::pair(a, b), std::pair(b, a)}) {
      if (alive(self)) tell(self, peer::Down{peer(other)});
    }
  }

  void open(std::size_t from, std::size_t to) {
    if (links_.contains(link(from, to)) || !opening_.insert({from, to}).second) return;
    ++handshakes;
    ++nodes_[from]->dials;
    const bool works = alive(to) && core(to).is_server();
    at(now_ + (works ? rtt(from, to) : dial_patience), [this, from, to, works] {
      if (opening_.erase({from, to}) == 0 || !alive(from)) return;
      if (!works || !alive(to)) {
        tell(from, peer::Unreachable{peer(to)});
        return;
      }
      if (!links_.insert(link(from, to)).second) return;
      tell(to, peer::Up{peer(from), rtt(from, to)});
      tell(from, peer::Up{peer(to), rtt(from, to)});
    });
  }

  void carry_out(std::size_t from, peer::Open output) { open(from, node_of(output.peer)); }
  void carry_out(std::size_t from, peer::Close output) {
    const std::size_t to = node_of(output.peer);
    opening_.erase({from, to});
    if (!links_.contains(link(from, to))) return;
    at(now_ + rtt(from, to) / 2, [this, from, to] { cut(from, to); });
  }
  void carry_out(std::size_t from, peer::Send<Message> output) {
    const std::size_t to = node_of(output.to);
    ++messages;
    if (!links_.contains(link(from, to)) || lose(from, to, output.message)) return;
    twist(from, output.message);
    at(now_ + rtt(from, to) / 2, [this, from, to, message = std::move(output.message)] {
      if (!alive(to) || !links_.contains(link(from, to))) return;
      tell(to, peer::Received<Message>{peer(from), message});
    });
  }

  void drain(std::size_t node) {
    Node& one = *nodes_[node];
    while (auto output = one.core.poll_output()) {
      if (one.alive) std::visit([&](auto& o) { carry_out(node, std::move(o)); }, *output);
    }
    while (auto event = one.core.poll_event())
      one.events.push_back(std::move(*event));
    const Instant timer = one.core.poll_timeout();
    if (timer == one.timer) return;
    one.timer = timer;
    if (timer == never) return;
    at(timer, [this, node, timer] {
      Node& due = *nodes_[node];
      if (!due.alive || due.timer != timer) return;
      due.timer = never;
      due.core.handle_timeout(now_);
      drain(node);
    });
  }

  Instant now_{100h};
  Rng rng_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::set<Link> links_;
  std::set<Link> opening_;  // from, to
  std::map<std::pair<Instant, std::uint64_t>, std::function<void()>> queue_;
  std::uint64_t sequence_ = 0;
};

}  // namespace quicmesh::dht
