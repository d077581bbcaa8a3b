#include "stun/stun_server.hpp"

#include <algorithm>

#include "stun/stun_writer.hpp"

namespace quicmesh {
namespace {

// Room for the largest answer: four IPv6 addresses and a fingerprint, or 64 unknown attributes.
constexpr std::size_t answer_max = 256;

// Attributes of a request that are understood or may be ignored by a server that authenticates
// nobody.
constexpr std::array known_attributes{
    StunAttribute::username,
    StunAttribute::message_integrity,
    StunAttribute::realm,
    StunAttribute::nonce,
    StunAttribute::userhash,
    StunAttribute::message_integrity_sha256,
    StunAttribute::password_algorithm,
    StunAttribute::priority,
    StunAttribute::use_candidate,
    StunAttribute::padding,
    StunAttribute::response_port,
};

std::size_t address_attribute_size(const SocketAddress& address) {
  return StunWriter::attribute_size(address.ip.family() == IpFamily::v4 ? 8 : 20);
}

}  // namespace

StunServer::StunServer(const StunServerConfig& config, SecureRng& rng)
    : endpoints_{config.primary}, limiter_(config.limits, rng) {
  if (!config.alternates) return;
  endpoints_.push_back(config.alternates->other_port);
  endpoints_.push_back(config.alternates->other_ip);
  endpoints_.push_back(config.alternates->other_both);
}

bool StunServer::handle_datagram(Instant now, const NetworkPath& path, Ecn, ByteView datagram) {
  if (!looks_like_stun(datagram)) return false;
  const auto message = StunMessage::parse(datagram);
  if (!message) {
    ++counters_.dropped_malformed;
    return true;
  }
  if (message->message_class() != StunClass::request) return false;
  if (message->method() != StunMethod::binding) {
    ++counters_.dropped_method;
  } else if (path.remote.port == 0 || path.remote.ip.is_unspecified()) {
    ++counters_.dropped_source;
  } else {
    answer(now, path, *message);
  }
  return true;
}

std::size_t StunServer::endpoint_index(const NetworkPath& path) const {
  for (std::size_t i = 0; i < endpoints_.size(); ++i) {
    const StunServerEndpoint& endpoint = endpoints_[i];
    const bool same_ip = endpoint.local.is_unspecified() || endpoint.local == path.local;
    if (endpoint.socket == path.socket && same_ip) return i;
  }
  return 0;
}

std::vector<StunAttribute> StunServer::not_understood(const StunMessage& request) const {
  std::vector<StunAttribute> unknown;
  for (const StunAttributeView& attribute : request.attributes()) {
    if (!is_comprehension_required(attribute.type)) continue;
    if (std::ranges::find(known_attributes, attribute.type) != known_attributes.end()) continue;
    if (attribute.type == StunAttribute::change_request) {
      const auto change = request.change_request();
      // RFC 5780 s6.1: without a second address a wish for it is refused like an unknown one.
      if (change && (endpoints_.size() > 1 || *change == ChangeRequest{})) continue;
    }
    if (std::ranges::find(unknown, attribute.type) == unknown.end()) {
      unknown.push_back(attribute.type);
    }
  }
  return unknown;
}

void StunServer::answer(Instant now, const NetworkPath& path, const StunMessage& request) {
  Wishes wishes;
  wishes.change = request.change_request().value_or(ChangeRequest{});
  wishes.response_port = request.u16(StunAttribute::response_port);
  if (!limiter_.take(now, path.remote.ip, wishes.response_port ? response_port_tokens : 1)) {
    ++counters_.dropped_rate;
    return;
  }
  const auto unknown = not_understood(request);
  if (!unknown.empty()) {
    ++counters_.refused_unknown_attribute;
    return refuse(path, request, 420, unknown);
  }
  const bool wants_port = request.has(StunAttribute::response_port);
  const bool bad_port = wants_port && wishes.response_port.value_or(0) < response_port_min;
  if (bad_port || (wants_port && request.has(StunAttribute::padding))) {
    ++counters_.refused_bad_request;
    return refuse(path, request, 400, {});
  }
  succeed(path, request, wishes);
}

void StunServer::refuse(const NetworkPath& path, const StunMessage& request, unsigned code,
                        std::span<const StunAttribute> unknown) {
  std::array<std::uint8_t, answer_max> buffer{};
  StunWriter writer(buffer, StunClass::error, request.method(), request.transaction_id());
  writer.add_error_code(code, {});
  if (!unknown.empty()) writer.add_unknown_attributes(unknown);
  if (request.has(StunAttribute::fingerprint)) writer.add_fingerprint();
  if (writer.ok()) push(path, request, writer.written());
}

void StunServer::succeed(const NetworkPath& path, const StunMessage& request,
                         const Wishes& wishes) {
  const std::size_t asked = endpoint_index(path);
  std::size_t answering = asked;
  if (endpoints_.size() > 1) {
    answering ^= (wishes.change.change_ip ? 2u : 0u) | (wishes.change.change_port ? 1u : 0u);
  }
  const bool fingerprint = request.has(StunAttribute::fingerprint);
  const std::size_t budget = amplification_max * request.bytes().size() -
                             (fingerprint ? StunWriter::attribute_size(4) : 0);

  std::array<std::uint8_t, answer_max> buffer{};
  StunWriter writer(buffer, StunClass::success, StunMethod::binding, request.transaction_id());
  writer.add_xor_address(StunAttribute::xor_mapped_address, path.remote);
  const auto add_if_it_fits = [&](StunAttribute type, const SocketAddress& address) {
    const std::size_t size = writer.written().size() + address_attribute_size(address);
    if (address.port != 0 && size <= budget) writer.add_address(type, address);
  };
  if (endpoints_.size() > 1) {
    add_if_it_fits(StunAttribute::other_address, endpoints_[asked ^ 3].address);
  }
  add_if_it_fits(StunAttribute::response_origin, endpoints_[answering].address);
  add_if_it_fits(StunAttribute::mapped_address, path.remote);
  if (fingerprint) writer.add_fingerprint();

  NetworkPath back = path;
  if (answering != asked) {
    back.socket = endpoints_[answering].socket;
    back.local = endpoints_[answering].local;
  }
  if (wishes.response_port) back.remote.port = *wishes.response_port;
  ++counters_.answered;
  push(back, request, writer.written());
}

void StunServer::push(const NetworkPath& path, const StunMessage& request, ByteView message) {
  if (message.size() > amplification_max * request.bytes().size()) return;
  if (!answers_.push({path, to_bytes(message)})) {
    ++counters_.dropped_queue_full;
    return;
  }
  counters_.bytes_in += request.bytes().size();
  counters_.bytes_out += message.size();
}

std::optional<Transmit> StunServer::poll_transmit(Instant, MutableByteView buffer) {
  const auto answer = answers_.pop();
  if (!answer) return std::nullopt;
  std::ranges::copy(answer->message, buffer.begin());
  return Transmit{answer->path, answer->message.size(), answer->message.size()};
}

}  // namespace quicmesh
