// Echo, both roles: `01_echo` waits and prints its address, `01_echo NODEID@host:port` says hello.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include <iostream>
#include <quicmesh/quicmesh.hpp>

boost::asio::awaitable<void> echo(quicmesh::Stream stream) {
  auto chunk = co_await stream.read();
  for (; chunk && !chunk->empty(); chunk = co_await stream.read())
    co_await stream.write(std::move(*chunk));
  co_await stream.finish();
}

boost::asio::awaitable<void> run(quicmesh::Executor executor, std::string peer) {
  auto node = (co_await quicmesh::Node::start(executor, quicmesh::Config())).value();
  node->handle("example/echo/1", echo).value();
  std::cout << node->node_address() << std::endl;
  while (peer.empty())
    (co_await node->next_event()).value();
  auto address = quicmesh::NodeAddress::parse(peer).value();
  auto connection = (co_await node->connect(address, "example/echo/1")).value();
  auto stream = (co_await connection.open_stream()).value();
  co_await stream.write("hello");
  co_await stream.finish();
  std::cout << quicmesh::as_text((co_await stream.read_all(100)).value()) << std::endl;
}

int main(int argc, char** argv) {
  boost::asio::thread_pool pool(1);
  auto running = run(pool.get_executor(), argc > 1 ? argv[1] : "");
  co_spawn(pool, std::move(running), boost::asio::use_future).get();
}
