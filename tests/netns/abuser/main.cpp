// `relay_abuser`: a hostile peer, or client of a relay, for relay_abuse_test.py. Every mode prints
// one line of JSON when it has done its worst.
//
//   relay_abuser name NODEID@ADDRESS --from IP [--peers N] [--rounds N] [--seconds S]
//     Reads addresses from its stdin, one a line: kind, family, bytes in hex, port; and claims them
//     as candidates on control streams, as they are spelled. With --peers N each of N identities
//     claims all of them; without, new identities claim ten each, whatever the number.
//   relay_abuser request|spoof NODEID@ADDRESS --from IP --victim IP:PORT...
//     What relay_abuse.hpp has.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <iostream>

#include "abusive_peer.hpp"
#include "base/assert.hpp"
#include "base/byte_writer.hpp"
#include "path/control_message.hpp"
#include "relay_abuse.hpp"

namespace quicmesh::abuser {
namespace {

constexpr std::size_t claims_each = 10;
constexpr std::uint8_t candidates_type = 3;
constexpr Duration connect_limit = 30s;

Bytes from_hex(const std::string& text) {
  Bytes bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    std::uint8_t value = 0;
    const auto parsed = std::from_chars(text.data() + i, text.data() + i + 2, value, 16);
    QM_ASSERT(parsed.ec == std::errc{});
    bytes.push_back(value);
  }
  return bytes;
}

/// The claims on stdin, each as it stands in a candidates message.
std::vector<Bytes> read_claims() {
  std::vector<Bytes> claims;
  unsigned kind = 0;
  unsigned family = 0;
  std::string address;
  std::uint16_t port = 0;
  while (std::cin >> kind >> family >> address >> port) {
    Bytes claim;
    ByteWriter writer(claim);
    writer.u8(static_cast<std::uint8_t>(kind));
    writer.u8(static_cast<std::uint8_t>(family));
    writer.bytes(from_hex(address));
    writer.u16(port);
    claims.push_back(std::move(claim));
  }
  return claims;
}

Bytes candidates_message(std::span<const Bytes> claims) {
  Bytes body;
  ByteWriter writer(body);
  writer.u8(static_cast<std::uint8_t>(claims.size()));
  for (const Bytes& claim : claims)
    writer.bytes(claim);
  Bytes message;
  ByteWriter outer(message);
  outer.u8(candidates_type);
  outer.u16(static_cast<std::uint16_t>(body.size()));
  outer.bytes(body);
  return message;
}

struct Naming {
  IpAddress local;
  NodeAddress target;
  std::size_t peers = 0;
  unsigned rounds = 1;
  double seconds = 2;
};

int name_addresses(const Naming& naming) {
  const std::vector<Bytes> claims = read_claims();
  const std::size_t batches = (claims.size() + claims_each - 1) / claims_each;
  std::size_t connected = 0;
  std::size_t refused = 0;
  for (unsigned round = 0; round < naming.rounds; ++round) {
    AbusivePeers peers;
    for (std::size_t i = 0; i < (naming.peers > 0 ? naming.peers : batches); ++i)
      peers.push_back(std::make_unique<AbusivePeer>(naming.local, naming.target));
    const auto settled = [&] {
      return std::ranges::all_of(peers,
                                 [](const auto& one) { return one->connected() || one->ended(); });
    };
    (void)drive(peers, settled, connect_limit);
    for (std::size_t i = 0; i < peers.size(); ++i) {
      if (!peers[i]->connected()) continue;
      ++connected;
      const std::size_t begin = naming.peers > 0 ? 0 : i * claims_each;
      const std::size_t count = std::min(claims_each, claims.size() - begin);
      const Bytes message = candidates_message(std::span(claims).subspan(begin, count));
      peers[i]->say(std::string(control_protocol), false, message);
    }
    const auto limit =
        std::chrono::duration_cast<Duration>(std::chrono::duration<double>(naming.seconds));
    (void)drive(peers, [] { return false; }, limit);
    for (const auto& peer : peers) {
      refused += peer->ended() ? 1 : 0;
      peer->leave();
    }
  }
  fmt::print("{{\"event\":\"named\",\"claims\":{},\"connected\":{},\"ended\":{}}}\n", claims.size(),
             connected, refused);
  return 0;
}

int request(const RelayAbuse& abuse) {
  fmt::print("{{\"event\":\"requested\",\"tried\":{}}}\n", abuse_by_requests(abuse));
  return 0;
}

int spoof(const RelayAbuse& abuse) {
  const SpoofReport report = abuse_by_spoofing(abuse);
  fmt::print(
      "{{\"event\":\"spoofed\",\"packets\":{},\"bytes\":{},\"forwarded\":{},\"sent_after\":{},"
      "\"arrived_after\":{}}}\n",
      report.packets, report.bytes, report.forwarded, report.sent_after, report.arrived_after);
  return 0;
}

template <class T>
T parsed(const std::string& text) {
  const auto value = T::parse(text);
  if (!value) throw CLI::ValidationError(text, describe(value.error()));
  return *value;
}

int run(int argc, char** argv) {
  CLI::App app("a hostile peer");
  app.require_subcommand(1);
  std::string target;
  std::string local;
  std::vector<std::string> victims;
  Naming naming;
  CLI::App& name = *app.add_subcommand("name");
  CLI::App& requests = *app.add_subcommand("request");
  CLI::App& spoofs = *app.add_subcommand("spoof");
  for (CLI::App* command : {&name, &requests, &spoofs}) {
    command->add_option("TARGET", target)->required();
    command->add_option("--from", local)->required();
  }
  name.add_option("--peers", naming.peers);
  name.add_option("--rounds", naming.rounds);
  name.add_option("--seconds", naming.seconds);
  for (CLI::App* command : {&requests, &spoofs})
    command->add_option("--victim", victims)->required();
  try {
    app.parse(argc, argv);
    naming.target = parsed<NodeAddress>(target);
    naming.local = parsed<IpAddress>(local);
    if (name) return name_addresses(naming);
    RelayAbuse abuse{naming.local, naming.target, {}};
    for (const std::string& victim : victims)
      abuse.victims.push_back(parsed<SocketAddress>(victim));
    return requests ? request(abuse) : spoof(abuse);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
}

}  // namespace
}  // namespace quicmesh::abuser

int main(int argc, char** argv) {
  return quicmesh::abuser::run(argc, argv);
}
