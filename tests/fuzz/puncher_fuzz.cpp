// The puncher with a peer, STUN servers and a driver that a script makes up: any words, of its own
// making or well-formed, samples with any port, sockets that open, fail or come late, paths heard
// and answered. Probes go to the peer's address alone, from ports it has, below 1024 never, and
// within the bounds of the technique; every socket is given back; it ends by itself.
#include <array>
#include <deque>
#include <set>

#include "base/assert.hpp"
#include "crypto/seeded_rng.hpp"
#include "nat/punch_predict.hpp"
#include "nat/puncher.hpp"
#include "script.hpp"
#include "stun/stun_writer.hpp"

using namespace quicmesh;

namespace {

constexpr std::size_t turns_max = 300;
constexpr std::uint8_t peers = 2;
// Prediction may go before a birthday.
constexpr unsigned predicted_max =
    PunchTask::rounds_max * PredictingPunch::volleys * predict_window;

NodeId node(std::uint8_t number) {
  NodeId id;
  id.bytes.fill(number);
  return id;
}

IpAddress peer_ip(std::uint8_t number) {
  return IpAddress::v4({5, 5, 5, number});
}

class World {
 public:
  explicit World(fuzz::Script& script) : script_(script) {}

  void run() {
    for (std::uint8_t peer = 0; peer < peers; ++peer)
      start(peer);
    std::size_t turns = 0;
    while (running()) {
      QM_ASSERT(++turns < turns_max + 20'000);
      if (turns < turns_max && !script_.done()) {
        meddle();
      } else {
        const Instant next = puncher_.poll_timeout();
        QM_ASSERT(next != never && next >= Instant{1000s});
        now_ = std::max(now_, next);
        puncher_.handle_timeout(now_);
        answer_held_sockets();
      }
      drain();
    }
    answer_held_sockets();
    drain();
    QM_ASSERT(open_.size() == adopted_.size());
    QM_ASSERT(puncher_.poll_timeout() == never);
    QM_ASSERT(now_ < Instant{1000s} + 5min);
    for (std::uint8_t peer = 0; peer < peers; ++peer) {
      QM_ASSERT(probes_[peer] <= birthday_packets_max + predicted_max);
      if (!attested_[peer]) QM_ASSERT(probes_[peer] <= StrangerAllowance::packets_max);
    }
  }

 private:
  [[nodiscard]] bool running() const {
    return puncher_.is_punching(node(0)) || puncher_.is_punching(node(1));
  }

  NatProfile profile() {
    const std::uint8_t kind = script_.u8();
    NatProfile profile{.mapping = static_cast<NatBehaviour>(kind % 4),
                       .filtering = static_cast<NatBehaviour>(kind / 4 % 4),
                       .port_allocation = static_cast<PortAllocation>(kind / 16 % 4),
                       .port_delta = static_cast<std::int16_t>(script_.u16()),
                       .port_confidence = 100};
    profile.cgnat = static_cast<Finding>(kind / 64 % 3);
    return profile;
  }

  void start(std::uint8_t peer) {
    PunchStart start;
    start.peer = node(peer);
    start.ours = profile();
    start.theirs = profile();
    start.path = {SocketId{0}, {}, {peer_ip(peer), 4433}};
    const std::uint8_t how = script_.u8();
    start.lower_id = how % 2 == 0;
    attested_[peer] = how % 4 < 2;
    if (attested_[peer]) start.attested = peer_ip(peer);
    start.stun_servers = {{IpAddress::v4({9, 9, 9, 9}), 3478}};
    start.round_trip = 1ms * script_.u8();
    (void)puncher_.start(now_, start);
    drain();
  }

  void meddle() {
    const std::uint8_t peer = script_.u8() % peers;
    switch (script_.u8() % 8) {
      case 0: {
        const Bytes body = to_bytes(script_.string());
        (void)puncher_.on_message(now_, node(peer), body);
        return;
      }
      case 1: {
        // One that fits what was said to the peer.
        PunchMessage message = last_said_;
        const std::uint8_t how = script_.u8();
        message.type = static_cast<PunchMessageType>(1 + how % 5);
        message.technique = static_cast<PunchTechnique>(1 + how / 5 % 3);
        message.round = static_cast<std::uint8_t>(1 + script_.u8() % 7);
        if ((how & 0x80) != 0) message.attempt = script_.u8();
        message.port = script_.u16();
        message.step = static_cast<std::int16_t>(script_.u16());
        message.count = static_cast<std::uint16_t>(script_.u8());
        (void)puncher_.on_message(now_, node(peer), encode_punch_message(message));
        return;
      }
      case 2:
      case 3:
        now_ += 1ms * script_.u8();
        return puncher_.handle_timeout(now_);
      case 4:
        return answer(script_.u16());
      case 5:
        return answer_held_sockets();
      case 6:
        return puncher_.on_path_heard(now_, node(peer), {SocketId{0}, {}, {peer_ip(peer), 5000}});
      default: {
        if (script_.u8() % 8 != 0) return;
        const SocketId socket = open_.empty() ? SocketId{0} : *open_.begin();
        return puncher_.on_path_answered(now_, node(peer), {socket, {}, {peer_ip(peer), 5000}});
      }
    }
  }

  void answer(std::uint16_t port) {
    if (asked_.empty()) return;
    const auto [path, id] = asked_.front();
    asked_.pop_front();
    std::array<std::uint8_t, 64> room{};
    StunWriter writer(room, StunClass::success, StunMethod::binding, id);
    writer.add_xor_address(StunAttribute::xor_mapped_address, {IpAddress::v4({6, 6, 6, 6}), port});
    (void)puncher_.handle_datagram(now_, path, Ecn::not_ect, writer.written());
  }

  void answer_held_sockets() {
    std::deque<SocketRequestId> held;
    held.swap(held_);
    for (const SocketRequestId id : held) {
      if (script_.u8() % 8 == 1) {
        puncher_.handle_socket_failed(now_, id);
        continue;
      }
      const SocketId socket{++last_socket_};
      open_.insert(socket);
      QM_ASSERT(open_.size() <= birthday_sockets + 2 * peers + adopted_.size());
      puncher_.handle_socket_opened(now_, id, socket, {IpAddress{}, 40'000});
      drain();
    }
  }

  void drain() {
    for (bool more = true; more;) {
      more = false;
      while (const auto sent = puncher_.poll_transmit(now_, buffer_)) {
        const auto message = StunMessage::parse(ByteView(buffer_).first(sent->size));
        QM_ASSERT(message && open_.contains(sent->path.socket));
        if (asked_.size() < 64) asked_.emplace_back(sent->path, message->transaction_id());
      }
      while (const auto event = puncher_.poll_event()) {
        more = true;
        on_event(*event);
      }
    }
  }

  void on_event(const PuncherEvent& event) {
    if (const auto* wanted = std::get_if<OpenSocket>(&event)) {
      held_.push_back(wanted->id);
    } else if (const auto* close = std::get_if<CloseSocket>(&event)) {
      QM_ASSERT(open_.erase(close->socket) == 1);
    } else if (const auto* say = std::get_if<PunchSay>(&event)) {
      last_said_ = decode_punch_message(say->body).value();
    } else if (const auto* probe = std::get_if<PunchProbe>(&event)) {
      const std::uint8_t peer = probe->peer.bytes[0];
      QM_ASSERT(probe->path.remote.ip == peer_ip(peer));
      QM_ASSERT(probe->path.remote.port >= PunchTask::first_port);
      QM_ASSERT(probe->path.socket == SocketId{0} || open_.contains(probe->path.socket));
      ++probes_[peer];
    } else if (const auto& ended = std::get<PunchEnded>(event); ended.adopted) {
      QM_ASSERT(open_.contains(ended.path->socket));
      adopted_.insert(ended.path->socket);
    }
  }

  fuzz::Script& script_;
  SeededRng secure_rng_{1, "fuzz"};
  StrangerAllowance allowance_;
  Puncher puncher_{secure_rng_, Rng(1), allowance_};
  Instant now_{1000s};
  std::array<bool, peers> attested_{};
  std::array<unsigned, peers> probes_{};
  std::deque<SocketRequestId> held_;
  std::uint16_t last_socket_ = 0;
  std::set<SocketId> open_;
  std::set<SocketId> adopted_;
  std::deque<std::pair<NetworkPath, TransactionId>> asked_;
  PunchMessage last_said_{PunchMessageType::begin, PunchTechnique::predict};
  Bytes buffer_ = Bytes(transmit_buffer_size);
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Script script(data, size);
  World(script).run();
  return 0;
}
