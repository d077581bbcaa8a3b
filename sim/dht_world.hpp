// A DHT of simulated nodes (PeerFabric of DhtCores): made with full tables or by joining, kept
// alive under churn, and asked for nodes.
//
// Full tables are made from what a god would know: of each bucket's range a node has met
// `met_per_bucket` random members, and its table keeps of them what it keeps by its own rules. So a
// million nodes begin as after hours, in a minute. Connections are made by use alone: `warm_up`
// lets every node look up a few random nodes, which fills the bounded pools the way use does.
//
// Honest terms of a measured lookup: the target is a random live node that its origin has neither a
// connection to nor in its table, and never asked for. The yardstick is the round trip between the
// origin and whoever gave the answer that ended the lookup, which nobody can beat who knows whom to
// ask: the target itself, or the one who had its record (`Ask`), however many nodes the answer came
// through. Every connection is paid for.
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
#include "sim/dht_actor.hpp"
#include "sim/peer_fabric.hpp"
#include "sim/session_lengths.hpp"

namespace quicmesh::sim {

/// What a measured lookup asks for.
enum class Ask : std::uint8_t {
  node,    // the node itself answers (`find_node`, `until_found`)
  record,  // anybody names it with its endpoint record, which it signed (`resolve`)
};

struct DhtWorldConfig {
  std::uint64_t seed = 1;
  Ask ask = Ask::node;
  std::size_t nodes = 1000;
  dht::Config dht;
  Ratio loss{};
  /// Behind NATs, as clients: they ask and nobody remembers them.
  Ratio clients{};
  std::size_t met_per_bucket = 60;
  Duration tier_period = 3min;
  // Results depend on neither; see PeerFabricConfig.
  std::size_t threads = 1;
  std::uint64_t worth_threads = PeerFabricConfig().worth_threads;

  // An attack.

  /// Of the nodes made at the beginning; random ones.
  Ratio hostile{};
  Hostility hostility{};
  /// Further hostile nodes, whose ids were ground until they stood around `key_under_attack`.
  std::size_t ground_ids = 0;
  DhtKey key_under_attack;
  /// Hostile nodes have so many public prefixes between them; 0: each has its own.
  std::size_t hostile_groups = 0;
  /// Hostile nodes are in every city.
  bool hostile_everywhere = false;
  /// Liars name peers that are not there.
  bool name_the_dead = false;
};

/// One measured lookup.
struct MeasuredLookup {
  PeerHandle origin = no_peer;
  PeerHandle target = no_peer;
  Instant begun{};
  Duration direct{};              // the round trip between both
  PeerHandle answerer = no_peer;  // whose answer ended it, `target` or one that had its record
  Duration to_answerer{};         // the round trip to that one
  bool by_express = false;
  /// The first express answer of anybody's named another node: who believed it would be misled.
  std::optional<bool> first_express_false;
  std::optional<Duration> taken;  // until the end, found or not
  bool found = false;
  bool is_void = false;  // origin or target left meanwhile: nothing was there to be found
  dht::LookupCost cost{};
};

/// One value, put by one node and got by another.
struct MeasuredValue {
  PeerHandle origin = no_peer;
  dht::ValueKind kind{};
  DhtKey key;
  Bytes bytes;  // what was put last
  Bytes older;  // what was put before that
  /// The first answer with one of both had the older: who believed it would be misled.
  std::optional<bool> first_was_older;
  bool over = false;
  bool found = false;  // what was put last, and nothing else
  unsigned holders = 0;
  unsigned false_values = 0;
  dht::LookupCost cost{};
};

class DhtWorld {
 public:
  DhtWorld(const DhtWorldConfig& config, LatencyModel model);
  ~DhtWorld();
  DhtWorld(const DhtWorld&) = delete;
  DhtWorld& operator=(const DhtWorld&) = delete;

  using Fabric = PeerFabric<DhtActor>;
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

  /// Puts these values, each by a random honest node, spread over `span`; waits until all are put.
  void put_all(const std::vector<MeasuredValue>& values, Duration span);
  /// Gets each by a random honest node, spread over `span`, and waits until all have ended.
  void get_all(std::vector<MeasuredValue>& values, Duration span);

  /// The time of day that all nodes know.
  [[nodiscard]] WallTime wall_time() const;

  /// A random node that runs and is not hostile.
  [[nodiscard]] PeerHandle random_honest();
  [[nodiscard]] bool is_hostile(PeerHandle peer) const {
    return static_cast<std::size_t>(peer) < hostile_.size() &&
           hostile_[static_cast<std::size_t>(peer)];
  }
  /// Starts a node that joins by way of `known`; the node.
  PeerHandle join_by(const std::vector<PeerHandle>& known);
  /// The same node begins anew, with nothing but `known`.
  void restart(PeerHandle peer, const std::vector<PeerHandle>& known);

  /// A random node that runs.
  [[nodiscard]] PeerHandle random_live();
  [[nodiscard]] const std::vector<PeerHandle>& live() const { return live_; }

  /// Means over all nodes that run.
  struct Census {
    double contacts = 0;
    double dead_contacts = 0;  // that run no more
    double connections = 0;
    double tiers = 0;
    double k = 0;
    double alpha = 0;
    double core_bytes = 0;    // of the cores, on the heap and in themselves
    double fabric_bytes = 0;  // of the simulator's own records
  };
  [[nodiscard]] Census census() const;

  /// What hostile nodes have of the contacts of honest ones, in percent.
  struct Captured {
    double contacts = 0;
    double near_half = 0;    // of those that are kept for their RTT
    double random_half = 0;  // of the others
    std::size_t all_near = 0;
    std::size_t all_random = 0;
    std::size_t dead = 0;  // contacts that do not run
    std::size_t most_of_a_group_in_bucket = 0;
    std::size_t most_of_a_group_in_table = 0;
  };
  [[nodiscard]] Captured captured() const;
  [[nodiscard]] Captured captured(PeerHandle peer) const;

 private:
  PeerHandle add_peer(bool hostile = false);
  PeerHandle add_ground_peer();
  void place_peer(PeerHandle peer, bool hostile);
  void add_captured(Captured& sum, PeerHandle peer) const;
  [[nodiscard]] static Captured shares(Captured sum);
  void on_value(PeerHandle peer, const dht::Event& event);
  void on_value_message(PeerHandle to, const dht::Message& message);
  void start_node(PeerHandle peer);
  void stop_node(PeerHandle peer, Departure departure);
  void fill_table(PeerHandle peer, const std::vector<std::pair<std::uint64_t, PeerHandle>>& sorted);
  void join(PeerHandle peer, std::size_t contacts);
  void begin_lookup(std::size_t index);
  void close_lookup(std::size_t index);
  void plan_end(PeerHandle peer, Duration session);
  /// Hears of events, and of messages that concern what is measured; `look_away` ends it.
  void look_on();
  void look_away();
  [[nodiscard]] bool concerns_measured(PeerHandle to, const dht::Message& message) const;
  void on_event(PeerHandle peer, dht::Event event);
  void on_message(PeerHandle from, PeerHandle to, const dht::Message& message);
  [[nodiscard]] bool is_known(PeerHandle origin, PeerHandle target) const;
  Result<dht::QueryId> ask(dht::DhtCore& core, Instant now, PeerHandle target) const;
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
  std::vector<bool> hostile_;           // by handle
  std::size_t hostile_count_ = 0;
  Conspiracy conspiracy_;
  std::optional<SessionLengths> lengths_;
  Departure departure_ = Departure::silent;
  std::vector<MeasuredLookup> measured_;
  std::unordered_map<std::uint64_t, std::size_t> running_;  // by origin and query
  std::vector<MeasuredValue>* values_ = nullptr;            // being got
  std::unordered_map<std::uint64_t, std::size_t> getting_;  // by origin and query
  std::optional<std::size_t> beginning_;                    // the one that is being asked for
  std::size_t open_ = 0;

  /// Who gave the answers that are on their way, by target and by who passed them on.
  std::unordered_map<std::uint64_t, PeerHandle> carried_;
  std::unordered_map<PeerHandle, std::size_t> by_origin_;  // lookups that are open
  std::unordered_map<PeerHandle, std::size_t> by_target_;
};

}  // namespace quicmesh::sim
