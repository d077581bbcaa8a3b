// Two nodes behind NATs that talk over a relay and punch, for tests: the puncher's surroundings,
// reduced to what it needs of them.
//
// PunchNode stands for the connection manager: it sends the probes asked for, answers those that
// come (35 bytes each, as the real ones), proves a path on which one came by probes of its own, and
// tells the puncher. A probe with a hop limit is ignored on arrival, because the simulator knows no
// hops: it dies on its way as far as the far host can see. The relay is a delay, reliable and in
// order.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <variant>

#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"
#include "crypto/seeded_rng.hpp"
#include "nat/puncher.hpp"
#include "sim/simulation.hpp"
#include "stun/stun_client.hpp"
#include "stun/stun_server.hpp"
#include "stun/stun_writer.hpp"

namespace quicmesh::sim {

/// The main socket's server-reflexive address.
struct ExternalLearnt {
  SocketAddress external;
};

class PunchNode {
 public:
  static constexpr std::size_t frame_size = 35;
  static constexpr Duration prove_interval = 100ms;
  static constexpr unsigned prove_max = 10;

  PunchNode(std::uint64_t seed, const std::string& name)
      : secure_rng_(seed, name),
        client_(secure_rng_),
        puncher_(secure_rng_, Rng(seed).fork(name), allowance_) {}

  void handle_datagram(Instant now, const NetworkPath& path, Ecn ecn, MutableByteView datagram);
  void handle_timeout(Instant now);
  std::optional<Transmit> poll_transmit(Instant now, MutableByteView buffer);
  std::optional<PuncherEvent> poll_event();
  [[nodiscard]] Instant poll_timeout() const;

  void learn_external(Instant now, SocketId main, const SocketAddress& server);
  [[nodiscard]] std::optional<SocketAddress> external() const { return external_; }
  void set_peer(const NodeId& peer) { peer_ = peer; }
  Puncher& puncher() { return puncher_; }
  [[nodiscard]] const Puncher& puncher() const { return puncher_; }
  /// When the first probe without a hop limit left, and when the first one arrived.
  [[nodiscard]] std::optional<Instant> first_sent() const { return first_sent_; }
  [[nodiscard]] std::optional<Instant> first_arrived() const { return first_arrived_; }

 private:
  struct Proof {
    NetworkPath path;
    unsigned tries = 0;
    Instant due{};
  };
  void send(const NetworkPath& path, std::uint8_t type, std::uint8_t hops, std::uint64_t nonce);
  void request(Instant now, const NetworkPath& path, std::optional<std::uint8_t> hop_limit);
  void pump(Instant now);

  SeededRng secure_rng_;
  StrangerAllowance allowance_;
  StunClient client_;
  Puncher puncher_;
  NodeId peer_;
  std::optional<SocketAddress> external_;
  std::deque<std::pair<NetworkPath, Bytes>> frames_;
  std::map<std::uint64_t, NetworkPath> asked_;
  std::map<NetworkPath, Proof> proofs_;
  std::uint64_t next_nonce_ = 1;
  std::deque<PuncherEvent> events_;
  std::optional<Instant> first_sent_;
  std::optional<Instant> first_arrived_;
};

inline void PunchNode::send(const NetworkPath& path, std::uint8_t type, std::uint8_t hops,
                            std::uint64_t nonce) {
  Bytes frame(frame_size);
  ByteWriter writer{MutableByteView(frame)};
  writer.u8(type);
  writer.u8(hops);
  writer.u64(nonce);
  frames_.emplace_back(path, std::move(frame));
}

inline void PunchNode::request(Instant now, const NetworkPath& path,
                               std::optional<std::uint8_t> hop_limit) {
  if (!hop_limit && !first_sent_) first_sent_ = now;
  asked_[next_nonce_] = path;
  send(path, 0x20, hop_limit.value_or(0), next_nonce_++);
}

inline void PunchNode::handle_datagram(Instant now, const NetworkPath& path, Ecn ecn,
                                       MutableByteView datagram) {
  if (!datagram.empty() && datagram[0] < 4) {
    if (puncher_.handle_datagram(now, path, ecn, datagram)) return;
    (void)client_.handle_datagram(now, path, ecn, datagram);
    while (const auto event = client_.poll_event()) {
      if (const auto* answered = std::get_if<StunAnswered>(&*event)) {
        external_ = StunMessage::parse(answered->message)->mapped_address();
      }
    }
    return;
  }
  ByteReader reader(datagram);
  const std::uint8_t type = reader.u8();
  const std::uint8_t hops = reader.u8();
  const std::uint64_t nonce = reader.u64();
  if (hops != 0) return;
  if (type == 0x20) {
    if (!first_arrived_) first_arrived_ = now;
    send(path, 0x21, 0, nonce);
    puncher_.on_path_heard(now, peer_, path);
    if (proofs_.size() < 16 && proofs_.try_emplace(path, Proof{path, 0, now}).second) {
      handle_timeout(now);
    }
  } else if (asked_.contains(nonce)) {
    proofs_.clear();
    puncher_.on_path_answered(now, peer_, path);
  }
}

inline void PunchNode::handle_timeout(Instant now) {
  client_.handle_timeout(now);
  puncher_.handle_timeout(now);
  for (auto& [path, proof] : proofs_) {
    if (now < proof.due || proof.tries == prove_max) continue;
    ++proof.tries;
    proof.due = proof.tries == prove_max ? never : now + prove_interval;
    request(now, path, std::nullopt);
  }
}

inline std::optional<Transmit> PunchNode::poll_transmit(Instant now, MutableByteView buffer) {
  if (const auto transmit = client_.poll_transmit(now, buffer)) return transmit;
  if (const auto transmit = puncher_.poll_transmit(now, buffer)) return transmit;
  pump(now);
  if (frames_.empty()) return std::nullopt;
  const auto [path, frame] = std::move(frames_.front());
  frames_.pop_front();
  std::ranges::copy(frame, buffer.begin());
  return Transmit{path, frame.size(), frame.size()};
}

// What was asked for by a transmit leaves in the same turn, right behind it.
inline void PunchNode::pump(Instant now) {
  while (auto event = puncher_.poll_event()) {
    if (const auto* probe = std::get_if<PunchProbe>(&*event)) {
      request(now, probe->path, probe->hop_limit);
    } else {
      events_.push_back(std::move(*event));
    }
  }
}

inline std::optional<PuncherEvent> PunchNode::poll_event() {
  if (events_.empty()) return std::nullopt;
  PuncherEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

inline Instant PunchNode::poll_timeout() const {
  Instant earliest = std::min(client_.poll_timeout(), puncher_.poll_timeout());
  for (const auto& [path, proof] : proofs_)
    earliest = std::min(earliest, proof.due);
  return earliest;
}

inline void PunchNode::learn_external(Instant now, SocketId main, const SocketAddress& server) {
  StunRequest request;
  request.id = client_.new_id();
  request.path = {main, {}, server};
  request.schedule = Retransmission::first_contact();
  std::array<std::uint8_t, 64> buffer{};
  StunWriter writer(buffer, StunClass::request, StunMethod::binding, request.id);
  writer.add_fingerprint();
  request.message = to_bytes(writer.written());
  (void)client_.start(now, std::move(request));
}

/// Sends a small packet to one new address after another: the other machines of a home.
class NeighbourCore {
 public:
  NeighbourCore(Duration mean_interval, Rng rng) : mean_(mean_interval), rng_(rng) {}

  void begin(Instant now) { due_ = now; }
  void handle_datagram(Instant, const NetworkPath&, Ecn, MutableByteView) {}
  void handle_timeout(Instant) {}
  std::optional<Transmit> poll_transmit(Instant now, MutableByteView buffer) {
    if (now < due_) return std::nullopt;
    due_ = now + rng_.between(1us, 2 * mean_);
    buffer[0] = 0xff;
    const auto last = static_cast<std::uint8_t>(1 + rng_.below(250));
    const auto port = static_cast<std::uint16_t>(1024 + rng_.below(60'000));
    return Transmit{{SocketId{0}, {}, {IpAddress::v4({198, 18, 0, last}), port}}, 1, 1};
  }
  std::optional<int> poll_event() { return std::nullopt; }
  [[nodiscard]] Instant poll_timeout() const { return due_; }

 private:
  Duration mean_;
  Rng rng_;
  Instant due_ = never;
};

class StunNode {
 public:
  StunNode(const StunServerConfig& config, SecureRng& rng) : server_(config, rng) {}
  void handle_datagram(Instant now, const NetworkPath& path, Ecn ecn, MutableByteView datagram) {
    server_.handle_datagram(now, path, ecn, datagram);
  }
  void handle_timeout(Instant) {}
  std::optional<Transmit> poll_transmit(Instant now, MutableByteView buffer) {
    return server_.poll_transmit(now, buffer);
  }
  std::optional<int> poll_event() { return std::nullopt; }
  [[nodiscard]] Instant poll_timeout() const { return never; }

 private:
  StunServer server_;
};

/// What `nat` is, as NAT discovery would find it.
inline NatProfile profile_of(const NatConfig& nat) {
  NatProfile profile;
  profile.mapping = static_cast<NatBehaviour>(static_cast<int>(nat.mapping) + 1);
  profile.filtering = static_cast<NatBehaviour>(static_cast<int>(nat.filtering) + 1);
  profile.port_allocation = static_cast<quicmesh::PortAllocation>(static_cast<int>(nat.ports) + 1);
  profile.port_delta = nat.ports == PortAllocation::sequential
                           ? static_cast<std::int16_t>(nat.port_delta)
                           : std::int16_t{0};
  profile.port_confidence = 100;
  profile.port_samples = 5;
  profile.translated = Finding::yes;
  profile.udp_blocked = Finding::no;
  return profile;
}

struct PunchWorldConfig {
  std::uint64_t seed = 1;
  NatConfig left;   // the leader's, where both do the same
  NatConfig right;  // the acceptor's
  Loss loss;        // of each home's line, each way
  /// Of new mappings that the other machines of each home make; zero: there are none.
  Duration neighbours{};
  bool attested = true;
  /// What the acceptor believes and tells of itself; nothing: what its NAT is.
  std::optional<NatConfig> right_believed{};
};

/// 40 ms between the two, directly and over the relay, 40 ms to the STUN servers and back.
class PunchWorld {
 public:
  static constexpr Duration one_way = 20ms;
  static constexpr std::size_t say_overhead = 100;  // QUIC, UDP, IP and the relay's header

  explicit PunchWorld(const PunchWorldConfig& config)
      : simulation({.seed = config.seed, .replay = "sim_tests --gtest_filter=Punch*"}),
        config_(config),
        server_rng_(config.seed, "servers") {
    for (const char* address : {"198.51.100.1", "198.51.100.2"})
      add_server(address);
    place(ends[0], "left", "203.0.113.1", config.left);
    place(ends[1], "right", "203.0.113.2", config.right);
    if (config.right_believed) ends[1].nat = *config.right_believed;
    for (std::size_t i = 0; i < 2; ++i)
      ends[i].core->command([&](PunchNode& core, Instant) { core.set_peer(ends[1 - i].id); });
  }

  struct End {
    std::string name;
    NodeId id;
    NatConfig nat;
    std::optional<CoreHandle<PunchNode>> core;
    SocketId main{};
    std::optional<PunchEnded> ended;
    std::optional<Result<PunchPlan>> plan;
    int open_sockets = 0;
    int most_sockets = 0;
    std::size_t relay_bytes = 0;  // said by this end
    Instant said_arrives{};
  };

  /// Both learn their external addresses, then start; true if both ended.
  bool punch(Duration patience = 20s) {
    for (End& end : ends) {
      end.core->command(
          [&](PunchNode& core, Instant now) { core.learn_external(now, end.main, servers[0]); });
    }
    const bool learnt = bool(simulation.run_until(
        [&] { return ends[0].core->core().external() && ends[1].core->core().external(); }, 10s));
    if (!learnt) return false;
    began = simulation.now();
    start(0);
    // The acceptor has both profiles half a round trip later.
    simulation.after(one_way, [this] { start(1); });
    const auto result = simulation.run_until([&] { return ends[0].ended && ends[1].ended; },
                                             simulation.elapsed() + patience);
    took = simulation.now() - began;
    trouble = result.message;
    return bool(result);
  }

  [[nodiscard]] bool direct() const {
    return std::ranges::all_of(ends, [](const End& end) {
      return end.ended && end.ended->outcome == PunchOutcome::direct;
    });
  }
  [[nodiscard]] unsigned probes() const {
    return ends[0].ended.value_or(PunchEnded{}).probes +
           ends[1].ended.value_or(PunchEnded{}).probes;
  }
  /// Both legs of the relay.
  [[nodiscard]] std::size_t relay_bytes() const {
    return 2 * (ends[0].relay_bytes + ends[1].relay_bytes);
  }

  void start(std::size_t index) {
    End& end = ends[index];
    if (end.plan) return;
    const SocketAddress theirs = *ends[1 - index].core->core().external();
    PunchStart start{.peer = ends[1 - index].id,
                     .lower_id = index == 0,
                     .ours = profile_of(end.nat),
                     .theirs = profile_of(ends[1 - index].nat),
                     .path = {end.main, {}, theirs},
                     .our_external = end.core->core().external(),
                     .attested = config_.attested ? std::optional(theirs.ip) : std::nullopt,
                     .stun_servers = servers,
                     .round_trip = 2 * one_way};
    end.plan = end.core->command(
        [&](PunchNode& core, Instant now) { return core.puncher().start(now, start); });
  }

  Simulation simulation;
  std::array<End, 2> ends;
  std::vector<SocketAddress> servers;
  Instant began{};
  Duration took{};
  std::string trouble;
  bool deliver_says = true;

 private:
  AccessConfig access(Duration delay, const Loss& loss) const {
    AccessConfig access;
    access.up.delay = access.down.delay = delay;
    access.up.loss = access.down.loss = loss;
    return access;
  }

  void add_server(const char* address) {
    const IpAddress ip = IpAddress::parse(address).value();
    const HostId host = simulation.network().add_host(address).value();
    (void)simulation.network().add_interface(
        host, {.name = "if", .address = ip, .access = access(one_way / 2, {})});
    const SocketAddress local{ip, 3478};
    const SocketId socket = simulation.host(host).open_socket(local).value();
    StunServerConfig config{.primary = {socket, ip, local}};
    (void)simulation.run<StunNode>(host, std::make_unique<StunNode>(config, server_rng_));
    servers.push_back(local);
  }

  void place(End& end, const std::string& name, const char* outside, const NatConfig& nat) {
    end.name = name;
    end.nat = nat;
    end.id.bytes.fill(static_cast<std::uint8_t>(name[0]));
    Network& network = simulation.network();
    const NatPlacement placement{name + " NAT",
                                 internet,
                                 {IpAddress::parse(outside).value()},
                                 nat,
                                 access(one_way / 2, config_.loss)};
    const RealmId home = network.inside(network.add_nat(placement).value());
    const HostId host = network.add_host(name).value();
    (void)network.add_interface(host, {.name = "if",
                                       .realm = home,
                                       .address = IpAddress::v4({192, 168, 1, 2}),
                                       .access = access(100us, {})});
    end.main = simulation.host(host).open_socket({IpAddress{}, 4433}).value();
    end.core = simulation.run<PunchNode>(
        host, std::make_unique<PunchNode>(config_.seed, name),
        [this, &end](Instant now, const PuncherEvent& event) { on_event(now, end, event); });
    if (config_.neighbours == Duration::zero()) return;
    const HostId neighbour = network.add_host(name + " neighbour").value();
    (void)network.add_interface(neighbour, {.name = "if",
                                            .realm = home,
                                            .address = IpAddress::v4({192, 168, 1, 3}),
                                            .access = access(100us, {})});
    (void)simulation.host(neighbour).open_socket({IpAddress{}, 5000}).value();
    const auto handle = simulation.run<NeighbourCore>(
        neighbour, std::make_unique<NeighbourCore>(config_.neighbours, simulation.rng(name)));
    handle.command([](NeighbourCore& core, Instant now) { core.begin(now); });
  }

  void on_event(Instant now, End& end, const PuncherEvent& event) {
    Host& host = end.core->host();
    if (const auto* open = std::get_if<OpenSocket>(&event)) {
      const SocketId socket = host.open_socket({IpAddress{}, 0}).value();
      end.most_sockets = std::max(end.most_sockets, ++end.open_sockets);
      end.core->command([&](PunchNode& core, Instant at) {
        core.puncher().handle_socket_opened(at, open->id, socket, *host.socket_address(socket));
      });
    } else if (const auto* close = std::get_if<CloseSocket>(&event)) {
      host.close_socket(close->socket);
      --end.open_sockets;
    } else if (const auto* say = std::get_if<PunchSay>(&event)) {
      deliver(now, end, say->body);
    } else if (const auto* ended = std::get_if<PunchEnded>(&event)) {
      end.ended = *ended;
    }
  }

  void deliver(Instant now, End& from, const Bytes& body) {
    from.relay_bytes += body.size() + say_overhead;
    if (!deliver_says) return;
    const std::size_t to = &from == &ends[0] ? 1 : 0;
    // Reliable and in order, late where a packet would have been lost.
    const bool lost = simulation.rng("relay " + std::to_string(says_++))
                          .chance(config_.loss.rate.numerator * 2, config_.loss.rate.denominator);
    from.said_arrives = std::max(from.said_arrives, now + one_way + (lost ? 120ms : 0ms));
    simulation.after(from.said_arrives - now, [this, to, body] {
      End& end = ends[to];
      start(to);
      end.core->command([&](PunchNode& core, Instant at) {
        (void)core.puncher().on_message(at, ends[1 - to].id, body);
      });
    });
  }

  PunchWorldConfig config_;
  SeededRng server_rng_;
  unsigned says_ = 0;
};

}  // namespace quicmesh::sim
