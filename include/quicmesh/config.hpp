// Config: what a node is started with. Every default works; the empty Config is a node with a new
// identity on any port.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "quicmesh/dht.hpp"
#include "quicmesh/keypair.hpp"
#include "quicmesh/node_address.hpp"
#include "quicmesh/runtime.hpp"
#include "quicmesh/socket_address.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh {

enum class Congestion : std::uint8_t {
  bbr,   // keeps its rate under random loss
  cubic  // RFC 9438
};

enum class Reach : std::uint8_t {
  any,
  direct_only,  // `relays` are not used, neither way
  /// Dials go over relays alone, and peers are not told this node's addresses. Whoever knows one
  /// can still dial it directly.
  relay_only
};

/// Where to find a TURN server (RFC 8656), and this node's long-term credentials there.
struct TurnAccount {
  HostPort server;
  std::string username;
  std::string password;
};

struct Config {
  /// Declared so that this is no aggregate: g++ 12 destroys aggregates made within a co_await
  /// expression twice, and `co_await Node::start(executor, Config())` is what everybody writes.
  Config() = default;

  /// Who the node is. Without one, `key_file` is read, or made if there is none; without that
  /// either, the node gets an identity that nobody will see again.
  std::optional<Keypair> identity;
  std::string key_file;

  /// Where to receive, one UDP socket for each address; a dial leaves by the first of its family.
  /// Empty: any address of both families, as far as the machine has them, on one port if possible.
  std::vector<SocketAddress> listen;

  /// Trains of datagrams in one system call, both ways (UDP_SEGMENT, UDP_GRO). It makes bulk
  /// several times faster; off for a network driver that does it wrong, and to measure.
  bool segmentation_offload = true;

  Congestion congestion = Congestion::bbr;
  Duration idle_timeout = 30s;
  Duration keep_alive = 12s;
  Duration handshake_timeout = 10s;

  /// Relays to be reached over, and to reach others over: known by NodeId and address, at most 16,
  /// four addresses each. The two best are kept connected.
  std::vector<NodeAddress> relays;
  /// Forwards for anybody, within the limits of docs/protocols/relay.md. For nodes with a public
  /// address.
  bool serve_as_relay = false;
  /// TCP addresses where clients whose network lets no UDP out reach this relay (TLS); usually port
  /// 443. They make the node a relay.
  std::vector<SocketAddress> relay_tls_listen;
  /// The TCP port of `relays`, for when they do not answer over UDP; 0: never.
  std::uint16_t relay_tls_port = 443;
  /// Servers that are asked what the NAT here does, besides the relays: any that speak STUN
  /// (RFC 8489), better those that speak RFC 5780 too.
  std::vector<SocketAddress> stun_servers;
  /// TURN servers, at most two and of IPv4, to relay for this node: connections fall back on them,
  /// and nodes with an account at the same server reach each other over it (event::TurnUp).
  std::vector<TurnAccount> turn;
  /// Asks the gateway of the network by NAT-PMP and UPnP-IGD to forward the ports of `listen`, as
  /// far as they are of IPv4 and not on loopback alone. It costs two threads that sleep, and opens
  /// ports in somebody's router: so programs ask for it, as `quicmesh up` does.
  bool port_mapping = false;
  /// Which part the node takes in the DHT, by which nodes find each other by NodeId alone.
  DhtRole dht = DhtRole::automatic;
  /// Nodes of the mesh to begin with; any one that answers is enough.
  std::vector<NodeAddress> bootstrap;
  /// A file that keeps nodes which were found, to begin with the next time; made if there is none.
  /// Also keeps the number of the last record of where this node is. Empty: nothing is kept.
  std::string dht_cache;
  /// Which paths connections that this node dials may use.
  Reach reach = Reach::any;
  /// Documentation and CGN ranges count as public addresses. For laboratories only.
  bool laboratory_addresses = false;

  std::size_t max_connections = 20'000;
  /// Streams that a peer may have open to us at once.
  std::size_t max_streams = 100;

  /// The thread to live on; null: one of its own.
  std::shared_ptr<Runtime> runtime;
};

}  // namespace quicmesh
