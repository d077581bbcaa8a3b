// DhtCore: one node's part in the DHT, a PeerCore (base/peer_core.hpp).
//
// It answers what others ask, and keeps the routing table from what they answer. A *server* is
// reachable and stands in tables; a *client* only asks, and nobody remembers it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "base/bounded_queue.hpp"
#include "base/peer_core.hpp"
#include "base/rng.hpp"
#include "dht/dht_config.hpp"
#include "dht/message.hpp"
#include "dht/routing_table.hpp"
#include "identity/peer_book.hpp"

namespace quicmesh::dht {

/// A command that was given and whose answer is an event; unique within a DhtCore.
enum class QueryId : std::uint32_t {};

/// The lookup of `find_node` is over.
struct FindNodeDone {
  QueryId query{};
  /// The nearest servers that answered, the nearest first; at most k.
  std::vector<PeerHandle> nearest;
  /// The target itself answered; it need not be a server's.
  bool found = false;
};

using Event = std::variant<FindNodeDone>;

struct Counters {
  std::uint64_t requests_answered = 0;
  std::uint64_t answers_unasked = 0;  // of no request of ours, or too late by far
};

class DhtCore {
 public:
  using Message = dht::Message;
  using Event = dht::Event;
  using Input = peer::Input<Message>;
  using Output = peer::Output<Message>;

  /// Outputs, and events, that wait to be drained. The driver drains after each call.
  static constexpr std::size_t queue_max = 1024;

  /// `config` and `book` outlive the core; `self` is the node's own handle.
  DhtCore(Instant now, const Config& config, PeerBook& book, PeerHandle self, Rng rng);

  void handle(Instant now, Input input);
  void handle_timeout(Instant now);
  std::optional<Output> poll_output();
  std::optional<Event> poll_event();
  [[nodiscard]] Instant poll_timeout() const;

  /// Whether the node serves others, by evidence: it can be reached by nodes that it never spoke
  /// to.
  void set_server(bool server) { server_ = server; }
  [[nodiscard]] bool is_server() const { return server_; }

  /// Takes `peer` for a live server that answered us in `rtt`, as often as proves it: for
  /// simulations that begin with full tables.
  void adopt(Instant now, PeerHandle peer, Duration rtt);

  [[nodiscard]] const RoutingTable& table() const { return table_; }
  [[nodiscard]] const LatencyTiers& tiers() const { return tiers_; }
  [[nodiscard]] const Counters& counters() const { return counters_; }

 private:
  void on(Instant now, const peer::Up& input);
  void on(Instant now, const peer::Down& input);
  void on(Instant now, const peer::Unreachable& input);
  void on(Instant now, const peer::PathChanged& input);
  void on(Instant now, const peer::TiersChanged& input);
  void on(Instant now, peer::Received<Message>& input);
  void answer(PeerHandle to, std::uint32_t request, Body body);

  const Config* config_;
  PeerBook* book_;
  PeerHandle self_;
  bool server_;
  Rng rng_;
  RoutingTable table_;
  LatencyTiers tiers_;
  BoundedQueue<Output, DropPolicy::refuse_newest> outputs_{queue_max};
  BoundedQueue<Event, DropPolicy::refuse_newest> events_{queue_max};
  Counters counters_;
};

static_assert(PeerCore<DhtCore>);

}  // namespace quicmesh::dht
