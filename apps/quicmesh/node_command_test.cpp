// Tests of node_command.hpp with a real node on the loopback interface: an exception that leaves
// the event loop destroys the frames of all coroutines wherever they wait, and nothing may refer to
// them, or to the loop, afterwards. The sanitizers judge.
#include "node_command.hpp"

#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>

#include "file_transfer.hpp"
#include "node_fixture.hpp"
#include "operation.hpp"

namespace quicmesh::cli {
namespace {

struct Thrown {};

/// Throws through the event loop, and does not see it.
asio::awaitable<int> throw_through_the_loop() {
  const auto executor = co_await asio::this_coro::executor;
  asio::post(executor, [] { throw Thrown(); });
  auto resting = pause_for(1h);
  co_await std::move(resting);
  co_return exit_done;
}

using NodeCommand = NodeFixture;

TEST_F(NodeCommand, an_exception_leaves_no_acceptor_behind_its_context) {
  EXPECT_THROW((void)run([](NodeHost&, EventSink) { return throw_through_the_loop(); }), Thrown);
}

/// Throws while a file is arriving at `host`.
asio::awaitable<int> throw_while_receiving(NodeHost& host, std::string folder) {
  const auto executor = co_await asio::this_coro::executor;
  Operation receiving{.host = host,
                      .request = {{"cmd", "recv"}, {"out", folder}},
                      .emit = [](const boost::json::object&) {}};
  asio::co_spawn(executor, recv_operation(std::move(receiving)), asio::detached);
  auto starting = Node::start(executor, loopback_config());
  const auto sender = co_await std::move(starting);
  auto address = NodeAddress::parse(host.node()->node_address());
  auto connecting = (*sender)->connect(std::move(*address), file_protocol);
  auto connection = co_await std::move(connecting);
  auto opening = connection->open_stream();
  auto stream = co_await std::move(opening);
  const FileOffer offer{.size = 10, .name = "file"};
  auto offering = stream->write(encode(offer));
  (void)co_await std::move(offering);  // the next read tells
  auto answering = read_frame(*stream);
  const auto answer = co_await std::move(answering);
  EXPECT_TRUE(answer);
  auto throwing = throw_through_the_loop();
  co_return co_await std::move(throwing);
}

TEST_F(NodeCommand, an_exception_while_a_file_arrives_leaves_no_transfer_without_its_stream) {
  EXPECT_THROW(
      (void)run([this](NodeHost& host, EventSink) { return throw_while_receiving(host, folder_); }),
      Thrown);
}

}  // namespace
}  // namespace quicmesh::cli
