// Two nodes with two interfaces each, "relay" and "direct", joined pairwise: the world of the
// programs path-switch and dead-path.
#pragma once

#include <optional>

#include "sim/program_registry.hpp"
#include "sim/verified_transfer.hpp"

namespace quicmesh::sim {

class TwoPathWorld {
 public:
  /// Reads dialler, acceptor, bytes, begin_on, sender and mover from the scenario's table.
  static ScenarioResult<std::unique_ptr<TwoPathWorld>> make(const Scenario& scenario,
                                                            Simulation& simulation);

  /// Dials over the path to begin on, with the other one known; starts the transfer.
  RunResult connect_and_start(Duration deadline);

  [[nodiscard]] MeshNode& sender() { return dialler_sends_ ? *dialler : *acceptor; }
  [[nodiscard]] MeshNode& receiver() { return dialler_sends_ ? *acceptor : *dialler; }
  /// From the dialler's point of view, and from the acceptor's.
  [[nodiscard]] NetworkPath path(const char* interface) const;
  [[nodiscard]] NetworkPath path_back(const char* interface) const;
  [[nodiscard]] const char* old_interface() const { return begin_on_relay_ ? "relay" : "direct"; }
  [[nodiscard]] const char* new_interface() const { return begin_on_relay_ ? "direct" : "relay"; }
  /// The mover asks for the other path: the dialler by itself, the acceptor by a hint.
  Result<void> ask_for_switch();
  /// Round-trip time of a path as configured: no queue, no jitter.
  [[nodiscard]] Duration rtt(const char* interface) const;
  /// Both directions swallow everything from now on.
  void kill(const char* interface);

  Simulation& simulation;
  std::optional<MeshNode> dialler;
  std::optional<MeshNode> acceptor;
  std::optional<VerifiedTransfer> transfer;
  std::optional<Instant> switched_at;  // when the dialler reported the new path
  std::uint64_t bytes = 0;

 private:
  explicit TwoPathWorld(Simulation& simulation_in) : simulation(simulation_in) {}

  [[nodiscard]] InterfaceId interface_of(HostId host, const char* name) const;
  [[nodiscard]] Network::Links links(const char* interface) const;

  HostId dialler_host_{};
  HostId acceptor_host_{};
  bool begin_on_relay_ = true;
  bool dialler_sends_ = true;
  bool dialler_moves_ = true;
};

}  // namespace quicmesh::sim
