// Tests of file_inbox.hpp with senders that `quicmesh send` could only be after hours.
#include "file_inbox.hpp"

#include <csignal>
#include <fstream>

#include "base/hex.hpp"
#include "file_name.hpp"
#include "node_fixture.hpp"
#include "operation.hpp"

namespace quicmesh::cli {
namespace {

using FileInboxTest = NodeFixture;

/// Bytes that this process has read so far.
std::uint64_t bytes_read() {
  std::ifstream counters("/proc/self/io");
  std::string name;
  std::uint64_t bytes = 0;
  counters >> name >> bytes;  // "rchar: 123"
  return bytes;
}

/// Offers a file that the inbox holds already, and interrupts this process while it hashes that.
asio::awaitable<int> interrupt_while_hashing(NodeHost& host, FileOffer offer, std::string folder) {
  auto starting = Node::start(co_await asio::this_coro::executor, loopback_config());
  const auto sender = co_await std::move(starting);
  const std::string part =
      folder + "/" + part_file_name("huge", to_hex(offer.hash), (*sender)->id().to_hex());
  std::ofstream(part).close();
  std::filesystem::resize_file(part, offer.size);
  auto address = NodeAddress::parse(host.node()->node_address());
  auto connecting = (*sender)->connect(std::move(*address), file_protocol);
  auto connection = co_await std::move(connecting);
  auto opening = connection->open_stream();
  auto stream = co_await std::move(opening);
  const std::uint64_t before = bytes_read();
  auto offering = stream->write(encode(offer));
  (void)co_await std::move(offering);  // or nothing is read, and the test does not end
  while (bytes_read() < before + (8u << 20)) {
    auto resting = pause_for(10ms);
    co_await std::move(resting);
  }
  std::raise(SIGINT);
  auto resting = pause_for(1h);
  co_await std::move(resting);
  co_return exit_failed;
}

asio::awaitable<int> receive_and_be_interrupted(NodeHost& host, FileOffer offer,
                                                std::string folder) {
  Operation operation{.host = host,
                      .request = {{"cmd", "recv"}, {"out", folder}},
                      .emit = [](const boost::json::object&) {}};
  auto receiving = recv_operation(std::move(operation));
  auto interrupting = interrupt_while_hashing(host, std::move(offer), std::move(folder));
  using namespace asio::experimental::awaitable_operators;
  auto race = std::move(receiving) || std::move(interrupting);
  (void)co_await std::move(race);
  co_return exit_failed;
}

TEST_F(FileInboxTest, one_interrupt_is_enough_while_it_hashes_what_it_holds) {
  // Without a block on the disk; hashing all of it would take an hour.
  constexpr std::uint64_t size = std::uint64_t{4} << 40;
  const FileOffer offer{.size = size, .hash = {}, .name = "huge"};
  const std::string part = folder_ + "/.try";
  std::ofstream(part).close();
  std::error_code error;
  std::filesystem::resize_file(part, size, error);
  if (error) GTEST_SKIP() << "no such large files here: " << error.message();
  EXPECT_EQ(run([&](NodeHost& host, EventSink) {
              return receive_and_be_interrupted(host, offer, folder_);
            }),
            exit_interrupted);
}

}  // namespace
}  // namespace quicmesh::cli
