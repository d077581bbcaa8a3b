// Arbitrary datagrams at a QUIC endpoint, from anybody, while another node's connection stands.
//
// The input is a script: raw bytes, Initials of a dialler with bytes changed, packets that were
// seen on the wire changed, cut, doubled or put together, short headers with an id that is in use.
// None of their senders has a key. So whatever they send: nothing asserts, the endpoint's tables
// and memory stay within their bounds, an answer is never longer than the question, and the
// connection that stood before still carries a message to its end.
#include <algorithm>
#include <array>
#include <vector>

#include "base/assert.hpp"
#include "quic/connection_ids.hpp"
#include "quic/pair_for_tests.hpp"
#include "script.hpp"

using namespace quicmesh;

namespace {

constexpr std::size_t operations_max = 64;
constexpr std::size_t datagram_max = 1500;

QuicConfig small_config() {
  QuicConfig config;
  config.max_connections = 8;
  config.max_half_open = 6;
  return config;
}

class Attack {
 public:
  Attack() : pair_(small_config()) {
    pair_.dial();
    pair_.run(200ms);
    QM_ASSERT(pair_.dialler.find<ConnectionConfirmed>() != nullptr);
    QM_ASSERT(pair_.acceptor.find<ConnectionConfirmed>() != nullptr);
    victim_ = *pair_.acceptor.connection;
    // A second dialler, never answered: its Initials are genuine.
    (void)stranger_.endpoint->dial(pair_.now, TestPair::label, pair_.acceptor.identity.node_id());
    Bytes buffer(transmit_buffer_size);
    const auto train = stranger_.endpoint->poll_transmit(pair_.now, buffer);
    initial_ = to_bytes(ByteView(buffer).first(std::min(train->size, train->segment_size)));
  }

  void run(fuzz::Script& script) {
    for (std::size_t i = 0; i < operations_max && !script.done(); ++i) {
      step(script);
      check_bounds();
    }
  }

  void check_message_arrives() {
    const auto stream = pair_.dialler.endpoint->open_stream(*pair_.dialler.connection, false);
    QM_ASSERT(stream.has_value());
    const Bytes message(3'000, 0x5a);
    Bytes copy = message;
    QM_ASSERT(pair_.dialler.endpoint->write(*pair_.dialler.connection, *stream, copy, true));
    Bytes received;
    bool end = false;
    const bool done = pair_.run_until([&] {
      pair_.acceptor.connection = victim_;  // another Initial may have taken its place meanwhile
      const Bytes more = TestPair::read_all(pair_.acceptor, *stream, &end);
      received.insert(received.end(), more.begin(), more.end());
      return end;
    });
    QM_ASSERT(done && received == message);
  }

 private:
  void step(fuzz::Script& script) {
    const std::uint8_t operation = script.u8();
    TestSide& target = (operation & 0x80) != 0 ? pair_.dialler : pair_.acceptor;
    switch (operation % 6) {
      case 0:
        return deliver(target, script, to_bytes(script.bytes(script.u16() % datagram_max)));
      case 1:
        return deliver(target, script, changed(initial_, script));
      case 2:
        return deliver(target, script, changed(seen(script), script));
      case 3: {
        Bytes both = changed(seen(script), script);
        const ByteView more = script.string();
        both.insert(both.end(), more.begin(), more.end());
        return deliver(target, script, std::move(both));
      }
      case 4: {
        // A short header with the id of somebody's connection.
        Bytes packet = seen(script);
        packet.resize(std::min<std::size_t>(packet.size(), 1 + connection_id_size));
        if (!packet.empty()) packet[0] = static_cast<std::uint8_t>(0x40 | (script.u8() & 0x3f));
        const ByteView more = script.string();
        packet.insert(packet.end(), more.begin(), more.end());
        return deliver(target, script, std::move(packet));
      }
      default:
        return pair_.run(10ms * script.u8());
    }
  }

  Bytes seen(fuzz::Script& script) const {
    const auto& packets = script.u8() % 2 == 0 ? pair_.acceptor.received : pair_.dialler.received;
    if (packets.empty()) return {};
    return packets[script.u8() % packets.size()];
  }

  // Up to three runs of bytes turned, and an end cut off.
  static Bytes changed(Bytes packet, fuzz::Script& script) {
    const unsigned changes = script.u8() % 4;
    for (unsigned i = 0; i < changes && !packet.empty(); ++i) {
      std::size_t at = script.u16() % packet.size();
      for (const std::uint8_t mask : script.bytes(script.u8() % 24)) {
        if (at >= packet.size()) break;
        packet[at++] ^= mask;
      }
    }
    const std::size_t cut = script.u8();
    if (cut >= 128) packet.resize(packet.size() * (255 - cut) / 128);
    return packet;
  }

  void deliver(TestSide& side, fuzz::Script& script, Bytes packet) {
    const std::uint8_t how = script.u8();
    if ((how & 1) != 0) packet.resize(std::max<std::size_t>(packet.size(), 1200));
    packet.resize(std::min(packet.size(), datagram_max));
    // A connection's own label means: the source address was forged too.
    const PathLabel label{1 + (how >> 1 & 3u), static_cast<std::uint16_t>(1 + (how >> 3 & 1))};
    QuicEndpoint& endpoint = *side.endpoint;
    const QuicRoute route = endpoint.route(packet);
    switch (route.kind) {
      case QuicRoute::Kind::connection:
        // The path manager of a dialler lets in only paths of its own choice.
        endpoint.handle_datagram(pair_.now, route.connection,
                                 &side == &pair_.dialler ? TestPair::label : label,
                                 Ecn{static_cast<std::uint8_t>(how >> 4 & 3)}, packet);
        break;
      case QuicRoute::Kind::initial:
        (void)endpoint.accept(pair_.now, label, Ecn::not_ect, packet);
        break;
      default: {
        std::array<std::uint8_t, datagram_max> answer;
        QM_ASSERT(endpoint.stateless_answer(pair_.now, packet, answer) <= packet.size());
      }
    }
  }

  void check_bounds() {
    for (TestSide* side : {&pair_.dialler, &pair_.acceptor}) {
      const QuicConfig config = small_config();
      QM_ASSERT(side->endpoint->connections() <= config.max_connections);
      QM_ASSERT(side->endpoint->total_memory_used() <=
                (config.max_connections + operations_max) * config.budget_unproven);
      QM_ASSERT(side->events.size() <= 1'000);
    }
  }

  TestPair pair_;
  TestSide stranger_{3, {}, {}};
  ConnectionHandle victim_{};
  Bytes initial_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Script script(data, size);
  Attack attack;
  attack.run(script);
  attack.check_message_arrives();
  return 0;
}
