// NAT discovery in a network that a script makes up: answers come or not, from where they should or
// not, with any mapped and any other address; sockets open or fail; stand-ins say this or that. It
// ends by its deadline with one result, gives every socket back, and sends no more than ten packets
// to an address that only a server named.
#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <set>

#include "base/assert.hpp"
#include "crypto/seeded_rng.hpp"
#include "nat/nat_discovery.hpp"
#include "script.hpp"
#include "stun/stun_writer.hpp"

using namespace quicmesh;

namespace {

constexpr std::size_t turns_max = 400;
constexpr unsigned packets_to_named_max = 10;

SocketAddress address(std::uint8_t which) {
  // Few enough that addresses meet again, of several scopes.
  constexpr std::array<std::array<std::uint8_t, 4>, 6> ips{{{5, 5, 5, 1},
                                                            {5, 5, 5, 2},
                                                            {6, 6, 6, 6},
                                                            {192, 168, 1, 10},
                                                            {100, 64, 0, 1},
                                                            {127, 0, 0, 1}}};
  return {IpAddress::v4(ips[which % 6]), static_cast<std::uint16_t>(3478 + which / 6 % 4)};
}

class World {
 public:
  explicit World(fuzz::Script& script) : script_(script) {}

  void run() {
    NatDiscoveryConfig config;
    config.servers = {{address(0)}, {address(script_.u8()), script_.u8() % 2 == 0}};
    for (const DiscoveryServer& server : config.servers)
      known_.insert(server.address.ip);
    QM_ASSERT(discovery_.start(now_, config));
    drain();
    std::size_t turns = 0;
    while (results_ == 0) {
      QM_ASSERT(++turns < turns_max * 10);
      if (turns < turns_max && !script_.done()) {
        meddle();
      } else {
        const Instant next = discovery_.poll_timeout();
        QM_ASSERT(next != never && next >= now_);
        now_ = next;
        discovery_.handle_timeout(now_);
      }
      drain();
    }
    QM_ASSERT(results_ == 1 && open_.empty() && !discovery_.is_running());
    QM_ASSERT(discovery_.poll_timeout() == never);
    QM_ASSERT(now_ <= Instant{1000s} + config.deadline + 300ms);
    unsigned named = 0;
    for (const auto& [ip, count] : sent_) {
      if (!known_.contains(ip)) named = std::max(named, count);
    }
    QM_ASSERT(named <= packets_to_named_max);
  }

 private:
  struct Sent {
    NetworkPath path;
    TransactionId id;
  };

  void meddle() {
    switch (script_.u8() % 6) {
      case 0:
      case 1:
        return answer(script_.u8());
      case 2: {
        now_ = std::min(now_ + 1ms * script_.u8(), std::max(now_, discovery_.poll_timeout()));
        return discovery_.handle_timeout(now_);
      }
      case 3: {
        if (asks_.empty()) return;
        const StandInRequest request = asks_.front();
        asks_.pop_front();
        const std::uint8_t how = script_.u8();
        discovery_.handle_stand_in_answer(now_, {request.id, static_cast<StandInVerdict>(how % 4)});
        if ((how & 0x80) == 0) return;
        StandInPacket packet = make_stand_in_packet(request.id);
        const NetworkPath path{
            SocketId{static_cast<std::uint16_t>(how / 4 % 8)}, {}, address(script_.u8())};
        (void)discovery_.handle_datagram(now_, path, Ecn::not_ect, packet);
        return;
      }
      case 4: {
        const NetworkPath path{
            SocketId{static_cast<std::uint16_t>(script_.u8() % 9)}, {}, address(script_.u8())};
        const Bytes bytes = to_bytes(script_.string());
        (void)discovery_.handle_datagram(now_, path, Ecn::not_ect, bytes);
        return;
      }
      default:
        if (!under_way_.empty()) under_way_.pop_front();
        return;
    }
  }

  void answer(std::uint8_t how) {
    if (under_way_.empty()) return;
    const Sent sent = under_way_.front();
    under_way_.pop_front();
    const unsigned kind = how % 8;
    std::array<std::uint8_t, 128> room{};
    const StunClass message_class = kind == 0   ? StunClass::error
                                    : kind == 1 ? StunClass::request
                                                : StunClass::success;
    StunWriter writer(room, message_class, StunMethod::binding, sent.id);
    SocketAddress mapped = address(script_.u8());
    mapped.port = static_cast<std::uint16_t>(mapped.port + script_.u8());
    if (kind == 0) writer.add_error_code(420, {});
    if (kind != 2) writer.add_xor_address(StunAttribute::xor_mapped_address, mapped);
    if (kind > 3) writer.add_address(StunAttribute::other_address, address(script_.u8()));
    NetworkPath path = sent.path;
    if ((how & 0x80) != 0) path.remote = address(script_.u8());
    (void)discovery_.handle_datagram(now_, path, Ecn::not_ect, writer.written());
  }

  void drain() {
    for (bool more = true; more;) {
      more = false;
      while (const auto sent = discovery_.poll_transmit(now_, buffer_)) {
        const auto message = StunMessage::parse(ByteView(buffer_).first(sent->size));
        QM_ASSERT(message && open_.contains(sent->path.socket));
        ++sent_[sent->path.remote.ip];
        if (under_way_.size() < 100) under_way_.push_back({sent->path, message->transaction_id()});
      }
      while (const auto event = discovery_.poll_event()) {
        more = true;
        on_event(*event);
      }
    }
  }

  void on_event(const NatDiscoveryEvent& event) {
    if (const auto* open = std::get_if<OpenSocket>(&event)) {
      const auto number = static_cast<std::uint16_t>(open->id);
      if (script_.u8() % 16 == 1) return discovery_.handle_socket_failed(now_, open->id);
      QM_ASSERT(open_.insert(SocketId{number}).second);
      discovery_.handle_socket_opened(
          now_, open->id, SocketId{number},
          {IpAddress::v4({192, 168, 1, 10}), static_cast<std::uint16_t>(40'000 + number)});
    } else if (const auto* close = std::get_if<CloseSocket>(&event)) {
      QM_ASSERT(open_.erase(close->socket) == 1);
    } else if (const auto* ask = std::get_if<AskStandIn>(&event)) {
      if (asks_.size() < 64) asks_.push_back(ask->request);
    } else {
      ++results_;
      const NatProfile& profile = std::get<NatDiscovered>(event).profile;
      QM_ASSERT(decode_nat_profile(encode_nat_profile(profile)) == profile);
    }
  }

  fuzz::Script& script_;
  Instant now_{1000s};
  SeededRng rng_{1, "fuzz"};
  NatDiscovery discovery_{rng_};
  std::set<SocketId> open_;
  std::set<IpAddress> known_;
  std::map<IpAddress, unsigned> sent_;
  std::deque<Sent> under_way_;
  std::deque<StandInRequest> asks_;
  Bytes buffer_ = Bytes(transmit_buffer_size);
  unsigned results_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Script script(data, size);
  World(script).run();
  return 0;
}
