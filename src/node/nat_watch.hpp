// What the NAT in front of this node does, found out and kept up to date: it runs NatDiscovery
// whenever there is somebody to ask and reason to.
//
// A run begins `settle` after servers became known, so that those which come up together are asked
// together; again when servers were added and the last result left mapping or filtering open, after
// `restart` (the network has changed), and every half hour; after five seconds, then ten, twenty
// ... if the servers there are could not tell. The servers are the relays in use, which serve STUN
// on their port, and those of the configuration.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "nat/nat_discovery.hpp"

namespace quicmesh {

class NatWatch {
 public:
  static constexpr Duration settle = 30ms;
  static constexpr Duration again_after = 30min;
  static constexpr Duration retry_first = 5s;

  /// `rng` outlives the watch.
  explicit NatWatch(SecureRng& rng) : rng_(rng) {}

  void set_local_addresses(std::vector<IpAddress> addresses);
  /// What a gateway said by a port-mapping protocol; the last result is completed by it.
  void set_gateway(std::optional<IpAddress> external, PortMappingProtocols protocols);
  /// Replaces the servers; those beyond NatDiscovery::servers_max are left out.
  void set_servers(Instant now, std::vector<DiscoveryServer> servers);
  /// The network has changed: what was known is not believed any more.
  void restart(Instant now);

  void handle_socket_opened(Instant now, SocketRequestId id, SocketId socket,
                            const SocketAddress& local);
  void handle_socket_failed(Instant now, SocketRequestId id);
  void handle_stand_in_answer(Instant now, const StandInAnswer& answer);

  /// True if the datagram came to a socket of the run under way.
  bool handle_datagram(Instant now, const NetworkPath& path, Ecn ecn, ByteView datagram);
  void handle_timeout(Instant now);
  std::optional<Transmit> poll_transmit(Instant now, MutableByteView buffer);
  /// OpenSocket, CloseSocket, AskStandIn, NatDiscovered.
  std::optional<NatDiscoveryEvent> poll_event();
  [[nodiscard]] Instant poll_timeout() const;

  /// Of the last run that has ended.
  [[nodiscard]] const std::optional<NatDiscovered>& result() const { return result_; }
  [[nodiscard]] const std::vector<DiscoveryServer>& servers() const { return servers_; }
  /// A run is under way, or about to begin.
  [[nodiscard]] bool is_running(Instant now) const { return run_ || due_ <= now + settle; }

 private:
  void begin(Instant now);
  void drop_run();
  void add_gateway(NatDiscovered& found) const;
  /// The run's own number of a wish; nothing if it was a former run's.
  [[nodiscard]] std::optional<SocketRequestId> own_number(SocketRequestId id) const;

  SecureRng& rng_;
  std::vector<IpAddress> local_addresses_;
  std::optional<IpAddress> gateway_external_;
  PortMappingProtocols port_mapping_;
  std::vector<DiscoveryServer> servers_;
  std::optional<NatDiscovery> run_;
  std::vector<SocketId> sockets_;          // of the run
  std::deque<NatDiscoveryEvent> dropped_;  // CloseSocket of a run that was given up
  unsigned run_number_ = 0;                // in its wishes for sockets
  std::optional<NatDiscovered> result_;
  Instant begun_{};
  Instant due_ = never;  // of the next run
  Duration retry_ = retry_first;
};

}  // namespace quicmesh
