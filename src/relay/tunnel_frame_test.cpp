#include "relay/tunnel_frame.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace quicmesh {
namespace {

Bytes datagram(std::size_t size, std::uint8_t first) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<std::uint8_t>(first + i);
  return bytes;
}

/// All datagrams that wait, one by one.
std::vector<Bytes> read_all(TunnelFrameReader& reader) {
  static Bytes buffer(tunnel_datagram_max);
  std::vector<Bytes> out;
  while (const auto train = reader.next(buffer)) {
    for (std::size_t at = 0; at < train->size; at += train->segment_size) {
      const std::size_t size = std::min(train->segment_size, train->size - at);
      out.push_back(to_bytes(ByteView(buffer).subspan(at, size)));
    }
  }
  return out;
}

TEST(TunnelFrame, has_its_golden_bytes) {
  Bytes out;
  append_tunnel_frame(out, Bytes{0xaa});
  append_tunnel_frame(out, Bytes(0x0102, 0xbb));
  ASSERT_EQ(out.size(), 3u + 2u + 0x0102u);
  EXPECT_EQ((Bytes{out[0], out[1], out[2], out[3], out[4], out[5]}),
            (Bytes{0x00, 0x01, 0xaa, 0x01, 0x02, 0xbb}));
}

TEST(TunnelFrame, datagrams_come_out_as_they_went_in_however_the_stream_is_cut) {
  const std::vector<Bytes> sent{datagram(1, 7),    datagram(1200, 1), datagram(1200, 2),
                                datagram(300, 3),  datagram(1500, 4), datagram(1, 5),
                                datagram(65507, 6)};
  Bytes stream;
  for (const Bytes& one : sent)
    append_tunnel_frame(stream, one);
  for (const std::size_t step : {1u, 2u, 3u, 1201u, 1202u, 16384u}) {
    TunnelFrameReader reader;
    std::vector<Bytes> received;
    for (std::size_t at = 0; at < stream.size(); at += step) {
      reader.append(ByteView(stream).subspan(at, std::min(step, stream.size() - at)));
      for (Bytes& one : read_all(reader))
        received.push_back(std::move(one));
      ASSERT_LE(reader.buffered(), TunnelFrameReader::buffered_max);
    }
    EXPECT_EQ(received, sent) << "cut into pieces of " << step;
    EXPECT_FALSE(reader.broken());
    EXPECT_EQ(reader.buffered(), 0u);
  }
}

TEST(TunnelFrame, datagrams_of_one_size_come_as_one_train) {
  Bytes stream;
  for (const std::size_t size : {500u, 500u, 500u, 200u, 500u, 600u})
    append_tunnel_frame(stream, datagram(size, 1));
  TunnelFrameReader reader;
  reader.append(stream);
  Bytes buffer(tunnel_datagram_max);
  std::vector<std::pair<std::size_t, std::size_t>> trains;
  while (const auto train = reader.next(buffer))
    trains.emplace_back(train->size, train->segment_size);
  // A shorter one ends a train, a longer one begins the next.
  EXPECT_EQ(trains, (std::vector<std::pair<std::size_t, std::size_t>>{
                        {1700, 500}, {500, 500}, {600, 600}}));
}

TEST(TunnelFrame, a_train_ends_where_the_buffer_does) {
  Bytes stream;
  for (int i = 0; i < 15; ++i)
    append_tunnel_frame(stream, datagram(1000, 1));
  TunnelFrameReader reader;
  reader.append(stream);
  Bytes buffer(10'500);
  EXPECT_EQ(reader.next(buffer)->size, 10'000u);
  EXPECT_EQ(reader.next(buffer)->size, 5'000u);
}

TEST(TunnelFrame, lengths_out_of_range_break_the_stream_for_good) {
  for (const Bytes& header : {Bytes{0, 0}, Bytes{0xff, 0xe4}, Bytes{0xff, 0xff}}) {
    Bytes stream;
    append_tunnel_frame(stream, datagram(10, 1));
    stream.insert(stream.end(), header.begin(), header.end());
    TunnelFrameReader reader;
    reader.append(stream);
    EXPECT_EQ(read_all(reader), std::vector<Bytes>{datagram(10, 1)});
    EXPECT_TRUE(reader.broken());
    Bytes good;
    append_tunnel_frame(good, datagram(10, 1));
    reader.append(good);
    EXPECT_TRUE(read_all(reader).empty());
    EXPECT_EQ(reader.buffered(), 0u);
  }
  // 0xffe3 is tunnel_datagram_max: the frame is only not complete yet.
  TunnelFrameReader reader;
  reader.append(Bytes{0xff, 0xe3});
  EXPECT_TRUE(read_all(reader).empty());
  EXPECT_FALSE(reader.broken());
}

}  // namespace
}  // namespace quicmesh
