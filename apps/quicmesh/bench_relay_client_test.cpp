// What a relay forwards over real sockets arrives whole, in order and unchanged, whether it came in
// trains or one by one (the datagrams of `bench relay` go the same way).
#include "bench_relay_client.hpp"

#include <poll.h>
#include <sys/socket.h>

#include "bench_relay.hpp"
#include "node_fixture.hpp"

namespace quicmesh::cli {
namespace {

constexpr int patience_ms = 10'000;

/// The first of three clients has a session with each other.
struct Clients {
  BenchRelayClients all;
  LoadFlow to_one;
  LoadFlow to_other;
};

void connect(const NodeAddress& relay, Clients& clients) {
  auto started = start_relay_clients(relay, 3);
  ASSERT_TRUE(started.has_value()) << started.error();
  clients.all = std::move(*started);
  const auto open = open_sessions(clients.all, {{0, 1}, {0, 2}});
  ASSERT_TRUE(open.has_value()) << open.error();
  clients.to_one = relayed_pair(clients.all, {0, 1})->there;
  clients.to_other = relayed_pair(clients.all, {0, 2})->there;
}

Bytes frame(const LoadFlow& flow, std::size_t number, std::size_t size) {
  Bytes bytes(size, static_cast<std::uint8_t>(number));
  std::ranges::copy(flow.header, bytes.begin());
  return bytes;
}

void send(const LoadFlow& flow, const Bytes& bytes) {
  const io::KernelAddress to = io::to_kernel(flow.to);
  ASSERT_EQ(::sendto(flow.from, bytes.data(), bytes.size(), 0, to.data(), to.size),
            static_cast<ssize_t>(bytes.size()));
}

/// The next `count` frames that come to `client`, cut apart again.
std::vector<Bytes> receive(BenchRelayClient& client, std::uint8_t mark, std::size_t count) {
  std::vector<Bytes> frames;
  Bytes buffer(io::UdpSocket::receive_buffer_size);
  pollfd waiting{client.descriptor(), POLLIN, 0};
  while (frames.size() < count && ::poll(&waiting, 1, patience_ms) > 0) {
    const auto train = client.socket().receive(buffer);
    if (!train) continue;
    for (std::size_t at = 0; at < train->size; at += train->segment_size) {
      const std::size_t size = std::min(train->segment_size, train->size - at);
      if (buffer[at] == mark) frames.push_back(to_bytes(ByteView(buffer).subspan(at, size)));
    }
  }
  return frames;
}

class RelayForwarding : public NodeFixture {
 protected:
  /// Runs `check` with clients of a relay, whose network thread works meanwhile.
  void with_relay(const std::function<void(Clients&)>& check) const {
    EXPECT_EQ(run([&](NodeHost&, const EventSink&) { return serve(check); }), exit_done);
  }

 private:
  static asio::awaitable<int> serve(std::function<void(Clients&)> check) {
    Config config = loopback_config();
    config.serve_as_relay = true;
    const auto executor = co_await asio::this_coro::executor;
    auto starting = Node::start(executor, std::move(config));
    const auto relay = co_await std::move(starting);
    EXPECT_TRUE(relay);
    Clients clients;
    connect(*NodeAddress::parse((*relay)->node_address()), clients);
    if (!clients.to_other.header.empty()) check(clients);
    leave_relay(clients.all);
    auto closing = (*relay)->close();
    (void)co_await std::move(closing);  // it has done its part
    co_return exit_done;
  }
};

TEST_F(RelayForwarding, frames_that_come_singly_arrive_in_order_and_whole) {
  with_relay([](Clients& clients) {
    std::vector<Bytes> sent;
    for (std::size_t i = 0; i < 200; ++i) {
      // Runs of one size, with a shorter one now and then.
      sent.push_back(frame(clients.to_one, i, i % 23 == 22 ? 90 : 1200 - 100 * (i / 70)));
      send(clients.to_one, sent.back());
    }
    EXPECT_EQ(receive(*clients.all[1], clients.to_one.mark, sent.size()), sent);
  });
}

TEST_F(RelayForwarding, frames_of_two_sessions_among_each_other_arrive_where_they_belong) {
  with_relay([](Clients& clients) {
    std::vector<Bytes> to_one;
    std::vector<Bytes> to_other;
    for (std::size_t i = 0; i < 200; ++i) {
      const bool one = i % 3 != 0;
      auto& sent = one ? to_one : to_other;
      sent.push_back(frame(one ? clients.to_one : clients.to_other, i, 700));
      send(one ? clients.to_one : clients.to_other, sent.back());
    }
    EXPECT_EQ(receive(*clients.all[1], clients.to_one.mark, to_one.size()), to_one);
    EXPECT_EQ(receive(*clients.all[2], clients.to_other.mark, to_other.size()), to_other);
  });
}

TEST_F(RelayForwarding, a_train_arrives_whole) {
  with_relay([](Clients& clients) {
    const LoadShape shape{.datagram_bytes = 1000, .segments = 40};
    for (int i = 0; i < 3; ++i)
      ASSERT_TRUE(LoadTrain(clients.to_one, shape).send());
    const auto arrived = receive(*clients.all[1], clients.to_one.mark, 120);
    EXPECT_EQ(arrived, std::vector<Bytes>(120, frame(clients.to_one, 0, 1000)));
  });
}

}  // namespace
}  // namespace quicmesh::cli
