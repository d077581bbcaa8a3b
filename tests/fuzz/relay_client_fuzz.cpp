// A relay client among six relays that say anything, and frames from anywhere.
//
// The input is a script: the user names relays, connects, closes and signals; control connections
// come and go; relays send sessions, refusals with other relays in them, and any bytes; time
// passes. Whatever comes: nothing asserts, tables keep their bounds, what is sent fits the wire,
// frames and answers go only to paths that the driver named, other relays are dialled only in
// realms that they may be in, and after a time-out the next deadline is later.
#include <algorithm>
#include <map>

#include "base/assert.hpp"
#include "relay/relay_client.hpp"
#include "relay/server_for_tests.hpp"
#include "script.hpp"

using namespace quicmesh;

namespace {

constexpr unsigned relays = 6;
constexpr unsigned self = 200;
constexpr std::size_t operations_max = 400;

NodeId relay_id(unsigned number) {
  return TestRelay::node(100 + number);
}
RelayHint hint_of(unsigned number) {
  return {relay_id(number), {{IpAddress::v4({10, 1, 0, static_cast<std::uint8_t>(number)}), 443}}};
}

class World {
 public:
  void run(fuzz::Script script) {
    for (std::size_t i = 0; i < operations_max && !script.done(); ++i) {
      step(script);
      drain();
      check();
    }
  }

 private:
  void step(fuzz::Script& script) {
    const std::uint8_t operation = script.u8();
    const unsigned relay = (operation >> 4) % relays;
    const NodeId id = relay_id(relay);
    const NodeId peer = TestRelay::node(script.u8() % 8);
    switch (operation & 15) {
      case 0:
        (void)client_.add_relay(now_, hint_of(relay));
        return;
      case 1:
        return client_.remove_relay(now_, id);
      case 2:
        paths_[id] = {SocketId{0}, {}, hint_of(relay).addresses[0]};
        return client_.control_up(now_, id, paths_[id], TestRelay::key(relay));
      case 3:
        return client_.control_down(now_, id);
      case 4:
        return client_.handle_message(now_, id,
                                      RelayRegistered{{}, 0, 0, std::uint8_t(script.u8() % 101)});
      case 5: {
        const auto role = RelayRole{static_cast<std::uint8_t>(script.u8() & 1)};
        return client_.handle_message(now_, id, RelaySession{any_session(script), peer, role});
      }
      case 6:
        return refuse(script, id, peer);
      case 7:
        return client_.handle_message(now_, id, RelayLoad{token_[id], script.u8()});
      case 8:
        (void)client_.connect(now_, peer);
        return;
      case 9:
        return client_.close(now_, peer);
      case 10:
        return say_raw(id, script.string());
      case 11:
        return receive(script, relay);
      case 12:
        now_ += Duration(script.u8()) * 4'000'000;
        client_.handle_timeout(now_);
        return;
      case 13:
        return wait();
      case 14:
        if (script.u8() & 1) return client_.suspect(now_, id);
        return client_.network_changed(now_);
      default:
        (void)client_.signal(peer, to_bytes(script.string()));
    }
  }

  static RelaySessionId any_session(fuzz::Script& script) {
    return RelaySessionId{script.u8() % 32u};
  }

  void refuse(fuzz::Script& script, const NodeId& id, const NodeId& peer) {
    RelayRefused refused;
    refused.request = static_cast<RelayRequest>(1 + script.u8() % 3);
    refused.target = peer;
    refused.reason = static_cast<RelayRefusal>(1 + script.u8() % 6);
    for (unsigned i = script.u8() % 5; i > 0; --i) {
      RelayHint hint{TestRelay::node(script.u8()), {}};
      for (unsigned j = script.u8() % 4; j > 0; --j) {
        std::array<std::uint8_t, 4> ip{};
        std::ranges::copy(script.bytes(4), ip.begin());
        hint.addresses.push_back({IpAddress::v4(ip), script.u16()});
      }
      refused.relays.push_back(hint);
    }
    client_.handle_message(now_, id, refused);
  }

  void say_raw(const NodeId& id, ByteView bytes) {
    const auto decoded = decode_relay_message(bytes);
    if (decoded && decoded->message) client_.handle_message(now_, id, *decoded->message);
  }

  void receive(fuzz::Script& script, unsigned relay) {
    const std::uint8_t how = script.u8();
    NetworkPath path{SocketId{0}, {}, hint_of(relay).addresses[0]};
    if (how & 1) path.remote.port = 1;
    Bytes frame;
    const auto role = RelayRole{static_cast<std::uint8_t>(how >> 1 & 1)};
    if (how & 4) {
      frame = TestRelay::frame(any_session(script), role, 40);
    } else if (how & 8) {
      const ChallengeFrame challenge{RelayFrameType::challenge, role, any_session(script), 1};
      frame = to_bytes(encode_challenge_frame(challenge, TestRelay::key(how & 16 ? relay : 99)));
    } else {
      frame = to_bytes(script.string());
    }
    const auto arrival = client_.handle_frame(now_, path, frame);
    if (!arrival) return;
    QM_ASSERT(!(how & 1) && arrival->relay == relay_id(relay));
    QM_ASSERT(arrival->payload.size() + relay_header_size == frame.size());
  }

  void wait() {
    const Instant next = client_.poll_timeout();
    if (next == never) return;
    now_ = std::max(now_, next);
    client_.handle_timeout(now_);
    drain();
    QM_ASSERT(client_.poll_timeout() > now_);
  }

  void drain() {
    while (const auto output = client_.poll_output()) {
      if (const auto* sent = std::get_if<RelaySendTo>(&*output)) {
        const auto decoded = decode_relay_message(encode_relay_message(sent->message));
        QM_ASSERT(decoded && decoded->message == sent->message);
        if (const auto* query = std::get_if<RelayLoadQuery>(&sent->message))
          token_[sent->relay] = query->token;
      } else if (const auto* open = std::get_if<RelayOpen>(&*output)) {
        QM_ASSERT(open->relay.id != TestRelay::node(self));
        for (const SocketAddress& address : open->relay.addresses) {
          const AddressScope scope = address.ip.scope();
          QM_ASSERT(scope == AddressScope::public_internet || scope == AddressScope::private_realm);
        }
      }
    }
    while (const auto event = client_.poll_event()) {
      if (const auto* up = std::get_if<RelaySessionUp>(&*event))
        QM_ASSERT(up->peer != TestRelay::node(self));
    }
    Bytes buffer(transmit_buffer_size);
    while (const auto transmit = client_.poll_transmit(buffer)) {
      QM_ASSERT(is_named(transmit->path) && transmit->size == challenge_frame_size);
    }
  }

  bool is_named(const NetworkPath& path) const {
    return std::ranges::any_of(paths_, [&](const auto& named) { return named.second == path; });
  }

  void check() {
    const auto reports = client_.relays();
    QM_ASSERT(reports.size() <= RelayClient::relays_max);
    std::size_t sessions = 0;
    for (const RelayReport& report : reports) {
      sessions += report.sessions;
      QM_ASSERT(report.sessions == 0 || report.up);
    }
    QM_ASSERT(sessions <= RelayClient::sessions_max);
    for (unsigned peer = 0; peer < 8; ++peer) {
      for (const RelayLeg& leg : client_.legs(TestRelay::node(peer)))
        QM_ASSERT(is_named(leg.path));
    }
  }

  Instant now_{1000s};
  RelayClient client_{TestRelay::node(self), Rng(1)};
  std::map<NodeId, NetworkPath> paths_;  // that the driver named, by relay
  std::map<NodeId, std::uint32_t> token_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  World world;
  world.run({data, size});
  return 0;
}
