// Datagrams, both roles: `02_datagrams` answers each one; `02_datagrams NODEID@host:port` sends a
// hundred and tells how many answers came. Datagrams may be lost, so nobody waits for each.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <iostream>
#include <quicmesh/quicmesh.hpp>

using boost::asio::awaitable;
using quicmesh::Connection;
constexpr auto protocol = "example/datagrams/1";

awaitable<void> answer(Connection flow) {
  while (auto datagram = co_await flow.receive_datagram())
    co_await flow.send_datagram(*datagram);
}

awaitable<void> count_answers(Connection flow, int& answers) {
  for (;;) {
    const auto datagram = co_await flow.receive_datagram();
    if (!datagram) co_return;
    ++answers;
  }
}

awaitable<void> send_hundred(Connection flow) {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
  for (int i = 0; i < 100; ++i) {
    (co_await flow.send_datagram(quicmesh::as_bytes("tick"))).value();
    timer.expires_after(std::chrono::milliseconds(5));
    co_await timer.async_wait(boost::asio::use_awaitable);
  }
}

awaitable<void> run(quicmesh::Executor executor, std::string peer) {
  using namespace boost::asio::experimental::awaitable_operators;
  auto node = (co_await quicmesh::Node::start(executor, quicmesh::Config())).value();
  node->handle_datagrams(protocol, answer).value();
  std::cout << node->node_address() << std::endl;
  while (peer.empty())
    (co_await node->next_event()).value();
  auto address = quicmesh::NodeAddress::parse(peer).value();
  auto flow = (co_await node->connect(address, protocol)).value();
  int answers = 0;
  co_await (send_hundred(flow) || count_answers(flow, answers));
  std::cout << answers << " of 100 came back" << std::endl;
}

int main(int argc, char** argv) {
  boost::asio::io_context context;
  auto on_error = [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  };
  co_spawn(context, run(context.get_executor(), argc > 1 ? argv[1] : ""), on_error);
  context.run();
}
