// A client of a relay for `bench relay`: the control connection and the sessions of a real one,
// and a socket whose relayed datagrams are the benchmark's own.
//
// A node's transfer would measure QUIC's two ends as well, which cost more than the relay. So here
// the relay sees what it sees of nodes (a connection with mutual authentication, a reservation,
// sessions, frames from the bound path), and behind the header stands filling.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench_process.hpp"
#include "crypto/system_rng.hpp"
#include "io/udp_socket.hpp"
#include "node/relay_inbox.hpp"
#include "path/connectivity.hpp"
#include "quicmesh/node_address.hpp"

namespace quicmesh::cli {

class BenchRelayClient {
 public:
  struct Session {
    RelaySessionId id{};
    NodeId peer;
    RelayRole role{};
  };

  /// Begins to dial `relay`; it registers as soon as the connection stands.
  static Measured<std::unique_ptr<BenchRelayClient>> start(const NodeAddress& relay);

  /// Receives, expires timers, sends. `buffer` holds a train.
  void turn(MutableByteView buffer);
  /// Asks the relay for a session with `peer`.
  void ask_for(const NodeId& peer);
  /// Says goodbye, so that the relay keeps nothing of it.
  void leave(MutableByteView buffer);

  [[nodiscard]] const NodeId& id() const { return identity_.node_id(); }
  [[nodiscard]] io::UdpSocket& socket() { return socket_; }
  [[nodiscard]] int descriptor() const { return socket_.descriptor(); }
  [[nodiscard]] const SocketAddress& relay_address() const { return path_.remote; }
  [[nodiscard]] bool registered() const { return registered_; }
  [[nodiscard]] const std::vector<Session>& sessions() const { return sessions_; }
  /// Why there will be no reservation, or no session; empty while all is well.
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  BenchRelayClient(Keypair identity, io::UdpSocket socket)
      : identity_(std::move(identity)), socket_(std::move(socket)) {}

  void on_event(Instant now, PathEvent& event);
  void on_message(const RelayMessage& message);
  void tell(const RelayMessage& message);

  Keypair identity_;
  io::UdpSocket socket_;
  SystemRng secure_rng_;
  std::unique_ptr<Connectivity> connectivity_;
  NetworkPath path_;  // to the relay
  StreamKey control_;
  RelayInbox inbox_;
  bool registered_ = false;
  std::vector<Session> sessions_;
  std::string error_;
};

using BenchRelayClients = std::vector<std::unique_ptr<BenchRelayClient>>;

/// Lets all clients work until `done`, which is asked after each round.
Measured<void> drive(BenchRelayClients& clients, const std::function<bool()>& done, Duration limit);

/// So many clients, all registered; at most `together` of them dial at a time.
Measured<BenchRelayClients> start_relay_clients(const NodeAddress& relay, std::size_t count,
                                                std::size_t together = 32);

/// Asks for a session of each pair (index of who asks, index of the other), and waits for all.
struct ClientPair {
  std::size_t initiator = 0;
  std::size_t responder = 0;
};
Measured<void> open_sessions(BenchRelayClients& clients, const std::vector<ClientPair>& pairs);

/// Ends all of them.
void leave_relay(BenchRelayClients& clients);

}  // namespace quicmesh::cli
