// A node as a relay for others: the relay server's core, its clients' control streams over the
// node's own connections, and the datagrams it forwards.
//
// A control stream is an ordinary stream of the protocol "quicmesh/relay/1" on the one connection
// between two nodes (docs/decisions/0004): a relay is a node like any other.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <unordered_map>

#include "node/relay_inbox.hpp"
#include "path/connectivity.hpp"
#include "relay/relay_server.hpp"

namespace quicmesh {

class RelayHost {
 public:
  /// Datagrams forwarded one by one and not yet taken; more are dropped. A driver takes them after
  /// each datagram, or whole trains by `forward_train`.
  static constexpr std::size_t forwards_queued_max = 1024;

  RelayHost(RelayLimits limits, SecureRng& secure_rng) : server_(limits, secure_rng) {}

  // Control streams. Each returns true if the stream is one of a client.
  void on_opened(Instant now, Connectivity& connectivity, const PeerStreamOpened& opened);
  bool on_data(Instant now, Connectivity& connectivity, const PeerStreamData& data);
  bool on_ended(const StreamKey& stream);
  /// A client's connection has moved, and was found to be reachable there.
  void on_path_proved(const PeerPathProved& proved);
  [[nodiscard]] bool owns(const StreamKey& stream) const { return clients_.contains(stream); }

  /// A relay frame. False if its session is not one of this relay.
  bool handle_frame(Instant now, const NetworkPath& path, ByteView datagram);
  RelayTrain forward_train(Instant now, const NetworkPath& source, ByteView train,
                           std::size_t segment_size, std::span<RelayRun> runs) {
    return server_.forward_train(now, source, train, segment_size, runs);
  }

  void handle_timeout(Instant now) { server_.handle_timeout(now); }
  /// Writes what the server has to say to its clients' streams.
  void pump(Connectivity& connectivity);
  std::optional<Transmit> poll_transmit(MutableByteView buffer);
  [[nodiscard]] Instant poll_timeout() const { return server_.poll_timeout(); }

  [[nodiscard]] RelayServer& server() { return server_; }
  [[nodiscard]] const RelayServer& server() const { return server_; }

 private:
  struct Client {
    RelayClientId id{};
    NodeId node;
    RelayInbox inbox;
  };
  struct Forward {
    NetworkPath path;
    Bytes bytes;
  };

  void drop(Connectivity& connectivity, const StreamKey& stream);

  RelayServer server_;
  std::map<StreamKey, Client> clients_;
  std::unordered_map<RelayClientId, StreamKey> streams_;
  std::uint64_t last_id_ = 0;
  std::deque<Forward> forwards_;
};

}  // namespace quicmesh
