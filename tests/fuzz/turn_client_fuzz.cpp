// A TURN client with its server, between which a script meddles: packets are lost, doubled,
// changed and made up, time passes, the server restarts, peers come and go. The client keeps its
// bounds, takes nothing of peers that nobody permitted, and rests when there is nothing to do.
#include <algorithm>
#include <deque>

#include "base/assert.hpp"
#include "crypto/seeded_rng.hpp"
#include "script.hpp"
#include "turn/turn_client.hpp"
#include "turn/turn_server_for_tests.hpp"

using namespace quicmesh;

namespace {

const NetworkPath to_server{SocketId{0}, {}, {IpAddress::v4({198, 51, 100, 1}), 3478}};

SocketAddress peer_of(std::uint8_t number) {
  return {IpAddress::v4({192, 0, 2, static_cast<std::uint8_t>(number / 2)}),
          static_cast<std::uint16_t>(5000 + number % 2)};
}

class World {
 public:
  void run(fuzz::Script& script) {
    client_.start(now_);
    drain();
    for (int i = 0; i < 300 && !script.done(); ++i) {
      step(script);
      drain();
    }
  }

 private:
  void step(fuzz::Script& script) {
    switch (script.u8() % 11) {
      case 0:
        now_ += 100ms * script.u8();
        client_.handle_timeout(now_);
        break;
      case 1:
        (void)client_.permit(now_, peer_of(script.u8()).ip);
        break;
      case 2:
        send(script);
        break;
      case 3:
        if (const auto data = server_.from_peer(peer_of(script.u8()), script.string())) {
          to_client_.push_back(*data);
        }
        break;
      case 4:
        flip(script);
        break;
      case 5:
        if (!to_client_.empty()) to_client_.pop_front();
        break;
      case 6:
        receive(script.string());
        break;
      case 7:
        server_.restart();
        break;
      case 8:
        server_.silent = !server_.silent;
        break;
      case 9:
        server_.refuse = {{StunMethod{script.u8()}, 300u + script.u8()}};
        break;
      default:
        deliver();
        break;
    }
  }

  void send(fuzz::Script& script) {
    const SocketAddress peer = peer_of(script.u8());
    const std::size_t segment = 1 + script.u8() * 5u;
    const std::size_t size = segment * (1 + script.u8() % 40u);
    Transmit train{{}, std::min(size, buffer_.size()), segment};
    if (!client_.wrap(now_, peer, train, buffer_)) return;
    QM_ASSERT(train.path == to_server && train.size > 0 && train.size <= buffer_.size());
    for (std::size_t at = 0; at < train.size; at += train.segment_size) {
      (void)server_.handle(
          ByteView(buffer_).subspan(at, std::min(train.segment_size, train.size - at)));
    }
    server_.to_peers.clear();
  }

  void flip(fuzz::Script& script) {
    if (to_client_.empty() || to_client_.front().empty()) return;
    Bytes& bytes = to_client_.front();
    std::uint8_t& byte = bytes[script.u16() % bytes.size()];
    byte = static_cast<std::uint8_t>(byte ^ script.u8());
    if (script.u8() % 4 == 0) to_client_.push_back(bytes);
  }

  void receive(ByteView datagram) {
    const auto arrival = client_.handle_datagram(now_, to_server, datagram);
    if (!arrival) return;
    QM_ASSERT(client_.is_up());
    QM_ASSERT(arrival->offset <= datagram.size() &&
              arrival->size <= datagram.size() - arrival->offset);
  }

  void deliver() {
    if (to_client_.empty()) return;
    const Bytes datagram = std::move(to_client_.front());
    to_client_.pop_front();
    receive(datagram);
  }

  void drain() {
    int sent_now = 0;
    while (const auto sent = client_.poll_transmit(now_, buffer_)) {
      QM_ASSERT(++sent_now <= 200);
      QM_ASSERT(sent->path == to_server);
      auto answer = server_.handle(ByteView(buffer_).first(sent->size));
      if (answer && to_client_.size() < 64) to_client_.push_back(std::move(*answer));
    }
    while (client_.poll_event()) {
    }
    QM_ASSERT(client_.permissions() <= TurnClient::peers_max);
    QM_ASSERT(client_.peers() <= TurnClient::peers_max);
    QM_ASSERT(client_.is_up() == client_.relayed().has_value());
  }

  Instant now_{1000s};
  SeededRng rng_{1, "fuzz"};
  for_tests::TurnServer server_;
  TurnClient client_{{to_server, "alice", "secret"}, rng_};
  std::deque<Bytes> to_client_;
  Bytes buffer_ = Bytes(transmit_buffer_size);
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Script script(data, size);
  World world;
  world.run(script);
  return 0;
}
