// Any bytes as the stream inside a tunnel: the datagrams do not depend on how it was cut, what is
// understood comes back from its own bytes, and no more is held than promised.
#include <algorithm>
#include <vector>

#include "base/assert.hpp"
#include "relay/tunnel_frame.hpp"

using namespace quicmesh;

namespace {

struct Reading {
  std::vector<Bytes> datagrams;
  bool broken = false;
  std::size_t left = 0;
};

Reading read(ByteView stream, std::size_t step) {
  TunnelFrameReader reader;
  Reading reading;
  Bytes buffer(tunnel_datagram_max);
  while (!stream.empty()) {
    const std::size_t size = std::min({step, stream.size(), TunnelFrameReader::append_max});
    reader.append(stream.first(size));
    stream = stream.subspan(size);
    while (const auto train = reader.next(buffer)) {
      QM_ASSERT(train->size > 0 && train->size <= buffer.size() && train->segment_size > 0);
      for (std::size_t at = 0; at < train->size; at += train->segment_size) {
        const std::size_t one = std::min(train->segment_size, train->size - at);
        reading.datagrams.push_back(to_bytes(ByteView(buffer).subspan(at, one)));
      }
    }
    QM_ASSERT(reader.buffered() <= TunnelFrameReader::buffered_max);
  }
  reading.broken = reader.broken();
  reading.left = reader.buffered();
  return reading;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView stream(data, size);
  const Reading whole = read(stream, size + 1);
  const Reading pieces = read(stream, size == 0 ? 1 : 1 + data[size - 1]);
  QM_ASSERT(whole.datagrams == pieces.datagrams && whole.broken == pieces.broken);
  QM_ASSERT(whole.left == pieces.left);

  Bytes again;
  for (const Bytes& datagram : whole.datagrams)
    append_tunnel_frame(again, datagram);
  QM_ASSERT(again.size() <= size && std::ranges::equal(again, stream.first(again.size())));
  QM_ASSERT(whole.broken || again.size() + whole.left == size);
  return 0;
}
