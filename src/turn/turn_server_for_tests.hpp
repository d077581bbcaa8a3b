// A TURN server without sockets, for tests: long-term credentials by MD5 or SHA-256, allocations by
// client address, permissions, channels; and the faults that a test asks for.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "stun/stun_credentials.hpp"
#include "stun/stun_message.hpp"
#include "stun/stun_writer.hpp"
#include "turn/channel_data.hpp"

namespace quicmesh::for_tests {

class TurnServer {
 public:
  std::string username = "alice";
  std::string password = "secret";
  std::string realm = "example.org";
  std::string nonce = "nonce-1";
  bool sha256 = false;  // offers SHA-256 and demands it
  SocketAddress relayed = SocketAddress::parse("198.51.100.1:50000").value();
  SocketAddress client = SocketAddress::parse("203.0.113.9:40000").value();

  // Faults.
  std::map<StunMethod, unsigned> refuse;  // with this code, once authenticated
  std::set<IpAddress> forbidden;
  std::uint32_t lifetime_s = 600;
  bool silent = false;
  bool silent_of_channels = false;

  // State.
  bool allocated = false;
  std::set<IpAddress> permissions;
  std::map<std::uint16_t, SocketAddress> channels;
  std::vector<std::uint32_t> refreshed_to;
  int allocations = 0;
  int requests = 0;
  struct ToPeer {
    SocketAddress peer;
    Bytes payload;
  };
  std::deque<ToPeer> to_peers;

  void restart() {
    allocated = false;
    permissions.clear();
    channels.clear();
    nonce += "+";
  }

  /// The answer to a datagram of the client, if there is one.
  std::optional<Bytes> handle(ByteView datagram) {
    if (silent) return std::nullopt;
    if (const auto data = decode_channel_data(datagram)) {
      const auto peer = channels.find(static_cast<std::uint16_t>(data->channel));
      if (peer != channels.end()) to_peers.push_back({peer->second, to_bytes(data->payload)});
      return std::nullopt;
    }
    const auto message = StunMessage::parse(datagram);
    if (!message) return std::nullopt;
    if (silent_of_channels && message->method() == StunMethod::channel_bind) return std::nullopt;
    if (message->message_class() == StunClass::indication) {
      const auto peer = message->xor_address(StunAttribute::xor_peer_address);
      const auto data = message->find(StunAttribute::data);
      if (peer && data && permissions.contains(peer->ip)) {
        to_peers.push_back({*peer, to_bytes(*data)});
      }
      return std::nullopt;
    }
    ++requests;
    return answer(*message);
  }

  /// What the client gets when `peer` sends to the relayed address.
  [[nodiscard]] std::optional<Bytes> from_peer(const SocketAddress& peer, ByteView payload) const {
    if (!allocated || !permissions.contains(peer.ip)) return std::nullopt;
    for (const auto& [number, bound] : channels) {
      if (bound == peer) return channel_data(number, payload);
    }
    Bytes buffer(payload.size() + 100);
    StunWriter writer(buffer, StunClass::indication, StunMethod::data, {});
    writer.add_xor_address(StunAttribute::xor_peer_address, peer);
    writer.add(StunAttribute::data, payload);
    return to_bytes(writer.written());
  }

  static Bytes channel_data(std::uint16_t number, ByteView payload) {
    Bytes bytes{static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number),
                static_cast<std::uint8_t>(payload.size() >> 8),
                static_cast<std::uint8_t>(payload.size())};
    bytes.insert(bytes.end(), payload.begin(), payload.end());
    return bytes;
  }

 private:
  [[nodiscard]] Bytes key() const {
    const auto algorithm = sha256 ? StunPasswordAlgorithm::sha256 : StunPasswordAlgorithm::md5;
    return stun_long_term_key({username, realm, password}, algorithm).value();
  }

  Bytes error(const StunMessage& request, unsigned code, bool challenge) const {
    Bytes buffer(1024);
    StunWriter writer(buffer, StunClass::error, request.method(), request.transaction_id());
    writer.add_error_code(code, "no");
    if (challenge) {
      writer.add_text(StunAttribute::realm, realm);
      writer.add_text(StunAttribute::nonce, nonce);
      if (sha256) writer.add(StunAttribute::password_algorithms, algorithms);
    } else if (sha256) {
      writer.add_integrity_sha256(key());
    } else {
      writer.add_integrity(key());
    }
    return to_bytes(writer.written());
  }

  std::optional<unsigned> apply(const StunMessage& request) {
    const auto peer = request.xor_address(StunAttribute::xor_peer_address);
    if (request.method() == StunMethod::allocate) {
      if (allocated) return 437;
      allocated = true;
      ++allocations;
      return std::nullopt;
    }
    if (!allocated) return 437;
    if (peer && forbidden.contains(peer->ip)) return 403;
    if (request.method() == StunMethod::refresh) {
      const auto lifetime = request.u32(StunAttribute::lifetime);
      refreshed_to.push_back(lifetime.value_or(lifetime_s));
      if (lifetime == 0u) {
        restart();
        nonce.pop_back();
      }
      return std::nullopt;
    }
    if (!peer) return 400;
    permissions.insert(peer->ip);
    if (request.method() == StunMethod::channel_bind) {
      const auto number = request.u16(StunAttribute::channel_number);
      if (!number || *number < 0x4000 || *number > 0x4fff) return 400;
      const auto bound = channels.find(*number);
      if (bound != channels.end() && bound->second != *peer) return 400;
      channels[*number] = *peer;
    }
    return std::nullopt;
  }

  Bytes answer(const StunMessage& request) {
    const bool good = sha256 ? request.has_integrity_sha256(key()) : request.has_integrity(key());
    if (!good || request.text(StunAttribute::username) != username) {
      return error(request, 401, true);
    }
    if (request.text(StunAttribute::nonce) != nonce) return error(request, 438, true);
    if (const auto code = refuse.find(request.method()); code != refuse.end()) {
      return error(request, code->second, code->second == 401 || code->second == 438);
    }
    if (const auto code = apply(request)) return error(request, *code, false);
    Bytes buffer(512);
    StunWriter writer(buffer, StunClass::success, request.method(), request.transaction_id());
    if (request.method() == StunMethod::allocate) {
      writer.add_xor_address(StunAttribute::xor_relayed_address, relayed);
      writer.add_xor_address(StunAttribute::xor_mapped_address, client);
    }
    writer.add_u32(StunAttribute::lifetime, lifetime_s);
    if (sha256) {
      writer.add_integrity_sha256(key());
    } else {
      writer.add_integrity(key());
    }
    return to_bytes(writer.written());
  }

  static constexpr std::array<std::uint8_t, 8> algorithms{0, 2, 0, 0, 0, 1, 0, 0};
};

}  // namespace quicmesh::for_tests
