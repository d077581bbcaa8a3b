// Two QUIC endpoints in virtual time, for tests: a wire with a delay, loss by a rule, and a mailbox
// of events for each side.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "crypto/seeded_rng.hpp"
#include "quic/endpoint.hpp"
#include "quic/quic_errc.hpp"
#include "quic/tls.hpp"

namespace quicmesh {

/// One endpoint with what it needs and what it reported.
struct TestSide {
  TestSide(std::uint64_t seed, const QuicConfig& config, const TlsOptions& tls)
      : rng(seed, "pair"), identity(Keypair::generate(rng)) {
    endpoint = QuicEndpoint::create(config, identity, rng, tls).value();
  }

  SeededRng rng;
  Keypair identity;
  std::unique_ptr<QuicEndpoint> endpoint;
  std::vector<QuicEvent> events;
  std::optional<ConnectionHandle> connection;  // the last one dialled or accepted
  std::vector<Bytes> received;                 // datagrams on the wire, as they came

  template <class Event>
  [[nodiscard]] const Event* find() const {
    for (const QuicEvent& event : events) {
      if (const auto* found = std::get_if<Event>(&event)) return found;
    }
    return nullptr;
  }
  template <class Event>
  [[nodiscard]] std::size_t count() const {
    std::size_t total = 0;
    for (const QuicEvent& event : events)
      total += std::holds_alternative<Event>(event) ? 1 : 0;
    return total;
  }
};

class TestPair {
 public:
  static constexpr PathLabel label{1, 1};

  explicit TestPair(const QuicConfig& config = {}, const TlsOptions& dialler_tls = {},
                    const TlsOptions& acceptor_tls = {},
                    const QuicConfig* acceptor_config = nullptr)
      : dialler(1, config, dialler_tls),
        acceptor(2, acceptor_config != nullptr ? *acceptor_config : config, acceptor_tls) {}

  void dial() { dial(acceptor.identity.node_id()); }
  void dial(const NodeId& expected) {
    dialler.connection = dialler.endpoint->dial(now, label, expected).value();
  }

  /// Runs until nothing is under way, or for `limit` of virtual time.
  void run(Duration limit = 5s) {
    const Instant end = now + limit;
    while (now < end) {
      drain(dialler, to_acceptor);
      drain(acceptor, to_dialler);
      const Instant next = next_instant();
      if (next > end) {
        now = end;
        return;
      }
      now = std::max(now, next);
      deliver(to_acceptor, acceptor);
      deliver(to_dialler, dialler);
      for (TestSide* side : {&dialler, &acceptor}) {
        if (side->endpoint->poll_timeout() <= now) side->endpoint->handle_timeout(now);
      }
    }
  }

  /// Runs until `done`, which is asked after each step; false if `limit` was not enough.
  bool run_until(const std::function<bool()>& done, Duration limit = 30s) {
    const Instant end = now + limit;
    while (now < end && !done())
      run(10ms);
    return done();
  }

  /// Everything that `side` can read of `stream`, credited.
  static Bytes read_all(TestSide& side, StreamId stream, bool* end = nullptr) {
    Bytes out;
    while (true) {
      const auto chunk = side.endpoint->read(*side.connection, stream);
      if (!chunk || (chunk->data.empty() && !chunk->end)) return out;
      out.insert(out.end(), chunk->data.begin(), chunk->data.end());
      side.endpoint->credit(*side.connection, stream, chunk->data.size());
      if (chunk->end && end != nullptr) *end = true;
      if (chunk->end) return out;
    }
  }

  Instant now{1s};
  Duration delay = 5ms;
  std::function<bool(bool to_acceptor, ByteView)> lose = [](bool, ByteView) { return false; };
  TestSide dialler;
  TestSide acceptor;

 private:
  struct InFlight {
    Instant at;
    PathLabel path;
    Bytes bytes;
  };

  void drain(TestSide& side, std::deque<InFlight>& wire) {
    static thread_local std::vector<std::uint8_t> buffer(transmit_buffer_size);
    while (const auto train = side.endpoint->poll_transmit(now, buffer)) {
      for (std::size_t at = 0; at < train->size; at += train->segment_size) {
        const std::size_t size = std::min(train->segment_size, train->size - at);
        send(&side == &dialler, wire, train->label, ByteView(buffer).subspan(at, size));
      }
    }
    while (auto event = side.endpoint->poll_event()) {
      if (auto* closed = std::get_if<ConnectionClosed>(&*event)) {
        if (!closed->last_packet.empty()) {
          send(&side == &dialler, wire, closed->label, closed->last_packet);
        }
      }
      side.events.push_back(std::move(*event));
    }
  }

  void send(bool forward, std::deque<InFlight>& wire, PathLabel path, ByteView bytes) {
    if (!lose(forward, bytes)) wire.push_back({now + delay, path, to_bytes(bytes)});
  }

  void deliver(std::deque<InFlight>& wire, TestSide& side) {
    while (!wire.empty() && wire.front().at <= now) {
      const InFlight packet = std::move(wire.front());
      wire.pop_front();
      side.received.push_back(packet.bytes);
      const QuicRoute route = side.endpoint->route(packet.bytes);
      if (route.kind == QuicRoute::Kind::connection) {
        side.endpoint->handle_datagram(now, route.connection, packet.path, Ecn::not_ect,
                                       packet.bytes);
      } else if (route.kind == QuicRoute::Kind::initial && &side == &acceptor) {
        const auto handle = side.endpoint->accept(now, packet.path, Ecn::not_ect, packet.bytes);
        if (handle) side.connection = *handle;
      } else if (route.kind != QuicRoute::Kind::drop) {
        std::array<std::uint8_t, 1500> out;
        const std::size_t size = side.endpoint->stateless_answer(now, packet.bytes, out);
        auto& back = &side == &acceptor ? to_dialler : to_acceptor;
        if (size > 0) send(&side == &dialler, back, packet.path, ByteView(out).first(size));
      }
    }
  }

  [[nodiscard]] Instant next_instant() const {
    Instant next = std::min(dialler.endpoint->poll_timeout(), acceptor.endpoint->poll_timeout());
    if (!to_acceptor.empty()) next = std::min(next, to_acceptor.front().at);
    if (!to_dialler.empty()) next = std::min(next, to_dialler.front().at);
    return next;
  }

  std::deque<InFlight> to_acceptor;
  std::deque<InFlight> to_dialler;
};

}  // namespace quicmesh
