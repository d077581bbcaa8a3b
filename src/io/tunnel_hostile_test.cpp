// What strangers do to a relay's TCP port, over real TCP on loopback: every bound of TunnelSet and
// TunnelSocket, reached.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <array>
#include <string>
#include <vector>

#include "io/tunnel_errc.hpp"
#include "io/tunnel_for_tests.hpp"

namespace quicmesh::io {
namespace {

SocketAddress loopback() {
  return {IpAddress::loopback(IpFamily::v4), 0};
}

/// An honest client gets a datagram through.
bool serves(TunnelEnd& relay, const SocketAddress& address) {
  TunnelEnd client;
  client.set->open(client.now, TunnelRequestId{1}, address);
  if (!turn_until({&client, &relay}, [&] { return !client.events.empty(); })) return false;
  if (client.find<TunnelOpened>() == nullptr) return false;
  const std::size_t before = relay.received.size();
  client.send(client.find<TunnelOpened>()->path, Bytes{0x55});
  return turn_until({&client, &relay}, [&] { return relay.received.size() > before; });
}

struct Relay : TunnelEnd {
  using TunnelEnd::TunnelEnd;
  SocketAddress address = set->listen(loopback()).value();
};

TEST(TunnelHostile, what_is_not_tls_is_closed_at_once) {
  const std::string nothing_but_ff(600, '\xff');
  // A record header that announces more than a record may have, and an alert out of place.
  const std::string too_long("\x16\x03\x03\xff\xff", 5);
  const std::string alert("\x15\x03\x03\x00\x02\x02\x28", 7);
  for (const std::string& text : {std::string("GET / HTTP/1.1\r\nHost: relay\r\n\r\n"),
                                  nothing_but_ff, too_long, alert, std::string(64, '\0')}) {
    Relay relay;
    RawClient client(relay.address);
    client.write(text);
    ASSERT_TRUE(turn_until({&relay}, [&] { return client.closed_by_server(); }));
    EXPECT_EQ(relay.set->count(), 0u);
    EXPECT_EQ(relay.set->counters().handshakes_failed, 1u);
    EXPECT_TRUE(serves(relay, relay.address));
  }
}

TEST(TunnelHostile, client_of_another_protocol_over_tls_is_refused) {
  Relay relay;
  RawClient tcp(relay.address);
  (void)::fcntl(tcp.descriptor(), F_SETFL, O_NONBLOCK);
  const Keypair identity = Keypair::generate();
  const auto context = TlsContext::create(identity, {.priorities = "NORMAL",
                                                     .certificate_chain = {},
                                                     .private_key = {},
                                                     .present_certificate = false})
                           .value();
  gnutls_session_t browser = context->new_stream_session(TlsRole::dialler, "http/1.1");
  gnutls_transport_set_int(browser, tcp.descriptor());
  int result = GNUTLS_E_AGAIN;
  ASSERT_TRUE(turn_until({&relay}, [&] {
    if (result == GNUTLS_E_AGAIN) result = gnutls_handshake(browser);
    return result != GNUTLS_E_AGAIN;
  }));
  EXPECT_EQ(result, GNUTLS_E_FATAL_ALERT_RECEIVED);
  EXPECT_EQ(gnutls_alert_get(browser), GNUTLS_A_NO_APPLICATION_PROTOCOL);
  gnutls_deinit(browser);
  turn_some({&relay});
  EXPECT_EQ(relay.set->count(), 0u);
}

TEST(TunnelHostile, slow_handshake_ends_after_ten_seconds_however_many_bytes_trickle) {
  Relay relay;
  RawClient silent(relay.address);
  RawClient trickling(relay.address);
  silent.write("\x16");  // without it the kernel would keep the connection
  const std::string hello("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
  for (char byte : hello) {
    trickling.write(std::string(1, byte));
    relay.now += 800ms;
    turn_some({&relay});
  }
  EXPECT_EQ(relay.set->admission().half_open(), 2u);
  relay.now += 7s;
  turn_some({&relay});
  EXPECT_TRUE(silent.closed_by_server());
  EXPECT_TRUE(trickling.closed_by_server());
  EXPECT_EQ(relay.set->admission().half_open(), 0u);
  EXPECT_EQ(relay.set->counters().handshakes_failed, 2u);
}

TEST(TunnelHostile, records_that_never_form_a_frame_keep_no_tunnel_open) {
  Relay relay;
  TlsClient client(Keypair::generate(), relay.address);
  ASSERT_TRUE(client.shake_hands(relay));
  // A frame of 65,507 bytes is announced, and one byte of it comes every four seconds.
  ASSERT_TRUE(client.write(Bytes{0xff, 0xe3}));
  for (int i = 0; i < 16; ++i) {
    turn_some({&relay});
    ASSERT_FALSE(client.closed_by_server()) << "after " << 4 * i << " s";
    relay.now += 4s;
    if (i < 14) {
      ASSERT_TRUE(client.write(Bytes{1}));
    }
  }
  relay.now += 5s;
  turn_some({&relay});
  EXPECT_TRUE(client.closed_by_server());
  EXPECT_EQ(relay.set->counters().closed_idle, 1u);
  EXPECT_EQ(relay.set->count(), 0u);
}

TEST(TunnelHostile, lengths_out_of_range_end_the_tunnel) {
  for (const Bytes& header : {Bytes{0, 0}, Bytes{0xff, 0xe4}, Bytes{0xff, 0xff}}) {
    Relay relay;
    TlsClient client(Keypair::generate(), relay.address);
    ASSERT_TRUE(client.shake_hands(relay));
    Bytes bytes{0, 1, 0x77};
    bytes.insert(bytes.end(), header.begin(), header.end());
    ASSERT_TRUE(client.write(bytes));
    ASSERT_TRUE(turn_until({&relay}, [&] { return client.closed_by_server(); }));
    EXPECT_EQ(relay.received.size(), 1u);
    EXPECT_EQ(relay.set->counters().closed_bad_frame, 1u);
    EXPECT_EQ(relay.set->count(), 0u);
  }
}

TEST(TunnelHostile, client_that_never_reads_costs_a_bounded_queue_and_is_sent_away) {
  Relay relay;
  TlsClient client(Keypair::generate(), relay.address);
  ASSERT_TRUE(client.shake_hands(relay));
  ASSERT_TRUE(client.write(Bytes{0, 1, 1}));
  ASSERT_TRUE(turn_until({&relay}, [&] { return !relay.received.empty(); }));
  const NetworkPath path = relay.received[0].path;
  const Bytes train(40 * 1200);
  for (int i = 0; i < 1000; ++i) {  // 48 MB; the kernel takes some of them
    relay.send(path, train, 1200);
    if (i % 10 == 0) relay.turn();
    ASSERT_LE(relay.set->budget().queued(), TunnelBudget::queue_max);
  }
  EXPECT_GT(relay.set->counters().datagrams.dropped_full, 20'000u);
  EXPECT_GT(relay.set->budget().queued(), TunnelBudget::queue_max / 2);

  // That frames go on coming from it does not help.
  for (int i = 0; i < 6; ++i) {
    ASSERT_EQ(relay.set->count(), 1u) << "after " << 5 * i << " s";
    if (!client.write(Bytes{0, 1, 1})) break;
    relay.now += 5s;
    relay.turn();
    if (relay.set->count() == 0) break;
  }
  EXPECT_EQ(relay.set->count(), 0u);
  EXPECT_EQ(relay.set->counters().closed_stalled, 1u);
  EXPECT_EQ(relay.set->budget().queued(), 0u);
}

TEST(TunnelBudget, many_full_queues_leave_room_for_one_more) {
  TunnelBudget budget;
  EXPECT_EQ(budget.queue_limit(), TunnelBudget::queue_max);
  std::array<std::size_t, 2048> queues{};
  for (int round = 0; round < 40; ++round) {
    for (std::size_t& queue : queues) {
      const std::size_t limit = budget.queue_limit();
      if (queue >= limit) continue;
      const std::size_t more = std::min<std::size_t>(limit - queue, 16'384);
      queue += more;
      budget.add(more);
    }
  }
  EXPECT_LT(budget.queued(), TunnelBudget::total_max);
  EXPECT_GT(budget.queue_limit(), 16'384u);  // a dozen datagrams for whoever comes next
}

/// The soft limit of descriptors, for as long as it lives.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(rlim_t limit) {
    (void)::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit changed = before_;
    changed.rlim_cur = std::min(limit, before_.rlim_max);
    limit_ = changed.rlim_cur;
    (void)::setrlimit(RLIMIT_NOFILE, &changed);
  }
  ~DescriptorLimit() { (void)::setrlimit(RLIMIT_NOFILE, &before_); }
  DescriptorLimit(const DescriptorLimit&) = delete;
  DescriptorLimit& operator=(const DescriptorLimit&) = delete;
  [[nodiscard]] rlim_t limit() const { return limit_; }

 private:
  rlimit before_{};
  rlim_t limit_ = 0;
};

TEST(TunnelHostile, ten_thousand_half_open_connections_shut_nobody_out) {
  const DescriptorLimit descriptors(12'000);
  if (descriptors.limit() < 12'000) GTEST_SKIP() << "needs 12,000 descriptors";
  // Those of one source first, then from everywhere: all of 127.0.0.0/8 is ours.
  Relay relay;
  std::vector<RawClient> clients;
  clients.reserve(10'000);
  const TunnelLimits limits;
  for (std::size_t i = 0; i < 10'000; ++i) {
    const auto high = static_cast<std::uint8_t>(1 + i / 250);
    const auto low = static_cast<std::uint8_t>(1 + i % 250);
    const IpAddress source =
        i < 1'000 ? IpAddress::v4({127, 9, 9, 9}) : IpAddress::v4({127, 3, high, low});
    clients.emplace_back(relay.address, source);
    ASSERT_TRUE(clients.back().connected()) << i;
    clients.back().write("\x16");
    relay.now += 3ms;
    relay.turn();
    ASSERT_LE(relay.set->admission().half_open(), limits.half_open);
    if (i == 999) {
      turn_some({&relay});
      EXPECT_EQ(relay.set->count(), limits.half_open_of_a_source);
      EXPECT_EQ(relay.set->admission().counters().refused_source,
                1'000u - limits.half_open_of_a_source);
      EXPECT_TRUE(serves(relay, relay.address));
    }
  }
  turn_some({&relay});
  EXPECT_EQ(relay.set->admission().half_open(), limits.half_open);
  EXPECT_GT(relay.set->counters().evicted, 1'000u);
  EXPECT_LE(relay.set->count(), limits.half_open);
  EXPECT_TRUE(serves(relay, relay.address));
  relay.now += TunnelSocket::handshake_patience + TunnelSet::sweep_max;
  turn_some({&relay});
  EXPECT_EQ(relay.set->count(), 0u);
  EXPECT_EQ(relay.set->admission().sources(), 0u);
}

TEST(TunnelHostile, process_without_descriptors_drops_connections_and_recovers) {
  Relay relay;
  std::vector<RawClient> clients;
  for (int i = 0; i < 20; ++i) {
    clients.emplace_back(relay.address);
    clients.back().write("\x16");
    ASSERT_TRUE(clients.back().all_arrived());
  }
  {
    // As many as are open now, found by opening one more.
    const FileDescriptor next(::dup(0));
    const DescriptorLimit none(static_cast<rlim_t>(next.get()));
    relay.turn();
    relay.turn();
    EXPECT_EQ(relay.set->count(), 0u);
    EXPECT_EQ(relay.set->dropped_without_descriptor(), 20u);
    for (RawClient& client : clients)
      EXPECT_TRUE(client.closed_by_server());
  }
  EXPECT_TRUE(serves(relay, relay.address));
}

}  // namespace
}  // namespace quicmesh::io
