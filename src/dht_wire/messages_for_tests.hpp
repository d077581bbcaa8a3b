// A few nodes with records, and one message of each body, for the tests of the codec. The bytes of
// these messages are the vectors in vectors/dht, so what is made here never changes.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "dht/provider_record.hpp"
#include "dht_wire/dht_codec.hpp"
#include "identity/endpoint_record.hpp"
#include "quicmesh/keypair.hpp"

namespace quicmesh::dht {

inline constexpr WallTime test_now{1'800'000'000};
inline constexpr std::uint64_t test_now_ms = 1'800'000'000'000;
inline constexpr RecordLink test_link{.scope = AddressScope::public_internet, .now = test_now};

inline Keypair keypair_number(std::uint8_t number) {
  return Keypair::from_seed({number, 0xd4});
}

/// The record of that node, signed `age_ms` ago.
inline Bytes record_number(std::uint8_t number, std::uint64_t age_ms = 0,
                           AddressScope scope = AddressScope::public_internet) {
  const EndpointRecord record{
      .stamp = {.scope = scope, .sequence = test_now_ms - age_ms},
      .versions = {1},
      .candidates = {{IpAddress::v4({8, 8, 4, number}), 4242}},
      .relays = {{NodeId{{number}}, {{IpAddress::v4({9, 9, 9, number}), 443}}}},
  };
  return sign_endpoint_record(keypair_number(number), record, AddressRules::internet).value();
}

/// A book with the nodes 1 to `count`, which have records but every third.
struct TestBook {
  static constexpr std::uint8_t count = 7;

  explicit TestBook(bool with_records = true) : book(1000, 1) {
    for (std::uint8_t number = 1; number <= count; ++number) {
      peers.push_back(book.intern(keypair_number(number).node_id()));
      if (with_records && number % 3 != 0) book.set_record(peers.back(), record_number(number));
    }
  }

  PeerBook book;
  std::vector<PeerHandle> peers;
};

/// The provider record of that node.
inline Bytes provider_number(std::uint8_t number, const DhtKey& key) {
  const ProviderFields fields{
      .key = key, .sequence = test_now_ms, .expiry = WallTime{1'800'010'800}};
  return to_bytes(make_provider_record(keypair_number(number), fields));
}

/// One of each body, by the name of its vector. The peers are those of a TestBook.
inline std::vector<std::pair<std::string, Message>> one_of_each(
    const std::vector<PeerHandle>& peers) {
  DhtKey target;
  for (std::size_t i = 0; i < target.bytes.size(); ++i)
    target.bytes[i] = static_cast<std::uint8_t>(i * 7 + 1);
  return {
      {"ping", {1, true, Ping{}}},
      {"find_node", {0x01020304, false, FindNode{target, 20}}},
      {"pong", {1, true, Pong{}}},
      {"nodes", {0x01020304, true, Nodes{peers}}},
      {"busy", {0xffffffff, true, Busy{}}},
      {"get", {2, false, Get{target, ValueKind::signed_value, 7}}},
      {"put", {3, false, Put{target, ValueKind::immutable, 3600, Bytes{1, 2, 3, 4, 5}}}},
      {"found", {2, true, Found{Bytes{9, 8, 7}, {peers[1], peers[3]}}}},
      {"put_answer", {3, true, PutAnswer{PutStatus::older}}},
      {"provide", {5, false, Provide{provider_number(1, target)}}},
      {"get_providers", {6, false, GetProviders{target, 20}}},
      {"providers",
       {6, true,
        Providers{{provider_number(2, target), provider_number(3, target)}, true, {peers[4]}}}},
      {"express", {4, true, Express{target, ExpressWant::value, ExpressWay::far, 15}}},
      {"express_answer", {4, true, ExpressAnswer{peers[1], {}}}},
      {"express_value", {4, true, ExpressAnswer{no_peer, Bytes{6, 5, 4}}}},
      {"express_dead_end", {4, true, ExpressAnswer{}}},
  };
}

}  // namespace quicmesh::dht
