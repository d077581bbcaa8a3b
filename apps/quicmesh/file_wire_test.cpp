// Tests of file_wire.hpp.
#include "file_wire.hpp"

#include <gtest/gtest.h>

#include "base/base_errc.hpp"
#include "base/hex.hpp"

namespace quicmesh::cli {
namespace {

Blake3Digest some_hash() {
  Blake3Digest hash{};
  for (std::size_t i = 0; i < hash.size(); ++i)
    hash[i] = static_cast<std::uint8_t>(i);
  return hash;
}

ByteView without_header(const Bytes& frame) {
  return ByteView(frame).subspan(frame_header_size);
}

constexpr const char* hash_hex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

TEST(FileWire, offer_has_its_golden_bytes) {
  const FileOffer offer{.size = 258, .hash = some_hash(), .name = "a.txt"};
  const Bytes frame = encode(offer);
  EXPECT_EQ(to_hex(frame),
            std::string("0000002f01") + "0000000000000102" + hash_hex + "05612e747874");
  EXPECT_EQ(decode_frame_size(ByteView(frame).first(frame_header_size)), frame.size() - 4);
  EXPECT_EQ(decode_offer(without_header(frame)), offer);
}

TEST(FileWire, answer_has_its_golden_bytes) {
  const FileAnswer answer{
      .status = FileStatus::busy, .held = 7, .held_hash = some_hash(), .text = "no"};
  const Bytes frame = encode(answer);
  EXPECT_EQ(to_hex(frame), std::string("0000002d0202") + "0000000000000007" + hash_hex + "026e6f");
  EXPECT_EQ(decode_answer(without_header(frame)), answer);
}

TEST(FileWire, begin_and_verdict_have_their_golden_bytes) {
  EXPECT_EQ(to_hex(encode(FileBegin{.start = 1})), "00000009030000000000000001");
  EXPECT_EQ(decode_begin(without_header(encode(FileBegin{.start = 1}))), FileBegin{.start = 1});
  const FileVerdict verdict{.status = FileStatus::hash_mismatch, .text = "x"};
  EXPECT_EQ(to_hex(encode(verdict)), "0000000404050178");
  EXPECT_EQ(decode_verdict(without_header(encode(verdict))), verdict);
}

TEST(FileWire, every_cut_or_lengthened_frame_is_refused) {
  const Bytes frame = encode(FileOffer{.size = 1, .hash = some_hash(), .name = "name"});
  const ByteView body = without_header(frame);
  for (std::size_t size = 0; size < body.size(); ++size)
    EXPECT_FALSE(decode_offer(body.first(size))) << size;
  Bytes longer = to_bytes(body);
  longer.push_back(0);
  EXPECT_EQ(decode_offer(longer).error(), make_error_code(BaseErrc::trailing_bytes));
}

TEST(FileWire, other_types_statuses_and_sizes_are_refused) {
  EXPECT_FALSE(decode_begin(without_header(encode(FileVerdict{}))));
  Bytes unknown_status = encode(FileVerdict{});
  unknown_status[frame_header_size + 1] = 7;
  EXPECT_EQ(decode_verdict(without_header(unknown_status)).error(),
            make_error_code(BaseErrc::out_of_range));
  const Bytes huge = encode(FileBegin{.start = file_size_max + 1});
  EXPECT_FALSE(decode_begin(without_header(huge)));
  const Bytes largest = encode(FileBegin{.start = file_size_max});
  EXPECT_TRUE(decode_begin(without_header(largest)));
}

TEST(FileWire, frames_are_bounded) {
  const Bytes none{0, 0, 0, 0};
  const Bytes most{0, 0, 8, 0};
  const Bytes more{0, 0, 8, 1};
  EXPECT_FALSE(decode_frame_size(none));
  EXPECT_EQ(decode_frame_size(most), file_frame_max);
  EXPECT_EQ(decode_frame_size(more).error(), make_error_code(BaseErrc::too_long));
  const Bytes longest =
      encode(FileOffer{.size = 0, .hash = {}, .name = std::string(offered_name_max + 1, 'x')});
  EXPECT_TRUE(decode_frame_size(ByteView(longest).first(frame_header_size)));
  EXPECT_EQ(decode_offer(without_header(longest))->name.size(), offered_name_max);
}

}  // namespace
}  // namespace quicmesh::cli
