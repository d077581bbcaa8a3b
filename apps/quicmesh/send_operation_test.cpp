// Tests of send_operation.cpp against receivers that behave as `quicmesh recv` hardly ever does.
#include <fstream>

#include <boost/json/object.hpp>

#include "file_transfer.hpp"
#include "node_fixture.hpp"
#include "operation.hpp"

namespace quicmesh::cli {
namespace {

constexpr std::size_t file_bytes = 8u << 20;

/// Takes the file, and says by a verdict in two pieces, before and after the data, that it does
/// not.
asio::awaitable<void> refuse_in_two_pieces(Stream stream) {
  auto reading_offer = read_frame(stream);
  (void)co_await std::move(reading_offer);  // the sender's code is what the test judges
  auto answering = stream.write(encode(FileAnswer()));
  (void)co_await std::move(answering);
  auto reading_begin = read_frame(stream);
  (void)co_await std::move(reading_begin);
  const Bytes verdict = encode(FileVerdict{.status = FileStatus::no_space, .text = "no room"});
  auto writing_header = stream.write(ByteView(verdict).first(frame_header_size));
  (void)co_await std::move(writing_header);
  auto flushing_header = stream.flushed();
  (void)co_await std::move(flushing_header);
  auto reading = stream.read_all(file_bytes);
  (void)co_await std::move(reading);
  auto writing_rest = stream.write(ByteView(verdict).subspan(frame_header_size));
  (void)co_await std::move(writing_rest);
  auto finishing = stream.finish();
  (void)co_await std::move(finishing);
  auto flushing = stream.flushed();
  (void)co_await std::move(flushing);
}

/// Says that it has the file, of which it has read nothing.
asio::awaitable<void> accept_at_once(Stream stream) {
  auto reading_offer = read_frame(stream);
  (void)co_await std::move(reading_offer);
  auto answering = stream.write(encode(FileAnswer()));
  (void)co_await std::move(answering);
  auto reading_begin = read_frame(stream);
  (void)co_await std::move(reading_begin);
  auto judging = stream.write(encode(FileVerdict()));
  (void)co_await std::move(judging);
  auto waiting = pause_for(1h);
  co_await std::move(waiting);
}

/// Sends `path` to such a receiver; the last event is `last`.
asio::awaitable<int> send_to(asio::awaitable<void> (*receive)(Stream stream), NodeHost& host,
                             std::string path, boost::json::object& last) {
  const auto executor = co_await asio::this_coro::executor;
  auto starting = Node::start(executor, loopback_config());
  const auto receiver = co_await std::move(starting);
  EXPECT_TRUE((*receiver)->handle(file_protocol, receive));
  Operation operation{
      .host = host,
      .request = {{"cmd", "send"}, {"file", path}, {"node", (*receiver)->node_address()}},
      .emit = [&last](const boost::json::object& event) { last = event; }};
  auto sending = run_operation(std::move(operation));
  const int code = co_await std::move(sending);
  auto closing = (*receiver)->close();
  (void)co_await std::move(closing);  // it has done its part
  co_return code;
}

using SendOperation = NodeFixture;

TEST_F(SendOperation, a_refusal_that_began_before_the_last_write_is_told_with_its_reason) {
  const std::string path = folder_ + "/film";
  std::ofstream(path, std::ios::binary) << std::string(file_bytes, 'x');
  boost::json::object last;
  EXPECT_EQ(run([&](NodeHost& host, EventSink) {
              return send_to(refuse_in_two_pieces, host, path, last);
            }),
            exit_failed);
  EXPECT_EQ(text_of(last, "code"), "file.no_space");
  EXPECT_NE(text_of(last, "message").find("no room"), std::string::npos) << to_text(last);
}

TEST_F(SendOperation, a_receiver_that_has_it_all_before_it_was_sent_is_not_believed) {
  const std::string path = folder_ + "/film";
  std::ofstream(path, std::ios::binary) << std::string(file_bytes, 'x');
  boost::json::object last;
  EXPECT_EQ(
      run([&](NodeHost& host, EventSink) { return send_to(accept_at_once, host, path, last); }),
      exit_failed);
  EXPECT_EQ(text_of(last, "code"), "file.bad_message") << to_text(last);
}

}  // namespace
}  // namespace quicmesh::cli
