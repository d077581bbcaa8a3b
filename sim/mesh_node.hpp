// A whole node in a simulation: identity, QUIC, connection manager, on a simulated host.
//
// Identities and secrets come from the simulation's seed, so a run replays; see base/core.hpp for
// the drive rule, which sim::Host keeps.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "crypto/seeded_rng.hpp"
#include "node/node_core.hpp"
#include "sim/simulation.hpp"

namespace quicmesh::sim {

class MeshNode {
 public:
  static constexpr std::uint16_t port = 4433;

  /// Starts a node on `host`, whose interfaces exist. `life` tells restarts of one host apart: the
  /// identity stays, all other secrets are new.
  MeshNode(Simulation& simulation, HostId host, const QuicConfig& config = {}, unsigned life = 0);

  /// Called for each event of the node, in order of registration; may give commands.
  void listen(std::function<void(Instant, const NodeEvent&)> listener);

  /// Tells the core of this host's interfaces that are up, so that peers hear where it may be
  /// reached.
  void announce();
  /// The interfaces have changed: announces those that are up, and has everything looked at anew.
  void network_changed();
  void suspend();
  void resume();
  /// Becomes a relay for others.
  void serve_as_relay(const RelayLimits& limits = {});
  /// Answers NAT behaviour discovery (RFC 5780) on its first two interfaces.
  void serve_stun();
  /// Uses `relay`, at the address of its first interface.
  void use_relay(const MeshNode& relay);

  /// `mutate(NodeCore&, Instant)`; see CoreHandle::command.
  template <class Mutate>
  auto command(Mutate&& mutate) {
    return handle_->command(std::forward<Mutate>(mutate));
  }

  [[nodiscard]] const NodeId& id() const { return identity_.node_id(); }
  [[nodiscard]] const NodeCore& core() const { return handle_->core(); }
  [[nodiscard]] HostId host() const { return host_; }

  /// Where `interface` of this node is reached, without a NAT on the way.
  [[nodiscard]] SocketAddress address(InterfaceId interface) const;
  /// From our `own` interface to `remote`.
  [[nodiscard]] NetworkPath path(InterfaceId own, const SocketAddress& remote) const;

 private:
  [[nodiscard]] std::vector<IpAddress> own_addresses() const;

  Simulation& simulation_;
  HostId host_;
  SeededRng rng_;
  Keypair identity_;
  SocketId socket_{};
  std::optional<CoreHandle<NodeCore>> handle_;
  std::vector<std::function<void(Instant, const NodeEvent&)>> listeners_;
};

}  // namespace quicmesh::sim

namespace quicmesh {

/// What the trace says of an event: decisions, never secrets or payload.
std::string trace_text(const NodeEvent& event);

}  // namespace quicmesh
