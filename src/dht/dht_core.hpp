// DhtCore: one node's part in the DHT, a PeerCore (base/peer_core.hpp).
//
// It answers what others ask, keeps the routing table from what they answer, and runs lookups. A
// *server* is reachable and stands in tables; a *client* only asks, and nobody remembers it.
//
// A request to a peer without a connection opens one and waits for it. Who lets a request time out,
// or cannot be reached, loses standing in the table, unless we heard from nobody meanwhile: then it
// may be us who are cut off. A contact under suspicion is asked once more by itself.
//
// A value is put in two parts: a lookup of its key, then a Put to each of the k nearest. Where
// these stand much denser than servers do elsewhere, put and get go on to the region in which k
// honest ones must be (dht_core_region.cpp).
//
// Express (ARCHITECTURE section 4): who stands at an id, and what an immutable value is, can be
// told by anybody, since the reader can verify it. So these are first asked from hop to hop over
// connections that stand, by latency; if that takes longer than usual, or comes to a dead end, by a
// second query over contacts chosen without regard to it. A lookup begins only after twice the
// usual time, or when both came to dead ends. A node passes on what it cannot answer, to one peer
// nearer to the target, or says that it cannot.
//
// Timers: each open request's (late, given up); each lookup's deadline; the refresh of the bucket
// untouched for longest (interval +-20 %), one at a time; the next check of a suspect (1 s apart);
// the judgement of k and alpha, while there is evidence; the next request that the budget allows;
// the store's look at what expires and is put again; each lookup's second express query; the end of
// each express query; the next look at which connections to keep (1 s after a wanted one went, 10 s
// after a contact came), and the next time that those who closed theirs are asked again (10 min).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "base/bounded_queue.hpp"
#include "base/peer_core.hpp"
#include "base/rng.hpp"
#include "dht/adaptation.hpp"
#include "dht/density.hpp"
#include "dht/dht_config.hpp"
#include "dht/dht_errc.hpp"
#include "dht/express.hpp"
#include "dht/link_pool.hpp"
#include "dht/lookup.hpp"
#include "dht/message.hpp"
#include "dht/open_requests.hpp"
#include "dht/provider_record.hpp"
#include "dht/provider_store.hpp"
#include "dht/request_budget.hpp"
#include "dht/round_trip.hpp"
#include "dht/routing_table.hpp"
#include "dht/value.hpp"
#include "dht/value_store.hpp"
#include "identity/peer_book.hpp"
#include "quicmesh/result.hpp"

namespace quicmesh::dht {

enum class LookupEnd : std::uint8_t {
  found,      // the node sought has answered
  converged,  // the nearest servers known have answered: as many as were wanted
  deadline,   // out of time; what there is, is partial
};

/// The lookup of `find_node` is over, or has what was wanted.
struct FindNodeDone {
  QueryId query{};
  LookupEnd end{};
  /// The nearest servers that answered, the nearest first; at most k.
  std::vector<PeerHandle> nearest;
  LookupCost cost;
};

/// The answer to `resolve`.
struct Resolved {
  QueryId query{};
  /// `found`: there is a node, with its endpoint record in the book; it may have moved since.
  LookupEnd end{};
  PeerHandle node = no_peer;
  bool by_express = false;
  LookupCost cost;
};

/// The lookup of `get` is over.
struct GetDone {
  QueryId query{};
  /// `found`: there is a value; otherwise nobody asked has one.
  LookupEnd end{};
  /// As stored: `check_value` tells what the owner wrote. Of signed ones the highest sequence
  /// number that anybody had.
  std::optional<Bytes> bytes;
  std::uint64_t sequence = 0;
  unsigned holders = 0;  // peers that had a right value
  unsigned false_values = 0;
  bool by_express = false;
  LookupCost cost;
};

/// The value of `put` was offered to the nearest servers.
struct PutFinished {
  QueryId query{};
  LookupEnd end{};
  unsigned stored = 0;   // of those who answered in time, not counting ourselves
  unsigned refused = 0;  // likewise: older, invalid by their clock, or full
  LookupCost cost;
};

/// A provider that `find_providers` has met, each node once.
struct ProviderFound {
  QueryId query{};
  NodeId provider;
};

/// `find_providers` is over.
struct FindProvidersDone {
  QueryId query{};
  /// `found`: as many as were wanted.
  LookupEnd end{};
  unsigned found = 0;
  unsigned false_records = 0;
  LookupCost cost;
};

/// The record of `provide` was offered to the nearest servers, and to others farther away if they
/// have no room.
struct ProvideDone {
  QueryId query{};
  LookupEnd end{};
  unsigned stored = 0;   // of those who answered in time
  unsigned refused = 0;  // likewise
  LookupCost cost;
};

using Event = std::variant<FindNodeDone, Resolved, GetDone, PutFinished, ProviderFound,
                           FindProvidersDone, ProvideDone>;

struct Counters {
  std::uint64_t requests_sent = 0;
  std::uint64_t requests_answered = 0;
  std::uint64_t requests_failed = 0;  // given up, or the peer was not reached
  std::uint64_t requests_late = 0;
  std::uint64_t slow_tier_requests = 0;  // of lookups, to peers known to be of a tier above 0
  std::uint64_t answers_unasked = 0;     // of no request of ours, or too late by far
  std::uint64_t contacts_lost = 0;       // from the table, for silence
  std::uint64_t links_closed = 0;        // there were more than are kept
  std::uint64_t refused_busy = 0;        // requests of peers that asked too often
  std::uint64_t out_of_budget = 0;       // times that lookups had to wait to send more
  std::uint64_t regions = 0;             // lookups that went on to the region around their key

  std::uint64_t provider_records_false = 0;  // forged or not the sender's, put or told

  std::uint64_t express_begun = 0;      // our own queries
  std::uint64_t express_won = 0;        // that brought what was wanted first
  std::uint64_t express_false = 0;      // answers that were not right, also to others
  std::uint64_t express_passed_on = 0;  // of others
  std::uint64_t express_answered = 0;   // by what we had
  std::uint64_t express_refused = 0;    // over a bound
  std::uint64_t express_dead_ends = 0;  // nobody nearer was connected
};

struct FindOptions {
  /// Done as soon as the node at the target itself has answered.
  bool until_found = false;
  /// Done when so many of the nearest have answered, though the lookup goes on to the end for the
  /// table's sake; 0: k.
  std::uint8_t quorum = 0;
  /// Done as soon as anybody names the node at the target, with its endpoint record.
  bool until_named = false;
};

class DhtCore {
 public:
  using Message = dht::Message;
  using Event = dht::Event;
  using Input = peer::Input<Message>;
  using Output = peer::Output<Message>;

  /// Outputs, and events, that wait to be drained. The driver drains after each call.
  static constexpr std::size_t queue_max = 1024;
  static constexpr std::size_t lookups_max = 64;     // of commands; further ones are refused
  static constexpr std::size_t republishes_max = 4;  // besides, for what is kept for others
  static constexpr std::size_t overdue_puts_at_once =
      16;                                       // that begin to store: outputs are bounded
  static constexpr std::size_t checks_max = 8;  // pings of our own that are open; no more begin
  static constexpr Duration check_interval = 1s;
  /// Requests of one peer that are served in a second; the rest gets Busy.
  static constexpr std::uint8_t served_a_second = 100;
  /// Answers with the signed value that a reader waits for (TD6).
  static constexpr unsigned readers_quorum = 4;
  /// They come over so many disjoint paths at least, where there are such.
  static constexpr int readers_paths = 2;
  /// Records of providers that a reader takes of one answer, so that nobody fills the result alone.
  static constexpr std::size_t providers_taken_of_one = 4;
  /// Of so many nodes, of different diversity groups, a reader takes some before it has enough.
  static constexpr unsigned providers_quorum = 3;
  static constexpr std::size_t providers_wanted_max = 256;
  /// So many nodes, of different groups, have to be full before a provider, or a reader, goes
  /// farther out; and how often it does, by k nodes each time.
  static constexpr unsigned sloppy_quorum = 3;
  static constexpr unsigned sloppy_steps = 2;
  /// A provider goes on outwards until so many keep its record.
  static constexpr unsigned sloppy_copies = 5;
  /// Providers whose endpoint records stay in the book for the sake of those who ask.
  static constexpr std::size_t providers_marked_max = 2048;
  /// Hops of an express query. It begins with up to a few less, at random, so that the first who is
  /// asked can mostly not tell whether it began with us; all of them nobody else has to give.
  static constexpr std::uint8_t express_hops_max = 16;
  static constexpr std::uint8_t express_hops_spread = 4;
  /// Buckets are refreshed although they are in use until so much is known of how dense ids lie.
  static constexpr std::size_t density_samples_min = 3;
  /// And one in so many afterwards.
  static constexpr std::uint64_t refreshed_all_the_same = 4;
  /// So many times as dense as elsewhere the k nearest are not believed to stand by chance.
  static constexpr double dense_factor = 2;
  /// Of a region so many parts are looked up, the largest first.
  static constexpr unsigned region_sides = 3;
  /// Until one looks again which connections are wanted: when one of them is missing, and when
  /// there is a new contact that may be better than one of them.
  static constexpr Duration warm_pause = 1s;
  static constexpr Duration warm_rest = 10s;
  static constexpr std::size_t warm_at_once = 4;  // connections opened at a time
  static constexpr Duration parted_for = 10min;

  /// `config` and `book` outlive the core, and so does `verifier`; without one signatures are
  /// checked one by one. `self` is the node's own handle.
  DhtCore(Instant now, const Config& config, PeerBook& book, PeerHandle self, Rng rng,
          RecordVerifier* verifier = nullptr);

  void handle(Instant now, Input input);
  void handle_timeout(Instant now);
  std::optional<Output> poll_output();
  std::optional<Event> poll_event();
  [[nodiscard]] Instant poll_timeout() const;

  // Commands.

  /// Joins by way of `known` peers: looks up our own id among them, so that those nearest to us
  /// learn of us and we of them, then fills the buckets that are still poor. Nothing is told
  /// about the end: the table says how it went.
  void bootstrap(Instant now, std::span<const PeerHandle> known);

  /// Seeks the servers nearest to `target`: FindNodeDone follows. Fails with too_many_queries.
  Result<QueryId> find_node(Instant now, const DhtKey& target, FindOptions options = {});

  /// Who stands at `id`: Resolved follows. Ends with the first endpoint record, express or named in
  /// a lookup. If the node is not there any more: `find_node` with `until_found`, which ends with
  /// an answer of its own. Fails with too_many_queries.
  Result<QueryId> resolve(Instant now, const NodeId& id);

  /// The value under `key`: GetDone follows. An immutable one ends the lookup; of a signed one four
  /// are awaited and the highest wins; who had an older one is given it. Fails with
  /// too_many_queries.
  Result<QueryId> get(Instant now, ValueKind kind, const DhtKey& key);

  /// Offers a value to the k servers nearest to `key`: PutFinished follows. They keep an immutable
  /// one for a day, a signed one until it expires; its owner puts it again before. Fails as
  /// check_value does, and with too_many_queries.
  Result<QueryId> put(Instant now, ValueKind kind, const DhtKey& key, Bytes bytes);

  /// Offers `record`, which this node has signed (provider_record.hpp), to the k servers nearest to
  /// its key: ProvideDone follows. It is to be signed anew and provided again before it expires.
  /// Fails as check_provider does, and with `not_the_provider` and too_many_queries.
  Result<QueryId> provide(Instant now, const ProviderRecord& record);

  /// Other nodes that provide what stands under `key`: a ProviderFound for each as soon as it is
  /// met, then FindProvidersDone. Ends with `wanted` of them (1 to `providers_wanted_max`), of
  /// several nodes that told, or when nobody knows more. Fails with `no_wall_time` and
  /// too_many_queries.
  Result<QueryId> find_providers(Instant now, const DhtKey& key, std::size_t wanted);

  /// The time of day, without which no signed value can be judged.
  void set_wall_time(Instant now, WallTime wall);

  /// Whether the node serves others, by evidence: it can be reached by nodes that it never spoke
  /// to.
  void set_server(bool server) { server_ = server; }
  [[nodiscard]] bool is_server() const { return server_; }

  /// Takes `peer` for a live server that answered us in `rtt`, as often as proves it: for
  /// simulations that begin with full tables.
  void adopt(Instant now, PeerHandle peer, Duration rtt);

  /// What is worth keeping over a restart: the live contacts, those heard last first. Their ids and
  /// endpoint records are in the book. To come back: `bootstrap` with them.
  [[nodiscard]] std::vector<PeerHandle> contacts_to_keep() const;

  /// Marks every handle that the core names, for a sweep of the book. Queues are to be drained.
  void mark(PeerBook::Sweep& sweep) const;
  /// Whether an answer of `from` to the request `number` would mean anything; if not it is counted.
  /// O(open requests).
  [[nodiscard]] bool awaits(PeerHandle from, std::uint32_t number);

  [[nodiscard]] const RoutingTable& table() const { return table_; }
  [[nodiscard]] const LatencyTiers& tiers() const { return tiers_; }
  [[nodiscard]] const Adaptation& adaptation() const { return adaptation_; }
  [[nodiscard]] const Counters& counters() const { return counters_; }
  [[nodiscard]] const ValueStore& store() const { return store_; }
  [[nodiscard]] const ProviderStore& providers() const { return providers_; }
  [[nodiscard]] std::size_t links_up() const { return links_.up_count(); }
  [[nodiscard]] std::size_t lookups_running() const { return lookups_.size(); }
  /// Bytes on the heap of what stays: not what is kept for others, nor what lookups and queues hold
  /// for the moment.
  [[nodiscard]] std::size_t memory() const;

 private:
  enum class Purpose : std::uint8_t { command, join, refresh, republish, side };

  /// What a lookup does about a value.
  struct ValueTask {
    bool put = false;
    ValueKind kind{};
    Duration lifetime{};         // of what is put
    std::optional<Bytes> bytes;  // to put, or the best one met
    std::uint64_t sequence = 0;
    unsigned holders = 0;
    unsigned paths = 0;  // over which they were met, a bit each
    unsigned false_values = 0;
    std::vector<PeerHandle> up_to_date;  // who had the best one
    // The second part of a put.
    bool storing = false;
    unsigned open = 0;  // neither answered nor late
    unsigned stored = 0;
    unsigned refused = 0;
  };

  /// Nodes, counted so that those of one diversity group are one.
  struct GroupCount {
    unsigned count = 0;
    std::vector<DiversityGroup> groups;

    void add(DiversityGroup group);
  };

  /// What a lookup does about providers (dht_core_providers.cpp).
  struct ProviderTask {
    bool provide = false;
    unsigned steps_out = 0;  // of `sloppy_steps`
    GroupCount full;         // who has no room for more
    // Provide.
    ProviderRecord record{};
    std::vector<PeerHandle> offered;
    bool storing = false;
    unsigned open = 0;  // neither answered nor late
    unsigned stored = 0;
    unsigned refused = 0;
    // Find.
    std::size_t wanted = 0;
    std::vector<std::pair<NodeId, Bytes>> found;
    GroupCount tellers;                                         // who told us of some
    std::vector<std::pair<DiversityGroup, std::size_t>> taken;  // of those that a group told
    unsigned paths = 0;  // over which they were met, a bit each
    unsigned false_records = 0;
  };

  struct RunningLookup {
    QueryId query{};
    Purpose purpose{};
    FindOptions options;
    bool told = false;
    /// A refresh that is to fill this bucket, and ends when it is.
    std::optional<unsigned> fills;
    Instant deadline{};
    /// The lookup begins then, unless express queries answer before; `never` once it has begun.
    Instant iterate_at = never;
    std::uint8_t express_open = 0;
    /// The second express query goes then, to another than the first; `never` once it has gone.
    Instant hedge_at = never;
    PeerHandle express_asked = no_peer;
    bool by_express = false;
    /// Around the target, once it is known that too many stand there.
    std::optional<Region> region;
    std::uint8_t sides_open = 0;  // of the region, being looked up
    QueryId side_of = no_query;   // this is such a lookup
    Lookup lookup;
    std::unique_ptr<ValueTask> task;  // neither: find_node
    std::unique_ptr<ProviderTask> providers;
  };

  void on(Instant now, const peer::Up& input);
  void on(Instant now, const peer::Down& input);
  void on(Instant now, const peer::Unreachable& input);
  void on(Instant now, const peer::PathChanged& input);
  void on(Instant now, const peer::Regrouped& input);
  void on(Instant now, const peer::TiersChanged& input);
  void on(Instant now, peer::Received<Message>& input);
  void on_request(Instant now, PeerHandle from, const Message& message);
  void on_answer(Instant now, PeerHandle from, const Message& message);
  void on_answer_of_lookup(Instant now, const OpenRequest& request, const Message& message);

  // Requests (dht_core.cpp).
  void request(Instant now, PeerHandle peer, QueryId query, Body body);
  [[nodiscard]] Nodes nearest_for(PeerHandle asker, const DhtKey& target, std::size_t count) const;
  void send(PeerHandle to, std::uint32_t number, Body body);
  void check(Instant now, PeerHandle peer);
  void check_suspect(Instant now);
  void on_late(Instant now, const OpenRequest& request);
  enum class Blame : std::uint8_t { peer, nobody };
  void on_failed(Instant now, const OpenRequest& request, Blame blame);
  void connection_over(Instant now, PeerHandle peer, Blame blame);

  // Connections (dht_core_links.cpp).
  [[nodiscard]] std::size_t links_max() const;
  [[nodiscard]] std::vector<PeerHandle> wanted_links() const;
  void plan_keep_warm(Instant now, Duration pause);
  void keep_warm(Instant now);
  void parted(Instant now, PeerHandle peer);
  void forget_parted(Instant now);
  [[nodiscard]] bool may_store_at(PeerHandle peer) const;
  void trim_links(Instant now);

  // Lookups (dht_core_lookups.cpp).
  [[nodiscard]] std::uint8_t tier_of(PeerHandle peer) const;
  RunningLookup& start(Instant now, const DhtKey& target, Purpose purpose, FindOptions options,
                       std::uint8_t paths = 1, std::optional<Region> shunned = {});
  [[nodiscard]] RunningLookup* find(QueryId query);
  void proceed(Instant now, QueryId query);
  [[nodiscard]] bool end_if_named(Instant now, RunningLookup& running);
  void tell(RunningLookup& running, LookupEnd end);
  void end(Instant now, QueryId query);
  void end_overdue(Instant now);
  void spend_budget(Instant now);
  [[nodiscard]] bool is_poor(unsigned bucket) const;
  [[nodiscard]] bool is_filled(unsigned bucket) const;
  [[nodiscard]] bool is_fresh_by_use(Instant now, unsigned bucket);
  void refresh_next(Instant now);
  [[nodiscard]] Instant refresh_at() const;

  // Regions (dht_core_region.cpp).
  [[nodiscard]] double servers() const;
  [[nodiscard]] bool is_too_dense(const Lookup& lookup) const;
  [[nodiscard]] bool widen(Instant now, QueryId query);
  void end_side(Instant now, const RunningLookup& side);
  void learn_density(const Lookup& refresh);

  // Express (dht_core_express.cpp).
  [[nodiscard]] PeerHandle known_node(const DhtKey& target) const;
  [[nodiscard]] bool has_record(PeerHandle peer) const;
  [[nodiscard]] PeerHandle express_hop(const DhtKey& target, ExpressWay way,
                                       PeerHandle not_this) const;
  void begin_express(Instant now, QueryId query);
  bool ask_by_express(Instant now, RunningLookup& running, ExpressWay way);
  bool hedge(Instant now, RunningLookup& running);
  void hedge_overdue(Instant now);
  void send_express(Instant now, ExpressEntry entry);
  void on_express(Instant now, PeerHandle from, std::uint32_t number, const Express& asked);
  void on_express_answer(Instant now, const ExpressEntry& entry, const ExpressAnswer& answer);
  void on_own_express(Instant now, const ExpressEntry& entry, const ExpressAnswer& answer);
  [[nodiscard]] bool is_right(const ExpressEntry& entry, const ExpressAnswer& answer) const;
  void end_express(Instant now, PeerHandle gone);
  void iterate(Instant now, RunningLookup& running);
  void iterate_overdue(Instant now);

  // Values (dht_core_values.cpp).
  [[nodiscard]] RecordVerifier& verifier();
  [[nodiscard]] std::optional<WallTime> wall_time(Instant now) const;
  [[nodiscard]] Result<CheckedValue> check(Instant now, ValueKind kind, const DhtKey& key,
                                           ByteView bytes);
  [[nodiscard]] PutStatus keep(Instant now, const Put& put, PeerHandle source);
  RunningLookup& start_value(Instant now, const DhtKey& key, Purpose purpose, ValueTask task);
  void on_found(Instant now, RunningLookup& running, PeerHandle from, const Found& found);
  void take_best(RunningLookup& running, PeerHandle from, const CheckedValue& checked,
                 const Bytes& bytes);
  [[nodiscard]] bool get_is_done(const RunningLookup& running) const;
  void repair(Instant now, const RunningLookup& running);
  void begin_storing(Instant now, QueryId query);
  void on_put_answer(Instant now, QueryId query, std::optional<PutStatus> status, bool was_open);
  void tell_value(const RunningLookup& running, LookupEnd end);
  [[nodiscard]] bool may_republish() const;
  void republish_next(Instant now);

  // Providers (dht_core_providers.cpp).
  [[nodiscard]] PutStatus keep(Instant now, const Provide& provide, PeerHandle source);
  [[nodiscard]] Providers providers_for(Instant now, PeerHandle asker, const GetProviders& asked);
  [[nodiscard]] Body question_of(const RunningLookup& running) const;
  void on_providers(Instant now, RunningLookup& running, PeerHandle from, const Providers& told);
  enum class Told : std::uint8_t { a_lie, nothing, known, somebody_new };
  Told take_provider(Instant now, RunningLookup& running, const Bytes& record);
  bool take_providers(Instant now, RunningLookup& running, PeerHandle from,
                      std::span<const Bytes> records);
  [[nodiscard]] bool providers_are_found(const RunningLookup& running) const;
  void proceed_providers(Instant now, RunningLookup& running);
  void offer_record(Instant now, QueryId query);
  void offer_to_self(Instant now, RunningLookup& running, const std::vector<PeerHandle>& nearest);
  bool go_farther_out(RunningLookup& running);
  void on_store_answer(Instant now, const OpenRequest& request, std::optional<PutStatus> status,
                       bool was_open);
  void on_provide_answer(Instant now, RunningLookup& running, PeerHandle from,
                         std::optional<PutStatus> status, bool was_open);
  void tell_providers(const RunningLookup& running, LookupEnd end);

  const Config* config_;
  PeerBook* book_;
  RecordVerifier* verifier_;
  DirectVerifier direct_;
  PeerHandle self_;
  bool server_;
  bool refreshing_ = false;
  Rng rng_;
  RoutingTable table_;
  LatencyTiers tiers_;
  RoundTrip round_trip_;
  Adaptation adaptation_;
  Density density_;
  RequestBudget budget_;
  Instant budget_at_ = never;
  LinkPool links_;
  OpenRequests requests_;
  ExpressTable express_;
  ExpressTime express_time_;
  RequestBudget forwards_;
  Instant warm_at_ = never;
  Instant forget_parted_at_ = never;
  std::vector<RunningLookup> lookups_;
  QueryId last_query_ = no_query;
  Instant last_heard_{};
  Instant check_at_ = never;
  Duration refresh_interval_;
  /// After joining: buckets shallower than this are refreshed if they are poor.
  unsigned poor_below_ = 0;
  BoundedQueue<Output, DropPolicy::refuse_newest> outputs_{queue_max};
  BoundedQueue<Event, DropPolicy::refuse_newest> events_{queue_max};
  ValueStore store_;
  ProviderStore providers_;
  std::optional<WallTime> wall_base_;
  Instant wall_base_at_{};
  Counters counters_;
};

static_assert(PeerCore<DhtCore>);

}  // namespace quicmesh::dht
