// A DHT of simulated nodes (PeerFabric of DhtCores): made with full tables or by joining, kept
// alive under churn, and asked for nodes.
//
// Full tables are made from what a god would know: of each bucket's range a node has met
// `met_per_bucket` random members, and its table keeps of them what it keeps by its own rules. So a
// million nodes begin as after hours, in a minute. Connections are made by use alone: `warm_up`
// lets every node look up a few random nodes, which fills the bounded pools the way use does.
//
// Honest terms of a measured lookup: the target is a random live node that its origin has no
// connection to and never asked for; it ends with the target's own answer; the yardstick is the
// round trip between both, which no lookup can beat. Every connection is paid for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "dht/dht_core.hpp"
#include "identity/peer_book.hpp"
#include "sim/peer_fabric.hpp"
#include "sim/session_lengths.hpp"

namespace quicmesh::sim {

struct DhtWorldConfig {
  std::uint64_t seed = 1;
  std::size_t nodes = 1000;
  dht::Config dht;
  Ratio loss{};
  /// Behind NATs, as clients: they ask and nobody remembers them.
  Ratio clients{};
  std::size_t met_per_bucket = 60;
  Duration tier_period = 3min;
};

/// One measured lookup.
struct MeasuredLookup {
  PeerHandle origin = no_peer;
  PeerHandle target = no_peer;
  Instant begun{};
  Duration direct{};              // the round trip between both
  std::optional<Duration> taken;  // until the end, found or not
  bool found = false;
  bool is_void = false;  // origin or target left meanwhile: nothing was there to be found
  dht::LookupCost cost{};
};

class DhtWorld {
 public:
  DhtWorld(const DhtWorldConfig& config, LatencyModel model);
  ~DhtWorld();
  DhtWorld(const DhtWorld&) = delete;
  DhtWorld& operator=(const DhtWorld&) = delete;

  using Fabric = PeerFabric<dht::DhtCore>;
  [[nodiscard]] Fabric& fabric() { return fabric_; }
  [[nodiscard]] const Fabric& fabric() const { return fabric_; }
  [[nodiscard]] const PeerBook& book() const { return *book_; }

  /// All nodes, with full tables and tiers; nobody is connected. O(n log n).
  void make_full();
  /// A first node, then all others over `span`, each by way of one random node that is there.
  void make_by_joining(Duration span);

  /// Every node looks up `lookups` random nodes, spread over `span`.
  void warm_up(std::size_t lookups, Duration span);

  /// From now on sessions end by these lengths, and for each that ends a new node joins by way of
  /// four random ones.
  void churn(const SessionLengths& lengths, Departure departure);
  /// A random part of all nodes stops at once.
  void kill(Ratio share);

  /// Runs `count` lookups, spread evenly over `span`, and waits until all are over.
  std::vector<MeasuredLookup> measure(std::size_t count, Duration span);

  /// A random node that runs.
  [[nodiscard]] PeerHandle random_live();
  [[nodiscard]] const std::vector<PeerHandle>& live() const { return live_; }

  /// Means over all nodes that run.
  struct Census {
    double contacts = 0;
    double dead_contacts = 0;  // that run no more
    double connections = 0;
    double tiers = 0;
    double core_bytes = 0;    // of the cores, on the heap and in themselves
    double fabric_bytes = 0;  // of the simulator's own records
  };
  [[nodiscard]] Census census() const;

 private:
  PeerHandle add_peer();
  void start_node(PeerHandle peer);
  void stop_node(PeerHandle peer, Departure departure);
  void fill_table(PeerHandle peer, const std::vector<std::pair<std::uint64_t, PeerHandle>>& sorted);
  void join(PeerHandle peer, std::size_t contacts);
  void begin_lookup(std::size_t index);
  void plan_end(PeerHandle peer, Duration session);
  void on_event(PeerHandle peer, dht::Event event);
  [[nodiscard]] bool is_client(PeerHandle peer) const;

  DhtWorldConfig config_;
  dht::Config client_config_;
  Rng rng_;
  Rng churn_rng_;
  std::unique_ptr<PeerBook> book_;
  Fabric fabric_;
  std::vector<PeerHandle> live_;
  std::vector<std::uint32_t> live_at_;  // by handle: the place in `live_`
  std::vector<bool> clients_;           // by handle
  std::optional<SessionLengths> lengths_;
  Departure departure_ = Departure::silent;
  std::vector<MeasuredLookup> measured_;
  std::unordered_map<std::uint64_t, std::size_t> running_;  // by origin and query
  std::size_t open_ = 0;
};

}  // namespace quicmesh::sim
