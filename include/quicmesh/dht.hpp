// The DHT as a program sees it: where values are found, who is near, and what an answer cost.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "quicmesh/bytes.hpp"
#include "quicmesh/node_address.hpp"
#include "quicmesh/node_id.hpp"
#include "quicmesh/result.hpp"
#include "quicmesh/socket_address.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh {

/// Which part a node takes in the DHT.
enum class DhtRole : std::uint8_t {
  /// Takes part if it is told where (Config::bootstrap, Config::dht_cache), and serves others if it
  /// can be reached by them.
  automatic,
  off,
  client,  // only asks
  server,  // serves in any case
};

/// Where a value stands in the DHT.
struct ValueKey {
  enum class Kind : std::uint8_t {
    immutable,     // under its own BLAKE3 hash: nothing else can stand there
    signed_value,  // under its owner's key and a name; its owner can replace it
  };

  Kind kind{};
  std::array<std::uint8_t, 32> bytes{};

  /// `immutable:HEX` or `signed:HEX`, with 64 hexadecimal digits; nothing for anything else.
  static std::optional<ValueKey> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;

  auto operator<=>(const ValueKey&) const = default;
};

/// What a lookup took.
struct LookupFigures {
  unsigned hops = 0;     // the longest chain of nodes, each of which named the next
  unsigned queries = 0;  // requests sent
  Duration took{};
  bool complete = false;  // else its time was over, and there may be more
};

struct StoredValue {
  ValueKey key;
  unsigned stored = 0;   // other nodes that keep it
  unsigned refused = 0;  // nodes that would not: they have a newer one, or no room
  LookupFigures figures;
};

struct FoundValue {
  std::optional<Bytes> value;  // nothing: no node that was asked has one
  std::uint64_t sequence = 0;  // of a signed one: it grows with every `dht_put`
  unsigned holders = 0;        // nodes that gave it
  LookupFigures figures;
};

struct FoundNodes {
  std::vector<NodeId> nodes;  // the nearest first
  LookupFigures figures;
};

/// Names what nodes provide: the BLAKE3 hash of some content, or any other 32 bytes. The DHT sees
/// it hashed once more, so who keeps the records cannot tell what it is unless he knows it anyway.
struct ContentKey {
  std::array<std::uint8_t, 32> bytes{};

  static ContentKey of(ByteView content);
  /// 64 hexadecimal digits; nothing for anything else.
  static std::optional<ContentKey> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;

  auto operator<=>(const ContentKey&) const = default;
};

struct Provision {
  ContentKey key;
  unsigned stored = 0;   // other nodes that tell of it
  unsigned refused = 0;  // nodes that would not: they have enough providers of it, or no room
  LookupFigures figures;
};

/// A node that has said, signed by itself, that it provides what was sought.
struct FoundProvider {
  NodeId node;
  // Where it says that it is; empty if nobody told: then Node::connect asks the DHT.
  std::vector<SocketAddress> addresses;
  std::vector<NodeAddress> relays;
};

/// The end of a search for providers.
struct ProvidersSummary {
  unsigned found = 0;
  unsigned false_records = 0;  // that were told and not true
  LookupFigures figures;
};

/// Where a node says that it is, signed by itself.
struct ResolvedNode {
  NodeId node;
  bool found = false;
  std::vector<SocketAddress> addresses;
  std::vector<NodeAddress> relays;  // over which it can be reached
  std::uint64_t sequence = 0;       // of its record: the time of signing, in milliseconds
  LookupFigures figures;
};

/// A node that the DHT knows to answer.
struct DhtPeer {
  NodeId node;
  std::optional<Duration> rtt;
  unsigned tier = 0;  // of `DhtStatus::tiers`; 0 is the nearest
  bool connected = false;
};

struct DhtStatus {
  bool on = false;
  bool server = false;
  std::size_t contacts = 0;     // in the routing table
  std::size_t connections = 0;  // that the DHT knows of
  std::size_t tiers = 1;
  std::size_t values = 0;            // kept for others, and our own
  std::size_t provider_records = 0;  // kept for others
  std::size_t provided = 0;          // keys that this node provides
  std::uint64_t provider_records_refused = 0;
  std::uint64_t provider_records_replaced = 0;  // gave way to others
  std::uint64_t provider_records_false = 0;     // forged, expired or of somebody else
  unsigned k = 0;
  unsigned alpha = 0;
  std::uint64_t requests_sent = 0;
  std::uint64_t requests_answered = 0;
  std::uint64_t requests_failed = 0;
  std::uint64_t messages_malformed = 0;
  std::uint64_t messages_dropped = 0;  // a peer does not read, or speaks no DHT
  std::uint64_t records_signed = 0;    // of where this node is
  std::size_t bootstraps_tried = 0;
};

}  // namespace quicmesh
