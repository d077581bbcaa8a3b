// The buffers of a stream, against a plain string that does the same.
#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "quic/receive_buffer.hpp"
#include "quic/send_buffer.hpp"

namespace quicmesh {
namespace {

Bytes random_bytes(Rng& rng, std::size_t size) {
  Bytes bytes(size);
  rng.fill(bytes);
  return bytes;
}

TEST(SendBuffer, gives_every_byte_once_and_never_moves_what_was_sent) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Rng rng(seed);
    SendBuffer buffer;
    Bytes written;
    Bytes sent;
    struct Sent {
      const std::uint8_t* data;
      std::size_t size;
      std::size_t offset;
    };
    std::vector<Sent> in_flight;
    std::uint64_t acknowledged = 0;
    for (int step = 0; step < 2000; ++step) {
      if (rng.chance(1, 2)) {
        const Bytes piece = random_bytes(rng, rng.chance(1, 10) ? rng.below(9000) : rng.below(200));
        written.insert(written.end(), piece.begin(), piece.end());
        buffer.append(piece);
      }
      std::array<ByteView, 4> views;
      const std::size_t count = buffer.peek(views, 1u << 20);
      std::size_t budget = rng.below(1500);
      std::size_t taken = 0;
      for (std::size_t i = 0; i < count && budget > 0; ++i) {
        const std::size_t size = std::min(budget, views[i].size());
        in_flight.push_back({views[i].data(), size, sent.size()});
        sent.insert(sent.end(), views[i].begin(), views[i].begin() + static_cast<long>(size));
        budget -= size;
        taken += size;
      }
      buffer.mark_sent(taken);
      // What is in flight must still stand where it stood: ngtcp2 may send it again from there.
      for (const Sent& piece : in_flight) {
        if (piece.offset < acknowledged) continue;
        ASSERT_TRUE(std::equal(piece.data, piece.data + piece.size,
                               written.begin() + static_cast<long>(piece.offset)))
            << "seed " << seed;
      }
      if (rng.chance(1, 3) && sent.size() > acknowledged) {
        acknowledged += rng.below(sent.size() - acknowledged + 1);
        buffer.acknowledge_until(acknowledged);
        ASSERT_EQ(buffer.held(), written.size() - acknowledged);
      }
    }
    ASSERT_EQ(sent, Bytes(written.begin(), written.begin() + static_cast<long>(sent.size())));
    ASSERT_EQ(buffer.unsent(), written.size() - sent.size());
  }
}

TEST(ReceiveBuffer, gives_back_what_came_in_larger_and_larger_pieces) {
  Rng rng(1);
  ReceiveBuffer buffer;
  Bytes in;
  Bytes out;
  std::size_t largest = 0;
  for (int i = 0; i < 5000; ++i) {
    const Bytes piece = random_bytes(rng, rng.below(1400));
    in.insert(in.end(), piece.begin(), piece.end());
    buffer.append(piece);
    if (!rng.chance(1, 200)) continue;
    while (!buffer.empty()) {
      const Bytes chunk = buffer.pop();
      largest = std::max(largest, chunk.size());
      out.insert(out.end(), chunk.begin(), chunk.end());
    }
  }
  while (!buffer.empty()) {
    const Bytes chunk = buffer.pop();
    out.insert(out.end(), chunk.begin(), chunk.end());
  }
  EXPECT_EQ(out, in);
  EXPECT_EQ(largest, 64u << 10);
}

TEST(ReceiveBuffer, a_short_message_takes_its_own_size_only) {
  ReceiveBuffer buffer;
  buffer.append(Bytes(64));
  EXPECT_EQ(buffer.pop().capacity(), 64u);
}

TEST(SendBuffer, peek_looks_no_further_than_a_packet_needs) {
  SendBuffer buffer;
  for (int i = 0; i < 4; ++i)
    buffer.append(Bytes(3000, 0x11));
  std::array<ByteView, 4> views;
  EXPECT_EQ(buffer.peek(views, 1400), 1u);
  buffer.mark_sent(2000);
  EXPECT_EQ(buffer.peek(views, 1400), 2u);  // 1,000 left of the first
  EXPECT_EQ(buffer.peek(views, 100'000), 4u);
}

}  // namespace
}  // namespace quicmesh
