#include "dht_wire/dht_codec.hpp"

#include <gtest/gtest.h>
#include <schema/dht.capnp.h>

#include <algorithm>
#include <array>
#include <functional>
#include <optional>

#include "base/rng.hpp"
#include "dht/value.hpp"
#include "dht_wire/messages_for_tests.hpp"
#include "identity/identity_errc.hpp"
#include "wire/schema_key.hpp"
#include "wire/schema_message.hpp"
#include "wire/wire_errc.hpp"

namespace quicmesh::dht {
namespace {

using Schema = quicmesh::schema::dht::Message;

/// The reader's side: a book that knows the sender alone, as node 1.
struct Receiver {
  explicit Receiver(std::size_t capacity = 1000) : book(capacity, 2) {
    from = book.intern(keypair_number(1).node_id());
  }

  Result<Message> read(ByteView bytes, const RecordLink& link = test_link) {
    return decode_message(bytes, book, from, link, counts);
  }
  std::error_code error_of(ByteView bytes) {
    const auto read = this->read(bytes);
    return read ? std::error_code() : read.error();
  }
  Bytes record(PeerHandle peer) {
    const ByteView held = book.record(peer);
    return {held.begin(), held.end()};
  }

  PeerBook book;
  PeerHandle from;
  RecordCounts counts;
};

Bytes encode(const Message& message, const PeerBook& book, ByteView own_record = {},
             const RecordLink& link = test_link) {
  return encode_message(message, book, own_record, link);
}

/// What the schema allows and the codec would not write.
Bytes schema_bytes(const std::function<void(Schema::Builder)>& write) {
  return write_schema<Schema>(std::size_t{1} << 20, write);
}

void expect_same(const std::vector<PeerHandle>& a, const PeerBook& book_a,
                 const std::vector<PeerHandle>& b, const PeerBook& book_b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(book_a.id(a[i]), book_b.id(b[i]));
    EXPECT_TRUE(std::ranges::equal(book_a.record(a[i]), book_b.record(b[i])));
  }
}

/// The same message in both books: handles differ, what they stand for does not.
void expect_same(const Message& a, const PeerBook& book_a, const Message& b,
                 const PeerBook& book_b) {
  EXPECT_EQ(a.request, b.request);
  EXPECT_EQ(a.server, b.server);
  ASSERT_EQ(a.body.index(), b.body.index());
  if (const auto* find = std::get_if<FindNode>(&a.body)) {
    EXPECT_EQ(find->target, std::get<FindNode>(b.body).target);
    EXPECT_EQ(find->count, std::get<FindNode>(b.body).count);
  }
  if (const auto* get = std::get_if<Get>(&a.body)) {
    EXPECT_EQ(get->key, std::get<Get>(b.body).key);
    EXPECT_EQ(get->kind, std::get<Get>(b.body).kind);
    EXPECT_EQ(get->count, std::get<Get>(b.body).count);
  }
  if (const auto* put = std::get_if<Put>(&a.body)) {
    EXPECT_EQ(put->key, std::get<Put>(b.body).key);
    EXPECT_EQ(put->kind, std::get<Put>(b.body).kind);
    EXPECT_EQ(put->lifetime_s, std::get<Put>(b.body).lifetime_s);
    EXPECT_EQ(put->bytes, std::get<Put>(b.body).bytes);
  }
  if (const auto* found = std::get_if<Found>(&a.body)) {
    EXPECT_EQ(found->bytes, std::get<Found>(b.body).bytes);
    expect_same(found->nodes, book_a, std::get<Found>(b.body).nodes, book_b);
  }
  if (const auto* answer = std::get_if<PutAnswer>(&a.body)) {
    EXPECT_EQ(answer->status, std::get<PutAnswer>(b.body).status);
  }
  if (const auto* express = std::get_if<Express>(&a.body)) {
    EXPECT_EQ(express->target, std::get<Express>(b.body).target);
    EXPECT_EQ(express->want, std::get<Express>(b.body).want);
    EXPECT_EQ(express->way, std::get<Express>(b.body).way);
    EXPECT_EQ(express->hops_left, std::get<Express>(b.body).hops_left);
  }
  if (const auto* answer = std::get_if<ExpressAnswer>(&a.body)) {
    const auto& other = std::get<ExpressAnswer>(b.body);
    EXPECT_EQ(answer->bytes, other.bytes);
    // Without a record to show a node is no answer.
    const bool shown = answer->node != no_peer && !book_a.record(answer->node).empty();
    ASSERT_EQ(shown, other.node != no_peer);
    if (shown) expect_same({answer->node}, book_a, {other.node}, book_b);
  }
  if (const auto* provide = std::get_if<Provide>(&a.body)) {
    EXPECT_EQ(provide->record, std::get<Provide>(b.body).record);
  }
  if (const auto* get = std::get_if<GetProviders>(&a.body)) {
    EXPECT_EQ(get->key, std::get<GetProviders>(b.body).key);
    EXPECT_EQ(get->count, std::get<GetProviders>(b.body).count);
  }
  if (const auto* told = std::get_if<Providers>(&a.body)) {
    EXPECT_EQ(told->records, std::get<Providers>(b.body).records);
    EXPECT_EQ(told->full, std::get<Providers>(b.body).full);
    expect_same(told->nodes, book_a, std::get<Providers>(b.body).nodes, book_b);
  }
  if (const auto* nodes = std::get_if<Nodes>(&a.body)) {
    expect_same(nodes->nodes, book_a, std::get<Nodes>(b.body).nodes, book_b);
  }
}

Message random_message(Rng& rng, const std::vector<PeerHandle>& peers) {
  Message message{static_cast<std::uint32_t>(rng.next()), rng.chance(1, 2), Ping{}};
  DhtKey target;
  rng.fill(target.bytes);
  Nodes nodes;
  for (std::uint64_t i = rng.below(contacts_max + 1); i > 0; --i)
    nodes.nodes.push_back(peers[rng.below(peers.size())]);
  const auto kind = static_cast<ValueKind>(rng.below(2));
  Bytes value(rng.below(stored_value_max + 1));
  rng.fill(value);
  const auto some_record = [&] {
    Bytes record(provider_record_size);
    rng.fill(record);
    return record;
  };
  switch (rng.below(14)) {
    case 0:
      break;
    case 5:
      message.body = Get{target, kind, static_cast<std::uint8_t>(1 + rng.below(contacts_max))};
      break;
    case 6:
      message.body = Put{target, kind, static_cast<std::uint32_t>(rng.next()), std::move(value)};
      break;
    case 7:
      message.body = Found{rng.chance(1, 2) ? std::optional(std::move(value)) : std::nullopt,
                           std::move(nodes.nodes)};
      break;
    case 8:
      message.body = PutAnswer{static_cast<PutStatus>(rng.below(6))};
      break;
    case 9:
      message.body =
          Express{target, static_cast<ExpressWant>(rng.below(2)),
                  static_cast<ExpressWay>(rng.below(2)), static_cast<std::uint8_t>(rng.next())};
      break;
    case 10:
      if (value.size() <= value_max) {
        message.body = ExpressAnswer{no_peer, std::move(value)};
      } else {
        message.body = ExpressAnswer{peers[rng.below(peers.size())], std::nullopt};
      }
      break;
    case 11:
      message.body = Provide{some_record()};
      break;
    case 12:
      message.body = GetProviders{target, static_cast<std::uint8_t>(1 + rng.below(contacts_max))};
      break;
    case 13: {
      Providers told{.full = rng.chance(1, 2), .nodes = std::move(nodes.nodes)};
      told.nodes.resize(std::min(told.nodes.size(), contacts_with_providers_max));
      for (std::uint64_t i = rng.below(providers_per_answer + 1); i > 0; --i)
        told.records.push_back(some_record());
      message.body = std::move(told);
      break;
    }
    case 1:
      message.body = FindNode{target, static_cast<std::uint8_t>(1 + rng.below(contacts_max))};
      break;
    case 2:
      message.body = Pong{};
      break;
    case 3:
      message.body = std::move(nodes);
      break;
    default:
      message.body = Busy{};
  }
  return message;
}

TEST(DhtCodec, reads_what_it_writes) {
  Rng rng(1);
  const TestBook sender;
  Receiver receiver;
  std::size_t known = receiver.book.size();
  for (int i = 0; i < 500; ++i) {
    const Message message = random_message(rng, sender.peers);
    const Bytes bytes = encode(message, sender.book);
    ASSERT_LE(bytes.size(), message_size_max);
    const auto head = peek_message(bytes);
    ASSERT_TRUE(head);
    EXPECT_EQ(head->request, message.request);
    EXPECT_EQ(head->answer, !is_request(message.body)) << message.body.index();
    EXPECT_EQ(receiver.book.size(), known) << "nothing is taken yet";
    const auto read = receiver.read(bytes);
    ASSERT_TRUE(read) << describe(read.error());
    expect_same(message, sender.book, *read, receiver.book);
    known = receiver.book.size();
  }
}

TEST(DhtCodec, is_read_or_refused_however_it_is_damaged) {
  const TestBook sender;
  for (const auto& [name, message] : one_of_each(sender.peers)) {
    const Bytes good = encode(message, sender.book, record_number(1));
    for (std::size_t size = 0; size < good.size(); ++size)
      EXPECT_FALSE(Receiver().read(ByteView(good).first(size))) << name << " cut at " << size;
    Receiver receiver;  // holds the records after the first: those unchanged need no second proof
    EXPECT_TRUE(receiver.read(good));
    for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
      Bytes changed = good;
      changed[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
      const auto read = receiver.read(changed);
      if (!read) continue;
      EXPECT_LE(encode(*read, receiver.book).size(), message_size_max) << name << " bit " << bit;
    }
  }
}

TEST(DhtCodec, reads_or_refuses_random_words) {
  Rng rng(3);
  Receiver receiver;
  for (int i = 0; i < 20'000; ++i) {
    Bytes bytes(8 * (1 + rng.below(24)));
    rng.fill(bytes);
    // The framing of one segment, and small numbers: so some get beyond the first check.
    std::ranges::fill(ByteView(bytes).size() > 8 ? std::span(bytes).first(8) : std::span(bytes), 0);
    bytes[4] = static_cast<std::uint8_t>(bytes.size() / 8 - 1);
    for (std::uint8_t& byte : std::span(bytes).subspan(8))
      byte = rng.chance(1, 2) ? std::uint8_t{0} : static_cast<std::uint8_t>(byte & 15);
    (void)receiver.read(bytes);
  }
}

TEST(DhtCodec, refuses_what_goes_on_after_the_message) {
  const TestBook sender;
  Bytes bytes = encode({1, true, Ping{}}, sender.book);
  bytes.resize(bytes.size() + 8);
  EXPECT_EQ(Receiver().error_of(bytes), WireErrc::malformed_message);
}

TEST(DhtCodec, refuses_messages_and_lists_beyond_their_bounds) {
  EXPECT_EQ(Receiver().error_of(Bytes(message_size_max + 8)), WireErrc::message_too_long);
  for (const unsigned count : {40U, 41U}) {
    const Bytes bytes = schema_bytes([&](Schema::Builder root) {
      auto list = root.initNodes(count);
      for (unsigned i = 0; i < count; ++i)
        list[i].setKey0(i + 1);
    });
    EXPECT_EQ(Receiver().error_of(bytes),
              count == 40 ? std::error_code() : WireErrc::list_too_long);
  }
  for (const unsigned count : {0U, 1U, 40U, 41U, 255U}) {
    const Bytes bytes = schema_bytes([&](Schema::Builder root) {
      root.initFindNode().setCount(static_cast<std::uint8_t>(count));
    });
    EXPECT_EQ(Receiver().error_of(bytes),
              count == 0 || count > 40 ? WireErrc::value_out_of_range : std::error_code());
  }
}

TEST(DhtCodec, refuses_values_beyond_their_bounds) {
  const auto error_of_put = [](unsigned size, unsigned kind) {
    return Receiver().error_of(schema_bytes([&](Schema::Builder root) {
      auto put = root.initPut();
      put.initValue(size);
      put.setKind(static_cast<quicmesh::schema::dht::ValueKind>(kind));
    }));
  };
  constexpr unsigned most = stored_value_max;
  EXPECT_EQ(error_of_put(most, 1), std::error_code());
  EXPECT_EQ(error_of_put(most + 1, 1), WireErrc::list_too_long);
  EXPECT_EQ(error_of_put(1, 2), WireErrc::unknown_body);

  const auto error_of_get = [](std::uint8_t count, unsigned kind) {
    return Receiver().error_of(schema_bytes([&](Schema::Builder root) {
      auto get = root.initGet();
      get.setCount(count);
      get.setKind(static_cast<quicmesh::schema::dht::ValueKind>(kind));
    }));
  };
  EXPECT_EQ(error_of_get(40, 1), std::error_code());
  EXPECT_EQ(error_of_get(41, 1), WireErrc::value_out_of_range);
  EXPECT_EQ(error_of_get(0, 1), WireErrc::value_out_of_range);
  EXPECT_EQ(error_of_get(1, 2), WireErrc::unknown_body);

  for (const unsigned size : {most, most + 1}) {
    const Bytes bytes = schema_bytes([&](Schema::Builder root) {
      auto found = root.initFound();
      found.setHasValue(true);
      found.initValue(size);
    });
    EXPECT_EQ(Receiver().error_of(bytes),
              size == most ? std::error_code() : WireErrc::list_too_long);
  }
  const Bytes status = schema_bytes([](Schema::Builder root) {
    root.setPutAnswer(static_cast<quicmesh::schema::dht::PutStatus>(6));
  });
  EXPECT_EQ(Receiver().error_of(status), WireErrc::unknown_body);
}

TEST(DhtCodec, refuses_express_messages_beyond_their_bounds) {
  for (const auto& [want, way, good] : {std::tuple(1, 1, true), {2, 0, false}, {0, 2, false}}) {
    const Bytes bytes = schema_bytes([&](Schema::Builder root) {
      auto express = root.initExpress();
      express.setWant(static_cast<quicmesh::schema::dht::ExpressWant>(want));
      express.setWay(static_cast<quicmesh::schema::dht::ExpressWay>(way));
    });
    EXPECT_EQ(Receiver().error_of(bytes), good ? std::error_code() : WireErrc::unknown_body);
  }
  for (const unsigned size : {unsigned(value_max), unsigned(value_max) + 1}) {
    const Bytes bytes =
        schema_bytes([&](Schema::Builder root) { root.initExpressAnswer().initValue(size); });
    EXPECT_EQ(Receiver().error_of(bytes),
              size == value_max ? std::error_code() : WireErrc::list_too_long);
  }
  // Somebody else's record.
  const Bytes forged = schema_bytes([&](Schema::Builder root) {
    auto node = root.initExpressAnswer().initNode();
    set_key(node, keypair_number(2).node_id().bytes);
    node.setRecord(as_data(record_number(3)));
  });
  EXPECT_NE(Receiver().error_of(forged), std::error_code());
}

TEST(DhtCodec, refuses_providers_beyond_their_bounds) {
  const auto error_of_provide = [](unsigned size) {
    return Receiver().error_of(schema_bytes([&](Schema::Builder root) { root.initProvide(size); }));
  };
  constexpr unsigned exact = provider_record_size;
  EXPECT_EQ(error_of_provide(exact), std::error_code());
  EXPECT_EQ(error_of_provide(exact - 1), WireErrc::value_out_of_range);
  EXPECT_EQ(error_of_provide(exact + 1), WireErrc::value_out_of_range);
  for (const unsigned count : {0U, 1U, 40U, 41U}) {
    const Bytes bytes = schema_bytes([&](Schema::Builder root) {
      root.initGetProviders().setCount(static_cast<std::uint8_t>(count));
    });
    EXPECT_EQ(Receiver().error_of(bytes),
              count == 0 || count > 40 ? WireErrc::value_out_of_range : std::error_code());
  }
  const auto error_of_providers = [](unsigned records, unsigned size, unsigned nodes) {
    return Receiver().error_of(schema_bytes([&](Schema::Builder root) {
      auto told = root.initProviders();
      auto list = told.initProviders(records);
      for (unsigned i = 0; i < records; ++i)
        list[i].initRecord(size);
      auto contacts = told.initNodes(nodes);
      for (unsigned i = 0; i < nodes; ++i)
        contacts[i].setKey0(i + 1);
    }));
  };
  EXPECT_EQ(error_of_providers(8, exact, 30), std::error_code());
  EXPECT_EQ(error_of_providers(9, exact, 0), WireErrc::list_too_long);
  EXPECT_EQ(error_of_providers(0, exact, 31), WireErrc::list_too_long);
  EXPECT_EQ(error_of_providers(1, exact - 1, 0), WireErrc::value_out_of_range);
}

TEST(DhtCodec, tells_where_providers_are_and_believes_no_one_else) {
  const TestBook sender;
  const DhtKey key{{1, 2, 3}};
  Receiver receiver;
  const Message message{1, true,
                        Providers{{provider_number(2, key), provider_number(3, key)}, false, {}}};
  const auto read = receiver.read(encode(message, sender.book));
  ASSERT_TRUE(read);
  EXPECT_EQ(std::get<Providers>(read->body).records, std::get<Providers>(message.body).records);
  const PeerHandle provider = receiver.book.find(keypair_number(2).node_id());
  ASSERT_NE(provider, no_peer);
  EXPECT_EQ(receiver.record(provider), record_number(2));
  // Of number 3 the sender knows no whereabouts, and the book has no place for him.
  EXPECT_EQ(receiver.book.find(keypair_number(3).node_id()), no_peer);

  const Bytes forged = schema_bytes([&](Schema::Builder root) {
    auto list = root.initProviders().initProviders(1);
    list[0].setRecord(as_data(provider_number(2, key)));
    list[0].setEndpoint(as_data(record_number(4)));
  });
  EXPECT_EQ(Receiver().error_of(forged), IdentityErrc::endpoint_record_of_another_node);
}

// An element without a word costs its sender nothing, whatever their number.
TEST(DhtCodec, refuses_a_billion_contacts_in_no_bytes) {
  Bytes bytes = schema_bytes([](Schema::Builder root) { root.initNodes(0); });
  // The list's pointer is the last word: one of inline composites of zero words each, whose tag
  // would be beyond the end; and one of 2^29 - 1 void elements.
  const std::size_t at = bytes.size() - 16;  // an empty list has its tag behind
  for (const std::uint32_t high : {0xfffffff8U, 0x00000007U}) {
    for (std::size_t i = 0; i < 4; ++i)
      bytes[at + 4 + i] = static_cast<std::uint8_t>(high >> 8 * i);
    const auto error = Receiver().error_of(bytes);
    EXPECT_TRUE(high == 7 || error) << high << error.message();
  }
}

// One record of 1 KiB, named by every contact.
TEST(DhtCodec, follows_pointers_over_no_more_words_than_the_message_has) {
  Bytes bytes = schema_bytes([](Schema::Builder root) {
    auto list = root.initNodes(40);
    for (unsigned i = 0; i < 40; ++i)
      list[i].setKey0(i + 1);
    list[39].initRecord(1000);
  });
  // The contacts end with the record's pointer, whose target stands behind the last of them. Each
  // contact is 5 words, so its own distance to that is so much more.
  const std::size_t record_at = bytes.size() - 1000;
  const std::size_t list_at = record_at - 40 * 40;
  for (std::size_t i = 0; i < 39; ++i) {
    const std::size_t pointer = list_at + i * 40 + 32;
    std::copy_n(bytes.begin() + std::ptrdiff_t(record_at - 8), 8,
                bytes.begin() + std::ptrdiff_t(pointer));
    const std::size_t offset = (39 - i) * 5;
    bytes[pointer] = static_cast<std::uint8_t>(1 | (offset & 63) << 2);
    bytes[pointer + 1] = static_cast<std::uint8_t>(offset >> 6);
  }
  EXPECT_EQ(Receiver().error_of(bytes), WireErrc::malformed_message);
}

TEST(DhtCodec, skips_unknown_bodies_with_an_error_that_says_so) {
  const Bytes none = schema_bytes([](Schema::Builder root) { root.setRequest(7); });
  EXPECT_EQ(Receiver().error_of(none), WireErrc::unknown_body);

  // The union's discriminant is in bytes 6 and 7 of the root, behind framing and pointer.
  Bytes later = schema_bytes([](Schema::Builder root) { root.setBusy(); });
  const std::size_t at = 16 + 6;
  ASSERT_EQ(later[at], Schema::BUSY);
  later[at] = 200;
  EXPECT_EQ(Receiver().error_of(later), WireErrc::unknown_body);
  EXPECT_NE(hint(WireErrc::unknown_body).find("newer"), std::string_view::npos);
}

TEST(DhtCodec, cuts_answers_with_too_many_contacts) {
  PeerBook book(100, 1);
  Nodes nodes;
  for (std::uint8_t i = 0; i < 50; ++i)
    nodes.nodes.push_back(book.intern(NodeId{{i, 1}}));
  Receiver receiver;
  const auto read = receiver.read(encode({1, true, nodes}, book));
  ASSERT_TRUE(read);
  const auto& peers = std::get<Nodes>(read->body).nodes;
  ASSERT_EQ(peers.size(), contacts_max);
  EXPECT_EQ(receiver.book.id(peers.back()), (NodeId{{39, 1}}));
}

TEST(DhtCodec, leaves_out_contacts_for_whom_the_book_has_no_room) {
  const TestBook sender;
  Receiver receiver(3);
  const auto read = receiver.read(encode({1, true, Nodes{sender.peers}}, sender.book));
  ASSERT_TRUE(read);
  EXPECT_EQ(std::get<Nodes>(read->body).nodes.size(), 3U);
  EXPECT_EQ(receiver.counts.no_room, sender.peers.size() - 3);
}

// S1.67: a changed record is refused by the reader.
TEST(DhtCodec, refuses_a_message_with_a_forged_record) {
  TestBook sender;
  const Bytes good = encode({1, true, Nodes{sender.peers}}, sender.book);
  EXPECT_FALSE(Receiver().error_of(good));
  Bytes forged = record_number(2);
  forged.back() ^= 1;
  sender.book.set_record(sender.peers[1], forged);
  EXPECT_TRUE(Receiver().error_of(encode({1, true, Nodes{sender.peers}}, sender.book)));
  sender.book.set_record(sender.peers[1], record_number(4));
  EXPECT_EQ(Receiver().error_of(encode({1, true, Nodes{sender.peers}}, sender.book)),
            IdentityErrc::endpoint_record_of_another_node);
}

TEST(DhtCodec, takes_the_senders_own_record_and_nobody_elses_for_it) {
  const TestBook sender;
  Receiver receiver;
  const Bytes own = record_number(1, 1000);
  ASSERT_TRUE(receiver.read(encode({1, true, Ping{}}, sender.book, own)));
  EXPECT_EQ(receiver.record(receiver.from), own);
  EXPECT_EQ(receiver.counts.taken, 1U);
  ASSERT_TRUE(receiver.read(encode({2, true, Ping{}}, sender.book, own)));
  EXPECT_EQ(receiver.counts.not_newer, 1U);
  EXPECT_EQ(receiver.error_of(encode({3, true, Ping{}}, sender.book, record_number(2))),
            IdentityErrc::endpoint_record_of_another_node);
}

// TD6: old records are replayed in vain.
TEST(DhtCodec, never_goes_back_to_an_older_record) {
  TestBook sender;
  Receiver receiver;
  const auto tell = [&](std::uint64_t age_ms) {
    sender.book.set_record(sender.peers[1], record_number(2, age_ms));
    const auto read = receiver.read(encode({1, true, Nodes{{sender.peers[1]}}}, sender.book));
    return receiver.record(std::get<Nodes>(read.value().body).nodes.at(0));
  };
  EXPECT_EQ(tell(1000), record_number(2, 1000));
  EXPECT_EQ(tell(2000), record_number(2, 1000));
  EXPECT_EQ(tell(0), record_number(2, 0));
  EXPECT_EQ(receiver.counts.not_newer, 1U);
}

// A clock that is wrong costs the records, not the answer.
TEST(DhtCodec, reads_contacts_without_their_records_when_clocks_disagree) {
  const TestBook sender;
  const Bytes bytes = encode({1, true, Nodes{sender.peers}}, sender.book);
  Receiver in_1970;
  ASSERT_TRUE(in_1970.read(bytes, {.now = WallTime{0}}));
  EXPECT_EQ(in_1970.counts.ahead_of_clock, 5U);
  Receiver late;
  const auto read = late.read(bytes, {.now = WallTime{1'800'010'000}});
  ASSERT_TRUE(read);
  EXPECT_EQ(std::get<Nodes>(read->body).nodes.size(), sender.peers.size());
  EXPECT_EQ(late.counts.expired, 5U);
  EXPECT_EQ(late.counts.taken, 0U);
}

// TD12: a node in a LAN and on the internet tells neither's addresses to the wrong one.
TEST(DhtCodec, shows_and_takes_records_by_the_scope_of_the_link) {
  TestBook sender;
  const Bytes of_lan = record_number(2, 0, AddressScope::private_realm);
  sender.book.set_record(sender.peers[1], of_lan);
  const Message message{1, true, Nodes{{sender.peers[1]}}};
  const RecordLink lan{.scope = AddressScope::private_realm, .now = test_now};

  const auto record_told = [&](const RecordLink& there, const RecordLink& here) {
    Receiver receiver;
    const auto read = receiver.read(encode(message, sender.book, {}, there), here);
    return receiver.record(std::get<Nodes>(read.value().body).nodes.at(0));
  };
  EXPECT_EQ(record_told(lan, lan), of_lan);
  EXPECT_TRUE(record_told(test_link, lan).empty());  // not shown
  EXPECT_TRUE(record_told(lan, test_link).empty());  // shown by a liar, and not taken
  EXPECT_EQ(encode({1, true, Ping{}}, sender.book, of_lan, test_link),
            encode({1, true, Ping{}}, sender.book));
}

TEST(DhtCodec, has_room_for_the_fullest_answer) {
  const SocketAddress address{IpAddress::v6({0x26, 6, 0x47, 0, 1}), 65535};
  const EndpointRecord full{
      .stamp = {.sequence = test_now_ms},
      .versions = std::vector<std::uint16_t>(endpoint_versions_max),
      .candidates = std::vector(endpoint_candidates_max, address),
      .relays = std::vector(
          endpoint_relays_max,
          RelayEndpoint{.addresses = std::vector(endpoint_relay_addresses_max, address)}),
      .nat_profile = Bytes(endpoint_nat_profile_max)};
  PeerBook book(100, 1);
  Nodes nodes;
  for (std::uint8_t number = 1; number <= contacts_max; ++number) {
    const Keypair keypair = keypair_number(number);
    nodes.nodes.push_back(book.intern(keypair.node_id()));
    book.set_record(nodes.nodes.back(),
                    sign_endpoint_record(keypair, full, AddressRules::internet).value());
  }
  const Bytes own = sign_endpoint_record(keypair_number(1), full, AddressRules::internet).value();
  const Bytes bytes = encode({1, true, nodes}, book, own);
  EXPECT_LE(bytes.size(), message_size_max);
  Receiver receiver;
  ASSERT_FALSE(receiver.error_of(bytes));
  EXPECT_EQ(receiver.counts.taken, contacts_max);  // the sender's twice

  Providers told{.full = true, .nodes = nodes.nodes};
  for (std::uint8_t number = 1; number <= providers_per_answer; ++number)
    told.records.push_back(provider_number(number, {}));
  const Bytes with_providers = encode({1, true, told}, book, own);
  EXPECT_LE(with_providers.size(), message_size_max);
  const auto read = Receiver().read(with_providers);
  ASSERT_TRUE(read);
  EXPECT_EQ(std::get<Providers>(read->body).nodes.size(), contacts_with_providers_max);
  EXPECT_EQ(std::get<Providers>(read->body).records.size(), providers_per_answer);
}

}  // namespace
}  // namespace quicmesh::dht
