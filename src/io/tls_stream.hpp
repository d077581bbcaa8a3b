// TLS 1.3 over a connected, non-blocking TCP socket, by GnuTLS.
//
// Nobody's identity is proved here: the client shows no certificate and does not judge the
// server's (docs/decisions/0007). What it gives is a stream that a firewall takes for web traffic.
//
// Every call does what the socket allows now. A record that was begun is kept by GnuTLS and must be
// finished before another: `send` remembers it.
#pragma once

#include <cstddef>
#include <memory>

#include "quic/tls.hpp"
#include "quicmesh/bytes.hpp"
#include "quicmesh/result.hpp"

namespace quicmesh::io {

class TlsStream {
 public:
  static constexpr std::size_t record_max = 16'384;

  enum class Step : std::uint8_t {
    done,   // the handshake is complete; bytes were sent or received
    later,  // wait until the socket is ready: for writing if `wants_write`, else for reading
    ended,  // the other end said that it sends no more, or is gone
    failed  // of no use any more
  };

  /// `descriptor` stays the caller's. Nothing when GnuTLS has no memory.
  static std::unique_ptr<TlsStream> create(const TlsContext& context, TlsRole role, int descriptor);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  Step handshake();
  /// The other end speaks TLS, but not to us: it has no protocol in common, or refused in words.
  [[nodiscard]] bool refused_in_words() const { return refused_in_words_; }

  /// One record at most. `buffer` holds record_max bytes.
  Step receive(MutableByteView buffer, std::size_t& received);
  /// Begins a record of the first bytes, at most record_max, or goes on with the one begun: then
  /// `bytes` begins with the same ones. `sent` is how many of them are done with.
  Step send(ByteView bytes, std::size_t& sent);
  /// Tells the other end, as far as the socket takes it at once.
  void say_goodbye();

  [[nodiscard]] bool wants_write() const;

 private:
  static constexpr int tries_max = 8;  // to go on after what GnuTLS calls an interruption

  explicit TlsStream(gnutls_session_t session) : session_(session) {}

  gnutls_session_t session_;
  bool record_begun_ = false;
  bool refused_in_words_ = false;
};

}  // namespace quicmesh::io
