// NatDiscovery: finds out how the NAT in front of this node maps and filters UDP, within three
// seconds, as a core (RFC 5780, in the words of RFC 4787).
//
// It asks the driver for seven fresh sockets, because traffic of before would spoil the tests:
//
//   mapping    asks all servers given, and the other address of the first that has one (RFC 5780
//              s4.3, tests II and III, and a fourth: the server's own address, other port). Two
//              plain servers do as well.
//   filtering  asks one server and no other; that server answers from elsewhere (s4.4, tests II
//              and III), or a second node stands in (stun/stand_in.hpp;
//              nat_discovery_stand_in.hpp).
//   ports      five sockets ask one server, one right behind the other.
//
// The first answer starts everything but the mapping test, all at once: the sockets keep the tests
// apart. Two of the port sockets then send to each other's external endpoint: hairpinning.
//
// Silence is a result only with proof that the packets were there (erratum 7971 to RFC 5780: a
// server whose other address is dead makes every NAT look closed). After at least four requests
// unanswered, filtering counts as closed if the other address answers when asked directly, and the
// server does not answer CHANGE-REQUEST from the address asked. Behind endpoint-independent mapping
// a change of address must besides work towards the socket that has been in touch with the other
// address. Otherwise filtering stays unknown.
//
// Requests are repeated on `Retransmission::discovery`, the first ones on `first_contact`, so that
// no result hangs on one lost packet, and none that UDP is blocked on an outage of a second. At the
// deadline what is known is judged, and the rest is unknown. The end is a `NatDiscovered` event,
// after all sockets are given back.
//
// Bounds: 8 servers, at most 10 packets to an address that a server named, as its
// own second one or as our outside; it must be of the same scope as the server's.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <variant>
#include <vector>

#include "base/network_path.hpp"
#include "base/rng.hpp"
#include "nat/nat_discovery_judgement.hpp"
#include "nat/nat_discovery_stand_in.hpp"
#include "nat/nat_profile.hpp"
#include "nat/socket_request.hpp"
#include "quicmesh/result.hpp"
#include "stun/stun_client.hpp"

namespace quicmesh {

struct DiscoveryServer {
  SocketAddress address;
  /// An authenticated connection to that node stands, over which it can be asked to stand in.
  bool stands_in = false;
};

struct NatDiscoveryConfig {
  IpFamily family = IpFamily::v4;
  /// 1 to 8, of that family; those at different addresses say most.
  std::vector<DiscoveryServer> servers;
  /// The addresses of this machine's interfaces, for sockets that are bound to none.
  std::vector<IpAddress> local_addresses;
  /// What a gateway says its external address is (UPnP-IGD, NAT-PMP, PCP).
  std::optional<IpAddress> gateway_external;
  PortMappingProtocols port_mapping;
  Duration deadline = 3s;
};

/// What the result rests on, for people and for tests.
struct NatEvidence {
  std::vector<MappingSample> mapping;
  std::vector<PortSample> ports;
  enum class FilteringMethod : std::uint8_t { none, change_request, stand_in };
  FilteringMethod filtering_method{};
  Finding heard_stranger{};               // a packet from an address never sent to
  Finding heard_other_port{};             // one from another port of an address sent to
  Finding stranger_verified{};            // that those packets were really sent
  std::optional<SocketAddress> external;  // of the mapping socket, as first seen
  std::optional<Duration> rtt;            // of the first server that answered
  std::size_t servers_answered = 0;
  bool deadline_reached = false;
};

/// To be sent over the authenticated connection to the node at `server`.
struct AskStandIn {
  SocketAddress server;
  StandInRequest request;
};
struct NatDiscovered {
  NatProfile profile;
  NatEvidence evidence;
};
/// As users see it.
NatReport report_of(const NatDiscovered& discovered);
using NatDiscoveryEvent = std::variant<OpenSocket, CloseSocket, AskStandIn, NatDiscovered>;

class NatDiscovery {
 public:
  static constexpr std::size_t servers_max = 8;
  static constexpr std::size_t port_sockets = 5;
  static constexpr std::size_t sockets_max = 2 + port_sockets;
  static constexpr unsigned silent_sends_min = 4;
  static constexpr unsigned sends_to_named_max = 5;  // for each of two ports

  /// `rng` outlives the discovery.
  explicit NatDiscovery(SecureRng& rng) : client_(rng), stand_in_(rng) {}

  /// Begins the one run of this object. Errors: `no_servers`, `too_many_servers`.
  Result<void> start(Instant now, const NatDiscoveryConfig& config);

  /// `local` is what the socket is bound to, its address unspecified if it is bound to all.
  void handle_socket_opened(Instant now, SocketRequestId id, SocketId socket,
                            const SocketAddress& local);
  void handle_socket_failed(Instant now, SocketRequestId id);
  void handle_stand_in_answer(Instant now, const StandInAnswer& answer);

  /// True if the datagram came to one of the discovery's sockets.
  bool handle_datagram(Instant now, const NetworkPath& path, Ecn ecn, ByteView datagram);
  void handle_timeout(Instant now);
  std::optional<Transmit> poll_transmit(Instant now, MutableByteView buffer);
  std::optional<NatDiscoveryEvent> poll_event();
  [[nodiscard]] Instant poll_timeout() const;

  [[nodiscard]] bool is_running() const { return stage_ == Stage::running; }

 private:
  enum class Stage : std::uint8_t { idle, running, over };
  enum class Test : std::uint8_t {
    mapping,          // plain requests of the mapping socket
    mapping_named,    // those to the address that the server named
    control,          // a change of address towards the mapping socket
    filtering_first,  // the filtering socket's one plain request
    change_both,
    change_port,
    open_address,  // a packet of the filtering socket to a port that nobody serves
    port,
    hairpin,
  };
  struct Socket {
    bool asked = false;
    std::optional<SocketId> id;
    SocketAddress local;
  };
  struct Running {
    TransactionId id;
    Test test{};
    std::size_t socket = 0;
    SocketAddress destination;
  };
  // Index in `sockets_`.
  static constexpr std::size_t mapping_socket = 0;
  static constexpr std::size_t filtering_socket = 1;
  static constexpr std::size_t first_port_socket = 2;

  [[nodiscard]] std::optional<std::size_t> socket_index(SocketId id) const;
  [[nodiscard]] bool sockets_ready() const;
  struct Question {
    Test test{};
    std::size_t socket = 0;
    SocketAddress destination;
    ChangeRequest change{};
    std::optional<SocketAddress> expected_source{};
    std::optional<unsigned> sends{};
  };
  std::optional<TransactionId> ask(Instant now, const Question& question);
  [[nodiscard]] bool is_running(Test test) const;
  [[nodiscard]] bool is_filtering_running(Instant now) const;
  [[nodiscard]] std::size_t asked(Test test) const {
    return asked_[static_cast<std::size_t>(test)];
  }
  void cancel(Test test);

  /// Starts whatever can be started now, and ends the run when there is nothing left.
  void step(Instant now);
  void step_mapping(Instant now);
  void step_filtering(Instant now);
  void step_stand_in(Instant now);
  void ask_stand_in(Instant now);
  void step_hairpin(Instant now);
  [[nodiscard]] bool may_be_outside(const SocketAddress& address) const;
  [[nodiscard]] bool is_complete(Instant now) const;
  void drain_client(Instant now);
  void on_answered(Instant now, const Running& running, const StunAnswered& answered);
  void note_other_address(const SocketAddress& server, const StunMessage& message);
  void on_binding_request(const TransactionId& id);
  void on_stand_in_packet(std::size_t socket, const SocketAddress& from, const TransactionId& id);
  void finish(Instant now);

  // nat_discovery_result.cpp: what the evidence says at the end.
  [[nodiscard]] NatProfile judge();
  [[nodiscard]] Finding judge_translated() const;
  [[nodiscard]] Finding judge_cgnat(Finding translated, Finding pooled) const;
  [[nodiscard]] Finding judge_pooled(Finding translated) const;
  [[nodiscard]] Finding judge_udp_blocked() const;
  [[nodiscard]] NatBehaviour judge_filtering(NatBehaviour mapping);
  [[nodiscard]] NatBehaviour judge_change_requests(NatBehaviour mapping);
  [[nodiscard]] NatBehaviour judge_stand_in();
  /// `yes` if the test was answered, `no` if enough requests were not.
  [[nodiscard]] Finding heard(Test test) const;
  [[nodiscard]] bool answered_directly(const SocketAddress& destination) const;

  Stage stage_ = Stage::idle;
  NatDiscoveryConfig config_;
  StunClient client_;
  StandInTest stand_in_;
  std::array<Socket, sockets_max> sockets_;
  std::vector<Running> running_;
  std::deque<NatDiscoveryEvent> events_;  // at most one for each socket and stand-in request, twice
  std::array<std::size_t, 9> asked_{};    // by Test: how many were started
  NatEvidence evidence_;
  Instant deadline_ = never;
  Duration round_trip_{};                // to the first server that answered, or more
  Instant other_address_until_ = never;  // how long a server with a second address is waited for

  struct BehaviourServer {
    SocketAddress address;
    SocketAddress other;
  };
  std::optional<SocketAddress> first_server_;                       // that answered
  std::optional<BehaviourServer> behaviour_server_;                 // the first with OTHER-ADDRESS
  std::array<std::optional<SocketAddress>, sockets_max> external_;  // by socket, as first seen
  std::vector<SocketAddress> answered_servers_;
  std::array<Finding, 9> heard_{};  // by Test: answered, or silent to its end
};

}  // namespace quicmesh
