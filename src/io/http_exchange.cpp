// See http_exchange.hpp. Boost.Beast parses, upon a plain socket: its limits count decoded bytes.
#include "io/http_exchange.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <span>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "io/file_descriptor.hpp"
#include "io/sockaddr.hpp"
#include "nat/port_mapping_errc.hpp"

namespace quicmesh::io {
namespace {

namespace http = boost::beast::http;

Result<void> await(int socket, short events, const Patience& patience) {
  switch (wait_for(socket, events, patience)) {
    case Waited::ready:
      return {};
    case Waited::interrupted:
      return failure(PortMappingErrc::interrupted);
    case Waited::late:
      break;
  }
  return failure(PortMappingErrc::no_answer);
}

Result<FileDescriptor> connect(const SocketAddress& server, const Patience& patience) {
  const int family = server.ip.family() == IpFamily::v4 ? AF_INET : AF_INET6;
  FileDescriptor socket(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return failure(PortMappingErrc::no_answer);
  const KernelAddress to = to_kernel(server);
  if (::connect(socket.get(), to.data(), to.size) == 0) return socket;
  if (errno != EINPROGRESS) return failure(PortMappingErrc::no_answer);
  if (const auto ready = await(socket.get(), POLLOUT, patience); !ready) {
    return failure(ready.error());
  }
  int error = 0;
  socklen_t size = sizeof error;
  (void)::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return failure(PortMappingErrc::no_answer);
  return socket;
}

Result<void> send_all(int socket, std::string_view data, const Patience& patience) {
  while (!data.empty()) {
    const ssize_t sent = ::send(socket, data.data(), data.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      data.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN || errno == EINTR) {
      if (const auto ready = await(socket, POLLOUT, patience); !ready) return ready;
    } else {
      return failure(PortMappingErrc::no_answer);
    }
  }
  return {};
}

/// The next bytes; none at the end of the stream.
Result<std::size_t> receive(int socket, std::span<char> buffer, const Patience& patience) {
  for (;;) {
    const ssize_t got = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EAGAIN && errno != EINTR) return failure(PortMappingErrc::no_answer);
    if (const auto ready = await(socket, POLLIN, patience); !ready) return failure(ready.error());
  }
}

std::error_code error_of(const boost::beast::error_code& error) {
  const bool large = error == http::error::body_limit || error == http::error::header_limit;
  return large ? PortMappingErrc::answer_too_large : PortMappingErrc::malformed_answer;
}

}  // namespace

Result<HttpAnswer> http_exchange(const SocketAddress& server, std::string_view request,
                                 const Patience& patience) {
  auto socket = connect(server, patience);
  if (!socket) return failure(socket.error());
  if (const auto sent = send_all(socket->get(), request, patience); !sent) {
    return failure(sent.error());
  }
  http::response_parser<http::string_body> parser;
  parser.header_limit(http_head_max);
  parser.body_limit(http_body_max);
  parser.eager(true);
  std::string unparsed;  // a head may come in pieces
  std::array<char, 4096> buffer;
  std::size_t total = 0;
  boost::beast::error_code error;
  while (!parser.is_done()) {
    const auto got = receive(socket->get(), buffer, patience);
    if (!got) return failure(got.error());
    if (*got == 0) {
      if (!parser.got_some()) return failure(PortMappingErrc::malformed_answer);
      parser.put_eof(error);
      if (error || !parser.is_done()) return failure(PortMappingErrc::malformed_answer);
      break;
    }
    total += *got;
    if (total > http_bytes_max) return failure(PortMappingErrc::answer_too_large);
    unparsed.append(buffer.data(), *got);
    const std::size_t used = parser.put(boost::asio::buffer(unparsed), error);
    unparsed.erase(0, used);
    if (error && error != http::error::need_more) return failure(error_of(error));
  }
  return HttpAnswer{parser.get().result_int(), std::move(parser.get().body())};
}

}  // namespace quicmesh::io
