// The TURN client's core against a real coturn on loopback, over real sockets (S1.43).
//
// Without coturn, or without the ports that it wants, the tests are skipped and say so.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "crypto/system_rng.hpp"
#include "io/event_loop.hpp"
#include "io/file_descriptor.hpp"
#include "io/sockaddr.hpp"
#include "stun/stun_writer.hpp"
#include "turn/turn_client.hpp"
#include "turn/turn_errc.hpp"

namespace quicmesh {
namespace {

using io::EventLoop;
using io::FileDescriptor;
using io::from_kernel;
using io::KernelAddress;
using io::to_kernel;

constexpr const char* coturn = "/usr/bin/turnserver";
constexpr Duration patience = 60s;  // a guard against hanging alone

SocketAddress loopback(std::uint16_t port) {
  return {IpAddress::loopback(IpFamily::v4), port};
}

/// A UDP socket on any port of loopback.
class Socket {
 public:
  Socket() : descriptor_(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    const KernelAddress any = to_kernel(loopback(0));
    EXPECT_EQ(::bind(descriptor_.get(), any.data(), any.size), 0);
    sockaddr_storage own{};
    socklen_t size = sizeof own;
    ::getsockname(descriptor_.get(), reinterpret_cast<sockaddr*>(&own), &size);
    address = from_kernel(reinterpret_cast<const sockaddr*>(&own)).value();
  }
  void send(const SocketAddress& to, ByteView bytes) const {
    const KernelAddress kernel = to_kernel(to);
    ::sendto(descriptor_.get(), bytes.data(), bytes.size(), 0, kernel.data(), kernel.size);
  }
  /// The next datagram within `wait`.
  std::optional<std::pair<SocketAddress, Bytes>> receive(Duration wait) const {
    pollfd watched{descriptor_.get(), POLLIN, 0};
    const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
    if (::poll(&watched, 1, static_cast<int>(milliseconds)) <= 0) return std::nullopt;
    Bytes buffer(2048);
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    const ssize_t got = ::recvfrom(descriptor_.get(), buffer.data(), buffer.size(), 0,
                                   reinterpret_cast<sockaddr*>(&from), &size);
    const auto source = from_kernel(reinterpret_cast<const sockaddr*>(&from));
    if (got < 0 || !source) return std::nullopt;
    buffer.resize(static_cast<std::size_t>(got));
    return std::pair(*source, std::move(buffer));
  }

  SocketAddress address;

 private:
  FileDescriptor descriptor_;
};

/// A coturn of this test, with the user alice and her password.
class Server {
 public:
  explicit Server(std::vector<std::string> more = {}) : more_(std::move(more)) {
    port = Socket().address.port;  // free again
    folder_ = std::filesystem::temp_directory_path() / ("quicmesh-turn-" + std::to_string(port));
    std::filesystem::create_directories(folder_);
    start();
  }
  ~Server() {
    kill();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void start() {
    const std::string at = std::to_string(port);
    std::vector<std::string> arguments{coturn,
                                       "-n",
                                       "--listening-ip=127.0.0.1",
                                       "--relay-ip=127.0.0.1",
                                       "--listening-port=" + at,
                                       "--lt-cred-mech",
                                       "--user=alice:secret",
                                       "--realm=example.org",
                                       "--no-tls",
                                       "--no-dtls",
                                       "--no-cli",
                                       "--allow-loopback-peers",
                                       "--no-tcp",
                                       "--log-file=stdout",
                                       "--pidfile=" + (folder_ / "pid").string(),
                                       "--userdb=" + (folder_ / "db").string(),
                                       "--relay-threads=1"};
    arguments.insert(arguments.end(), more_.begin(), more_.end());
    child_ = ::fork();
    if (child_ == 0) {
      std::vector<char*> raw;
      for (std::string& argument : arguments)
        raw.push_back(argument.data());
      raw.push_back(nullptr);
      const int nothing = ::open("/dev/null", O_RDWR);
      ::dup2(nothing, 0);
      ::dup2(nothing, 1);
      ::dup2(nothing, 2);
      ::execv(coturn, raw.data());
      ::_exit(127);
    }
    await_answer();
  }
  void kill() {
    if (child_ <= 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
    child_ = 0;
  }

  [[nodiscard]] NetworkPath path() const { return {SocketId{0}, {}, loopback(port)}; }

  std::uint16_t port = 0;

 private:
  /// Binding requests until one is answered.
  void await_answer() const {
    const Socket socket;
    std::array<std::uint8_t, 64> buffer{};
    StunWriter writer(buffer, StunClass::request, StunMethod::binding, {});
    for (const Instant until = EventLoop::now() + patience; EventLoop::now() < until;) {
      socket.send(loopback(port), writer.written());
      if (socket.receive(100ms)) return;
    }
    ADD_FAILURE() << "coturn does not start";
  }

  std::vector<std::string> more_;
  std::filesystem::path folder_;
  pid_t child_ = 0;
};

/// A TURN client with its socket, driven until a condition holds.
class Endpoint {
 public:
  explicit Endpoint(const Server& server, std::string password = "secret")
      : password_(std::move(password)) {
    begin_anew(server);
  }
  void begin_anew(const Server& server) {
    client.emplace(TurnConfig{server.path(), "alice", password_}, rng_);
    client->start(EventLoop::now());
  }

  /// False if `done` does not come to hold.
  template <class Done>
  bool run(Done done, Duration limit = patience) {
    for (const Instant until = EventLoop::now() + limit; EventLoop::now() < until;) {
      step(20ms);
      if (done()) return true;
    }
    return false;
  }
  void step(Duration wait) {
    const Instant now = EventLoop::now();
    client->handle_timeout(now);
    while (const auto sent = client->poll_transmit(now, buffer_))
      socket.send(sent->path.remote, ByteView(buffer_).first(sent->size));
    while (auto event = client->poll_event()) {
      if (auto* down = std::get_if<TurnDown>(&*event)) downs.push_back(*down);
      if (auto* up = std::get_if<TurnUp>(&*event)) ups.push_back(*up);
      if (auto* refused = std::get_if<TurnPeerRefused>(&*event)) refusals.push_back(*refused);
    }
    const auto got = socket.receive(wait);
    if (!got) return;
    const NetworkPath path{SocketId{0}, {}, got->first};
    if (!client->is_from_server(path)) return;
    const auto arrival = client->handle_datagram(EventLoop::now(), path, got->second);
    if (!arrival) return;
    const ByteView payload = ByteView(got->second).subspan(arrival->offset, arrival->size);
    received.emplace_back(arrival->peer, to_bytes(payload));
  }
  bool send(const SocketAddress& peer, ByteView payload) {
    std::ranges::copy(payload, buffer_.begin());
    Transmit train{{}, payload.size(), payload.size()};
    if (!client->wrap(EventLoop::now(), peer, train, buffer_)) return false;
    socket.send(train.path.remote, ByteView(buffer_).first(train.size));
    return true;
  }
  /// Until a channel to `peer` is bound.
  bool bind(const SocketAddress& peer) {
    return run([&] {
      (void)client->permit(EventLoop::now(), peer.ip);
      if (!client->is_channel_bound(peer)) (void)send(peer, as_bytes("?"));
      return client->is_channel_bound(peer);
    });
  }

  Socket socket;
  std::vector<TurnUp> ups;
  std::vector<TurnDown> downs;
  std::vector<TurnPeerRefused> refusals;
  std::vector<std::pair<SocketAddress, Bytes>> received;
  std::optional<TurnClient> client;

 private:
  std::string password_;
  SystemRng rng_;
  Bytes buffer_ = Bytes(transmit_buffer_size);
};

class RealTurn : public testing::Test {
 protected:
  void SetUp() override {
    if (::access(coturn, X_OK) != 0) GTEST_SKIP() << "coturn is not installed";
  }
};

TEST_F(RealTurn, a_peer_echoes_through_an_allocation_by_indication_and_by_channel) {
  Server server;
  Endpoint endpoint(server);
  ASSERT_TRUE(endpoint.run([&] { return !endpoint.ups.empty(); }));
  const SocketAddress relayed = endpoint.client->relayed().value();
  EXPECT_EQ(endpoint.ups.at(0).mapped, endpoint.socket.address);
  const Socket peer;
  // By indication: the peer is permitted, and no channel is asked for before something is sent.
  ASSERT_TRUE(endpoint.client->permit(EventLoop::now(), peer.address.ip));
  ASSERT_TRUE(endpoint.run([&] {
    peer.send(relayed, as_bytes("hello"));
    return !endpoint.received.empty();
  }));
  EXPECT_EQ(endpoint.received[0].first, peer.address);
  EXPECT_EQ(endpoint.received[0].second, to_bytes(as_bytes("hello")));
  ASSERT_TRUE(endpoint.send(peer.address, as_bytes("by indication")));
  const auto indicated = peer.receive(patience);
  ASSERT_TRUE(indicated);
  EXPECT_EQ(indicated->first, relayed);
  EXPECT_EQ(indicated->second, to_bytes(as_bytes("by indication")));
  EXPECT_EQ(endpoint.client->counters().sent_by_indication, 1u);

  ASSERT_TRUE(endpoint.bind(peer.address));
  while (peer.receive(20ms)) {
  }
  for (const std::size_t size : {1u, 2u, 3u, 4u, 5u, 1200u, 1400u}) {
    const Bytes data(size, static_cast<std::uint8_t>(size));
    endpoint.received.clear();
    ASSERT_TRUE(endpoint.send(peer.address, data));
    const auto got = peer.receive(patience);
    ASSERT_TRUE(got) << size;
    EXPECT_EQ(got->second, data) << size;
    peer.send(relayed, data);
    ASSERT_TRUE(endpoint.run([&] { return !endpoint.received.empty(); })) << size;
    EXPECT_EQ(endpoint.received[0].second, data) << size;
  }
}

TEST_F(RealTurn, two_clients_talk_between_their_allocations) {
  Server server;
  Endpoint a(server);
  Endpoint b(server);
  ASSERT_TRUE(a.run([&] { return a.client->is_up(); }));
  ASSERT_TRUE(b.run([&] { return b.client->is_up(); }));
  const SocketAddress at_a = a.client->relayed().value();
  const SocketAddress at_b = b.client->relayed().value();
  ASSERT_TRUE(a.bind(at_b));
  ASSERT_TRUE(b.bind(at_a));
  a.received.clear();
  b.received.clear();
  ASSERT_TRUE(a.run([&] {
    (void)a.send(at_b, as_bytes("from a"));
    b.step(5ms);
    return !b.received.empty();
  }));
  EXPECT_EQ(b.received[0].first, at_a);
  ASSERT_TRUE(b.run([&] {
    (void)b.send(at_a, as_bytes("from b"));
    a.step(5ms);
    return !a.received.empty() && a.received.back().second == to_bytes(as_bytes("from b"));
  }));
}

TEST_F(RealTurn, wrong_credentials_are_a_clear_error) {
  Server server;
  Endpoint endpoint(server, "guess");
  ASSERT_TRUE(endpoint.run([&] { return !endpoint.downs.empty(); }));
  EXPECT_EQ(endpoint.downs[0].error, TurnErrc::wrong_credentials);
}

TEST_F(RealTurn, a_restarted_server_gives_a_new_allocation) {
  Server server;
  Endpoint endpoint(server);
  const Socket peer;
  ASSERT_TRUE(endpoint.run([&] { return endpoint.client->is_up(); }));
  ASSERT_TRUE(endpoint.bind(peer.address));
  server.kill();
  server.start();
  endpoint.client->check(EventLoop::now());
  ASSERT_TRUE(endpoint.run([&] { return endpoint.ups.size() == 2; }));
  ASSERT_TRUE(endpoint.bind(peer.address));
  while (peer.receive(20ms)) {
  }
  ASSERT_TRUE(endpoint.send(peer.address, as_bytes("again")));
  const auto got = peer.receive(patience);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->second, to_bytes(as_bytes("again")));
  EXPECT_EQ(got->first, endpoint.client->relayed());
}

TEST_F(RealTurn, stale_nonces_are_replaced) {
  Server server({"--stale-nonce=1"});
  Endpoint endpoint(server);
  ASSERT_TRUE(endpoint.run([&] { return endpoint.client->is_up(); }));
  const Socket peer;
  // The nonce is good for a second; these requests are spread over more.
  for (std::uint8_t i = 1; i <= 2; ++i) {
    (void)endpoint.run([] { return false; }, 1500ms);
    ASSERT_TRUE(endpoint.client->permit(EventLoop::now(), IpAddress::v4({127, 0, 0, i})));
    endpoint.client->check(EventLoop::now());
  }
  ASSERT_TRUE(endpoint.bind(peer.address));
  EXPECT_TRUE(endpoint.downs.empty());
  EXPECT_TRUE(endpoint.refusals.empty());
}

TEST_F(RealTurn, a_second_start_from_the_same_socket_gets_an_allocation) {
  Server server;
  Endpoint endpoint(server);
  ASSERT_TRUE(endpoint.run([&] { return endpoint.client->is_up(); }));
  // The program has forgotten its allocation, and the server has not: 437.
  endpoint.begin_anew(server);
  ASSERT_TRUE(endpoint.run([&] { return endpoint.client->is_up(); }));
  EXPECT_TRUE(endpoint.downs.empty());
}

TEST_F(RealTurn, a_quota_is_told) {
  Server server({"--user-quota=1"});
  Endpoint first(server);
  ASSERT_TRUE(first.run([&] { return first.client->is_up(); }));
  Endpoint second(server);
  ASSERT_TRUE(second.run([&] { return !second.downs.empty(); }));
  EXPECT_EQ(second.downs[0].error, TurnErrc::quota_reached);
}

TEST_F(RealTurn, a_forbidden_peer_is_told) {
  Server server({"--denied-peer-ip=192.0.2.0-192.0.2.255"});
  Endpoint endpoint(server);
  ASSERT_TRUE(endpoint.run([&] { return endpoint.client->is_up(); }));
  ASSERT_TRUE(endpoint.client->permit(EventLoop::now(), IpAddress::v4({192, 0, 2, 1})));
  ASSERT_TRUE(endpoint.run([&] { return !endpoint.refusals.empty(); }));
  EXPECT_EQ(endpoint.refusals[0].error, TurnErrc::forbidden_peer);
  EXPECT_TRUE(endpoint.client->is_up());
}

}  // namespace
}  // namespace quicmesh
