// The codec, held to RFC 5769 and to RFC 8489 appendix B (with erratum 6268).
#include "stun/stun_message.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "base/hex.hpp"
#include "base/rng.hpp"
#include "stun/stun_credentials.hpp"
#include "stun/stun_errc.hpp"
#include "stun/stun_writer.hpp"

namespace quicmesh {
namespace {

using enum StunAttribute;

Bytes hex(std::string_view text) {
  std::string digits;
  std::ranges::copy_if(text, std::back_inserter(digits), [](char c) { return c != ' '; });
  return from_hex(digits).value();
}

SocketAddress endpoint(std::string_view text) {
  return SocketAddress::parse(text).value();
}

// RFC 5769 s2.1 to s2.4.
const Bytes sample_request =
    hex("00010058 2112a442 b7e7a701bc34d686fa87dfae"
        "80220010 5354554e207465737420636c69656e74"
        "00240004 6e0001ff 80290008 932ff9b151263b36"
        "00060009 6576746a3a68367659 202020"
        "00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2 80280004 e57a3bcf");
const Bytes sample_v4 =
    hex("0101003c 2112a442 b7e7a701bc34d686fa87dfae"
        "8022000b 7465737420766563746f72 20 00200008 0001a147e112a643"
        "00080014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7 80280004 c07d4c96");
const Bytes sample_v6 =
    hex("01010048 2112a442 b7e7a701bc34d686fa87dfae"
        "8022000b 7465737420766563746f72 20"
        "00200014 0002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
        "00080014 a382954e4be67bf11784c97c8292c275bfe3ed41 80280004 c8fb0b4c");
const Bytes sample_long_term =
    hex("00010060 2112a442 78ad3433c6ad72c029da412e"
        "00060012 e3839ee38388e383aae38383e382afe382b9 0000"
        "0015001c 662f2f3439396b39353464364f4c33346f4c3946535476793634 7341"
        "0014000b 6578616d706c652e6f7267 00"
        "00080014 f67024656dd64a3e02b8e0712e85c9a28ca89666");
// RFC 8489 B.1 as corrected by erratum 6268.
const Bytes sample_sha256 = hex(
    "00010090 2112a442 78ad3433c6ad72c029da412e"
    "001e0020 4a3cf38fef6992bda952c6780417da0f24819415569e60b205c46e41407f1704"
    "00150029 6f624d61744a6f733241414143662f2f3439396b39353464364f4c33346f4c394653547679363473 41"
    "000000 0014000b 6578616d706c652e6f7267 00 001d0004 00020000"
    "001c0020 b5c7bf005b6c52a21c51c5e892f81924136296cb927c43149309278cc6518e65");

constexpr std::string_view short_term_password = "VOkJxbRl1RmTxUk/WvJxBt";
const StunLongTermCredential matrix{"マトリックス", "example.org", "TheMatrIX"};

TEST(StunMessage, reads_the_sample_request_of_rfc_5769) {
  const auto message = StunMessage::parse(sample_request);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->message_class(), StunClass::request);
  EXPECT_EQ(message->method(), StunMethod::binding);
  EXPECT_EQ(to_hex(message->transaction_id().bytes), "b7e7a701bc34d686fa87dfae");
  EXPECT_EQ(message->text(software), "STUN test client");
  EXPECT_EQ(message->u32(priority), 0x6e0001ffU);
  EXPECT_EQ(message->text(username), "evtj:h6vY");
  EXPECT_EQ(to_hex(message->find(ice_controlled).value()), "932ff9b151263b36");
  EXPECT_TRUE(message->has_integrity(stun_short_term_key(short_term_password)));
  EXPECT_FALSE(message->has_integrity(stun_short_term_key("VOkJxbRl1RmTxUk/WvJxBu")));
}

// S1.32: the external address.
TEST(StunMessage, reads_the_sample_responses_of_rfc_5769) {
  const Bytes key = stun_short_term_key(short_term_password);
  const auto v4 = StunMessage::parse(sample_v4);
  ASSERT_TRUE(v4);
  EXPECT_EQ(v4->message_class(), StunClass::success);
  EXPECT_EQ(v4->text(software), "test vector");
  EXPECT_EQ(v4->mapped_address(), endpoint("192.0.2.1:32853"));
  EXPECT_TRUE(v4->has_integrity(key));
  const auto v6 = StunMessage::parse(sample_v6);
  ASSERT_TRUE(v6);
  EXPECT_EQ(v6->mapped_address(), endpoint("[2001:db8:1234:5678:11:2233:4455:6677]:32853"));
  EXPECT_TRUE(v6->has_integrity(key));
}

TEST(StunMessage, reads_the_long_term_samples) {
  const auto sha1 = StunMessage::parse(sample_long_term);
  ASSERT_TRUE(sha1);
  EXPECT_EQ(sha1->text(realm), matrix.realm);
  EXPECT_EQ(sha1->text(username), matrix.username);
  EXPECT_TRUE(sha1->has_integrity(stun_long_term_key(matrix, StunPasswordAlgorithm::md5).value()));
  EXPECT_FALSE(
      sha1->has_integrity(stun_long_term_key(matrix, StunPasswordAlgorithm::sha256).value()));

  const auto sha256 = StunMessage::parse(sample_sha256);
  ASSERT_TRUE(sha256);
  const Bytes key = stun_long_term_key(matrix, StunPasswordAlgorithm::sha256).value();
  EXPECT_TRUE(sha256->has_integrity_sha256(key));
  EXPECT_FALSE(sha256->has_integrity(key));
  EXPECT_EQ(to_hex(sha256->find(userhash).value()),
            to_hex(stun_userhash(matrix.username, matrix.realm)));
}

// The samples that pad with zeros come out of the writer as they are in the standards.
TEST(StunWriter, writes_the_long_term_samples) {
  std::array<std::uint8_t, 200> buffer{};
  TransactionId id;
  std::ranges::copy(hex("78ad3433c6ad72c029da412e"), id.bytes.begin());
  StunWriter md5_writer(buffer, StunClass::request, StunMethod::binding, id);
  md5_writer.add_text(username, matrix.username);
  md5_writer.add_text(nonce, "f//499k954d6OL34oL9FSTvy64sA");
  md5_writer.add_text(realm, matrix.realm);
  md5_writer.add_integrity(stun_long_term_key(matrix, StunPasswordAlgorithm::md5).value());
  ASSERT_TRUE(md5_writer.ok());
  EXPECT_EQ(to_hex(md5_writer.written()), to_hex(sample_long_term));

  StunWriter sha_writer(buffer, StunClass::request, StunMethod::binding, id);
  sha_writer.add(userhash, stun_userhash(matrix.username, matrix.realm));
  sha_writer.add_text(nonce, "obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA");
  sha_writer.add_text(realm, matrix.realm);
  sha_writer.add_u32(password_algorithm, 0x00020000);
  sha_writer.add_integrity_sha256(
      stun_long_term_key(matrix, StunPasswordAlgorithm::sha256).value());
  ASSERT_TRUE(sha_writer.ok());
  EXPECT_EQ(to_hex(sha_writer.written()), to_hex(sample_sha256));
}

// The RFC's samples pad with spaces; what is in the padding is covered but does not count.
TEST(StunWriter, makes_the_same_integrity_and_fingerprint_as_the_samples) {
  const Bytes key = stun_short_term_key(short_term_password);
  for (const Bytes& sample : {sample_request, sample_v4, sample_v6}) {
    Bytes cut(sample.begin(), sample.end() - 32);
    cut[3] = static_cast<std::uint8_t>(cut.size() - stun_header_size);
    const StunIntegrityInput input(cut, cut.size(), 20);
    EXPECT_EQ(to_hex(hmac_sha1(key, input.parts())),
              to_hex(ByteView(sample).subspan(sample.size() - 28, 20)));
    const std::uint32_t value = stun_fingerprint(ByteView(sample).first(sample.size() - 8));
    EXPECT_EQ(StunMessage::parse(sample)->u32(fingerprint), value);
  }
  EXPECT_EQ(crc32(as_bytes("123456789")), 0xcbf43926U);
}

TEST(StunMessage, every_method_and_class_survives_the_way_there_and_back) {
  std::array<std::uint8_t, 64> buffer{};
  for (unsigned method = 0; method < 0x1000; ++method) {
    for (unsigned kind = 0; kind < 4; ++kind) {
      StunWriter writer(buffer, static_cast<StunClass>(kind), static_cast<StunMethod>(method), {});
      const auto message = StunMessage::parse(writer.written());
      ASSERT_TRUE(message);
      ASSERT_EQ(static_cast<unsigned>(message->method()), method);
      ASSERT_EQ(static_cast<unsigned>(message->message_class()), kind);
    }
  }
  // RFC 8489 s5: Binding's four types, and TURN's of RFC 8656 s17.
  const auto type = [&](StunClass kind, StunMethod method) {
    StunWriter writer(buffer, kind, method, {});
    return to_hex(writer.written().first(2));
  };
  EXPECT_EQ(type(StunClass::request, StunMethod::binding), "0001");
  EXPECT_EQ(type(StunClass::success, StunMethod::binding), "0101");
  EXPECT_EQ(type(StunClass::error, StunMethod::binding), "0111");
  EXPECT_EQ(type(StunClass::indication, StunMethod::send), "0016");
  EXPECT_EQ(type(StunClass::indication, StunMethod::data), "0017");
  EXPECT_EQ(type(StunClass::error, StunMethod::allocate), "0113");
}

TEST(StunMessage, every_typed_attribute_survives_the_way_there_and_back) {
  std::array<std::uint8_t, 512> buffer{};
  TransactionId id;
  id.bytes.fill(0x5a);
  const SocketAddress v4 = endpoint("192.0.2.7:1");
  const SocketAddress v6 = endpoint("[2001:db8::7]:65535");
  StunWriter writer(buffer, StunClass::error, StunMethod::allocate, id);
  writer.add_address(mapped_address, v4);
  writer.add_xor_address(xor_peer_address, v6);
  writer.add_xor_address(xor_relayed_address, v4);
  writer.add_address(response_origin, v6);
  writer.add_address(other_address, v4);
  writer.add_u32(lifetime, 600);
  writer.add_u16(channel_number, 0x4001);
  writer.add_u16(response_port, 3479);
  writer.add_u8(requested_transport, 17);
  writer.add_u8(requested_address_family, 2);
  writer.add_change_request({.change_ip = true, .change_port = false});
  writer.add(data, hex("0102030405"));
  writer.add_error_code(438, "Stale Nonce");
  const std::array unknown{StunAttribute{0x7777}, StunAttribute{0x0042}};
  writer.add_unknown_attributes(unknown);
  writer.add_fingerprint();
  ASSERT_TRUE(writer.ok());
  const auto message = StunMessage::parse(writer.written());
  ASSERT_TRUE(message);
  EXPECT_EQ(message->address(mapped_address), v4);
  EXPECT_EQ(message->xor_address(xor_peer_address), v6);
  EXPECT_EQ(message->xor_address(xor_relayed_address), v4);
  EXPECT_EQ(message->address(response_origin), v6);
  EXPECT_EQ(message->address(other_address), v4);
  EXPECT_EQ(message->mapped_address(), v4);
  EXPECT_EQ(message->u32(lifetime), 600U);
  EXPECT_EQ(message->u16(channel_number), 0x4001);
  EXPECT_EQ(message->u16(response_port), 3479);
  EXPECT_EQ(message->u8(requested_transport), 17);
  EXPECT_EQ(message->u8(requested_address_family), 2);
  EXPECT_EQ(message->change_request(), (ChangeRequest{.change_ip = true, .change_port = false}));
  EXPECT_EQ(to_hex(message->find(data).value()), "0102030405");
  EXPECT_EQ(message->error_code()->code, 438U);
  EXPECT_EQ(message->error_code()->reason, "Stale Nonce");
  EXPECT_EQ(message->unknown_attributes(), std::vector(unknown.begin(), unknown.end()));
  EXPECT_EQ(message->attributes().size(), 15U);
  EXPECT_FALSE(message->has(realm));
}

// A stranger's IPv6 address must not turn into an IPv4 one, nor back, while it is XORed.
TEST(StunMessage, an_address_that_looks_mapped_while_xored_is_read_right) {
  const auto mask_like = SocketAddress{
      IpAddress::v6({0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4}), 5};
  std::array<std::uint8_t, 64> buffer{};
  StunWriter writer(buffer, StunClass::success, StunMethod::binding, {});
  writer.add_xor_address(xor_mapped_address, mask_like);
  EXPECT_EQ(StunMessage::parse(writer.written())->mapped_address(), mask_like);
}

// RFC 8489 s14.5: nobody vouches for what follows the integrity.
TEST(StunMessage, attributes_behind_the_integrity_are_invisible) {
  std::array<std::uint8_t, 256> buffer{};
  const Bytes key = to_bytes("key");
  StunWriter writer(buffer, StunClass::request, StunMethod::binding, {});
  writer.add_text(username, "a");
  writer.add_integrity(key);
  writer.add_text(realm, "smuggled");
  writer.add_integrity_sha256(key);
  writer.add_text(nonce, "smuggled");
  writer.add_fingerprint();
  const auto message = StunMessage::parse(writer.written());
  ASSERT_TRUE(message);
  EXPECT_TRUE(message->has_integrity(key));
  EXPECT_TRUE(message->has_integrity_sha256(key));
  EXPECT_TRUE(message->has(fingerprint));
  EXPECT_FALSE(message->has(realm));
  EXPECT_FALSE(message->has(nonce));
}

TEST(StunMessage, of_two_attributes_of_a_type_the_first_counts) {
  std::array<std::uint8_t, 64> buffer{};
  StunWriter writer(buffer, StunClass::request, StunMethod::binding, {});
  writer.add_u32(lifetime, 1);
  writer.add_u32(lifetime, 2);
  EXPECT_EQ(StunMessage::parse(writer.written())->u32(lifetime), 1U);
}

TEST(StunMessage, a_sha256_integrity_may_be_cut_to_sixteen_bytes_and_no_further) {
  const Bytes key = to_bytes("key");
  for (const std::size_t size : {12U, 14U, 16U, 20U, 32U}) {
    std::array<std::uint8_t, 128> buffer{};
    StunWriter writer(buffer, StunClass::request, StunMethod::binding, {});
    writer.add_text(username, "a");
    const StunIntegrityInput input(writer.written(), writer.written().size(), size);
    const HmacSha256 whole = hmac_sha256(key, input.parts());
    writer.add(message_integrity_sha256, ByteView(whole).first(size));
    EXPECT_EQ(StunMessage::parse(writer.written())->has_integrity_sha256(key),
              size >= 16 && size % 4 == 0)
        << size;
  }
}

// A flip may hide the fingerprint, in another type or inside a longer attribute, but then there is
// none to trust; and nothing but a flip in the fingerprint itself leaves the integrity whole.
TEST(StunMessage, every_flipped_bit_is_noticed) {
  const Bytes key = stun_short_term_key(short_term_password);
  const std::size_t fingerprint_at = sample_request.size() - 8;
  std::size_t hidden = 0;
  for (std::size_t bit = 0; bit < 8 * sample_request.size(); ++bit) {
    Bytes changed = sample_request;
    changed[bit / 8] = static_cast<std::uint8_t>(changed[bit / 8] ^ 1U << bit % 8);
    const auto message = StunMessage::parse(changed);
    if (!message) continue;
    ++hidden;
    ASSERT_FALSE(message->has(fingerprint)) << "bit " << bit;
    ASSERT_EQ(message->has_integrity(key), bit / 8 >= fingerprint_at) << "bit " << bit;
  }
  EXPECT_LT(hidden, 20U);
}

struct Malformed {
  const char* what;
  const char* bytes;
  StunErrc error;
};

TEST(StunMessage, malformed_frames_are_refused) {
  const Malformed rows[] = {
      {"empty", "", StunErrc::malformed_message},
      {"header cut short", "00010000 2112a442 0000000000000000000000", StunErrc::malformed_message},
      {"first bits set", "40010000 2112a442 000000000000000000000000", StunErrc::malformed_message},
      {"other cookie", "00010000 2112a443 000000000000000000000000", StunErrc::malformed_message},
      {"longer than said", "00010000 2112a442 000000000000000000000000 00000000",
       StunErrc::malformed_message},
      {"shorter than said", "00010004 2112a442 000000000000000000000000",
       StunErrc::malformed_message},
      {"length no multiple of 4", "00010002 2112a442 000000000000000000000000 0000",
       StunErrc::malformed_message},
      {"attribute beyond the end", "00010004 2112a442 000000000000000000000000 80220001",
       StunErrc::malformed_message},
      {"huge attribute", "00010008 2112a442 000000000000000000000000 8022ffff 00000000",
       StunErrc::malformed_message},
      {"wrong fingerprint", "00010008 2112a442 000000000000000000000000 80280004 00000000",
       StunErrc::wrong_fingerprint},
      {"short fingerprint", "00010004 2112a442 000000000000000000000000 80280000",
       StunErrc::malformed_message},
  };
  for (const Malformed& row : rows) {
    const auto message = StunMessage::parse(hex(row.bytes));
    ASSERT_FALSE(message) << row.what;
    EXPECT_EQ(message.error(), row.error) << row.what;
  }
  EXPECT_TRUE(StunMessage::parse(hex("00010000 2112a442 000000000000000000000000")));
}

TEST(StunMessage, nothing_may_follow_the_fingerprint_and_attributes_are_counted) {
  std::array<std::uint8_t, 512> buffer{};
  StunWriter behind(buffer, StunClass::request, StunMethod::binding, {});
  behind.add_fingerprint();
  behind.add_u32(lifetime, 1);
  EXPECT_FALSE(StunMessage::parse(behind.written()));
  for (const std::size_t count : {stun_attributes_max, stun_attributes_max + 1}) {
    StunWriter writer(buffer, StunClass::request, StunMethod::binding, {});
    for (std::size_t i = 0; i < count; ++i)
      writer.add(software, {});
    EXPECT_EQ(StunMessage::parse(writer.written()).has_value(), count <= stun_attributes_max);
  }
}

TEST(StunMessage, malformed_values_are_as_good_as_missing) {
  std::array<std::uint8_t, 256> buffer{};
  StunWriter writer(buffer, StunClass::error, StunMethod::binding, {});
  writer.add(xor_mapped_address, hex("0001a147e112a6"));
  writer.add(mapped_address, hex("0003a147e112a643"));
  writer.add(other_address, hex("0001a147e112a64300"));
  writer.add(lifetime, hex("000102"));
  writer.add(error_code, hex("00000764"));
  writer.add(message_integrity, hex("00"));
  const auto message = StunMessage::parse(writer.written());
  ASSERT_TRUE(message);
  EXPECT_FALSE(message->xor_address(xor_mapped_address));
  EXPECT_FALSE(message->mapped_address());
  EXPECT_FALSE(message->address(other_address));
  EXPECT_FALSE(message->u32(lifetime));
  EXPECT_FALSE(message->error_code());
  EXPECT_FALSE(message->has_integrity({}));
}

TEST(StunWriter, fails_when_the_buffer_is_full_and_never_writes_beyond_it) {
  std::array<std::uint8_t, 64> buffer{};
  for (std::size_t size = stun_header_size; size < 44; ++size) {
    std::ranges::fill(buffer, 0xee);
    StunWriter writer(MutableByteView(buffer).first(size), StunClass::request, StunMethod::binding,
                      {});
    writer.add_u32(lifetime, 1);
    writer.add_integrity({});
    EXPECT_FALSE(writer.ok()) << size;
    EXPECT_EQ(buffer[size], 0xee);
  }
  Bytes large(100'000);
  StunWriter writer(large, StunClass::request, StunMethod::binding, {});
  writer.add(data, Bytes(65'500));
  EXPECT_TRUE(writer.ok());
  writer.add(data, Bytes(100));
  EXPECT_FALSE(writer.ok());
}

TEST(StunMessage, garbage_is_read_without_harm) {
  Rng rng(1);
  std::size_t parsed = 0;
  for (int i = 0; i < 20'000; ++i) {
    Bytes bytes = i % 2 == 0 ? sample_v4 : sample_sha256;
    for (std::uint64_t flips = 1 + rng.below(4); flips > 0; --flips)
      bytes[rng.below(bytes.size())] = static_cast<std::uint8_t>(rng.next());
    if (rng.chance(1, 4)) bytes.resize(rng.below(bytes.size()));
    const auto message = StunMessage::parse(bytes);
    if (!message) continue;
    ++parsed;
    EXPECT_LE(message->attributes().size(), stun_attributes_max);
    (void)message->mapped_address();
    (void)message->error_code();
    (void)message->has_integrity(as_bytes("key"));
  }
  EXPECT_GT(parsed, 1'000U);
}

TEST(StunErrc, every_code_has_a_message_and_a_hint) {
  for (int code = 1; code <= static_cast<int>(StunErrc::forbidden_digest); ++code) {
    const std::error_code error = make_error_code(static_cast<StunErrc>(code));
    EXPECT_FALSE(hint(error).empty()) << code;
    EXPECT_NE(error.message(), make_error_code(static_cast<StunErrc>(99)).message());
  }
}

}  // namespace
}  // namespace quicmesh
