// bare_quic: what ngtcp2 and GnuTLS reach on this machine with nothing above them.
//
// This is the yardstick of the library's QUIC goals (bulk rate, handshakes, echo latency, memory of
// a connection): the same protocol library, the same cipher, the same mutual Ed25519
// authentication, the same segmentation offload, and no mesh. It shares no code with the library.
//
//   bare_quic server [MODE] [--port N] [--cpu N]     prints {"port":N}, then its report
//   bare_quic client [MODE] --port N [--cpu N]
//   bare_quic pair   [MODE] [--client-cpu 0] [--server-cpu 1]   both, in two pinned processes
//
// MODE and its options: bare/workloads.hpp. Switches of the transport: bare/tuning.hpp.
#include <cstdio>
#include <string>

#include "bare/tuning.hpp"
#include "bare/workloads.hpp"
#include "common/arguments.hpp"
#include "common/child.hpp"
#include "common/json_line.hpp"
#include "common/measure.hpp"

namespace {

using namespace bench;

constexpr const char* usage =
    "usage: bare_quic server|client|pair [bulk|handshakes|echo|idle] [options]\n"
    "  server: --port N --cpu N     client: --port N --cpu N     pair: --client-cpu N "
    "--server-cpu N\n"
    "  bulk: --bytes N   handshakes: --count N --parallel N   echo: --count N --outstanding N\n"
    "  idle: --connections N --parallel N   all: --seconds N (limit)\n"
    "  --no-gso --no-gro --raw-keys --cc bbr|cubic|reno --cipher aes|chacha\n"
    "  --udp-payload N --batch-bytes N --ack-thresh N --max-ack-delay-ms N --receive-calls N\n"
    "  --initial-window-mib N --max-window-mib N --socket-buffer-bytes N --connection-ids N\n";

void pin_if_asked(const Arguments& arguments) {
  const std::string cpu = arguments.text("cpu", "");
  if (!cpu.empty()) pin_to_cpu(static_cast<int>(arguments.number("cpu", 0)));
}

void announce_port(std::uint16_t port) {
  JsonLine line;
  line.integer("port", port).print();
}

int run_pair(const Arguments& arguments, const RunOptions& run, const Tuning& tuning) {
  const auto client_cpu = static_cast<int>(arguments.number("client-cpu", 0));
  const auto server_cpu = static_cast<int>(arguments.number("server-cpu", 1));
  arguments.reject_unknown();
  Child server([&] {
    limit_run_time(static_cast<unsigned>(run.seconds_max + 5));
    pin_to_cpu(server_cpu);
    run_server(run, tuning, 0, announce_port).print();
    return 0;
  });
  const auto port = static_cast<std::uint16_t>(integer_in(server.line(), "port"));
  pin_to_cpu(client_cpu);
  const JsonLine client = run_client(run, tuning, port);
  JsonLine both;
  both.text("bench", "bare_quic").text("mode", run.mode_name);
  both.object("client", client.str()).object("server", server.line()).print();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments(argc, argv);
  const std::string role = arguments.word(0, "");
  if (role != "server" && role != "client" && role != "pair") {
    std::fputs(usage, stderr);
    return 2;
  }
  const RunOptions run = read_run_options(arguments, arguments.word(1, "bulk"));
  const Tuning tuning = read_tuning(arguments);
  limit_run_time(static_cast<unsigned>(run.seconds_max + 5));
  if (role == "pair") return run_pair(arguments, run, tuning);
  pin_if_asked(arguments);
  const auto port = static_cast<std::uint16_t>(arguments.number("port", 0));
  arguments.reject_unknown();
  if (role == "server") {
    run_server(run, tuning, port, announce_port).print();
  } else {
    if (port == 0) fail("the client needs --port");
    run_client(run, tuning, port).print();
  }
  return 0;
}
