// One QUIC connection of the yardstick; see connection.hpp.
#include "bare/connection.hpp"

#include <algorithm>

namespace bench {

namespace {

// One packet takes less than this; a longer span would only be cut by ngtcp2.
constexpr std::uint64_t span_max = 1 << 16;

}  // namespace

std::span<const std::uint8_t> OutgoingStream::next() const {
  const std::uint64_t waiting = written - sent;
  if (waiting == 0) return {};
  const std::uint64_t position = sent % ring->size();
  const std::uint64_t size = std::min({waiting, ring->size() - position, span_max});
  return {ring->data() + position, size};
}

Connection::Connection(Endpoint& owner, bool server) : endpoint(owner), is_server(server) {
  reference.user_data = this;
  reference.get_conn = [](ngtcp2_crypto_conn_ref* from) {
    return static_cast<Connection*>(from->user_data)->quic;
  };
}

Connection::~Connection() {
  ngtcp2_conn_del(quic);
  gnutls_deinit(tls);
}

}  // namespace bench
