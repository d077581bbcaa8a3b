// Reading and writing of packets for the yardstick's Endpoint; see endpoint.hpp.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "bare/callbacks.hpp"
#include "bare/endpoint.hpp"
#include "common/measure.hpp"

namespace bench {

void Endpoint::read_socket() {
  for (unsigned call = 0; call < tuning_.receive_calls_per_turn; ++call) {
    const auto train = socket_.receive(receive_buffer_);
    if (!train) return;
    ++receive_calls_;
    const std::uint64_t now = now_ns();
    for (std::size_t offset = 0; offset < train->bytes; offset += train->segment) {
      const std::size_t size = std::min(train->segment, train->bytes - offset);
      ++packets_received_;
      handle_packet(*train, {receive_buffer_.data() + offset, size}, now);
    }
  }
}

void Endpoint::handle_packet(const ReceivedTrain& train, std::span<const std::uint8_t> packet,
                             std::uint64_t now) {
  ngtcp2_version_cid ids;
  if (ngtcp2_pkt_decode_version_cid(&ids, packet.data(), packet.size(), connection_id_bytes) != 0 ||
      ids.dcidlen < connection_id_bytes) {
    return;
  }
  sockaddr_in remote = train.from;
  sockaddr_in local = socket_.local();
  const ngtcp2_path path{{reinterpret_cast<ngtcp2_sockaddr*>(&local), sizeof local},
                         {reinterpret_cast<ngtcp2_sockaddr*>(&remote), sizeof remote},
                         nullptr};
  auto found = by_id_.find(connection_id_key(ids.dcid));
  if (found == by_id_.end()) {
    ngtcp2_pkt_hd header;
    if (role_ != Role::server || ngtcp2_accept(&header, packet.data(), packet.size()) != 0) return;
    accept(header, path, now);
    found = by_id_.find(connection_id_key(ids.dcid));
  }
  Connection& connection = *found->second;
  if (connection.dead) return;
  const ngtcp2_pkt_info info{};
  const int result =
      ngtcp2_conn_read_pkt(connection.quic, &path, &info, packet.data(), packet.size(), now);
  if (result != 0) {
    fail_connection(connection, result);
  } else {
    mark_dirty(connection);
  }
}

Endpoint::PacketWrite Endpoint::write_packet(Connection& connection, std::span<std::uint8_t> room,
                                             std::uint64_t now) {
  OutgoingStream& out = connection.out;
  ngtcp2_pkt_info info;
  ngtcp2_ssize taken = -1;
  ngtcp2_ssize size = 0;
  if (out.has_work()) {
    const auto bytes = out.next();
    ngtcp2_vec piece{const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
    const bool last = out.finish && out.sent + bytes.size() == out.written;
    size = ngtcp2_conn_writev_stream(
        connection.quic, nullptr, &info, room.data(), room.size(), &taken,
        last ? NGTCP2_WRITE_STREAM_FLAG_FIN : NGTCP2_WRITE_STREAM_FLAG_NONE, out.id, &piece, 1,
        now);
    if (taken >= 0) {
      out.sent += static_cast<std::uint64_t>(taken);
      if (last && out.sent == out.written) out.finish_sent = true;
    }
    if (size != NGTCP2_ERR_STREAM_DATA_BLOCKED) return {size, size < 0};
  }
  size = ngtcp2_conn_writev_stream(connection.quic, nullptr, &info, room.data(), room.size(),
                                   &taken, NGTCP2_WRITE_STREAM_FLAG_NONE, -1, nullptr, 0, now);
  return {size, size < 0};
}

void Endpoint::flush(Connection& connection) {
  if (connection.dead || ngtcp2_conn_in_draining_period(connection.quic)) return;
  const std::uint64_t now = now_ns();
  const std::size_t packet_max = ngtcp2_conn_get_max_tx_udp_payload_size(connection.quic);
  // The quantum is rounded so that the last packet still fits: one more alone would cost a call.
  const std::size_t budget = std::max(
      std::min(ngtcp2_conn_get_send_quantum(connection.quic), tuning_.batch_bytes), packet_max);
  const sockaddr_in to =
      *reinterpret_cast<const sockaddr_in*>(ngtcp2_conn_get_path(connection.quic)->remote.addr);
  std::size_t used = 0;
  std::size_t segment = 0;
  std::size_t segments = 0;
  std::size_t total = 0;
  while (total + packet_max <= budget || total == 0) {
    std::uint8_t* room = send_buffer_.data() + used;
    const PacketWrite written = write_packet(connection, {room, packet_max}, now);
    if (written.failed) {
      if (used > 0) send_train(used, segment, to);
      fail_connection(connection, static_cast<int>(written.size));
      return;
    }
    if (written.size == 0) break;
    const auto size = static_cast<std::size_t>(written.size);
    // A train has equal segments and ends with the first shorter one.
    if (used > 0 && (size > segment || segments == max_train_segments)) {
      send_train(used, segment, to);
      std::memmove(send_buffer_.data(), room, size);
      used = segments = 0;
    }
    if (used == 0) segment = size;
    used += size;
    total += size;
    ++segments;
    if (size < segment) {
      send_train(used, segment, to);
      used = segments = 0;
    }
  }
  if (used > 0) send_train(used, segment, to);
  // Without this there is no pacing timer, and nothing would wake the loop for the next train.
  ngtcp2_conn_update_pkt_tx_time(connection.quic, now);
  rearm(connection);
}

void Endpoint::send_train(std::size_t bytes, std::size_t segment, const sockaddr_in& to) {
  packets_sent_ += (bytes + segment - 1) / segment;
  ++send_calls_;
  socket_.send(to, {send_buffer_.data(), bytes}, segment);
}

void Endpoint::fail_connection(Connection& connection, int error) {
  const bool expected = error == NGTCP2_ERR_DRAINING || error == NGTCP2_ERR_CLOSING;
  if (!expected) std::fprintf(stderr, "connection ended: %s\n", ngtcp2_strerror(error));
  mark_dead(connection);
}

}  // namespace bench
