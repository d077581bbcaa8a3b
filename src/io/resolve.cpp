// See resolve.hpp.
#include "io/resolve.hpp"

#include <string>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "io/sockaddr.hpp"
#include "quicmesh/io_errc.hpp"

namespace quicmesh::io {
namespace asio = boost::asio;

Task<std::vector<SocketAddress>> resolve(HostPort host) {
  if (const auto literal = host.literal()) {
    co_return std::vector<SocketAddress>(1, *literal);
  }
  const Executor executor = co_await asio::this_coro::executor;
  asio::ip::udp::resolver resolver(executor);
  const std::string port = std::to_string(host.port);
  constexpr auto token = asio::as_tuple(asio::use_awaitable);
  auto asking =
      resolver.async_resolve(host.host, port, asio::ip::udp::resolver::numeric_service, token);
  const auto [error, results] = co_await std::move(asking);
  if (error == asio::error::operation_aborted) {
    co_return failure(std::make_error_code(std::errc::operation_canceled));
  }
  if (error == asio::error::host_not_found || error == asio::error::no_data) {
    co_return failure(IoErrc::name_not_found);
  }
  if (error) co_return failure(IoErrc::name_service_failed);
  std::vector<SocketAddress> addresses;
  for (const auto& result : results) {
    if (addresses.size() >= NodeAddress::addresses_max) break;
    const auto endpoint = result.endpoint();
    if (const auto address = from_kernel(endpoint.data())) addresses.push_back(*address);
  }
  if (addresses.empty()) co_return failure(IoErrc::name_not_found);
  co_return addresses;
}

}  // namespace quicmesh::io
