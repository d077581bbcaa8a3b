#include "dht_wire/dht_codec.hpp"

#include <schema/dht.capnp.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "dht/provider_record.hpp"
#include "dht/value.hpp"
#include "identity/endpoint_record.hpp"
#include "wire/schema_key.hpp"
#include "wire/schema_message.hpp"
#include "wire/wire_errc.hpp"

namespace quicmesh::dht {
namespace {

namespace schema = quicmesh::schema::dht;

constexpr std::size_t word = sizeof(capnp::word);
// The framing, the root's pointer, the root, the sender's record, what was found, the tag of a
// list, the contacts.
static_assert(word + word + 4 * word + endpoint_record_size_max + 3 * word +
                  schema_words(stored_value_max) * word + word +
                  contacts_max * (5 * word + endpoint_record_size_max) <=
              message_size_max);

// The same for providers: the struct, two lists, of each provider two pointers and its records.
static_assert(word + word + 4 * word + endpoint_record_size_max + 3 * word + word +
                  providers_per_answer * (2 * word + schema_words(provider_record_size) * word +
                                          endpoint_record_size_max) +
                  word + contacts_with_providers_max * (5 * word + endpoint_record_size_max) <=
              message_size_max);

// Writing: one function a body, which sets what the root's union holds.

struct Writer {
  schema::Message::Builder root;
  const PeerBook& book;
  const RecordLink& link;

  void operator()(const Ping& /*body*/) { root.setPing(); }
  void operator()(const Pong& /*body*/) { root.setPong(); }
  void operator()(const Busy& /*body*/) { root.setBusy(); }

  void operator()(const FindNode& body) {
    auto builder = root.initFindNode();
    set_key(builder, body.target.bytes);
    builder.setCount(body.count);
  }

  void operator()(const Nodes& body) {
    const std::size_t count = std::min(body.nodes.size(), contacts_max);
    contacts(root.initNodes(static_cast<unsigned>(count)), body.nodes);
  }

  void operator()(const Get& body) {
    auto builder = root.initGet();
    set_key(builder, body.key.bytes);
    builder.setKind(static_cast<schema::ValueKind>(body.kind));
    builder.setCount(body.count);
  }

  void operator()(const Put& body) {
    auto builder = root.initPut();
    set_key(builder, body.key.bytes);
    builder.setKind(static_cast<schema::ValueKind>(body.kind));
    builder.setLifetimeSeconds(body.lifetime_s);
    builder.setValue(as_data(body.bytes));
  }

  void operator()(const Found& body) {
    auto builder = root.initFound();
    builder.setHasValue(body.bytes.has_value());
    if (body.bytes) builder.setValue(as_data(*body.bytes));
    const std::size_t count = std::min(body.nodes.size(), contacts_max);
    contacts(builder.initNodes(static_cast<unsigned>(count)), body.nodes);
  }

  void operator()(const PutAnswer& body) {
    root.setPutAnswer(static_cast<schema::PutStatus>(body.status));
  }

  void operator()(const Provide& body) { root.setProvide(as_data(body.record)); }

  void operator()(const GetProviders& body) {
    auto builder = root.initGetProviders();
    set_key(builder, body.key.bytes);
    builder.setCount(body.count);
  }

  void operator()(const Providers& body) {
    auto builder = root.initProviders();
    builder.setFull(body.full);
    const std::size_t told = std::min(body.records.size(), providers_per_answer);
    auto list = builder.initProviders(static_cast<unsigned>(told));
    for (unsigned i = 0; i < list.size(); ++i)
      provider(list[i], body.records[i]);
    const std::size_t count = std::min(body.nodes.size(), contacts_with_providers_max);
    contacts(builder.initNodes(static_cast<unsigned>(count)), body.nodes);
  }

  void operator()(const Express& body) {
    auto builder = root.initExpress();
    set_key(builder, body.target.bytes);
    builder.setWant(static_cast<schema::ExpressWant>(body.want));
    builder.setWay(static_cast<schema::ExpressWay>(body.way));
    builder.setHopsLeft(body.hops_left);
  }

  /// A node whose record may not be shown there is no answer.
  void operator()(const ExpressAnswer& body) {
    auto builder = root.initExpressAnswer();
    if (body.bytes) {
      builder.setValue(as_data(*body.bytes));
    } else if (body.node != no_peer && may_show(book.record(body.node), link)) {
      contact(builder.initNode(), body.node);
    }
  }

  void contacts(capnp::List<schema::Contact>::Builder list, const std::vector<PeerHandle>& peers) {
    for (unsigned i = 0; i < list.size(); ++i)
      contact(list[i], peers[i]);
  }

  void provider(schema::Provider::Builder builder, const Bytes& record) {
    builder.setRecord(as_data(record));
    if (record.size() != provider_record_size) return;
    const PeerHandle peer = book.find(provider_of(record));
    if (peer == no_peer || !may_show(book.record(peer), link)) return;
    builder.setEndpoint(as_data(book.record(peer)));
  }

  void contact(schema::Contact::Builder builder, PeerHandle peer) {
    set_key(builder, book.id(peer).bytes);
    const ByteView record = book.record(peer);
    if (may_show(record, link)) builder.setRecord(as_data(record));
  }
};

// The numbers of the enumerations are those of the schema. A greater one is of a later release, as
// a body that is not known: no fault, and of no use.
static_assert(std::to_underlying(ValueKind::signed_value) ==
              std::to_underlying(schema::ValueKind::SIGNED_VALUE));
static_assert(std::to_underlying(PutStatus::over_quota) ==
              std::to_underlying(schema::PutStatus::OVER_QUOTA));
static_assert(std::to_underlying(ExpressWant::value) ==
              std::to_underlying(schema::ExpressWant::VALUE));
static_assert(std::to_underlying(ExpressWay::far) == std::to_underlying(schema::ExpressWay::FAR));

// Reading: one function a body.

struct Reader {
  PeerBook& book;
  PeerHandle from;
  const RecordLink& link;
  RecordCounts& counts;

  Result<Message> message(schema::Message::Reader root) {
    if (auto read = record(from, as_view(root.getSenderRecord())); !read) {
      return failure(read.error());
    }
    auto read = body(root);
    if (!read) return failure(read.error());
    return Message{root.getRequest(), root.getServer(), std::move(*read)};
  }

  Result<Body> body(schema::Message::Reader root) {
    switch (root.which()) {
      case schema::Message::NONE:
        break;
      case schema::Message::PING:
        return Ping{};
      case schema::Message::FIND_NODE:
        return find_node(root.getFindNode());
      case schema::Message::PONG:
        return Pong{};
      case schema::Message::NODES:
        return nodes(root.getNodes());
      case schema::Message::BUSY:
        return Busy{};
      case schema::Message::GET:
        return get(root.getGet());
      case schema::Message::PUT:
        return put(root.getPut());
      case schema::Message::FOUND:
        return found(root.getFound());
      case schema::Message::PUT_ANSWER:
        return put_answer(root.getPutAnswer());
      case schema::Message::PROVIDE:
        return provide(as_view(root.getProvide()));
      case schema::Message::GET_PROVIDERS:
        return get_providers(root.getGetProviders());
      case schema::Message::PROVIDERS:
        return providers(root.getProviders());
      case schema::Message::EXPRESS:
        return express(root.getExpress());
      case schema::Message::EXPRESS_ANSWER:
        return express_answer(root.getExpressAnswer());
    }
    return failure(WireErrc::unknown_body);
  }

  static Result<Body> find_node(schema::FindNode::Reader reader) {
    const std::uint8_t count = reader.getCount();
    if (count == 0 || count > contacts_max) return failure(WireErrc::value_out_of_range);
    return FindNode{{get_key(reader)}, count};
  }

  static Result<Body> get(schema::Get::Reader reader) {
    const std::uint8_t count = reader.getCount();
    const schema::ValueKind kind = reader.getKind();
    if (count == 0 || count > contacts_max) return failure(WireErrc::value_out_of_range);
    if (kind > schema::ValueKind::SIGNED_VALUE) return failure(WireErrc::unknown_body);
    return Get{{get_key(reader)}, static_cast<ValueKind>(kind), count};
  }

  static Result<Body> put(schema::Put::Reader reader) {
    const schema::ValueKind kind = reader.getKind();
    if (kind > schema::ValueKind::SIGNED_VALUE) return failure(WireErrc::unknown_body);
    const ByteView value = as_view(reader.getValue());
    if (value.size() > stored_value_max) return failure(WireErrc::list_too_long);
    return Put{{get_key(reader)},
               static_cast<ValueKind>(kind),
               reader.getLifetimeSeconds(),
               Bytes(value.begin(), value.end())};
  }

  Result<Body> found(schema::Found::Reader reader) {
    Found body;
    const ByteView value = as_view(reader.getValue());
    if (value.size() > stored_value_max) return failure(WireErrc::list_too_long);
    if (reader.getHasValue()) body.bytes.emplace(value.begin(), value.end());
    auto read = contacts(reader.getNodes());
    if (!read) return failure(read.error());
    body.nodes = std::move(*read);
    return body;
  }

  static Result<Body> put_answer(schema::PutStatus status) {
    if (status > schema::PutStatus::OVER_QUOTA) return failure(WireErrc::unknown_body);
    return PutAnswer{static_cast<PutStatus>(status)};
  }

  static Result<Body> provide(ByteView record) {
    if (record.size() != provider_record_size) return failure(WireErrc::value_out_of_range);
    return Provide{to_bytes(record)};
  }

  static Result<Body> get_providers(schema::FindNode::Reader reader) {
    const std::uint8_t count = reader.getCount();
    if (count == 0 || count > contacts_max) return failure(WireErrc::value_out_of_range);
    return GetProviders{{get_key(reader)}, count};
  }

  /// The provider records themselves are for who asked to check.
  Result<Body> providers(schema::Providers::Reader reader) {
    const auto list = reader.getProviders();
    const auto nodes = reader.getNodes();
    if (list.size() > providers_per_answer || nodes.size() > contacts_with_providers_max) {
      return failure(WireErrc::list_too_long);
    }
    Providers body;
    body.full = reader.getFull();
    std::vector<ByteView> endpoints;
    for (const schema::Provider::Reader provider : list) {
      const ByteView record = as_view(provider.getRecord());
      if (record.size() != provider_record_size) return failure(WireErrc::value_out_of_range);
      body.records.push_back(to_bytes(record));
      endpoints.push_back(as_view(provider.getEndpoint()));
    }
    auto read = contacts(nodes);
    if (!read) return failure(read.error());
    body.nodes = std::move(*read);
    for (std::size_t i = 0; i < endpoints.size(); ++i) {
      if (endpoints[i].empty()) continue;
      auto peer = contact(provider_of(body.records[i]), endpoints[i]);
      if (!peer) return failure(peer.error());
    }
    return body;
  }

  static Result<Body> express(schema::Express::Reader reader) {
    if (reader.getWant() > schema::ExpressWant::VALUE ||
        reader.getWay() > schema::ExpressWay::FAR) {
      return failure(WireErrc::unknown_body);
    }
    return Express{{get_key(reader)},
                   static_cast<ExpressWant>(reader.getWant()),
                   static_cast<ExpressWay>(reader.getWay()),
                   reader.getHopsLeft()};
  }

  Result<Body> express_answer(schema::ExpressAnswer::Reader reader) {
    ExpressAnswer body;
    if (reader.isValue()) {
      const ByteView value = as_view(reader.getValue());
      if (value.size() > value_max) return failure(WireErrc::list_too_long);
      body.bytes.emplace(value.begin(), value.end());
    } else if (reader.isNode()) {
      const auto node = reader.getNode();
      auto read = contact(NodeId{get_key(node)}, as_view(node.getRecord()));
      if (!read) return failure(read.error());
      body.node = *read;
    }
    return body;
  }

  Result<Body> nodes(capnp::List<schema::Contact>::Reader list) {
    auto read = contacts(list);
    if (!read) return failure(read.error());
    return Nodes{std::move(*read)};
  }

  Result<std::vector<PeerHandle>> contacts(capnp::List<schema::Contact>::Reader list) {
    if (list.size() > contacts_max) return failure(WireErrc::list_too_long);
    // All of it is read before the book learns of any: reading may end in an exception.
    std::vector<std::pair<NodeId, ByteView>> told;
    told.reserve(list.size());
    for (const schema::Contact::Reader contact : list)
      told.emplace_back(NodeId{get_key(contact)}, as_view(contact.getRecord()));

    std::vector<PeerHandle> peers;
    peers.reserve(told.size());
    for (const auto& [id, bytes] : told) {
      auto peer = contact(id, bytes);
      if (!peer) return failure(peer.error());
      if (*peer != no_peer) peers.push_back(*peer);
    }
    return peers;
  }

  /// `no_peer` if the book has no room.
  Result<PeerHandle> contact(const NodeId& id, ByteView bytes) {
    const PeerHandle peer = book.intern(id);
    if (peer == no_peer) {
      ++counts.no_room;
      return peer;
    }
    if (auto read = record(peer, bytes); !read) return failure(read.error());
    return peer;
  }

  Result<void> record(PeerHandle peer, ByteView bytes) {
    if (bytes.empty()) return {};
    const auto fate = offer_record(book, peer, bytes, link);
    if (!fate) return failure(fate.error());
    switch (*fate) {
      case RecordFate::taken:
        ++counts.taken;
        break;
      case RecordFate::not_newer:
        ++counts.not_newer;
        break;
      case RecordFate::expired:
        ++counts.expired;
        break;
      case RecordFate::ahead_of_clock:
        ++counts.ahead_of_clock;
        break;
      case RecordFate::out_of_scope:
        ++counts.out_of_scope;
        break;
      case RecordFate::of_later_version:
        ++counts.of_later_version;
        break;
    }
    return {};
  }
};

}  // namespace

Bytes encode_message(const Message& message, const PeerBook& book, ByteView own_record,
                     const RecordLink& link) {
  return write_schema<schema::Message>(message_size_max, [&](schema::Message::Builder root) {
    root.setRequest(message.request);
    root.setServer(message.server);
    if (may_show(own_record, link)) root.setSenderRecord(as_data(own_record));
    std::visit(Writer{root, book, link}, message.body);
  });
}

Result<MessageHead> peek_message(ByteView bytes) {
  return read_schema<schema::Message>(bytes, message_size_max,
                                      [](schema::Message::Reader root) -> Result<MessageHead> {
                                        MessageHead head{root.getRequest(), false};
                                        switch (root.which()) {
                                          case schema::Message::PONG:
                                          case schema::Message::NODES:
                                          case schema::Message::BUSY:
                                          case schema::Message::FOUND:
                                          case schema::Message::PUT_ANSWER:
                                          case schema::Message::PROVIDERS:
                                          case schema::Message::EXPRESS_ANSWER:
                                            head.answer = true;
                                            break;
                                          default:
                                            break;
                                        }
                                        return head;
                                      });
}

Result<Message> decode_message(ByteView bytes, PeerBook& book, PeerHandle from,
                               const RecordLink& link, RecordCounts& counts) {
  Reader reader{book, from, link, counts};
  return read_schema<schema::Message>(
      bytes, message_size_max, [&](schema::Message::Reader root) { return reader.message(root); });
}

}  // namespace quicmesh::dht
