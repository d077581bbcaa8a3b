// The client's part of the four measurements of bare_quic; see workloads.hpp.
#include <algorithm>
#include <array>
#include <cstring>

#include "bare/endpoint.hpp"
#include "bare/workloads.hpp"
#include "common/measure.hpp"

namespace bench {

namespace {

constexpr std::uint64_t turn_ns = 10 * ns_per_ms;
// Time for the one path MTU probe and the last handshake packets before anything is measured.
constexpr std::uint64_t settle_ns = 60 * ns_per_ms;
// Longer than the server's settled_after_ns, so that it has sampled before the client leaves.
constexpr std::uint64_t idle_hold_ns = 1500 * ns_per_ms;
constexpr std::size_t bulk_ring_bytes = 1 << 20;
constexpr std::size_t echo_ring_bytes = 1 << 20;
constexpr std::size_t message_bytes = 64;
constexpr std::uint64_t outstanding_max = 4096;

class Deadline {
 public:
  explicit Deadline(const RunOptions& run) : at_ns_(now_ns() + run.seconds_max * ns_per_s) {}
  void check() const {
    if (now_ns() > at_ns_) fail("the client ran out of time");
  }

 private:
  std::uint64_t at_ns_;
};

/// The part that all workloads share: knows when a connection has ended against our will.
class Client : public Application {
 public:
  std::uint64_t on_stream_data(Connection&, std::int64_t, std::span<const std::uint8_t> data,
                               bool) override {
    return data.size();
  }
  void on_closed(Connection&) override { ++closed_; }

 protected:
  std::uint64_t closed_ = 0;
};

/// One connection, ready to be measured on: confirmed and with its path MTU found.
Connection& connect_and_settle(Endpoint& endpoint, std::uint16_t port, const Deadline& deadline) {
  Connection& connection = endpoint.connect(port);
  while (connection.confirmed_ns == 0) {
    deadline.check();
    endpoint.turn(turn_ns);
    if (endpoint.live_connections() == 0) fail("the handshake failed");
  }
  const std::uint64_t settled = now_ns() + settle_ns;
  while (now_ns() < settled)
    endpoint.turn(ns_per_ms);
  return connection;
}

// --- bulk -------------------------------------------------------------------------------------

JsonLine run_bulk(const RunOptions& run, const Tuning& tuning, std::uint16_t port) {
  const Deadline deadline(run);
  Client application;
  Endpoint endpoint(Role::client, tuning, application, 0);
  Connection& connection = connect_and_settle(endpoint, port, deadline);
  std::vector<std::uint8_t> ring(bulk_ring_bytes);
  for (std::size_t i = 0; i < ring.size(); ++i)
    ring[i] = static_cast<std::uint8_t>(i * 131 >> 3);
  endpoint.open_stream(connection, false);
  const std::uint64_t packets_before = endpoint.packets_sent();
  const std::uint64_t calls_before = endpoint.send_calls();
  Stopwatch watch;
  watch.start();
  connection.out.ring = &ring;
  connection.out.written = run.bytes;
  connection.out.finish = true;
  endpoint.mark_dirty(connection);
  while (connection.out.acked < run.bytes) {
    deadline.check();
    endpoint.turn(turn_ns);
    if (endpoint.live_connections() == 0) fail("the connection ended during the transfer");
  }
  watch.stop();
  ngtcp2_conn_info info;
  ngtcp2_conn_get_conn_info(connection.quic, &info);
  JsonLine line;
  line.text("role", "client").text("mode", run.mode_name).integer("bytes", run.bytes);
  line.number("seconds", watch.wall_s()).number("gbit_s", gbit_per_s(run.bytes, watch.wall_s()));
  line.number("cpu_s", watch.cpu_s());
  line.number("gbit_per_cpu_s", gbit_per_s(run.bytes, watch.cpu_s()));
  line.integer("packets_sent", endpoint.packets_sent() - packets_before);
  line.integer("send_calls", endpoint.send_calls() - calls_before);
  line.integer("udp_payload_bytes", ngtcp2_conn_get_path_max_tx_udp_payload_size(connection.quic));
  line.number("smoothed_rtt_us", static_cast<double>(info.smoothed_rtt) / 1000.0);
  line.integer("cwnd_bytes", info.cwnd);
  endpoint.close(connection);
  return line;
}

// --- handshakes -------------------------------------------------------------------------------

class HandshakeClient final : public Client {
 public:
  void on_confirmed(Connection& connection) override {
    to_completed.push_back(connection.completed_ns - connection.created_ns);
    to_confirmed.push_back(connection.confirmed_ns - connection.created_ns);
    ready.push_back(&connection);
  }
  void on_closed(Connection& connection) override {
    if (connection.confirmed_ns == 0) fail("a handshake failed");
  }

  std::vector<std::uint64_t> to_completed;
  std::vector<std::uint64_t> to_confirmed;
  std::vector<Connection*> ready;
};

JsonLine run_handshakes(const RunOptions& run, const Tuning& tuning, std::uint16_t port) {
  const Deadline deadline(run);
  HandshakeClient application;
  application.to_completed.reserve(run.count);
  application.to_confirmed.reserve(run.count);
  Endpoint endpoint(Role::client, tuning, application, 0);
  Stopwatch watch;
  watch.start();
  std::uint64_t started = 0;
  std::uint64_t done = 0;
  while (done < run.count) {
    deadline.check();
    while (started < run.count && started - done < run.parallel) {
      endpoint.connect(port);
      ++started;
    }
    endpoint.turn(turn_ns);
    for (Connection* connection : application.ready)
      endpoint.close(*connection);
    done += application.ready.size();
    application.ready.clear();
  }
  watch.stop();
  const auto us = [](std::vector<std::uint64_t>& samples, double fraction) {
    return static_cast<double>(percentile(samples, fraction)) / 1000.0;
  };
  const auto count = static_cast<double>(done);
  JsonLine line;
  line.text("role", "client").text("mode", run.mode_name);
  line.integer("handshakes", done).integer("parallel", run.parallel);
  line.number("seconds", watch.wall_s()).number("handshakes_s", count / watch.wall_s());
  line.number("cpu_s", watch.cpu_s()).number("handshakes_per_cpu_s", count / watch.cpu_s());
  line.number("completed_p50_us", us(application.to_completed, 0.5));
  line.number("completed_p99_us", us(application.to_completed, 0.99));
  line.number("confirmed_p50_us", us(application.to_confirmed, 0.5));
  line.number("confirmed_p99_us", us(application.to_confirmed, 0.99));
  line.integer("packets_sent", endpoint.packets_sent());
  line.integer("packets_received", endpoint.packets_received());
  return line;
}

// --- echo -------------------------------------------------------------------------------------

/// A message carries its number and the time it was written; both are checked when it is back.
struct Message {
  std::uint64_t number = 0;
  std::uint64_t written_ns = 0;
  std::array<std::uint8_t, message_bytes - 16> filler{};
};
static_assert(sizeof(Message) == message_bytes);

class EchoClient final : public Client {
 public:
  explicit EchoClient(std::uint64_t count) : count_(count), ring_(echo_ring_bytes) {
    latencies.reserve(count);
  }

  void start(Connection& connection, std::uint64_t outstanding) {
    connection.out.ring = &ring_;
    for (std::uint64_t i = 0; i < outstanding && next_ < count_; ++i)
      write(connection);
  }

  std::uint64_t on_stream_data(Connection& connection, std::int64_t,
                               std::span<const std::uint8_t> data, bool) override {
    const std::uint64_t now = now_ns();
    for (const std::uint8_t byte : data) {
      partial_[partial_size_++] = byte;
      if (partial_size_ < message_bytes) continue;
      partial_size_ = 0;
      take(now);
      if (next_ < count_) write(connection);
    }
    return data.size();
  }

  [[nodiscard]] bool finished() const { return latencies.size() == count_; }

  std::vector<std::uint64_t> latencies;

 private:
  void write(Connection& connection) {
    Message message;
    message.number = next_++;
    message.written_ns = now_ns();
    OutgoingStream& out = connection.out;
    // A ring of whole messages: one never wraps.
    std::memcpy(ring_.data() + out.written % ring_.size(), &message, sizeof message);
    out.written += sizeof message;
  }

  void take(std::uint64_t now) {
    Message message;
    std::memcpy(&message, partial_.data(), sizeof message);
    if (message.number != latencies.size()) fail("an echo came back in the wrong order");
    latencies.push_back(now - message.written_ns);
  }

  std::uint64_t count_;
  std::uint64_t next_ = 0;
  std::vector<std::uint8_t> ring_;
  std::array<std::uint8_t, message_bytes> partial_{};
  std::size_t partial_size_ = 0;
};

JsonLine run_echo(const RunOptions& run, const Tuning& tuning, std::uint16_t port) {
  const Deadline deadline(run);
  EchoClient application(run.count);
  Endpoint endpoint(Role::client, tuning, application, 0);
  Connection& connection = connect_and_settle(endpoint, port, deadline);
  endpoint.open_stream(connection, true);
  Stopwatch watch;
  watch.start();
  application.start(connection, run.outstanding);
  endpoint.mark_dirty(connection);
  while (!application.finished()) {
    deadline.check();
    endpoint.turn(turn_ns);
    if (endpoint.live_connections() == 0) fail("the connection ended during the echo");
  }
  watch.stop();
  auto& latencies = application.latencies;
  const auto us = [&](double fraction) {
    return static_cast<double>(percentile(latencies, fraction)) / 1000.0;
  };
  const auto count = static_cast<double>(latencies.size());
  JsonLine line;
  line.text("role", "client").text("mode", run.mode_name);
  line.integer("echoes", latencies.size()).integer("outstanding", run.outstanding);
  line.number("seconds", watch.wall_s()).number("echoes_s", count / watch.wall_s());
  line.number("p50_us", us(0.5)).number("p99_us", us(0.99));
  line.number("cpu_s", watch.cpu_s()).number("echoes_per_cpu_s", count / watch.cpu_s());
  line.integer("packets_sent", endpoint.packets_sent());
  line.integer("packets_received", endpoint.packets_received());
  endpoint.close(connection);
  return line;
}

// --- idle -------------------------------------------------------------------------------------

class IdleClient final : public Client {
 public:
  void on_closed(Connection&) override {
    if (!leaving) fail("an idle connection ended");
  }
  bool leaving = false;
};

JsonLine run_idle(const RunOptions& run, const Tuning& tuning, std::uint16_t port) {
  const Deadline deadline(run);
  IdleClient application;
  Endpoint endpoint(Role::client, tuning, application, 0);
  const double base_rss_kib = resident_kib();
  const double base_heap_kib = heap_kib();
  std::vector<Connection*> all;
  while (endpoint.confirmed_total() < run.connections) {
    deadline.check();
    while (all.size() < run.connections && all.size() - endpoint.confirmed_total() < run.parallel) {
      all.push_back(&endpoint.connect(port));
    }
    endpoint.turn(turn_ns);
  }
  const std::uint64_t hold_until = now_ns() + idle_hold_ns;
  while (now_ns() < hold_until)
    endpoint.turn(turn_ns);
  const auto count = static_cast<double>(all.size());
  JsonLine line;
  line.text("role", "client").text("mode", run.mode_name).integer("connections", all.size());
  line.number("rss_kib_per_connection", (resident_kib() - base_rss_kib) / count);
  line.number("heap_kib_per_connection", (heap_kib() - base_heap_kib) / count);
  application.leaving = true;
  for (Connection* connection : all)
    endpoint.close(*connection);
  return line;
}

}  // namespace

RunOptions read_run_options(const Arguments& arguments, const std::string& mode_name) {
  RunOptions run;
  run.mode_name = mode_name;
  if (mode_name == "bulk") {
    run.mode = Mode::bulk;
  } else if (mode_name == "handshakes") {
    run.mode = Mode::handshakes;
  } else if (mode_name == "echo") {
    run.mode = Mode::echo;
    run.count = 20'000;
  } else if (mode_name == "idle") {
    run.mode = Mode::idle;
  } else {
    fail("the mode is bulk, handshakes, echo or idle");
  }
  run.bytes = arguments.number("bytes", run.bytes);
  run.count = arguments.number("count", run.count);
  run.parallel = std::max<std::uint64_t>(1, arguments.number("parallel", run.parallel));
  run.outstanding = arguments.number("outstanding", run.outstanding);
  if (run.outstanding < 1 || run.outstanding > outstanding_max) fail("--outstanding is 1 to 4096");
  run.connections = arguments.number("connections", run.connections);
  run.seconds_max = arguments.number("seconds", run.seconds_max);
  return run;
}

JsonLine run_client(const RunOptions& run, const Tuning& tuning, std::uint16_t port) {
  switch (run.mode) {
    case Mode::bulk:
      return run_bulk(run, tuning, port);
    case Mode::handshakes:
      return run_handshakes(run, tuning, port);
    case Mode::echo:
      return run_echo(run, tuning, port);
    case Mode::idle:
      return run_idle(run, tuning, port);
  }
  fail("unknown mode");
}

}  // namespace bench
