// The server of bare_quic: a sink, an echo and a counter at once; see workloads.hpp.
#include <algorithm>
#include <memory>
#include <unordered_map>

#include "bare/endpoint.hpp"
#include "bare/workloads.hpp"
#include "common/measure.hpp"

namespace bench {

namespace {

constexpr std::uint64_t linger_ns = 300 * ns_per_ms;
// A client of the idle mode holds its connections for 1.5 s after the last handshake.
constexpr std::uint64_t settled_after_ns = 700 * ns_per_ms;
// Echoed bytes not yet acknowledged; the client gets credit only as they are, so it cannot overrun.
constexpr std::size_t echo_ring_bytes = 1 << 20;

class Server final : public Application {
 public:
  void on_created(Connection&) override {
    if (created_++ == 0) busy_.start();
    last_event_ns_ = now_ns();
  }

  void on_confirmed(Connection&) override { last_event_ns_ = now_ns(); }

  std::uint64_t on_stream_data(Connection& connection, std::int64_t stream,
                               std::span<const std::uint8_t> data, bool end) override {
    if (!ngtcp2_is_bidi_stream(stream)) return sink(data.size(), end);
    echo(connection, stream, data);
    return 0;
  }

  void on_acked(Connection& connection, std::uint64_t bytes) override {
    ngtcp2_conn_extend_max_stream_offset(connection.quic, connection.out.id, bytes);
    ngtcp2_conn_extend_max_offset(connection.quic, bytes);
  }

  void on_closed(Connection& connection) override {
    rings_.erase(&connection);
    busy_.stop();
    last_event_ns_ = now_ns();
  }

  /// Takes the memory figures once the connections have settled; they are sampled again whenever
  /// the number of connections has changed since.
  void sample_memory(std::size_t live) {
    if (live == 0 || live == sampled_connections_ || now_ns() - last_event_ns_ < settled_after_ns) {
      return;
    }
    sampled_connections_ = live;
    resident_kib_ = resident_kib();
    heap_kib_ = heap_kib();
  }

  [[nodiscard]] bool finished(std::size_t live) const {
    return created_ > 0 && live == 0 && now_ns() - last_event_ns_ > linger_ns;
  }

  void report(JsonLine& line, const RunOptions& run, std::uint64_t confirmed, double base_rss_kib,
              double base_heap_kib) const {
    switch (run.mode) {
      case Mode::bulk:
        line.integer("bytes", sunk_).boolean("complete", stream_ended_);
        line.number("seconds", transfer_.wall_s())
            .number("gbit_s", gbit_per_s(sunk_, transfer_.wall_s()));
        line.number("cpu_s", transfer_.cpu_s());
        line.number("gbit_per_cpu_s", gbit_per_s(sunk_, transfer_.cpu_s()));
        break;
      case Mode::handshakes:
        line.integer("handshakes", confirmed).number("cpu_s", busy_.cpu_s());
        line.number("handshakes_per_cpu_s", static_cast<double>(confirmed) / busy_.cpu_s());
        break;
      case Mode::echo:
        line.number("cpu_s", busy_.cpu_s());
        break;
      case Mode::idle: {
        const auto count = static_cast<double>(std::max<std::size_t>(1, sampled_connections_));
        line.integer("connections", sampled_connections_);
        line.number("rss_kib_per_connection", (resident_kib_ - base_rss_kib) / count);
        line.number("heap_kib_per_connection", (heap_kib_ - base_heap_kib) / count);
        break;
      }
    }
  }

 private:
  std::uint64_t sink(std::uint64_t bytes, bool end) {
    if (!transfer_.running()) transfer_.start();
    sunk_ += bytes;
    if (end) {
      transfer_.stop();
      stream_ended_ = true;
    }
    return bytes;
  }

  void echo(Connection& connection, std::int64_t stream, std::span<const std::uint8_t> data) {
    auto& ring = rings_[&connection];
    if (!ring) {
      ring = std::make_unique<std::vector<std::uint8_t>>(echo_ring_bytes);
      connection.out.id = stream;
      connection.out.ring = ring.get();
    }
    OutgoingStream& out = connection.out;
    if (data.size() > ring->size() - (out.written - out.acked)) fail("the echo ring overflowed");
    for (const std::uint8_t byte : data)
      (*ring)[out.written++ % ring->size()] = byte;
  }

  std::uint64_t created_ = 0;
  std::uint64_t last_event_ns_ = 0;
  Stopwatch busy_;
  Stopwatch transfer_;
  std::uint64_t sunk_ = 0;
  bool stream_ended_ = false;
  std::size_t sampled_connections_ = 0;
  double resident_kib_ = 0;
  double heap_kib_ = 0;
  std::unordered_map<Connection*, std::unique_ptr<std::vector<std::uint8_t>>> rings_;
};

}  // namespace

JsonLine run_server(const RunOptions& run, const Tuning& tuning, std::uint16_t port,
                    const std::function<void(std::uint16_t)>& announce) {
  Tuning adapted = tuning;
  // The echo ring must hold whatever the client may send before it is acknowledged.
  if (run.mode == Mode::echo) adapted.initial_window_bytes = echo_ring_bytes;
  if (run.mode == Mode::echo) adapted.max_window_bytes = 0;
  Server server;
  Endpoint endpoint(Role::server, adapted, server, port);
  const double base_rss_kib = resident_kib();
  const double base_heap_kib = heap_kib();
  announce(endpoint.port());
  const std::uint64_t deadline = now_ns() + run.seconds_max * ns_per_s;
  while (!server.finished(endpoint.live_connections())) {
    if (now_ns() > deadline) fail("the server ran out of time");
    endpoint.turn(100 * ns_per_ms);
    if (run.mode == Mode::idle) server.sample_memory(endpoint.live_connections());
  }
  JsonLine line;
  line.text("role", "server").text("mode", run.mode_name);
  server.report(line, run, endpoint.confirmed_total(), base_rss_kib, base_heap_kib);
  line.integer("packets_sent", endpoint.packets_sent());
  line.integer("packets_received", endpoint.packets_received());
  line.integer("receive_calls", endpoint.receive_calls());
  return line;
}

}  // namespace bench
