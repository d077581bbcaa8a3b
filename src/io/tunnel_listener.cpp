// See tunnel_listener.hpp.
#include "io/tunnel_listener.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <utility>

#include "io/sockaddr.hpp"
#include "io/system_error.hpp"
#include "quicmesh/io_errc.hpp"

namespace quicmesh::io {
namespace {

FileDescriptor any_descriptor() {
  return FileDescriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

/// A node listens on UDP addresses too: whoever reads the error must see which is meant.
std::error_code listen_error(int error_number) {
  const std::error_code error = socket_error(error_number);
  if (error == IoErrc::address_in_use) return IoErrc::tcp_address_in_use;
  if (error == IoErrc::permission_denied) return IoErrc::tcp_permission_denied;
  if (error == IoErrc::no_such_address) return IoErrc::tcp_no_such_address;
  return error;
}

}  // namespace

TunnelListener::TunnelListener(FileDescriptor descriptor, const SocketAddress& local)
    : descriptor_(std::move(descriptor)), reserve_(any_descriptor()), local_(local) {}

Result<TunnelListener> TunnelListener::open(const SocketAddress& local) {
  const bool v6 = local.ip.family() == IpFamily::v6;
  const int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  FileDescriptor descriptor(::socket(v6 ? AF_INET6 : AF_INET, type, 0));
  if (!descriptor) return failure(socket_error(errno));
  const int on = 1;
  // A relay that is restarted finds its port held by connections of its former life otherwise.
  (void)::setsockopt(descriptor.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  (void)::setsockopt(descriptor.get(), IPPROTO_TCP, TCP_DEFER_ACCEPT, &silent_seconds,
                     sizeof silent_seconds);
  if (v6) (void)::setsockopt(descriptor.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  const KernelAddress wanted = to_kernel(local);
  if (::bind(descriptor.get(), wanted.data(), wanted.size) != 0 ||
      ::listen(descriptor.get(), backlog) != 0) {
    return failure(listen_error(errno));
  }
  KernelAddress bound;
  bound.size = sizeof bound.storage;
  if (::getsockname(descriptor.get(), bound.data(), &bound.size) != 0) {
    return failure(socket_error(errno));
  }
  return TunnelListener(std::move(descriptor), from_kernel(bound.data()).value_or(local));
}

std::optional<TunnelListener::Accepted> TunnelListener::accept() {
  for (;;) {
    KernelAddress remote;
    remote.size = sizeof remote.storage;
    FileDescriptor accepted(
        ::accept4(descriptor(), remote.data(), &remote.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (accepted) {
      const auto address = from_kernel(remote.data());
      if (!address) continue;
      return Accepted{std::move(accepted), *address};
    }
    if ((errno == EMFILE || errno == ENFILE) && reserve_) {
      reserve_ = {};
      accepted = FileDescriptor(::accept4(descriptor(), nullptr, nullptr, SOCK_CLOEXEC));
      const bool dropped = static_cast<bool>(accepted);
      accepted = {};
      reserve_ = any_descriptor();
      if (!dropped) return std::nullopt;
      ++dropped_;
      continue;
    }
    // Errors of a connection that is gone already are passed over; it is out of the backlog.
    if (errno == ECONNABORTED || errno == EINTR || errno == EPROTO) continue;
    return std::nullopt;
  }
}

}  // namespace quicmesh::io
