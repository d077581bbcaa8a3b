// A simulated machine: its sockets, and the drive loop of the core that runs on it.
//
// Sockets are bound to an address of an interface, or to none, and a port; as on a real machine the
// one bound to the address wins over the one bound to any. A received datagram's path has the
// address it came to (IP_PKTINFO), and a Transmit may name the address it leaves from. A Transmit
// train is cut into its datagrams here.
//
// Drive rule (base/core.hpp): one mutation, then everything is drained, transmits before events; an
// event's sink may give commands, which is why draining goes on until nothing comes any more. Then
// the wake-up is armed: only a deadline earlier than the armed one plans a new wake-up; a later one
// is noticed when the armed one goes off. So a timer that moves with every packet costs nothing.
//
// Sockets that a core asks for are opened here, bound to any address and a random port.
//
// Two things would stop virtual time, and end the simulation with a message instead: a core that
// transmits without end in one turn, and one whose deadline is never in the future.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/rng.hpp"
#include "sim/network.hpp"
#include "sim/program.hpp"

namespace quicmesh::sim {

/// What all hosts of a simulation share.
struct HostContext {
  Network& network;
  SimulationQueue& queue;
  Trace& trace;
  const Instant& now;
  MutableByteView buffer;                 // for poll_transmit
  std::optional<std::string>& complaint;  // set once: why the simulation cannot go on
};

class Host {
 public:
  static constexpr std::size_t sockets_max = 1024;  // birthday probing opens 256
  static constexpr std::size_t transmits_per_turn_max = 20'000;
  static constexpr std::uint32_t wake_ups_at_one_instant_max = 10'000;

  Host(HostContext context, HostId id, Rng rng);

  /// Opens a UDP socket. `local.ip` is an address of this host, or unspecified for all of that
  /// family; port 0 takes a free one from 49152 on, at random.
  /// Errors: address_not_local, port_in_use, too_many_sockets.
  Result<SocketId> open_socket(const SocketAddress& local);
  void close_socket(SocketId socket);

  /// What the socket is bound to, with its real port; nothing if it is closed.
  [[nodiscard]] std::optional<SocketAddress> socket_address(SocketId socket) const;

  [[nodiscard]] std::size_t open_sockets() const;

  /// Runs `program` from now on; there is none yet.
  void start(std::unique_ptr<Program> program);

  /// Ends it without a word to anybody, as `kill -9` does, and closes all sockets. Not from a sink
  /// of this very host: plan an action for the same instant instead.
  void stop();

  [[nodiscard]] bool is_running() const { return program_ != nullptr; }
  [[nodiscard]] HostId id() const { return id_; }
  [[nodiscard]] const std::string& name() const { return context_.network.name_of(id_); }

  /// Drains the program after a command and arms its wake-up. Inside a sink of this host it does
  /// nothing: the loop around the sink goes on by itself.
  void drive();

  void handle_packet(PacketHandle packet);
  void handle_wake_up();

 private:
  struct Socket {
    SocketAddress local;
    bool open = false;
  };

  [[nodiscard]] std::optional<SocketId> find_socket(const SocketAddress& destination) const;
  [[nodiscard]] bool is_bound(const SocketAddress& local) const;
  [[nodiscard]] Result<std::uint16_t> free_port(const IpAddress& ip);
  void send(const Transmit& transmit);
  bool drain_transmits();
  bool drain_events();
  /// True if the program asked for sockets.
  bool serve_socket_requests();
  void arm();
  void complain(std::string what);

  HostContext context_;
  HostId id_;
  Rng rng_;
  std::vector<Socket> sockets_;  // index: SocketId
  std::unique_ptr<Program> program_;
  bool driving_ = false;
  Instant armed_at_ = never;  // of the earliest wake-up that is planned and will be heeded
  Instant deadline_ = never;  // what the program wants
  Instant last_wake_up_{};
  std::uint32_t wake_ups_at_this_instant_ = 0;
};

}  // namespace quicmesh::sim
