// raw_udp: what the kernel's loopback carries without any protocol, on two pinned processes.
//
//   raw_udp bulk [--seconds N] [--segment N] [--segments N] [--no-gso] [--no-gro]
//     The sender writes trains for --seconds; the receiver counts what arrives. Nothing is
//     acknowledged, so datagrams that overflow the receiver's buffer are lost and not counted.
//   raw_udp echo [--count N] [--size N]
//     Ping-pong of one datagram of --size bytes; the latency is the whole round trip.
//
// Options of both: --client-cpu 0, --server-cpu 1. One JSON object on stdout.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "common/arguments.hpp"
#include "common/child.hpp"
#include "common/json_line.hpp"
#include "common/measure.hpp"
#include "common/udp_socket.hpp"

namespace {

using namespace bench;

constexpr const char* usage =
    "usage: raw_udp bulk [--seconds N] [--segment N] [--segments N] [--no-gso] [--no-gro]\n"
    "       raw_udp echo [--count N] [--size N]\n"
    "       both: --client-cpu N --server-cpu N\n";
constexpr std::size_t receive_buffer_bytes = 1 << 16;
constexpr int quiet_ms = 300;         // the receiver stops after so long without a datagram
constexpr int first_wait_ms = 5'000;  // and gives up when none ever came
constexpr int echo_timeout_ms = 1'000;
constexpr unsigned run_seconds_max = 60;

struct Cores {
  int client = 0;
  int server = 1;
};

void announce(const UdpSocket& socket) {
  JsonLine line;
  line.integer("port", socket.port()).print();
}

int receive_bulk(const SocketOptions& options, int cpu) {
  pin_to_cpu(cpu);
  UdpSocket socket(options);
  announce(socket);
  std::vector<std::uint8_t> buffer(receive_buffer_bytes);
  std::uint64_t bytes = 0;
  std::uint64_t calls = 0;
  Stopwatch watch;
  while (socket.wait_readable(watch.running() ? quiet_ms : first_wait_ms)) {
    if (!watch.running()) watch.start();
    while (const auto train = socket.receive(buffer)) {
      bytes += train->bytes;
      ++calls;
      // Reading the clock costs as much as reading a datagram; now and then is enough.
      if (calls % 64 == 0) watch.stop();
    }
    watch.stop();
  }
  JsonLine line;
  line.integer("bytes", bytes).number("seconds", watch.wall_s());
  line.number("gbit_s", gbit_per_s(bytes, watch.wall_s()));
  line.number("cpu_s", watch.cpu_s()).number("gbit_per_cpu_s", gbit_per_s(bytes, watch.cpu_s()));
  line.integer("receive_calls", calls).print();
  return 0;
}

int run_bulk(const Arguments& arguments, const Cores& cores) {
  SocketOptions options;
  options.gso = !arguments.flag("no-gso");
  options.gro = !arguments.flag("no-gro");
  options.buffer_bytes = 8 << 20;
  const std::size_t segment =
      std::clamp<std::uint64_t>(arguments.number("segment", 1452), 1, 65'000);
  const std::size_t fitting = std::min(max_train_segments, max_train_bytes / segment);
  const std::size_t segments =
      std::clamp<std::uint64_t>(arguments.number("segments", fitting), 1, fitting);
  const std::uint64_t seconds = std::min<std::uint64_t>(arguments.number("seconds", 2), 30);
  arguments.reject_unknown();
  Child receiver([&] { return receive_bulk(options, cores.server); });
  const auto port = static_cast<std::uint16_t>(integer_in(receiver.line(), "port"));
  pin_to_cpu(cores.client);
  UdpSocket socket(options);
  const sockaddr_in to = loopback_address(port);
  const std::vector<std::uint8_t> train(segment * segments);
  std::uint64_t bytes = 0;
  Stopwatch watch;
  watch.start();
  const std::uint64_t end = now_ns() + seconds * ns_per_s;
  while (now_ns() < end) {
    socket.send(to, train, segment);
    bytes += train.size();
  }
  watch.stop();
  JsonLine sender;
  sender.integer("bytes", bytes).number("seconds", watch.wall_s());
  sender.number("gbit_s", gbit_per_s(bytes, watch.wall_s()));
  sender.number("cpu_s", watch.cpu_s());
  sender.number("gbit_per_cpu_s", gbit_per_s(bytes, watch.cpu_s()));
  JsonLine line;
  line.text("bench", "raw_udp").text("mode", "bulk");
  line.integer("segment_bytes", segment).integer("segments", segments);
  line.boolean("gso", options.gso).boolean("gro", options.gro);
  line.object("sender", sender.str()).object("receiver", receiver.line()).print();
  return 0;
}

int answer_echoes(int cpu) {
  pin_to_cpu(cpu);
  UdpSocket socket(SocketOptions{});
  announce(socket);
  std::vector<std::uint8_t> buffer(receive_buffer_bytes);
  // Ends when the client kills it, or by itself when the client has been silent.
  while (socket.wait_readable(first_wait_ms)) {
    while (const auto train = socket.receive(buffer)) {
      socket.send(train->from, {buffer.data(), train->bytes}, train->bytes);
    }
  }
  return 0;
}

int run_echo(const Arguments& arguments, const Cores& cores) {
  const std::uint64_t count = arguments.number("count", 20'000);
  const std::size_t size = std::clamp<std::uint64_t>(arguments.number("size", 64), 8, 1452);
  arguments.reject_unknown();
  Child server([&] { return answer_echoes(cores.server); });
  const sockaddr_in to =
      loopback_address(static_cast<std::uint16_t>(integer_in(server.line(), "port")));
  pin_to_cpu(cores.client);
  UdpSocket socket(SocketOptions{});
  std::vector<std::uint8_t> message(size);
  std::vector<std::uint8_t> buffer(receive_buffer_bytes);
  std::vector<std::uint64_t> latencies;
  latencies.reserve(count);
  Stopwatch watch;
  watch.start();
  for (std::uint64_t number = 0; number < count; ++number) {
    std::memcpy(message.data(), &number, sizeof number);
    const std::uint64_t sent_ns = now_ns();
    socket.send(to, message, message.size());
    if (!socket.wait_readable(echo_timeout_ms)) fail("an echo was lost");
    const auto answer = socket.receive(buffer);
    if (!answer || answer->bytes != size || std::memcmp(buffer.data(), message.data(), size) != 0) {
      fail("an echo came back changed");
    }
    latencies.push_back(now_ns() - sent_ns);
  }
  watch.stop();
  const auto us = [&](double fraction) {
    return static_cast<double>(percentile(latencies, fraction)) / 1000.0;
  };
  JsonLine line;
  line.text("bench", "raw_udp").text("mode", "echo").integer("echoes", count);
  line.integer("message_bytes", size).number("p50_us", us(0.5)).number("p99_us", us(0.99));
  line.number("echoes_s", static_cast<double>(count) / watch.wall_s());
  line.number("cpu_s", watch.cpu_s()).print();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments(argc, argv);
  const std::string mode = arguments.word(0, "");
  limit_run_time(run_seconds_max);
  const Cores cores{static_cast<int>(arguments.number("client-cpu", 0)),
                    static_cast<int>(arguments.number("server-cpu", 1))};
  if (mode == "bulk") return run_bulk(arguments, cores);
  if (mode == "echo") return run_echo(arguments, cores);
  std::fputs(usage, stderr);
  return 2;
}
