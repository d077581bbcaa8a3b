// A peer that says what it likes: a real connection with mutual authentication, real sockets, and
// streams whose bytes nobody checks before they leave.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "crypto/system_rng.hpp"
#include "io/udp_socket.hpp"
#include "node/relay_inbox.hpp"
#include "path/connectivity.hpp"
#include "quicmesh/node_address.hpp"
#include "relay/challenge_frame.hpp"

namespace quicmesh::abuser {

class AbusivePeer {
 public:
  /// Opens a socket at a free port of `local` and dials `target`, with an identity of its own.
  AbusivePeer(const IpAddress& local, const NodeAddress& target);

  /// Receives, expires timers, sends.
  void turn();

  [[nodiscard]] bool connected() const { return connected_; }
  [[nodiscard]] bool ended() const { return ended_; }
  [[nodiscard]] const NodeId& id() const { return identity_.node_id(); }
  [[nodiscard]] int descriptor() const { return socket_.descriptor(); }
  [[nodiscard]] const SocketAddress& local() const { return socket_.local(); }
  [[nodiscard]] const SocketAddress& remote() const { return path_.remote; }

  /// A new stream of `protocol` that begins with `bytes`.
  void say(const std::string& protocol, bool bidirectional, Bytes bytes);
  /// More of a stream of the relay protocol, which is opened when there is none.
  void tell_relay(Bytes bytes);
  void send_datagram(ByteView bytes);

  [[nodiscard]] const std::vector<RelayMessage>& heard() const { return heard_; }
  [[nodiscard]] std::optional<RelaySession> session() const;
  /// Relayed datagrams that came.
  [[nodiscard]] std::uint64_t relayed() const { return relayed_; }
  /// Of the control connection, for challenges.
  [[nodiscard]] RelayKey relay_key() const;
  void leave();

 private:
  void on_event(const PathEvent& event);

  Keypair identity_ = Keypair::generate();
  io::UdpSocket socket_;
  SystemRng secure_rng_;
  std::unique_ptr<Connectivity> connectivity_;
  NodeId target_;
  NetworkPath path_;
  bool connected_ = false;
  bool ended_ = false;
  std::optional<StreamKey> control_;
  RelayInbox inbox_;
  std::vector<RelayMessage> heard_;
  std::uint64_t relayed_ = 0;
  Bytes buffer_;
};

using AbusivePeers = std::vector<std::unique_ptr<AbusivePeer>>;

/// Lets them work until `done`, or `limit`; whether it was done.
bool drive(std::span<AbusivePeer* const> peers, const std::function<bool()>& done, Duration limit);
bool drive(const AbusivePeers& peers, const std::function<bool()>& done, Duration limit);

}  // namespace quicmesh::abuser
