#include "node/relayed_path.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.hpp"
#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"

namespace quicmesh {
namespace {

constexpr std::size_t session_offset = 8;

}  // namespace

NetworkPath relayed_path(RelaySessionId session) {
  std::array<std::uint8_t, 16> bytes{0xfd, 0x52};
  ByteWriter writer(MutableByteView(bytes).subspan(session_offset));
  writer.u64(std::to_underlying(session));
  return {relayed_socket, IpAddress::any(IpFamily::v6), {IpAddress::v6(bytes), 1}};
}

RelaySessionId relay_session_of(const NetworkPath& path) {
  QM_ASSERT(is_relayed(path));
  return RelaySessionId{ByteReader(ByteView(path.remote.ip.bytes()).subspan(session_offset)).u64()};
}

void wrap_train(const std::array<std::uint8_t, relay_header_size>& header, Transmit& train,
                MutableByteView buffer) {
  const std::size_t count = (train.size + train.segment_size - 1) / train.segment_size;
  const std::size_t size = train.size + count * header.size();
  QM_ASSERT(size <= buffer.size());
  // From the last to the first, so that none is overwritten before it has moved.
  for (std::size_t i = count; i-- > 0;) {
    const std::size_t from = i * train.segment_size;
    const std::size_t to = from + i * header.size();
    const std::size_t length = std::min(train.segment_size, train.size - from);
    std::memmove(buffer.data() + to + header.size(), buffer.data() + from, length);
    std::ranges::copy(header, buffer.begin() + static_cast<std::ptrdiff_t>(to));
  }
  train.size = size;
  train.segment_size += header.size();
}

}  // namespace quicmesh
