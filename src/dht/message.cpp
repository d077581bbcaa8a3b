#include "dht/message.hpp"

namespace quicmesh::dht {
namespace {

/// A list of segments, a root struct and the request's number in Cap'n Proto's packed form, and the
/// frame of the stream around it.
constexpr std::size_t overhead = 24;
/// A NodeId and a signed record of a few candidates.
constexpr std::size_t contact_size = 32 + 160;

struct BodySize {
  std::size_t operator()(const FindNode&) const { return sizeof(DhtKey) + 1; }
  std::size_t operator()(const Get&) const { return sizeof(DhtKey) + 2; }
  std::size_t operator()(const Put& body) const { return sizeof(DhtKey) + 5 + body.bytes.size(); }
  std::size_t operator()(const Provide& body) const { return body.record.size(); }
  std::size_t operator()(const GetProviders&) const { return sizeof(DhtKey) + 1; }
  std::size_t operator()(const Providers& body) const {
    return (body.nodes.size() + 2 * body.records.size()) * contact_size;
  }
  std::size_t operator()(const Express&) const { return sizeof(DhtKey) + 3; }
  std::size_t operator()(const ExpressAnswer& body) const {
    return (body.node != no_peer ? contact_size : 0) + (body.bytes ? body.bytes->size() : 0);
  }
  std::size_t operator()(const Nodes& body) const { return body.nodes.size() * contact_size; }
  std::size_t operator()(const Found& body) const {
    return body.nodes.size() * contact_size + (body.bytes ? body.bytes->size() : 0);
  }
  std::size_t operator()(const PutAnswer&) const { return 1; }
  template <class Empty>
  std::size_t operator()(const Empty&) const {
    return 0;
  }
};

}  // namespace

bool is_request(const Body& body) {
  return std::holds_alternative<Ping>(body) || std::holds_alternative<FindNode>(body) ||
         std::holds_alternative<Get>(body) || std::holds_alternative<Put>(body) ||
         std::holds_alternative<Provide>(body) || std::holds_alternative<GetProviders>(body) ||
         std::holds_alternative<Express>(body);
}

std::size_t wire_size(const Message& message) {
  return overhead + std::visit(BodySize{}, message.body);
}

}  // namespace quicmesh::dht
