// NAT-PMP and UPnP against gateways on loopback that lie, hang, or talk without end. The real one
// (miniupnpd) is in tests/netns/port_mapping_test.py.
#include "io/gateway_protocol.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "io/event_loop.hpp"
#include "io/file_descriptor.hpp"
#include "io/http_exchange.hpp"
#include "io/sockaddr.hpp"
#include "nat/port_mapping_errc.hpp"

namespace quicmesh::io {
namespace {

// An address of this process alone in 127.0.0.0/8, so that the well-known ports there are free.
const IpAddress router = IpAddress::v4(
    {127, static_cast<std::uint8_t>(64 + (::getpid() >> 16) % 64),
     static_cast<std::uint8_t>(::getpid() >> 8), static_cast<std::uint8_t>(1 + ::getpid() % 254)});
const DefaultGateway gateway{router, IpAddress::loopback(IpFamily::v4)};

/// Answers datagrams and HTTP requests on the router's address, on a thread of its own. What it is
/// to answer is called under a lock; `locked` changes what that reads.
class FakeGateway {
 public:
  using Datagram = std::function<std::string(std::string_view)>;
  /// What a connection is sent; empty: nothing, until the client goes. `hang_up`: it is closed.
  static constexpr std::string_view hang_up = "\001";
  using Http = std::function<std::string(std::string_view request)>;

  FakeGateway(Datagram nat_pmp, Datagram ssdp, Http http)
      : nat_pmp_(std::move(nat_pmp)), ssdp_(std::move(ssdp)), http_(std::move(http)) {
    udp_[0] = bound(SOCK_DGRAM, 5351);
    udp_[1] = bound(SOCK_DGRAM, 1900);
    listener_ = bound(SOCK_STREAM, 0);
    EXPECT_EQ(::listen(listener_.get(), 8), 0);
    sockaddr_in own{};
    socklen_t size = sizeof own;
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&own), &size);
    port = ntohs(own.sin_port);
  }
  void start() {
    thread_ = std::thread([this] { run(); });
  }
  ~FakeGateway() {
    stopping_ = true;
    thread_.join();
  }

  template <class Change>
  void locked(Change&& change) {
    const std::lock_guard lock(mutex_);
    change();
  }

  [[nodiscard]] std::string ssdp_answer(const std::string& host) const {
    return "HTTP/1.1 200 OK\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n"
           "LOCATION: http://" +
           host + ":" + std::to_string(port) + "/d.xml\r\n\r\n";
  }

  std::uint16_t port = 0;
  std::atomic<int> http_requests = 0;
  std::atomic<std::size_t> bytes_sent = 0;

 private:
  static FileDescriptor bound(int type, std::uint16_t at) {
    FileDescriptor socket(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
    const int on = 1;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const KernelAddress address = to_kernel({router, at});
    EXPECT_EQ(::bind(socket.get(), address.data(), address.size), 0) << at;
    return socket;
  }

  void run() {
    while (!stopping_) {
      std::array<pollfd, 3> watched{
          {{udp_[0].get(), POLLIN, 0}, {udp_[1].get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}}};
      if (::poll(watched.data(), watched.size(), 10) <= 0) continue;
      if (watched[0].revents != 0) answer(udp_[0], nat_pmp_);
      if (watched[1].revents != 0) answer(udp_[1], ssdp_);
      if (watched[2].revents != 0) serve();
    }
  }
  void answer(const FileDescriptor& socket, const Datagram& make) {
    std::array<char, 2048> buffer;
    sockaddr_in from{};
    socklen_t size = sizeof from;
    const ssize_t got = ::recvfrom(socket.get(), buffer.data(), buffer.size(), 0,
                                   reinterpret_cast<sockaddr*>(&from), &size);
    if (got < 0 || !make) return;
    std::string text;
    locked([&] { text = make({buffer.data(), static_cast<std::size_t>(got)}); });
    if (text.empty()) return;
    ::sendto(socket.get(), text.data(), text.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
  }
  void serve() {
    const FileDescriptor client(::accept(listener_.get(), nullptr, nullptr));
    ++http_requests;
    std::array<char, 8192> buffer;
    const ssize_t got = ::recv(client.get(), buffer.data(), buffer.size(), 0);
    std::string text;
    locked([&] {
      if (http_) text = http_({buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0))});
    });
    if (text == hang_up) return;
    std::size_t sent = 0;
    while (sent < text.size()) {
      const ssize_t one =
          ::send(client.get(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (one <= 0) break;
      sent += static_cast<std::size_t>(one);
      bytes_sent += static_cast<std::size_t>(one);
    }
    // Who is silent holds the connection open until the client gives up.
    while (text.empty() && !stopping_) {
      pollfd watched{client.get(), POLLIN, 0};
      if (::poll(&watched, 1, 10) > 0 && ::recv(client.get(), buffer.data(), buffer.size(), 0) <= 0)
        break;
    }
  }

  Datagram nat_pmp_;
  Datagram ssdp_;
  Http http_;
  std::array<FileDescriptor, 2> udp_;
  FileDescriptor listener_;
  std::mutex mutex_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

Patience patience(Duration time = 60s) {
  return {EventLoop::now() + time, -1};
}

std::string binary(std::initializer_list<int> bytes) {
  std::string text;
  for (const int byte : bytes)
    text += static_cast<char>(byte);
  return text;
}

constexpr PortMappingKeeper::AskMapping ask_4433{4433, 4433};

std::string http_ok(std::string_view body) {
  return "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\nConnection: close\r\n\r\n" + std::string(body);
}

const std::string description =
    "<root><device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType>"
    "<serviceList><service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</"
    "serviceType>"
    "<controlURL>/ctl</controlURL></service></serviceList></device></root>";

TEST(NatPmp, takes_what_was_asked_for_and_nothing_else) {
  int answers = 0;
  FakeGateway fake(
      [&](std::string_view request) {
        if (request.size() == 2) return binary({0, 128, 0, 0, 0, 0, 0, 7, 8, 8, 8, 8});
        // First the mapping of another port, then the right one.
        const int port = ++answers == 1 ? 1 : 0x1151;
        return binary({0, 129, 0, 0, 0, 0, 0, 7, port >> 8, port & 255, 0x20, 0x01, 0, 0, 2, 0});
      },
      nullptr, nullptr);
  fake.start();
  const auto protocol = make_nat_pmp(gateway);
  const auto status = protocol->status({}, patience());
  ASSERT_TRUE(status);
  EXPECT_EQ(status->external.to_string(), "8.8.8.8");
  EXPECT_EQ(status->epoch_s, 7u);
  const auto mapping = protocol->map(ask_4433, patience());
  ASSERT_TRUE(mapping);
  EXPECT_EQ(mapping->external_port, 0x2001);
  EXPECT_EQ(mapping->lifetime, 512s);
  fake.locked([&] { EXPECT_EQ(answers, 2); });
}

TEST(NatPmp, refusals_and_rubbish_are_errors) {
  std::string answer;
  FakeGateway fake([&](std::string_view) { return answer; }, nullptr, nullptr);
  fake.start();
  const auto protocol = make_nat_pmp(gateway);
  fake.locked([&] { answer = binary({0, 129, 0, 2, 0, 0, 0, 7, 0x11, 0x51, 0, 0, 0, 0, 0, 0}); });
  EXPECT_EQ(protocol->map(ask_4433, patience()).error(), PortMappingErrc::not_authorized);
  fake.locked([&] { answer = binary({0, 129, 0, 4, 0, 0, 0, 7, 0x11, 0x51, 0, 0, 0, 0, 0, 0}); });
  EXPECT_EQ(protocol->map(ask_4433, patience()).error(), PortMappingErrc::out_of_resources);
  fake.locked([&] { answer = std::string(200, '\xff'); });
  EXPECT_FALSE(protocol->map(ask_4433, patience()));
  EXPECT_FALSE(protocol->status({}, patience()));
  fake.locked([&] { answer = binary({0}); });
  EXPECT_FALSE(protocol->status({}, patience(1s)));
}

TEST(NatPmp, a_silent_gateway_is_given_up) {
  FakeGateway fake([](std::string_view) { return std::string(); }, nullptr, nullptr);
  fake.start();
  const auto protocol = make_nat_pmp(gateway);
  EXPECT_EQ(protocol->status({}, patience()).error(), PortMappingErrc::no_answer);
}

TEST(NatPmp, waiting_can_be_interrupted) {
  FakeGateway fake([](std::string_view) { return std::string(); }, nullptr, nullptr);
  fake.start();
  const FileDescriptor event(::eventfd(1, EFD_CLOEXEC));
  const auto protocol = make_nat_pmp(gateway);
  EXPECT_EQ(protocol->status({}, {EventLoop::now() + 60s, event.get()}).error(),
            PortMappingErrc::interrupted);
}

TEST(UpnpIgd, maps_and_notices_what_the_gateway_forgot) {
  bool forgotten = false;
  FakeGateway* self = nullptr;
  FakeGateway fake(
      nullptr, [&](std::string_view) { return self->ssdp_answer(router.to_string()); },
      [&](std::string_view request) {
        if (request.starts_with("GET /d.xml")) return http_ok(description);
        if (request.find("#GetExternalIPAddress") != std::string_view::npos) {
          return http_ok("<e><NewExternalIPAddress>8.8.8.8</NewExternalIPAddress></e>");
        }
        if (request.find("#GetSpecific") != std::string_view::npos && forgotten) {
          return std::string("HTTP/1.1 500 Error\r\nConnection: close\r\n\r\n") +
                 "<e><errorCode>714</errorCode></e>";
        }
        return http_ok("<e><NewInternalClient>127.0.0.1</NewInternalClient></e>");
      });
  self = &fake;
  fake.start();
  const auto protocol = make_upnp_igd(gateway);
  auto status = protocol->status({}, patience());
  ASSERT_TRUE(status) << status.error().message();
  EXPECT_EQ(status->external.to_string(), "8.8.8.8");
  const auto mapping = protocol->map(ask_4433, patience());
  ASSERT_TRUE(mapping);
  EXPECT_EQ(mapping->external_port, 4433);
  const std::array held{HeldMapping{4433, 4433, 1h, {}}};
  EXPECT_FALSE(protocol->status(held, patience())->mappings_lost);
  fake.locked([&] { forgotten = true; });
  EXPECT_TRUE(protocol->status(held, patience())->mappings_lost);
}

TEST(UpnpIgd, an_answer_that_points_elsewhere_is_not_followed) {
  FakeGateway* self = nullptr;
  FakeGateway fake(
      nullptr, [&](std::string_view) { return self->ssdp_answer("127.0.0.1"); }, nullptr);
  self = &fake;
  fake.start();
  const auto protocol = make_upnp_igd(gateway);
  EXPECT_EQ(protocol->status({}, patience()).error(), PortMappingErrc::foreign_address);
  EXPECT_EQ(fake.http_requests, 0);
}

/// What comes of a gateway that answers HTTP like this.
std::error_code status_error(FakeGateway::Http http, Duration time, std::size_t* bytes = nullptr) {
  FakeGateway* self = nullptr;
  FakeGateway fake(
      nullptr, [&](std::string_view) { return self->ssdp_answer(router.to_string()); },
      std::move(http));
  self = &fake;
  fake.start();
  const auto protocol = make_upnp_igd(gateway);
  const auto status = protocol->status({}, patience(time));
  if (bytes != nullptr) *bytes = fake.bytes_sent;
  return status ? std::error_code() : status.error();
}

TEST(UpnpIgd, endless_answers_are_cut_off) {
  const std::string megabytes(32u << 20, 'x');
  for (const std::string& head :
       {"HTTP/1.1 200 OK\r\n\r\n" + megabytes,
        "HTTP/1.1 200 OK\r\nContent-Length: 33554432\r\n\r\n" + megabytes,
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n" + megabytes,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2000000\r\n" + megabytes,
        "HTTP/1.1 200 OK\r\nX: " + megabytes}) {
    std::size_t bytes = 0;
    const auto error = status_error([&](std::string_view) { return head; }, 60s, &bytes);
    EXPECT_TRUE(error == PortMappingErrc::answer_too_large ||
                error == PortMappingErrc::malformed_answer)
        << head.substr(0, 60) << error.message();
    EXPECT_LT(bytes, 16u << 20) << "what the kernel had room for";
  }
}

TEST(UpnpIgd, rubbish_is_an_error) {
  for (const std::string& answer :
       {std::string("\0\1\2", 3), std::string("HTTP/1.1 999999 OK\r\n\r\n"), http_ok(""),
        http_ok("<root>"), std::string("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
        std::string("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"), std::string("H"),
        std::string(FakeGateway::hang_up)}) {
    EXPECT_EQ(status_error([&](std::string_view) { return answer; }, 60s),
              PortMappingErrc::malformed_answer)
        << answer;
  }
}

TEST(UpnpIgd, a_gateway_that_hangs_is_given_up) {
  EXPECT_EQ(status_error(nullptr, 2s), PortMappingErrc::no_answer);
}

TEST(UpnpIgd, a_machine_that_is_not_there_is_given_up) {
  const auto protocol = make_upnp_igd(gateway);
  EXPECT_EQ(protocol->status({}, patience(2s)).error(), PortMappingErrc::no_answer);
}

}  // namespace
}  // namespace quicmesh::io
