// See bench_coturn.hpp. The two requests are written by hand: a yardstick shares no code with what
// it is the yardstick of.
#include "bench_coturn.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>

#include "base/byte_writer.hpp"
#include "failure.hpp"

namespace quicmesh::cli {
namespace {

constexpr std::uint32_t magic_cookie = 0x2112a442;  // RFC 8489 s5
constexpr std::uint16_t allocate_request = 0x0003;  // RFC 8656 s17
constexpr std::uint16_t channel_bind_request = 0x0009;
constexpr std::uint16_t success_bits = 0x0100;
constexpr std::uint16_t error_bits = 0x0110;
constexpr std::uint16_t attribute_channel_number = 0x000c;
constexpr std::uint16_t attribute_xor_peer_address = 0x0012;
constexpr std::uint16_t attribute_requested_transport = 0x0019;
constexpr std::uint8_t protocol_udp = 17;
constexpr std::uint16_t channel = 0x4000;
constexpr std::size_t channel_header_bytes = 4;
constexpr std::size_t stun_header_bytes = 20;
constexpr int tries = 50;
constexpr int try_ms = 100;

Bytes request_of(std::uint16_t type, ByteView attributes) {
  Bytes request;
  ByteWriter writer(request);
  writer.u16(type);
  writer.u16(static_cast<std::uint16_t>(attributes.size()));
  writer.u32(magic_cookie);
  writer.u64(0x7175'6963'6d65'7368);  // a transaction id; there is one of each type
  writer.u32(type);
  writer.bytes(attributes);
  return request;
}

Bytes channel_bind_attributes(const SocketAddress& peer) {
  Bytes attributes;
  ByteWriter writer(attributes);
  writer.u16(attribute_channel_number);
  writer.u16(4);
  writer.u16(channel);
  writer.u16(0);
  writer.u16(attribute_xor_peer_address);
  writer.u16(8);
  writer.u16(1);  // a byte of zeros, and IPv4
  writer.u16(static_cast<std::uint16_t>(peer.port ^ (magic_cookie >> 16)));
  std::uint32_t ip = 0;
  for (std::size_t i = 0; i < 4; ++i)
    ip = ip << 8 | peer.ip.bytes()[i];
  writer.u32(ip ^ magic_cookie);
  return attributes;
}

Bytes allocate_attributes() {
  Bytes attributes;
  ByteWriter writer(attributes);
  writer.u16(attribute_requested_transport);
  writer.u16(4);
  writer.u32(std::uint32_t{protocol_udp} << 24);
  return attributes;
}

/// Asks again until the server is there and has answered.
Measured<void> ask(int socket, const SocketAddress& server, std::uint16_t type,
                   ByteView attributes) {
  const Bytes request = request_of(type, attributes);
  const io::KernelAddress to = io::to_kernel(server);
  for (int i = 0; i < tries; ++i) {
    (void)::sendto(socket, request.data(), request.size(), 0, to.data(), to.size);
    pollfd wanted{socket, POLLIN, 0};
    if (::poll(&wanted, 1, try_ms) <= 0) continue;
    std::array<std::uint8_t, 2048> answer{};
    const ssize_t size = ::recv(socket, answer.data(), answer.size(), MSG_DONTWAIT);
    if (size < static_cast<ssize_t>(stun_header_bytes)) {
      ::usleep(try_ms * 1000);  // nobody there yet: the port refused the last one
      continue;
    }
    const auto answered = static_cast<std::uint16_t>(answer[0] << 8 | answer[1]);
    if (answered == (type | success_bits)) return {};
    if (answered == (type | error_bits)) {
      return std::unexpected("turnserver refuses a request of type " + std::to_string(type));
    }
    // The answer to an earlier request that was sent twice: this one is sent again.
  }
  return std::unexpected("turnserver does not answer");
}

/// A port that is free now.
Measured<std::uint16_t> free_port() {
  const auto socket = io::UdpSocket::open({IpAddress::loopback(IpFamily::v4), 0});
  if (!socket) return std::unexpected(describe(socket.error()));
  return socket->local().port;
}

}  // namespace

std::string BenchCoturn::program() {
  for (const char* path : {"/usr/bin/turnserver", "/usr/local/bin/turnserver"}) {
    if (::access(path, X_OK) == 0) return path;
  }
  return {};
}

Measured<std::unique_ptr<BenchCoturn>> BenchCoturn::start() {
  const SocketAddress anywhere{IpAddress::loopback(IpFamily::v4), 0};
  auto client = io::UdpSocket::open(anywhere);
  auto peer = io::UdpSocket::open(anywhere);
  if (!client) return std::unexpected(describe(client.error()));
  if (!peer) return std::unexpected(describe(peer.error()));
  auto coturn = std::unique_ptr<BenchCoturn>(new BenchCoturn(std::move(*client), std::move(*peer)));
  if (const auto launched = coturn->launch(); !launched) return std::unexpected(launched.error());
  if (const auto ready = coturn->allocate(); !ready) return std::unexpected(ready.error());
  return coturn;
}

Measured<void> BenchCoturn::launch() {
  std::string folder = (std::filesystem::temp_directory_path() / "quicmesh-coturn-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) return std::unexpected("cannot make a folder");
  folder_ = folder;
  const auto port = free_port();
  if (!port) return std::unexpected(port.error());
  server_ = {IpAddress::loopback(IpFamily::v4), *port};
  auto process = BenchProcess::start({program(),
                                      "-n",
                                      "--no-auth",
                                      "--listening-ip=127.0.0.1",
                                      "--relay-ip=127.0.0.1",
                                      "--listening-port=" + std::to_string(*port),
                                      "--no-tls",
                                      "--no-dtls",
                                      "--no-tcp",
                                      "--no-cli",
                                      "--no-tcp-relay",
                                      "--allow-loopback-peers",
                                      "--relay-threads=1",
                                      "--no-software-attribute",
                                      "--no-rfc5780",
                                      "--no-multicast-peers",
                                      "--realm=bench",
                                      "--userdb=" + folder_ + "/db",
                                      "--pidfile=" + folder_ + "/pid",
                                      "--simple-log",
                                      "--no-stdout-log",
                                      "--log-file=" + folder_ + "/log"});
  if (!process) return std::unexpected(process.error());
  process_ = std::move(*process);
  return {};
}

Measured<void> BenchCoturn::allocate() {
  const int socket = client_.descriptor();
  if (const auto asked = ask(socket, server_, allocate_request, allocate_attributes()); !asked) {
    return asked;
  }
  return ask(socket, server_, channel_bind_request, channel_bind_attributes(peer_.local()));
}

BenchCoturn::~BenchCoturn() {
  process_.reset();
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

LoadFlow BenchCoturn::flow(std::size_t datagram_bytes) const {
  LoadFlow flow{.from = client_.descriptor(), .to = server_, .at = peer_.descriptor()};
  flow.taken_off = channel_header_bytes;
  ByteWriter writer(flow.header);
  writer.u16(channel);
  writer.u16(static_cast<std::uint16_t>(datagram_bytes - channel_header_bytes));
  return flow;
}

}  // namespace quicmesh::cli
