#include "relay_abuse.hpp"

#include <sys/socket.h>

#include <algorithm>

#include "base/assert.hpp"
#include "base/byte_writer.hpp"
#include "io/event_loop.hpp"
#include "io/sockaddr.hpp"
#include "spoofed_packet.hpp"

namespace quicmesh::abuser {
namespace {

constexpr Duration patience = 20s;
constexpr Duration answers = 300ms;  // for what should not come
constexpr unsigned nobodies = 10;
constexpr unsigned frames_each = 30;
constexpr std::size_t frame_bytes = 200;
constexpr std::uint32_t magic_cookie = 0x2112a442;

/// A STUN Binding request (RFC 8489) with one attribute.
Bytes stun_request(std::uint16_t attribute, ByteView value) {
  Bytes request;
  ByteWriter writer(request);
  writer.u16(0x0001);
  writer.u16(static_cast<std::uint16_t>(4 + value.size()));
  writer.u32(magic_cookie);
  writer.u64(0x6162'7573'6572'0000);
  writer.u32(attribute);
  writer.u16(attribute);
  writer.u16(static_cast<std::uint16_t>(value.size()));
  writer.bytes(value);
  return request;
}

Bytes stun_address(const SocketAddress& address) {
  Bytes value;
  ByteWriter writer(value);
  writer.u16(1);
  writer.u16(address.port);
  writer.bytes(ByteView(address.ip.bytes()).first(4));
  return value;
}

/// RESPONSE-ADDRESS of RFC 3489, RESPONSE-PORT and CHANGE-REQUEST of RFC 5780, ALTERNATE-SERVER.
std::vector<Bytes> stun_requests(const SocketAddress& victim) {
  const Bytes port = {static_cast<std::uint8_t>(victim.port >> 8),
                      static_cast<std::uint8_t>(victim.port), 0, 0};
  return {stun_request(0x0002, stun_address(victim)), stun_request(0x0027, port),
          stun_request(0x0003, Bytes{0, 0, 0, 6}), stun_request(0x8023, stun_address(victim)),
          stun_request(0x802c, stun_address(victim))};
}

std::vector<RelayMessage> out_of_place(const SocketAddress& victim, const NodeId& somebody) {
  const RelayHint hint{somebody, {victim, victim, victim, victim}};
  RelayRefused refused{RelayRequest::session, somebody, RelayRefusal::redirect, 0, {hint, hint}};
  return {RelayRegistered{victim, 1'000'000, 64, 0}, RelayDraining{{hint, hint, hint, hint}},
          refused, RelaySession{RelaySessionId{7}, somebody, RelayRole::initiator},
          RelayLoad{1, 1}};
}

/// An unknown type, with the address in every place where one could stand.
Bytes unknown_message(std::uint8_t type, const SocketAddress& victim) {
  Bytes body;
  for (int i = 0; i < 8; ++i) {
    const Bytes address = stun_address(victim);
    body.push_back(4);
    body.insert(body.end(), address.begin() + 4, address.end());
    body.insert(body.end(), address.begin() + 2, address.begin() + 4);
  }
  Bytes message;
  ByteWriter writer(message);
  writer.u16(static_cast<std::uint16_t>(1 + body.size()));
  writer.u8(type);
  writer.bytes(body);
  return message;
}

bool all_connected(const AbusivePeers& peers) {
  return drive(
      peers,
      [&] { return std::ranges::all_of(peers, [](const auto& one) { return one->connected(); }); },
      patience);
}

NodeId nobody(std::uint8_t number) {
  NodeId id;
  id.bytes.fill(number);
  return id;
}

Bytes frame_of(const RelaySession& session, RelayRole sender) {
  Bytes frame(frame_bytes);
  const auto header = encode_relay_header({sender, session.session});
  std::ranges::copy(header, frame.begin());
  return frame;
}

/// What the relay asks somebody at a new port of ours who sends a frame of `session`.
std::optional<ChallengeFrame> challenge_of(const RelayAbuse& abuse, const RelaySession& session,
                                           RelayRole role) {
  auto socket = io::UdpSocket::open({abuse.local, 0});
  QM_ASSERT(socket.has_value());
  const io::KernelAddress to = io::to_kernel(abuse.relay.addresses.at(0).literal().value());
  const Bytes frame = frame_of(session, role);
  Bytes buffer(io::UdpSocket::receive_buffer_size);
  for (int i = 0; i < 20; ++i) {
    (void)::sendto(socket->descriptor(), frame.data(), frame.size(), 0, to.data(), to.size);
    (void)drive(AbusivePeers{}, [] { return false; }, 50ms);
    if (const auto train = socket->receive(buffer)) {
      return peek_challenge_frame(ByteView(buffer).first(train->segment_size));
    }
  }
  return std::nullopt;
}

}  // namespace

std::size_t abuse_by_requests(const RelayAbuse& abuse) {
  std::size_t tried = 0;
  AbusivePeers peers;
  std::vector<std::vector<Bytes>> words;
  const auto add = [&](Bytes bytes, bool registered) {
    peers.push_back(std::make_unique<AbusivePeer>(abuse.local, abuse.relay));
    words.emplace_back();
    if (registered) words.back().push_back(encode_relay_message(RelayRegister{}));
    words.back().push_back(std::move(bytes));
    ++tried;
  };
  for (const SocketAddress& victim : abuse.victims) {
    for (const RelayMessage& message : out_of_place(victim, nobody(9))) {
      add(encode_relay_message(message), false);
      add(encode_relay_message(message), true);
    }
    for (const unsigned type : {11u, 12u, 127u, 255u})
      add(unknown_message(static_cast<std::uint8_t>(type), victim), true);
  }
  Bytes many;
  for (std::uint8_t i = 0; i < nobodies; ++i) {
    for (const RelayMessage& message :
         {RelayMessage(RelayConnect{nobody(i)}), RelayMessage(RelaySignal{nobody(i), Bytes(40)})}) {
      const Bytes bytes = encode_relay_message(message);
      many.insert(many.end(), bytes.begin(), bytes.end());
      ++tried;
    }
  }
  const Bytes itself = encode_relay_message(RelayConnect{abuse.relay.id});
  many.insert(many.end(), itself.begin(), itself.end());
  add(std::move(many), true);

  QM_ASSERT(all_connected(peers));
  for (std::size_t i = 0; i < peers.size(); ++i) {
    for (Bytes& bytes : words[i])
      peers[i]->tell_relay(std::move(bytes));
  }
  for (const SocketAddress& victim : abuse.victims) {
    for (const Bytes& request : stun_requests(victim)) {
      peers.back()->send_datagram(request);
      ++tried;
    }
  }
  (void)drive(peers, [] { return false; }, 1s);
  for (const auto& peer : peers)
    peer->leave();
  return tried;
}

SpoofReport abuse_by_spoofing(const RelayAbuse& abuse) {
  AbusivePeers pair;
  for (int i = 0; i < 2; ++i)
    pair.push_back(std::make_unique<AbusivePeer>(abuse.local, abuse.relay));
  AbusivePeer& caller = *pair[0];
  AbusivePeer& callee = *pair[1];
  QM_ASSERT(all_connected(pair));
  for (const auto& peer : pair)
    peer->tell_relay(encode_relay_message(RelayRegister{}));
  (void)drive(pair, [&] { return !caller.heard().empty() && !callee.heard().empty(); }, patience);
  caller.tell_relay(encode_relay_message(RelayConnect{callee.id()}));
  QM_ASSERT(drive(pair, [&] { return callee.session() && caller.session(); }, patience));
  const RelaySession session = *caller.session();
  const auto asked = challenge_of(abuse, session, RelayRole::initiator);
  QM_ASSERT(asked.has_value());  // the control: challenges do come to who really sends

  SpoofingSocket spoofing;
  const SocketAddress relay = caller.remote();
  for (const SocketAddress& victim : abuse.victims) {
    for (unsigned i = 0; i < frames_each; ++i) {
      // As either end; and answers with the nonce that another address was given, or any other.
      for (const RelayRole role : {RelayRole::initiator, RelayRole::responder})
        spoofing.send(victim, relay, frame_of(session, role));
      const ChallengeFrame replayed{RelayFrameType::answer, RelayRole::initiator, session.session,
                                    i % 2 == 0 ? asked->nonce : i};
      spoofing.send(victim, relay, encode_challenge_frame(replayed, caller.relay_key()));
      (void)drive(pair, [] { return false; }, 10ms);
    }
  }
  (void)drive(pair, [] { return false; }, answers);
  SpoofReport report{.packets = spoofing.packets(), .bytes = spoofing.bytes()};
  report.forwarded = caller.relayed() + callee.relayed();
  report.sent_after = 2ull * frames_each;
  for (unsigned i = 0; i < frames_each; ++i) {
    callee.send_datagram(frame_of(session, RelayRole::responder));
    caller.send_datagram(frame_of(session, RelayRole::initiator));
  }
  const auto arrived = [&] { return caller.relayed() + callee.relayed() - report.forwarded; };
  (void)drive(pair, [&] { return arrived() >= report.sent_after; }, 5s);
  report.arrived_after = arrived();
  for (const auto& peer : pair)
    peer->leave();
  return report;
}

}  // namespace quicmesh::abuser
