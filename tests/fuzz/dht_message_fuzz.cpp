// Any bytes as a DHT message: an error, or a message within its bounds that reads the same once
// written again. The corpus has the vectors of vectors/dht, whose records are good at that time.
#include <variant>

#include "base/assert.hpp"
#include "dht/provider_record.hpp"
#include "dht_wire/dht_codec.hpp"
#include "quicmesh/keypair.hpp"

using namespace quicmesh;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Keypair keypair = Keypair::from_seed({1, 0xd4});
  const RecordLink link{.now = WallTime{1'800'000'000}};
  PeerBook book(20, 1);  // some answers do not find room
  const PeerHandle from = book.intern(keypair.node_id());
  dht::RecordCounts counts;
  const auto message = dht::decode_message({data, size}, book, from, link, counts);
  QM_ASSERT(book.size() <= book.capacity());
  if (!message) return 0;
  if (const auto* nodes = std::get_if<dht::Nodes>(&message->body)) {
    QM_ASSERT(nodes->nodes.size() <= dht::contacts_max);
    for (const PeerHandle peer : nodes->nodes)
      QM_ASSERT(peer != no_peer && book.find(book.id(peer)) == peer);
  }
  if (const auto* told = std::get_if<dht::Providers>(&message->body)) {
    QM_ASSERT(told->records.size() <= dht::providers_per_answer);
    QM_ASSERT(told->nodes.size() <= dht::contacts_with_providers_max);
    for (const Bytes& record : told->records)
      QM_ASSERT(record.size() == dht::provider_record_size);
  }
  const Bytes written = dht::encode_message(*message, book, book.record(from), link);
  QM_ASSERT(written.size() <= dht::message_size_max);
  PeerBook other(20, 2);
  const PeerHandle other_from = other.intern(keypair.node_id());
  const auto again = dht::decode_message(written, other, other_from, link, counts);
  QM_ASSERT(again && again->body.index() == message->body.index());
  QM_ASSERT(dht::encode_message(*again, other, other.record(other_from), link) == written);
  return 0;
}
