// See tls_stream.hpp.
#include "io/tls_stream.hpp"

#include <gnutls/gnutls.h>

#include <algorithm>
#include <string>

namespace quicmesh::io {
namespace {

// A name of our own: a port that several services share is divided by it, and no other protocol's
// client can be led to talk to this one (the ALPACA attack).
const std::string tunnel_alpn = "quicmesh/tunnel/1";

bool in_words(int error) {
  return error == GNUTLS_E_FATAL_ALERT_RECEIVED || error == GNUTLS_E_NO_APPLICATION_PROTOCOL;
}

}  // namespace

std::unique_ptr<TlsStream> TlsStream::create(const TlsContext& context, TlsRole role,
                                             int descriptor) {
  const gnutls_session_t session = context.new_stream_session(role, tunnel_alpn);
  if (session == nullptr) return nullptr;
  gnutls_transport_set_int(session, descriptor);
  return std::unique_ptr<TlsStream>(new TlsStream(session));
}

TlsStream::~TlsStream() {
  gnutls_deinit(session_);
}

TlsStream::Step TlsStream::handshake() {
  for (int i = 0; i < tries_max; ++i) {
    const int result = gnutls_handshake(session_);
    if (result == 0) {
      // A server without ALPN answers nothing to the offer: it is some other service.
      gnutls_datum_t chosen{};
      if (gnutls_alpn_get_selected_protocol(session_, &chosen) == 0) return Step::done;
      refused_in_words_ = true;
      return Step::failed;
    }
    if (result == GNUTLS_E_AGAIN) return Step::later;
    if (gnutls_error_is_fatal(result) != 0) {
      refused_in_words_ = in_words(result);
      // The other end learns why; whether that leaves does not matter.
      (void)gnutls_alert_send_appropriate(session_, result);
      return result == GNUTLS_E_PREMATURE_TERMINATION ? Step::ended : Step::failed;
    }
  }
  return Step::later;
}

TlsStream::Step TlsStream::receive(MutableByteView buffer, std::size_t& received) {
  received = 0;
  for (int i = 0; i < tries_max; ++i) {
    const ssize_t result = gnutls_record_recv(session_, buffer.data(), buffer.size());
    if (result > 0) {
      received = static_cast<std::size_t>(result);
      return Step::done;
    }
    if (result == 0 || result == GNUTLS_E_PREMATURE_TERMINATION) return Step::ended;
    if (result == GNUTLS_E_AGAIN) return Step::later;
    if (gnutls_error_is_fatal(static_cast<int>(result)) != 0) return Step::failed;
  }
  return Step::later;
}

TlsStream::Step TlsStream::send(ByteView bytes, std::size_t& sent) {
  sent = 0;
  const std::size_t size = std::min(bytes.size(), record_max);
  for (int i = 0; i < tries_max; ++i) {
    const ssize_t result = record_begun_ ? gnutls_record_send(session_, nullptr, 0)
                                         : gnutls_record_send(session_, bytes.data(), size);
    if (result >= 0) {
      record_begun_ = false;
      sent = static_cast<std::size_t>(result);
      return Step::done;
    }
    if (result != GNUTLS_E_AGAIN && result != GNUTLS_E_INTERRUPTED) return Step::failed;
    record_begun_ = true;
    if (result == GNUTLS_E_AGAIN) return Step::later;
  }
  return Step::later;
}

void TlsStream::say_goodbye() {
  if (!record_begun_) (void)gnutls_bye(session_, GNUTLS_SHUT_WR);
}

bool TlsStream::wants_write() const {
  return gnutls_record_get_direction(session_) == 1;
}

}  // namespace quicmesh::io
