// Datagrams in a byte stream: the framing inside the TLS connection between a client that gets no
// UDP through and its relay (docs/protocols/relay.md, TLS leg).
//
//     0..1  length of the datagram, big-endian, 1..tunnel_datagram_max      2..  the datagram
//
// Nothing else travels there. A length outside of the range ends the tunnel: what follows it could
// not be told from garbage. The reader holds at most one frame that is not complete yet and what
// `append` brought behind it; memory grows with the bytes that came, not with the length they name.
#pragma once

#include <cstddef>
#include <optional>

#include "quicmesh/bytes.hpp"

namespace quicmesh {

inline constexpr std::size_t tunnel_frame_header_size = 2;
/// The largest UDP payload over IPv4, so that a relay may send on whatever comes.
inline constexpr std::size_t tunnel_datagram_max = 65'507;

/// Appends `datagram`, 1 to tunnel_datagram_max bytes, as a frame.
void append_tunnel_frame(Bytes& out, ByteView datagram);

/// Datagrams one behind the other: `segment_size` bytes each, the last of which may be shorter.
struct TunnelTrain {
  std::size_t size = 0;
  std::size_t segment_size = 0;
};

class TunnelFrameReader {
 public:
  /// The most that one `append` takes: what a TLS record holds.
  static constexpr std::size_t append_max = 16'384;
  /// The most that waits here if `next` is called until it gives nothing, before each `append`.
  static constexpr std::size_t buffered_max =
      tunnel_frame_header_size + tunnel_datagram_max + append_max;

  /// Takes the next bytes of the stream, at most append_max.
  void append(ByteView bytes);

  /// The datagrams that come next and have one size, copied to `out`, which has room for
  /// tunnel_datagram_max bytes at least. Nothing if none is complete, or the stream is broken.
  std::optional<TunnelTrain> next(MutableByteView out);

  /// A length was out of range; what came before it was given by `next`.
  [[nodiscard]] bool broken() const { return broken_; }
  [[nodiscard]] std::size_t buffered() const { return buffer_.size() - front_; }

 private:
  static constexpr std::size_t kept_max = std::size_t{32} << 10;  // capacity of an empty buffer

  /// What the first two bytes waiting say, if there are two.
  [[nodiscard]] std::optional<std::size_t> length() const;
  /// The datagram at `front_`, if it is complete and its length in range.
  [[nodiscard]] std::optional<ByteView> front() const;
  void pop(std::size_t datagram_size);

  Bytes buffer_;
  std::size_t front_ = 0;  // of the first byte not yet taken
  bool broken_ = false;
};

}  // namespace quicmesh
