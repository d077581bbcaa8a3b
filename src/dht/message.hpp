// What DHT nodes say to each other, as plain structs.
//
// Peers are named by handles of the sender's PeerBook in `Send` and of the receiver's in
// `Received`. Between real nodes the codec turns handles into ids with their endpoint records and
// back; the simulator, whose nodes share one book, hands the struct over as it is.
//
// A request has a number, unique among those that its sender has open with that peer; the answer
// repeats it. An answer counts only from the peer that was asked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "base/peer_core.hpp"
#include "dht/dht_key.hpp"
#include "quicmesh/bytes.hpp"

namespace quicmesh::dht {

// Requests.

/// Whether the peer is there, and how far away.
struct Ping {};

/// The `count` (1 to `contacts_max`) servers nearest to `target` that the peer knows.
struct FindNode {
  DhtKey target;
  std::uint8_t count = 0;
};

enum class ValueKind : std::uint8_t { immutable, signed_value };  // value.hpp

/// The value under `key`, if the peer has it, and the nearest servers as for FindNode.
struct Get {
  DhtKey key;
  ValueKind kind{};
  std::uint8_t count = 0;
};

/// Keep this, please.
struct Put {
  DhtKey key;
  ValueKind kind{};
  std::uint32_t lifetime_s = 0;  // at most; there are limits, too
  Bytes bytes;
};

/// The sender provides what the record says (provider_record.hpp): tell others, please. PutAnswer
/// answers.
struct Provide {
  Bytes record;
};

/// Up to `providers_per_answer` providers of what stands under `key`, and the nearest servers as
/// for FindNode.
struct GetProviders {
  DhtKey key;
  std::uint8_t count = 0;
};

enum class ExpressWant : std::uint8_t {
  node,   // who stands at the target, with its endpoint record
  value,  // the immutable value under it
};
enum class ExpressWay : std::uint8_t {
  near,  // by latency
  far,   // over contacts that were chosen without regard to it
};

/// To be passed on, over connections that stand, to a peer nearer to the target, until somebody
/// has what is wanted. Nothing says where it began.
struct Express {
  DhtKey target;
  ExpressWant want{};
  ExpressWay way{};
  std::uint8_t hops_left = 0;
};

// Answers.

struct Pong {};

/// The nearest first, without the one who asked.
struct Nodes {
  std::vector<PeerHandle> nodes;
};

struct Found {
  std::optional<Bytes> bytes;
  std::vector<PeerHandle> nodes;
};

struct Providers {
  /// Some of those that the peer knows, at random; each is to be checked.
  std::vector<Bytes> records;
  /// It has as many as it keeps: there may be more with nodes farther from the key.
  bool full = false;
  std::vector<PeerHandle> nodes;
};

enum class PutStatus : std::uint8_t {
  stored,
  invalid,     // the value is not right, or does not belong there
  older,       // there is one of the same or a higher sequence number
  full,        // no room, or none for this peer
  unwilling,   // a client
  over_quota,  // of provider records: this peer, or its network, has its share
};
struct PutAnswer {
  PutStatus status{};
};

/// What was wanted, if either is there; otherwise the way has come to a dead end. The reader can
/// tell whether it is right: the record is signed, the value has its hash.
struct ExpressAnswer {
  PeerHandle node = no_peer;
  std::optional<Bytes> bytes;
};

/// The peer has too much to do, and is alive. Whoever asked looks elsewhere.
struct Busy {};

using Body = std::variant<Ping, FindNode, Get, Put, Provide, GetProviders, Express, Pong, Nodes,
                          Found, PutAnswer, Providers, ExpressAnswer, Busy>;

struct Message {
  std::uint32_t request = 0;
  /// The sender serves others: it may stand in their tables. A client only asks.
  bool server = false;
  Body body;
};

/// In one answer; more are cut off.
inline constexpr std::size_t contacts_max = 40;
inline constexpr std::size_t providers_per_answer = 8;
/// Beside providers there is room for less.
inline constexpr std::size_t contacts_with_providers_max = 30;

[[nodiscard]] bool is_request(const Body& body);

/// Roughly how many bytes the message has on the wire, its contacts with endpoint records included.
/// For accounts in simulations; the codec decides.
[[nodiscard]] std::size_t wire_size(const Message& message);

}  // namespace quicmesh::dht
