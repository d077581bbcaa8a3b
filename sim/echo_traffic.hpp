// Keeps a node talking to some peers: dials them, dials again when they are lost, and sends each a
// message now and then that must come back unchanged. Answers the messages of others alike.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "sim/mesh_node.hpp"

namespace quicmesh::sim {

struct EchoCounters {
  std::uint64_t sent = 0;
  std::uint64_t returned = 0;
  std::uint64_t wrong = 0;  // came back changed
  std::uint64_t lost = 0;   // their connection ended first; the sender knows
};

class EchoTraffic {
 public:
  static constexpr const char* protocol = "sim/echo/1";
  static constexpr Duration redial_min = 500ms;
  static constexpr Duration redial_max = 2s;
  static constexpr Duration pause_min = 1s;
  static constexpr Duration pause_max = 3s;

  EchoTraffic(Simulation& simulation, MeshNode& node, Rng rng);

  /// Talks to the node `id`, reached by `path`, from now on.
  void add_peer(const NodeId& id, const NetworkPath& path);

  [[nodiscard]] const EchoCounters& counters() const { return counters_; }
  /// True if every peer has returned a message that was sent after `since`.
  [[nodiscard]] bool all_reached_since(Instant since) const;

 private:
  struct Peer {
    NetworkPath path;
    std::optional<Instant> last_returned_sent_at;
    bool redial_planned = false;
  };
  struct Message {
    NodeId peer;
    Instant sent_at;
    Bytes text;
    Bytes returned;
  };

  void on_event(Instant now, const NodeEvent& event);
  void on_data(Instant now, const PeerStreamData& data);
  void dial(const NodeId& id);
  void redial_later(const NodeId& id);
  void speak(const NodeId& id);

  Simulation& simulation_;
  MeshNode& node_;
  Rng rng_;
  std::map<NodeId, Peer> peers_;
  std::map<StreamKey, Message> messages_;
  EchoCounters counters_;
};

}  // namespace quicmesh::sim
