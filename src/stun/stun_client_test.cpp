#include "stun/stun_client.hpp"

#include <gtest/gtest.h>

#include <array>

#include "base/core.hpp"
#include "crypto/seeded_rng.hpp"
#include "stun/stun_errc.hpp"
#include "stun/stun_writer.hpp"

namespace quicmesh {
namespace {

static_assert(DatagramCore<StunClient>);

SocketAddress endpoint(std::string_view text) {
  return SocketAddress::parse(text).value();
}

const SocketAddress server = endpoint("198.51.100.1:3478");
const SocketAddress other = endpoint("198.51.100.2:3479");
const SocketAddress mapped = endpoint("203.0.113.9:40000");
constexpr Instant t0{100s};

class StunClientTest : public ::testing::Test {
 protected:
  TransactionId ask(Retransmission schedule = {}, std::optional<SocketAddress> expected = {},
                    std::optional<Bytes> key = {}) {
    StunRequest request;
    request.id = client.new_id();
    request.path = {SocketId{3}, {}, server};
    std::array<std::uint8_t, 64> buffer{};
    StunWriter writer(buffer, StunClass::request, StunMethod::binding, request.id);
    request.message = to_bytes(writer.written());
    request.schedule = schedule;
    request.expected_source = expected;
    request.integrity_key = std::move(key);
    const TransactionId id = request.id;
    EXPECT_TRUE(client.start(t0, std::move(request)));
    return id;
  }

  static Bytes response(const TransactionId& id, std::optional<Bytes> key = {},
                        unsigned error = 0) {
    Bytes buffer(128);
    StunWriter writer(buffer, error == 0 ? StunClass::success : StunClass::error,
                      StunMethod::binding, id);
    if (error == 0) writer.add_xor_address(StunAttribute::xor_mapped_address, mapped);
    if (error != 0) writer.add_error_code(error, "no");
    if (key) writer.add_integrity(*key);
    return to_bytes(writer.written());
  }

  bool deliver(Instant now, ByteView bytes, const SocketAddress& from = server,
               SocketId socket = SocketId{3}) {
    return client.handle_datagram(now, {socket, {}, from}, Ecn::not_ect, bytes);
  }

  // Runs the client alone until nothing is due any more; returns when it sent.
  std::vector<Duration> run() {
    std::vector<Duration> sent;
    while (client.poll_timeout() != never) {
      const Instant now = client.poll_timeout();
      client.handle_timeout(now);
      while (client.poll_transmit(now, buffer_))
        sent.push_back(now - t0);
    }
    return sent;
  }

  void send_once() {
    ASSERT_TRUE(client.poll_transmit(t0, buffer_));
    ASSERT_FALSE(client.poll_transmit(t0, buffer_));
  }

  SeededRng rng{1};
  StunClient client{rng};
  std::array<std::uint8_t, 2048> buffer_{};
};

// RFC 8489 s6.2.1: "0 ms, 500 ms, 1500 ms, 3500 ms, 7500 ms, 15500 ms, and 31500 ms ... 39500 ms".
TEST_F(StunClientTest, repeats_a_request_as_the_standard_says) {
  ask();
  EXPECT_EQ(run(), (std::vector<Duration>{0ms, 500ms, 1500ms, 3500ms, 7500ms, 15500ms, 31500ms}));
  const auto event = client.poll_event();
  ASSERT_TRUE(event);
  EXPECT_EQ(std::get<StunFailed>(*event).error, StunErrc::no_answer);
  EXPECT_EQ(std::get<StunFailed>(*event).sends, 7u);
  EXPECT_EQ(Retransmission{}.total(), 39500ms);
}

TEST_F(StunClientTest, discovery_gives_up_within_its_time_and_never_after_one_loss) {
  ask(Retransmission::discovery(40ms));
  EXPECT_EQ(run(), (std::vector<Duration>{0ms, 60ms, 120ms, 180ms, 240ms, 300ms, 360ms, 420ms}));
  for (const Duration rtt : {0ms, 40ms, 100ms, 300ms, 1000ms}) {
    EXPECT_LE(Retransmission::discovery(rtt).total(), rtt + 1100ms);
    EXPECT_GE(Retransmission::discovery(rtt).final_wait, rtt);
  }
  ask(Retransmission::first_contact());
  EXPECT_GE(run().back(), 2400ms);
  EXPECT_LT(Retransmission::first_contact().total(), 3s);
}

// S1.32
TEST_F(StunClientTest, an_answer_ends_the_transaction_with_the_mapped_address) {
  const TransactionId id = ask();
  send_once();
  EXPECT_TRUE(deliver(t0 + 40ms, response(id)));
  const auto event = client.poll_event();
  ASSERT_TRUE(event);
  const auto& answered = std::get<StunAnswered>(*event);
  EXPECT_EQ(answered.id, id);
  EXPECT_EQ(answered.rtt, 40ms);
  EXPECT_EQ(StunMessage::parse(answered.message)->mapped_address(), mapped);
  EXPECT_EQ(client.poll_timeout(), never);
  EXPECT_TRUE(deliver(t0 + 41ms, response(id)));
  EXPECT_EQ(client.counters().unknown_id, 1u);
  EXPECT_FALSE(client.poll_event());
}

TEST_F(StunClientTest, no_rtt_is_taken_from_a_request_sent_twice) {
  const TransactionId id = ask();
  send_once();
  ASSERT_TRUE(client.poll_transmit(t0 + 500ms, buffer_));
  deliver(t0 + 501ms, response(id));
  const auto event = client.poll_event();
  ASSERT_TRUE(event);
  EXPECT_FALSE(std::get<StunAnswered>(*event).rtt);
  EXPECT_EQ(std::get<StunAnswered>(*event).elapsed, 501ms);
}

TEST_F(StunClientTest, answers_from_elsewhere_or_with_another_id_do_not_count) {
  const TransactionId id = ask();
  send_once();
  TransactionId guessed = id;
  guessed.bytes[11] ^= 1;
  deliver(t0, response(guessed));
  deliver(t0, response(id), other);
  deliver(t0, response(id), server, SocketId{4});
  EXPECT_FALSE(client.poll_event());
  EXPECT_EQ(client.counters().unknown_id, 1u);
  EXPECT_EQ(client.counters().wrong_source, 2u);
  deliver(t0, response(id));
  EXPECT_TRUE(client.poll_event());
}

TEST_F(StunClientTest, a_wrong_fingerprint_does_not_end_a_transaction) {
  const TransactionId id = ask();
  send_once();
  Bytes buffer(64);
  StunWriter writer(buffer, StunClass::success, StunMethod::binding, id);
  writer.add_xor_address(StunAttribute::xor_mapped_address, mapped);
  writer.add_fingerprint();
  Bytes bytes = to_bytes(writer.written());
  bytes.back() ^= 1;
  EXPECT_TRUE(deliver(t0, bytes));
  EXPECT_EQ(client.counters().malformed, 1u);
  EXPECT_FALSE(client.poll_event());
  bytes.back() ^= 1;
  deliver(t0, bytes);
  EXPECT_TRUE(client.poll_event());
}

// RFC 5780 s4.4: the answer to a CHANGE-REQUEST comes from the other address.
TEST_F(StunClientTest, after_a_change_request_the_other_address_answers) {
  const TransactionId id = ask({}, other);
  send_once();
  deliver(t0, response(id), endpoint("198.51.100.2:3478"));
  EXPECT_FALSE(client.poll_event());
  deliver(t0, response(id), other);
  EXPECT_EQ(std::get<StunAnswered>(*client.poll_event()).path.remote, other);
}

TEST_F(StunClientTest, a_server_that_ignores_a_change_request_is_found_out) {
  ask({}, other);
  const TransactionId id = ask({}, other);
  ASSERT_TRUE(client.poll_transmit(t0, buffer_));
  ASSERT_TRUE(client.poll_transmit(t0, buffer_));
  deliver(t0, response(id), server);
  const auto event = client.poll_event();
  ASSERT_TRUE(event);
  EXPECT_EQ(std::get<StunFailed>(*event).id, id);
  EXPECT_EQ(std::get<StunFailed>(*event).error, StunErrc::change_request_ignored);
}

TEST_F(StunClientTest, with_a_key_only_its_owner_can_answer) {
  const Bytes key = to_bytes("secret");
  const TransactionId id = ask({}, {}, key);
  send_once();
  deliver(t0, response(id));
  deliver(t0, response(id, to_bytes("guess")));
  deliver(t0, response(id, {}, 500));
  EXPECT_EQ(client.counters().wrong_integrity, 3u);
  EXPECT_FALSE(client.poll_event());
  deliver(t0, response(id, key));
  EXPECT_TRUE(std::holds_alternative<StunAnswered>(*client.poll_event()));
  // RFC 8489 s9.2.5: the server that has no key of ours yet cannot do better.
  const TransactionId second = ask({}, {}, key);
  send_once();
  deliver(t0, response(second, {}, 401));
  EXPECT_EQ(std::get<StunRefused>(*client.poll_event()).code, 401u);
}

TEST_F(StunClientTest, requests_and_other_datagrams_are_left_to_others) {
  Bytes buffer(64);
  StunWriter writer(buffer, StunClass::request, StunMethod::binding, {});
  EXPECT_FALSE(deliver(t0, writer.written()));
  EXPECT_FALSE(deliver(t0, to_bytes("\x40quic")));
  EXPECT_FALSE(deliver(t0, {}));
}

TEST_F(StunClientTest, ids_are_random_and_transactions_bounded) {
  TransactionId last;
  for (std::size_t i = 0; i < StunClient::transactions_max; ++i) {
    const TransactionId id = ask();
    EXPECT_NE(id, last);
    last = id;
  }
  EXPECT_EQ(client.start(t0, {}).error(), StunErrc::too_many_transactions);
  client.cancel(last);
  StunRequest large;
  large.message.resize(StunClient::message_max + 1);
  EXPECT_EQ(client.start(t0, large).error(), StunErrc::message_too_long);
  EXPECT_TRUE(client.start(t0, {}));
}

TEST_F(StunClientTest, a_cancelled_transaction_says_nothing_more) {
  const TransactionId id = ask();
  send_once();
  client.cancel(id);
  EXPECT_EQ(client.poll_timeout(), never);
  deliver(t0, response(id));
  EXPECT_FALSE(client.poll_event());
}

TEST_F(StunClientTest, late_and_spurious_timeouts_are_harmless) {
  const TransactionId id = ask();
  client.handle_timeout(t0 + 1h);
  send_once();
  client.handle_timeout(t0 + 1ms);
  EXPECT_FALSE(client.poll_event());
  EXPECT_EQ(client.progress(id)->sends, 1u);
  deliver(t0 + 2ms, response(id));
  EXPECT_TRUE(client.poll_event());
}

}  // namespace
}  // namespace quicmesh
