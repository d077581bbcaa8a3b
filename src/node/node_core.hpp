// NodeCore: one node without its sockets. It composes the cores and routes between them; today that
// is the connection manager alone, with the table of protocols that this node speaks.
//
// It is driven like every core (base/core.hpp), by io::NodeDriver over real sockets or by sim::Host
// in virtual time, unchanged. Streams of protocols that nobody here handles are refused with
// CloseCode::unknown_protocol; the connection and its other streams go on.
//
// Closing: `begin_close` takes no new streams, waits until every byte written was acknowledged, or
// until `close_patience` is over, then says goodbye to all peers and emits NodeClosed.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/core.hpp"
#include "node/node_event.hpp"
#include "path/connectivity.hpp"

namespace quicmesh {

/// What a closing node still waits for.
struct CloseWait {
  NodeId peer;
  std::size_t unacknowledged_bytes = 0;
};

class NodeCore {
 public:
  static constexpr Duration close_patience = 5s;
  static constexpr Duration close_poll = 5ms;
  static constexpr std::size_t protocols_max = 1024;

  /// `identity` and `secure_rng` outlive the node.
  static Result<std::unique_ptr<NodeCore>> create(QuicConfig config, const Keypair& identity,
                                                  SecureRng& secure_rng, Rng rng);

  void handle_datagram(Instant now, const NetworkPath& path, Ecn ecn, MutableByteView datagram);
  void handle_timeout(Instant now);
  std::optional<Transmit> poll_transmit(Instant now, MutableByteView buffer);
  std::optional<NodeEvent> poll_event();
  [[nodiscard]] Instant poll_timeout() const;

  /// From now on streams of `protocol` are accepted. Fails with PathErrc::bad_protocol_name.
  Result<void> add_protocol(std::string protocol);
  void remove_protocol(const std::string& protocol);

  /// See Connectivity::connect.
  Result<void> connect(Instant now, const NodeId& peer, std::span<const NetworkPath> candidates);
  void disconnect(Instant now, const NodeId& peer, std::string_view reason);

  Result<StreamKey> open_stream(Instant now, const NodeId& peer, std::string protocol);
  /// A stream that names a datagram flow; datagrams go both ways while it is open.
  Result<StreamKey> open_flow(Instant now, const NodeId& peer, std::string protocol);

  void begin_close(Instant now);
  [[nodiscard]] std::vector<CloseWait> close_waits_for() const;

  /// Streams, datagrams, paths and figures are the connection manager's.
  [[nodiscard]] Connectivity& connectivity() { return *connectivity_; }
  [[nodiscard]] const Connectivity& connectivity() const { return *connectivity_; }
  [[nodiscard]] const NodeId& id() const { return id_; }

 private:
  explicit NodeCore(NodeId id) : id_(id) {}

  void take_events();
  void refuse(const PeerStreamOpened& opened);
  void advance_close(Instant now);

  NodeId id_;
  std::unique_ptr<Connectivity> connectivity_;
  std::set<std::string> protocols_;
  std::set<StreamKey> refused_;  // their late events are nobody's
  std::deque<NodeEvent> events_;

  struct Closing {
    Instant deadline{};
    Instant next{};
    bool said_goodbye = false;
  };
  std::optional<Closing> closing_;
};

static_assert(DatagramCore<NodeCore>);

}  // namespace quicmesh
