// A STUN client and a STUN server between which a script meddles: packets are lost, doubled,
// changed, come from other addresses, time passes. The server never sends more than three times
// what it got; a transaction ends once; the client believes only what carries its id.
#include <algorithm>
#include <deque>
#include <set>

#include "base/assert.hpp"
#include "crypto/seeded_rng.hpp"
#include "script.hpp"
#include "stun/stun_client.hpp"
#include "stun/stun_server.hpp"
#include "stun/stun_writer.hpp"

using namespace quicmesh;

namespace {

constexpr SocketAddress client_address{IpAddress::v4({203, 0, 113, 9}), 40'000};

StunServerEndpoint endpoint(std::uint16_t number) {
  const IpAddress ip = IpAddress::v4({198, 51, 100, static_cast<std::uint8_t>(1 + number / 2)});
  const auto port = static_cast<std::uint16_t>(3478 + number % 2);
  return {SocketId{number}, ip, {ip, port}};
}

class World {
 public:
  explicit World(bool alternates) {
    StunServerConfig config{.primary = endpoint(0), .alternates = {}, .limits = {}};
    if (alternates) config.alternates = {endpoint(1), endpoint(2), endpoint(3)};
    server_.emplace(config, rng_);
  }

  void run(fuzz::Script& script) {
    for (int i = 0; i < 200 && !script.done(); ++i) {
      const std::uint8_t operation = script.u8();
      switch (operation % 8) {
        case 0:
          ask(script);
          break;
        case 1:
          now_ += 10ms * script.u8();
          client_.handle_timeout(now_);
          break;
        case 2:
          to_server_.push_back(to_bytes(script.string()));
          break;
        case 3:
          flip(to_server_, script);
          break;
        case 4:
          flip(to_client_, script);
          break;
        case 5:
          if (!to_client_.empty()) to_client_.pop_front();
          break;
        case 6:
          serve(script.u8());
          break;
        default:
          deliver(script.u8());
          break;
      }
      drain();
    }
    QM_ASSERT(server_->counters().bytes_out <= 3 * server_->counters().bytes_in);
  }

 private:
  void ask(fuzz::Script& script) {
    StunRequest request;
    request.id = client_.new_id();
    request.path = {SocketId{0}, {}, endpoint(0).address};
    std::array<std::uint8_t, 512> room{};
    StunWriter writer(room, StunClass::request, StunMethod::binding, request.id);
    const std::uint8_t kind = script.u8();
    if ((kind & 1) != 0) writer.add_change_request({(kind & 2) != 0, (kind & 4) != 0});
    if ((kind & 8) != 0) writer.add_u16(StunAttribute::response_port, script.u16());
    if ((kind & 16) != 0) writer.add(StunAttribute{script.u16()}, script.bytes(script.u8() % 64));
    if ((kind & 32) != 0) writer.add_fingerprint();
    request.message = to_bytes(writer.written());
    const TransactionId id = request.id;
    if (client_.start(now_, std::move(request))) QM_ASSERT(under_way_.insert(id).second);
  }

  static void flip(std::deque<Bytes>& packets, fuzz::Script& script) {
    if (packets.empty() || packets.front().empty()) return;
    Bytes& bytes = packets.front();
    std::uint8_t& byte = bytes[script.u16() % bytes.size()];
    byte = static_cast<std::uint8_t>(byte ^ script.u8());
    if (script.u8() % 4 == 0) packets.push_back(bytes);
  }

  void serve(std::uint8_t socket) {
    if (to_server_.empty()) return;
    const Bytes request = std::move(to_server_.front());
    to_server_.pop_front();
    const StunServerEndpoint at = endpoint(socket % 4);
    (void)server_->handle_datagram(now_, {at.socket, at.local, client_address}, Ecn::not_ect,
                                   request);
    while (const auto answer = server_->poll_transmit(now_, buffer_)) {
      QM_ASSERT(answer->size <= 3 * request.size());
      QM_ASSERT(answer->path.remote.ip == client_address.ip);
      QM_ASSERT(StunMessage::parse(ByteView(buffer_).first(answer->size)));
      to_client_.push_back(
          Bytes(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(answer->size)));
    }
  }

  void deliver(std::uint8_t from) {
    if (to_client_.empty()) return;
    const Bytes answer = std::move(to_client_.front());
    to_client_.pop_front();
    (void)client_.handle_datagram(now_, {SocketId{0}, {}, endpoint(from % 4).address}, Ecn::not_ect,
                                  answer);
  }

  void drain() {
    while (const auto sent = client_.poll_transmit(now_, buffer_)) {
      if (to_server_.size() < 64) {
        to_server_.push_back(
            Bytes(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(sent->size)));
      }
    }
    while (const auto event = client_.poll_event()) {
      const TransactionId id = std::visit([](const auto& each) { return each.id; }, *event);
      QM_ASSERT(under_way_.erase(id) == 1);
    }
    QM_ASSERT(client_.transactions() == under_way_.size());
    QM_ASSERT(client_.poll_timeout() == never || !under_way_.empty());
  }

  Instant now_{1000s};
  SeededRng rng_{1, "fuzz"};
  StunClient client_{rng_};
  std::optional<StunServer> server_;
  std::deque<Bytes> to_server_;
  std::deque<Bytes> to_client_;
  std::set<TransactionId> under_way_;
  Bytes buffer_ = Bytes(transmit_buffer_size);
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Script script(data, size);
  World world(script.u8() % 2 == 1);
  world.run(script);
  return 0;
}
