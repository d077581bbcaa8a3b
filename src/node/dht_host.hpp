// DhtHost: a node's part in the DHT. It puts DhtCore (dht/dht_core.hpp), which knows neither bytes
// nor addresses, on a NodeCore, as one of its services (node_service.hpp).
//
// - Messages go through the codec (dht_wire) and over streams of their own (message_streams.hpp).
//   With the first one on a connection, and after each change, goes the sender's endpoint record.
// - A peer that the core wants to speak to is dialled where its record says, or where it was told
//   to begin. For the core it is up as soon as it is proved, so the first request goes with the
//   last flight of the handshake: it takes two round trips, and not three. What the peer makes of
//   us is then not known yet; if it refuses us that is a connection that went down. All connections
//   of the node are the DHT's, too; but it closes only those that it made itself and that the
//   application has not used since.
// - Server or client (`DhtRole::automatic`): a node serves if it believes to be reachable in the
//   widest scope in which it has met others. It is reachable in the scope of its own addresses,
//   unless a NAT or firewall was found before them; of addresses that the gateway forwards; and of
//   whoever came by himself, whom it was not dialling.
// - A node that only asks stands in no table, and is to be found all the same: whoever asks for his
//   own id, as all do now and then (`announce_interval`), is remembered by those he asks, the
//   nearest to his id, and named to who looks for exactly that id (docs/protocols/dht.md).
// - Dialling by NodeId alone, and what an application asks: dht_host_dial.cpp,
//   dht_host_commands.cpp; providers: dht_host_providers.cpp.
//
// Timers: the core's, the streams', the records', the tiers'; the next try to join, while the table
// is empty (2 s, doubling to 60 s); the next announcement; own values and provider records that are
// put again; the patience with relays of peers that are dialled, and with joining before anybody
// can be asked.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "base/rng.hpp"
#include "dht/dht_core.hpp"
#include "dht_wire/dht_codec.hpp"
#include "identity/peer_book.hpp"
#include "node/announced_clients.hpp"
#include "node/dial_rests.hpp"
#include "node/message_streams.hpp"
#include "node/node_core.hpp"
#include "node/node_service.hpp"
#include "node/own_records.hpp"
#include "quicmesh/dht.hpp"
#include "tiers/tier_watch.hpp"

namespace quicmesh {

/// Somebody to begin with.
struct DhtContact {
  NodeId id;
  std::vector<SocketAddress> addresses;

  bool operator==(const DhtContact&) const = default;
};

struct DhtHostConfig {
  dht::Config core;
  DhtRole role = DhtRole::automatic;
  /// In the order in which they are tried; at most DhtHost::bootstrap_max are kept.
  std::vector<DhtContact> bootstrap;
  /// Of this node's own records, in its earlier lives.
  std::uint64_t last_sequence = 0;
};

/// Names a command until its outcome.
using DhtTicket = std::uint64_t;

struct DhtOutcome {
  DhtTicket ticket = 0;
  std::variant<FoundNodes, FoundValue, StoredValue, ResolvedNode, Provision, ProvidersSummary>
      result;
};
/// One of those that a search for providers has met; its DhtOutcome comes last.
struct DhtProviderMet {
  DhtTicket ticket = 0;
  FoundProvider provider;
};
/// A dial by NodeId came to nothing; without an error because there was no address at all.
struct DhtDialFailed {
  NodeId peer;
  std::error_code error;
  std::string reason;
};
using DhtNews = std::variant<DhtOutcome, DhtProviderMet, DhtDialFailed>;

/// A record is its owner's word: what it names gets a handshake's packets, so no ports at which
/// services of a system may listen.
[[nodiscard]] bool may_dial(const SocketAddress& address);

class DhtHost final : public NodeService {
 public:
  static constexpr std::size_t book_capacity = 8192;  // ids, each with up to 1 KiB of record
  static constexpr std::size_t bootstrap_max = 256;
  static constexpr std::size_t bootstrap_at_once = 8;
  static constexpr std::size_t resolves_max = 64;
  static constexpr std::size_t dials_max = 64;
  static constexpr std::size_t own_values_max = 64;
  static constexpr std::size_t provided_max = 512;    // keys that this node provides
  static constexpr std::size_t relays_taken_max = 4;  // of peers that are dialled
  static constexpr Duration bootstrap_first = 2s;
  static constexpr Duration bootstrap_pause_max = 60s;
  static constexpr Duration announce_first = 5s;  // after the node has joined; doubling to
  static constexpr Duration announce_interval = 20min;
  static constexpr Duration own_value_life = 2h;
  static constexpr Duration own_value_interval = 1h;
  static constexpr unsigned records_tried_max = 4;  // of a peer whose record changes meanwhile
  static constexpr std::int64_t clock_step_s = 60;  // less is nobody's concern
  static constexpr Duration provider_life = 3h;
  static constexpr Duration provide_interval = 1h;  // +-20 %
  static constexpr Duration provide_retry = 1min;   // nobody took it
  static constexpr std::size_t provides_at_once = 8;
  static constexpr Duration relay_patience = 5s;
  static constexpr Duration join_patience = 5s;

  /// `self` and `config` are copied.
  DhtHost(Instant now, DhtHostConfig config, const NodeId& self, SecureRng& secure_rng);

  // NodeService.
  [[nodiscard]] const std::string& protocol() const override { return streams_.protocol(); }
  bool take_in(Instant now, NodeCore& node, NodeEvent& event) override;
  void on_proved(Instant now, NodeCore& node, const PeerProved& proved) override;
  void advance(Instant now, NodeCore& node) override;
  [[nodiscard]] Instant poll_timeout() const override { return next_; }
  void on_reach_changed(Instant now, NodeCore& node) override;
  void stop(Instant now, NodeCore& node) override;

  // Commands (dht_host_commands.cpp); a DhtOutcome with the ticket follows.
  Result<DhtTicket> find(Instant now, const NodeId& target);
  Result<DhtTicket> get(Instant now, const ValueKey& key);
  Result<DhtTicket> get_own(Instant now, const NodeCore& node, std::string_view name);
  Result<DhtTicket> put(Instant now, const NodeCore& node, Bytes value);
  Result<DhtTicket> put(Instant now, const NodeCore& node, std::string name, Bytes value);
  Result<DhtTicket> resolve(Instant now, const NodeCore& node, const NodeId& target);

  // Providers (dht_host_providers.cpp).
  Result<DhtTicket> provide(Instant now, const NodeCore& node, const ContentKey& key);
  /// False if it was not provided.
  bool stop_providing(const ContentKey& key);
  /// A DhtProviderMet for each comes before the outcome.
  Result<DhtTicket> find_providers(Instant now, const NodeCore& node, const ContentKey& key,
                                   std::size_t wanted);

  /// Dials `peer` by what is known of it, by relays in common, and by what the DHT says: the node's
  /// PeerConnected follows, or DhtDialFailed (dht_host_dial.cpp).
  Result<void> dial(Instant now, NodeCore& node, const NodeId& peer);
  /// The application uses its connection to `peer`, now or as soon as there is one: it stays.
  void claim(const NodeId& peer);

  std::optional<DhtNews> poll_news();

  [[nodiscard]] std::vector<DhtPeer> peers() const;
  [[nodiscard]] DhtStatus status() const;
  [[nodiscard]] const dht::DhtCore& core() const { return core_; }
  [[nodiscard]] const OwnRecords& own_records() const { return own_; }
  [[nodiscard]] const dht::RecordCounts& record_counts() const { return record_counts_; }
  /// Whom to begin with the next time, those heard last first.
  [[nodiscard]] std::vector<DhtContact> contacts_to_keep(Instant now, const NodeCore& node) const;

 private:
  /// A connection of the node.
  struct Link {
    PeerHandle peer = no_peer;
    AddressScope scope = AddressScope::public_internet;  // of what it is shown
    AddressScope met = AddressScope::public_internet;
    bool direct = false;
    bool ours = false;  // made by the DHT
    bool deaf = false;  // speaks no DHT, or something else under its name
    bool late_record_taken = false;
    std::uint64_t shown = 0;  // the sequence number of the record that it has of us
  };
  struct Question {  // that is being answered
    PeerHandle from = no_peer;
    std::uint32_t request = 0;
    DhtKey target;
  };
  struct Command {
    DhtTicket ticket = 0;
    Instant began{};
    std::optional<ValueKey> key;
    std::optional<ContentKey> content;
  };
  struct Resolve {
    DhtTicket ticket = 0;  // 0: for a dial
    NodeId target;
    dht::QueryId query{};
    Instant began{};
    std::uint64_t known = 0;      // a record of this sequence number is no news
    Instant waits_until = never;  // for the node to join, if there is nobody to ask yet
  };
  struct Dial {
    NodeId peer;
    bool dialling = false;  // the node tries what it was given
    bool resolving = false;
    bool asked = false;       // the DHT, which is asked once
    std::uint64_t tried = 0;  // the sequence number of the record that was tried
    unsigned records_tried = 0;
    Instant relays_until = never;  // relays of the peer that we wait for
    DhtDialFailed failed;          // what to say in the end
  };
  struct OwnValue {
    std::string name;
    Bytes value;
    Instant again{};
  };
  struct Provided {
    ContentKey key;
    dht::QueryId query{};  // the last one
    bool open = false;     // it has no end yet
    Instant again{};
  };

  // Connections.
  bool on_node_event(Instant now, NodeCore& node, NodeEvent& event);
  void on_connected(Instant now, NodeCore& node, const PeerConnected& event);
  Link& make_link(Instant now, NodeCore& node, PeerHandle peer, const PeerProved& where);
  void on_disconnected(Instant now, const NodeId& peer);
  void lose_link(Instant now, const NodeId& peer);
  void drop_early(Instant now, const NodeCore& node);
  bool on_unreachable(Instant now, NodeCore& node, const PeerUnreachable& event);
  void on_path_changed(Instant now, NodeCore& node, const PeerPathChanged& event);
  bool on_stream_event(Instant now, NodeCore& node, NodeEvent& event);
  void set_deaf(Instant now, const NodeId& peer);
  void set_scopes(const NodeCore& node, Link& link, const NetworkPath& path,
                  const std::optional<NodeId>& relay) const;
  void open(Instant now, NodeCore& node, PeerHandle peer);
  void close(Instant now, NodeCore& node, PeerHandle peer);
  [[nodiscard]] bool is_used(const NodeCore& node, const NodeId& peer) const;
  void set_group(Instant now, const NodeCore& node, PeerHandle peer, const NetworkPath& path,
                 const std::optional<NodeId>& relay);
  [[nodiscard]] RecordLink record_link(Instant now, const NodeCore& node, const Link& link) const;
  PeerHandle intern(const NodeId& id);
  void sweep();

  // Messages.
  void on_message(Instant now, NodeCore& node, const MessageStreams::Arrived& arrived);
  void send(Instant now, NodeCore& node, peer::Send<dht::Message> output);
  void name_announced(Instant now, dht::Nodes& answer) const;
  /// Carries between the core and the node until the core's queues are empty, as they always are
  /// between turns: a sweep of the book does not know what they name.
  void pump(Instant now, NodeCore& node);

  // Now and then.
  void join(Instant now, NodeCore& node);
  void announce(Instant now);
  void update_role(const NodeCore& node);
  void watch_clock(Instant now, const NodeCore& node);
  void put_again(Instant now, const NodeCore& node);

  // Commands.
  void on_event(Instant now, const NodeCore& node, dht::FindNodeDone& done);
  void on_event(Instant now, const NodeCore& node, dht::Resolved& done);
  void on_event(Instant now, const NodeCore& node, dht::GetDone& done);
  void on_event(Instant now, const NodeCore& node, dht::PutFinished& done);
  Result<DhtTicket> remember(Instant now, Result<dht::QueryId> query, std::optional<ValueKey> key);
  std::optional<Command> take_command(dht::QueryId query);
  /// True if the query was of a resolve, which has come to its end.
  bool take_resolve(Instant now, const NodeCore& node, dht::QueryId query, LookupFigures figures);
  Result<Bytes> sign_value(Instant now, const NodeCore& node, std::string_view name,
                           ByteView value);

  // Providers (dht_host_providers.cpp).
  void on_event(Instant now, const NodeCore& node, dht::ProviderFound& met);
  void on_event(Instant now, const NodeCore& node, dht::FindProvidersDone& done);
  void on_event(Instant now, const NodeCore& node, dht::ProvideDone& done);
  Result<dht::QueryId> offer(Instant now, const NodeCore& node, const ContentKey& key);
  void provide_again(Instant now, const NodeCore& node);

  // Where peers are (dht_host_dial.cpp).
  struct Whereabouts {
    std::uint64_t sequence = 0;
    std::vector<SocketAddress> addresses;
    std::vector<RelayEndpoint> relays;
  };
  [[nodiscard]] std::optional<Whereabouts> whereabouts(Instant now, const NodeCore& node,
                                                       const NodeId& peer) const;
  [[nodiscard]] std::vector<NetworkPath> paths_to_peer(Instant now, const NodeCore& node,
                                                       const NodeId& peer) const;
  Result<void> begin_resolve(Instant now, DhtTicket ticket, const NodeId& target,
                             std::uint64_t known);
  Result<dht::QueryId> ask_for(Instant now, const NodeId& target, std::uint64_t known);
  void check_resolves(Instant now, const NodeCore& node);
  void start_waiting_resolves(Instant now, const NodeCore& node);
  [[nodiscard]] static std::vector<NodeAddress> addresses_of(
      const std::vector<RelayEndpoint>& relays);
  void end_resolve(Instant now, const NodeCore& node, const Resolve& resolve,
                   const std::optional<Whereabouts>& found, LookupFigures figures);
  void try_whereabouts(Instant now, NodeCore& node, Dial& dial, const Whereabouts& where);
  void take_relays(Instant now, NodeCore& node, Dial& dial, const Whereabouts& where);
  void on_relay_up(Instant now, NodeCore& node);
  void advance_dials(Instant now, NodeCore& node);
  [[nodiscard]] Dial* find_dial(const NodeId& peer);

  DhtHostConfig config_;
  NodeId self_id_;
  Rng rng_;
  PeerBook book_;
  PeerHandle self_;
  dht::DhtCore core_;
  TierWatch tiers_;
  MessageStreams streams_;
  OwnRecords own_;
  dht::RecordCounts record_counts_;

  std::map<NodeId, Link> links_;
  std::set<NodeId> wanted_;                       // being dialled for the core
  std::set<NodeId> early_;                        // of `links_`: proved, and not connected yet
  DialRests dial_rests_;                          // of addresses that records name
  std::set<NodeId> claimed_;                      // of the application
  std::deque<peer::Input<dht::Message>> inputs_;  // answers to the core's own outputs
  AnnouncedClients announced_{book_, self_};
  std::optional<Question> question_;
  AddressScope reached_in_ = AddressScope::unusable;
  std::optional<std::int64_t> clock_offset_s_;  // of the time of day to the steady clock
  bool stopped_ = false;

  std::map<dht::QueryId, Command> commands_;
  std::vector<Resolve> resolves_;
  std::vector<Dial> dials_;
  std::vector<OwnValue> own_values_;
  std::vector<Provided> provided_;
  std::uint64_t last_value_sequence_ = 0;
  std::uint64_t last_provider_sequence_ = 0;
  DhtTicket last_ticket_ = 0;
  std::deque<DhtNews> news_;

  bool dirty_ = true;
  Instant next_{};
  Instant join_at_;
  Duration join_pause_ = bootstrap_first;
  Instant announce_at_ = never;
  Duration announce_pause_ = announce_first;
  bool was_joined_ = false;
  std::size_t bootstrap_next_ = 0;  // of the list
  std::size_t bootstraps_tried_ = 0;
  std::uint64_t messages_malformed_ = 0;
  std::uint64_t messages_dropped_ = 0;
};

}  // namespace quicmesh
