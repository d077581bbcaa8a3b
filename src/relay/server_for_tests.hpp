// A RelayServer with clients made by number, for its tests and fuzz targets.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "crypto/seeded_rng.hpp"
#include "relay/relay_server.hpp"

namespace quicmesh {

struct TestRelay {
  explicit TestRelay(RelayLimits limits = {}, std::uint64_t seed = 1)
      : rng(seed, "relay"), server(limits, rng) {}

  static NodeId node(unsigned number) {
    NodeId id;
    id.bytes.fill(static_cast<std::uint8_t>(number));
    id.bytes[0] = static_cast<std::uint8_t>(number >> 8);
    return id;
  }
  /// Not public, so without quotas by address.
  static NetworkPath path(unsigned number, std::uint16_t port = 1000) {
    const auto high = static_cast<std::uint8_t>(number >> 8);
    return from(IpAddress::v4({10, 0, high, static_cast<std::uint8_t>(number)}), port);
  }
  static NetworkPath from(const IpAddress& ip, std::uint16_t port = 1000) {
    return {SocketId{1}, IpAddress::v4({192, 0, 2, 1}), {ip, port}};
  }
  static RelayKey key(unsigned number) {
    RelayKey key{};
    key[0] = static_cast<std::uint8_t>(number);
    key[1] = static_cast<std::uint8_t>(number >> 8);
    return key;
  }
  static RelayClientId id(unsigned number) { return RelayClientId{number}; }

  bool up(unsigned number) { return up(number, path(number)); }
  bool up(unsigned number, const NetworkPath& at) {
    return server.client_up(now, id(number), node(number), at, key(number)).has_value();
  }
  /// Up and registered; whether it was let.
  bool join(unsigned number) { return join(number, path(number)); }
  bool join(unsigned number, const NetworkPath& at) {
    if (!up(number, at)) return false;
    say(number, RelayRegister{});
    return find<RelayRegistered>(number) != nullptr;
  }
  void say(unsigned number, const RelayMessage& message) {
    server.handle_message(now, id(number), message);
    drain();
  }
  void pass(Duration time) {
    now += time;
    server.handle_timeout(now);
    drain();
  }
  void drain() {
    outputs.clear();
    while (auto output = server.poll_output())
      outputs.push_back(std::move(*output));
  }

  /// The last message of the kind in the outputs of the last step.
  template <class Message>
  const Message* find(unsigned number) const {
    const Message* found = nullptr;
    for (const RelayServerOutput& output : outputs) {
      const auto* sent = std::get_if<RelaySend>(&output);
      if (sent == nullptr || sent->client != id(number)) continue;
      if (const auto* message = std::get_if<Message>(&sent->message)) found = message;
    }
    return found;
  }
  std::error_code disconnected(unsigned number) const {
    for (const RelayServerOutput& output : outputs) {
      const auto* closed = std::get_if<RelayDisconnect>(&output);
      if (closed != nullptr && closed->client == id(number)) return closed->reason;
    }
    return {};
  }
  std::optional<RelayRefusal> refused(unsigned number) const {
    const auto* message = find<RelayRefused>(number);
    return message == nullptr ? std::nullopt : std::optional(message->reason);
  }

  /// `initiator` asks for a session with `responder`.
  std::optional<RelaySessionId> connect(unsigned initiator, unsigned responder) {
    say(initiator, RelayConnect{node(responder)});
    const auto* session = find<RelaySession>(initiator);
    return session == nullptr ? std::nullopt : std::optional(session->session);
  }

  static Bytes frame(RelaySessionId session, RelayRole sender, std::size_t size = 1200) {
    Bytes bytes = to_bytes(encode_relay_header({sender, session, 0}));
    bytes.resize(std::max(size, relay_header_size));
    return bytes;
  }
  /// Where one datagram goes.
  std::optional<NetworkPath> forward(const NetworkPath& source, ByteView datagram) {
    std::array<RelayRun, 1> runs;
    const RelayTrain train = server.forward_train(now, source, datagram, 0, runs);
    return train.runs == 0 ? std::nullopt : std::optional(runs[0].destination);
  }
  std::optional<std::pair<NetworkPath, Bytes>> challenge() {
    Bytes buffer(transmit_buffer_size);
    const auto transmit = server.poll_transmit(buffer);
    if (!transmit) return std::nullopt;
    buffer.resize(transmit->size);
    return std::pair(transmit->path, buffer);
  }
  /// What the client `number` answers.
  static Bytes answer_to(ByteView challenge, unsigned number) {
    ChallengeFrame frame = *peek_challenge_frame(challenge);
    frame.type = RelayFrameType::answer;
    return to_bytes(encode_challenge_frame(frame, key(number)));
  }
  RelayTableRow row(std::string_view name) const {
    const auto rows = server.table(now);
    return *std::ranges::find(rows, name, &RelayTableRow::name);
  }

  Instant now{1000s};
  SeededRng rng;
  RelayServer server;
  std::vector<RelayServerOutput> outputs;
};

}  // namespace quicmesh
