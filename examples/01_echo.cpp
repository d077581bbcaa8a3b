// Echo, both roles: `01_echo` waits and prints its address, `01_echo NODEID@host:port` says hello.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <iostream>
#include <quicmesh/quicmesh.hpp>

namespace qm = quicmesh;

boost::asio::awaitable<void> echo(qm::Stream stream) {
  while (auto chunk = co_await stream.read()) {
    if (chunk->empty()) break;
    co_await stream.write(std::move(*chunk));
  }
  co_await stream.finish();
}

qm::Task<std::string> run(qm::Executor executor, std::string peer) {
  auto node = (co_await qm::Node::start(executor, qm::Config())).value();
  node->handle("example/echo/1", echo).value();
  std::cout << node->node_address() << std::endl;
  while (peer.empty())
    (co_await node->next_event()).value();
  auto connection = co_await node->connect(qm::NodeAddress::parse(peer).value(), "example/echo/1");
  if (!connection) co_return qm::failure(connection.error());
  auto stream = (co_await connection->open_stream()).value();
  co_await stream.write("hello");
  co_await stream.finish();
  auto answer = co_await stream.read_all(100);
  co_return answer ? qm::Result<std::string>(qm::as_text(*answer)) : qm::failure(answer.error());
}

int main(int argc, char** argv) {
  boost::asio::io_context context;
  auto done = [](std::exception_ptr, qm::Result<std::string> result) {
    std::cout << (result ? *result : qm::describe(result.error())) << '\n';
  };
  boost::asio::co_spawn(context, run(context.get_executor(), argc > 1 ? argv[1] : ""), done);
  context.run();
}
