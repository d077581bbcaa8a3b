// Everything about the transport that the command line of bare_quic can change.
//
// The defaults are the settings that measured best (QUIC bulk on loopback); each switch exists so
// that a run can show what it is worth.
#pragma once

#include <ngtcp2/ngtcp2.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "common/arguments.hpp"
#include "common/credentials.hpp"

namespace bench {

struct Tuning {
  bool gso = true;
  bool gro = true;
  ngtcp2_cc_algo congestion_control = NGTCP2_CC_ALGO_BBR;
  std::string cipher = "AES-128-GCM";
  CertificateKind certificate = CertificateKind::x509;
  /// Largest datagram; 1452 is what IPv6 leaves of an Ethernet frame.
  std::uint16_t udp_payload_bytes = 1452;
  /// Bytes handed to one sendmsg at most, whatever the library would let go at once.
  std::size_t batch_bytes = 65'000;
  /// Ack-eliciting packets that provoke an immediate acknowledgement.
  std::size_t ack_thresh = 10;
  std::uint64_t max_ack_delay_ms = 25;
  std::uint64_t initial_window_bytes = 16u << 20;
  std::uint64_t max_window_bytes = 64u << 20;
  int socket_buffer_bytes = 8 << 20;
  /// recvmsg calls in one turn before what they caused is sent.
  unsigned receive_calls_per_turn = 16;
  std::uint64_t connection_ids = 8;
};

/// Reads the options that both ends share. A value that makes no sense ends the process.
[[nodiscard]] Tuning read_tuning(const Arguments& arguments);

}  // namespace bench
