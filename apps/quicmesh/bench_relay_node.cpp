// See bench_relay_node.hpp.
#include "bench_relay_node.hpp"

#include <boost/asio/io_context.hpp>
#include <iostream>

#include "bench_peer.hpp"
#include "io/node_hub.hpp"

namespace quicmesh::cli {
namespace {

constexpr std::uint64_t rate_max = std::uint64_t{4} << 30;

Measured<std::unique_ptr<io::HostedNode>> make_relay(const BenchValues& values,
                                                     std::vector<io::SocketInfo>& infos,
                                                     NodeAddress& address) {
  auto socket = io::UdpSocket::open({IpAddress::loopback(IpFamily::v4), 0}, values.flag("gso"));
  if (!socket) return std::unexpected(describe(socket.error()));
  const SocketAddress local = socket->local();
  infos.push_back({SocketId{0}, local});
  Keypair identity = Keypair::generate();
  address.id = identity.node_id();
  address.addresses.push_back({local.ip.to_string(), local.port});
  std::vector<io::UdpSocket> sockets;
  sockets.push_back(std::move(*socket));
  auto hosted = io::HostedNode::create(QuicConfig{}, std::move(identity), std::move(sockets));
  if (!hosted) return std::unexpected(describe(hosted.error()));
  RelayLimits limits;
  limits.client_bytes_per_s = values.count("client_rate", limits.client_bytes_per_s, rate_max);
  limits.total_bytes_per_s = values.count("total_rate", limits.total_bytes_per_s, rate_max);
  (*hosted)->core().serve_as_relay(limits);
  return std::move(*hosted);
}

}  // namespace

BenchReport run_relay_node(const BenchOptions& options) {
  if (const auto pinned = pin_to_cpu(server_cpu); !pinned) return failed_report(pinned.error());
  auto runtime = Runtime::start();
  if (!runtime) return failed_report(describe(runtime.error()));
  std::vector<io::SocketInfo> infos;
  NodeAddress address;
  auto hosted = make_relay(BenchValues(options), infos, address);
  if (!hosted) return failed_report(hosted.error());
  boost::asio::io_context context(1);  // a relay has nothing to tell its user
  const auto hub = std::make_shared<io::NodeHub>(context.get_executor(), address.id,
                                                 std::move(infos), std::move(*runtime));
  hub->start(std::move(*hosted));
  print_line({{"event", "serving"}, {"address", address.to_string()}});
  for (std::string line; std::getline(std::cin, line);)
    print_line(own_figures());
  const auto ending = hub->shut_down();
  return {own_figures(), 0};
}

}  // namespace quicmesh::cli
