// Tests of node_command.hpp with a real node on the loopback interface: an exception that leaves
// the event loop destroys the frames of all coroutines wherever they wait, and nothing may refer to
// them, or to the loop, afterwards. The sanitizers judge.
#include "node_command.hpp"

#include <boost/asio/post.hpp>

#include "node_fixture.hpp"

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

}  // namespace
}  // namespace quicmesh::cli
