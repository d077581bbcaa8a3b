// The options of the transport; see tuning.hpp.
#include "bare/tuning.hpp"

#include <algorithm>

#include "common/measure.hpp"
#include "common/udp_socket.hpp"

namespace bench {

namespace {

constexpr std::uint64_t mib = 1 << 20;
constexpr std::uint64_t min_payload_bytes = 1200;
constexpr std::uint64_t max_payload_bytes = 65'000;

ngtcp2_cc_algo congestion_control_named(const std::string& name) {
  if (name == "bbr") return NGTCP2_CC_ALGO_BBR;
  if (name == "cubic") return NGTCP2_CC_ALGO_CUBIC;
  if (name == "reno") return NGTCP2_CC_ALGO_RENO;
  fail("--cc is bbr, cubic or reno");
}

std::string cipher_named(const std::string& name) {
  if (name == "aes") return "AES-128-GCM";
  if (name == "chacha") return "CHACHA20-POLY1305";
  fail("--cipher is aes or chacha");
}

}  // namespace

Tuning read_tuning(const Arguments& arguments) {
  Tuning tuning;
  tuning.gso = !arguments.flag("no-gso");
  tuning.gro = !arguments.flag("no-gro");
  if (arguments.flag("raw-keys")) tuning.certificate = CertificateKind::raw_public_key;
  tuning.congestion_control = congestion_control_named(arguments.text("cc", "bbr"));
  tuning.cipher = cipher_named(arguments.text("cipher", "aes"));
  const std::uint64_t payload = arguments.number("udp-payload", tuning.udp_payload_bytes);
  if (payload < min_payload_bytes || payload > max_payload_bytes) {
    fail("--udp-payload is 1200 to 65000");
  }
  tuning.udp_payload_bytes = static_cast<std::uint16_t>(payload);
  tuning.batch_bytes = std::clamp<std::uint64_t>(
      arguments.number("batch-bytes", tuning.batch_bytes), payload, max_train_bytes);
  tuning.ack_thresh = arguments.number("ack-thresh", tuning.ack_thresh);
  tuning.max_ack_delay_ms = arguments.number("max-ack-delay-ms", tuning.max_ack_delay_ms);
  tuning.initial_window_bytes =
      arguments.number("initial-window-mib", tuning.initial_window_bytes / mib) * mib;
  tuning.max_window_bytes = arguments.number("max-window-mib", tuning.max_window_bytes / mib) * mib;
  tuning.socket_buffer_bytes = static_cast<int>(arguments.number(
      "socket-buffer-bytes", static_cast<std::uint64_t>(tuning.socket_buffer_bytes)));
  tuning.receive_calls_per_turn = static_cast<unsigned>(
      std::max<std::uint64_t>(1, arguments.number("receive-calls", tuning.receive_calls_per_turn)));
  tuning.connection_ids = arguments.number("connection-ids", tuning.connection_ids);
  return tuning;
}

}  // namespace bench
