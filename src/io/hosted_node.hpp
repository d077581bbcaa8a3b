// A NodeCore with its sockets: what the network thread drives for one node.
//
// Receiving: a train is cut into datagrams by its segment size, with one timestamp for the train.
// A relay forwards trains whole, and makes some of what came singly (relay_gather.hpp).
// Sending: what a full socket did not take is kept, and the core is not asked for more until it is
// gone; nothing is dropped here.
//
// Sockets that the core asks for while it runs are opened and closed here, between turns; the
// network thread then watches them (SocketTable::take_opened). Tunnels to relays, and from clients
// if the node is one, stand beside the sockets: a full tunnel drops, and never holds anything up.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "crypto/system_rng.hpp"
#include "io/node_client.hpp"
#include "io/relay_gather.hpp"
#include "io/socket_table.hpp"
#include "io/tunnel_set.hpp"
#include "node/dht_host.hpp"
#include "node/node_core.hpp"
#include "quicmesh/keypair.hpp"

namespace quicmesh::io {

/// A socket of the node, as far as dialling needs it.
struct SocketInfo {
  SocketId id{};
  SocketAddress local;
};

class HostedNode {
 public:
  /// Trains taken from one socket before the others, and sent before anything is received again.
  static constexpr std::size_t receives_per_turn = 16;  // what a relay gathers is one
  static constexpr std::size_t trains_per_turn = 16;
  /// How long to wait after ENOBUFS, which no readiness event ends.
  static constexpr Duration no_buffers_pause = 200us;
  /// What the DHT has found is saved so soon after the first contact, and then so often.
  static constexpr Duration dht_save_first = 3s;
  static constexpr Duration dht_save_interval = 5min;

  ~HostedNode();
  static Result<std::unique_ptr<HostedNode>> create(QuicConfig config, Keypair identity,
                                                    std::vector<UdpSocket> sockets);

  void set_client(std::shared_ptr<NodeClient> client) { client_ = std::move(client); }
  [[nodiscard]] NodeClient& client() { return *client_; }
  [[nodiscard]] std::shared_ptr<NodeClient> share_client() const { return client_; }
  [[nodiscard]] SocketTable& sockets() { return sockets_; }
  /// Takes tunnels of relay clients at `local` from now on; the result is the address bound.
  Result<SocketAddress> listen_for_tunnels(const SocketAddress& local);
  /// Null as long as there never was one.
  [[nodiscard]] const TunnelSet* tunnels() const { return tunnels_.get(); }
  [[nodiscard]] NodeCore& core() { return *core_; }
  /// The tunnels that live connections use, or over which their ends answer probes; in order.
  [[nodiscard]] std::vector<SocketId> live_tunnels() const;
  /// Takes part in the DHT from now on; once, before the node runs. What is found is kept in
  /// `cache_file`, if one is given, and begun with (dht_cache.hpp).
  void join_dht(Instant now, DhtHostConfig config, std::string cache_file);
  /// Null if the node takes no part.
  [[nodiscard]] DhtHost* dht() { return dht_; }
  /// Tells the core where others on the machine's networks reach these sockets, now and whenever
  /// the network changes.
  void announce(Instant now, std::vector<SocketInfo> sockets);
  [[nodiscard]] UdpCounters counters() const { return sockets_.counters(); }

  /// Room for a train behind one that is gathered; with less, nothing is gathered.
  static constexpr std::size_t buffer_size = 2 * UdpSocket::receive_buffer_size;

  /// Everything below is called by the network thread alone. `buffer` holds 64 KB, or
  /// `buffer_size` where it is to gather.
  void receive(SocketId socket, MutableByteView buffer);
  void receive_from_tunnels(MutableByteView buffer);
  /// Applies commands, expires timers, sends, delivers events, until nothing is left to do now.
  void settle(MutableByteView buffer);
  /// The machine's network has changed: tells the core where it is reached now.
  void network_changed(Instant now);
  void resume(Instant now);
  /// Says goodbye to all peers, as far as the sockets take it.
  void say_goodbye(MutableByteView buffer);

  /// When to settle without being asked; Instant{} for at once.
  [[nodiscard]] Instant deadline() const { return deadline_; }
  /// The socket whose readiness for writing is waited for.
  [[nodiscard]] std::optional<SocketId> full_socket() const;
  /// `full_socket` is writable again.
  void on_writable();

  /// The socket that the thread watches for writing.
  std::optional<SocketId> watched_for_writing;
  /// The thread watches the tunnels.
  bool tunnels_watched = false;

 private:
  static constexpr std::size_t forward_runs = 64;  // destinations in one train of a relay

  void hand_over(RelayGather& gather, MutableByteView buffer);
  void hand_over(const NetworkPath& path, Ecn ecn, MutableByteView train, std::size_t segment_size);
  bool forward(Instant now, const NetworkPath& source, ByteView train, std::size_t segment_size);
  struct Held {  // a train, or the rest of one, that waits for its socket
    Transmit transmit;
    Bytes data;
    std::size_t offset = 0;
    bool wait_for_writable = false;
    Instant retry_at{};
  };

  HostedNode(Keypair identity, std::vector<UdpSocket> sockets)
      : identity_(std::move(identity)), sockets_(std::move(sockets)) {}

  /// False if more could be sent now.
  bool transmit(MutableByteView buffer);
  bool send_held(Instant now);
  /// Do what the core asks for. True if there was anything.
  bool serve_socket_requests();
  bool serve_tunnel_requests();
  bool deliver_tunnel_events(Instant now);
  Result<void> make_tunnels();
  void save_dht(Instant now);
  void save_dht_if_due(Instant now);

  Keypair identity_;
  SystemRng secure_rng_;
  SocketTable sockets_;
  std::vector<SocketInfo> announced_;
  std::unique_ptr<TunnelSet> tunnels_;  // made when first used
  std::unique_ptr<NodeCore> core_;
  DhtHost* dht_ = nullptr;  // of the core's services
  std::string dht_file_;
  Instant dht_save_at_ = never;
  bool dht_joined_ = false;             // there was a contact, so a first save is due or done
  std::shared_ptr<NodeClient> client_;  // shared with the handles of the public API
  std::optional<Held> held_;
  Instant deadline_{};
  bool tunnels_received_ = false;  // since the last `settle`
};

}  // namespace quicmesh::io
