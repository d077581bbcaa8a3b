// Echo, both roles: `01_echo` waits and prints its address, `01_echo NODEID@host:port` says hello.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <iostream>
#include <quicmesh/quicmesh.hpp>

boost::asio::awaitable<void> echo(quicmesh::Stream stream) {
  for (auto chunk = co_await stream.read(); chunk && !chunk->empty();
       chunk = co_await stream.read())
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
  boost::asio::io_context context;
  auto on_error = [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  };
  co_spawn(context, run(context.get_executor(), argc > 1 ? argv[1] : ""), on_error);
  context.run();
}
