// See control_server.hpp.
#include "control_server.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <deque>
#include <expected>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>

#include "control_protocol.hpp"

namespace quicmesh::cli {
namespace {

using Socket = asio::local::stream_protocol::socket;
using Acceptor = asio::local::stream_protocol::acceptor;

constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

constexpr Duration part_limit = 1s;
/// A client asks at once when it is connected; one that does not must not hold its place, nor keep
/// the process of a command that has ended.
constexpr Duration request_limit = 5s;
constexpr int backlog = 64;

bool same_user(Socket& socket) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  return ::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 &&
         credentials.uid == ::geteuid();
}

/// One client. Events are queued, so that an operation never waits for a slow reader.
class Session : public std::enable_shared_from_this<Session> {
 public:
  explicit Session(Socket socket) : socket_(std::move(socket)) {}

  Socket& socket() { return socket_; }

  void send(const boost::json::object& event) {
    if (broken_) return;
    if (lines_.size() >= control_lines_max) {
      spdlog::warn("a client of the control socket reads too slowly: dropped");
      return drop();
    }
    lines_.push_back(to_text(event) + "\n");
    if (lines_.size() == 1) write_next();
  }

  /// Ends our direction when everything was written.
  void finish() {
    finishing_ = true;
    if (lines_.empty()) end_writing();
  }

  void drop() {
    broken_ = true;
    boost::system::error_code ignored;
    socket_.close(ignored);
  }

 private:
  void end_writing() {
    boost::system::error_code ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
  }

  void write_next() {
    asio::async_write(socket_, asio::buffer(lines_.front()),
                      [self = shared_from_this()](boost::system::error_code error, std::size_t) {
                        self->on_written(error);
                      });
  }

  void on_written(boost::system::error_code error) {
    if (error) return drop();
    lines_.pop_front();
    if (!lines_.empty()) return write_next();
    if (finishing_) end_writing();
  }

  Socket socket_;
  std::deque<std::string> lines_;  // the first is being written
  bool finishing_ = false;
  bool broken_ = false;
};

/// The operation, with nothing thrown but what cancels it: the race below would wait for the client
/// otherwise.
asio::awaitable<int> run_quietly(Operation operation) {
  int code = exit_failed;
  try {
    auto running = run_operation(std::move(operation));
    code = co_await std::move(running);
  } catch (const std::exception& error) {
    spdlog::debug("operation of the control socket: {}", error.what());
  }
  co_return code;
}

/// Returns when the client has closed its side.
asio::awaitable<void> until_gone(std::shared_ptr<Session> session) {
  std::array<char, 256> ignored{};
  while (true) {
    auto reading = session->socket().async_read_some(asio::buffer(ignored), as_result);
    const auto [error, size] = co_await std::move(reading);
    if (error) co_return;
  }
}

using Line = std::expected<std::string, boost::system::error_code>;

asio::awaitable<Line> read_line(std::shared_ptr<Session> session) {
  std::string text;
  auto buffer = asio::dynamic_buffer(text, control_request_max);
  auto reading = asio::async_read_until(session->socket(), buffer, '\n', as_result);
  const auto [error, size] = co_await std::move(reading);
  if (error) co_return std::unexpected(error);
  text.resize(size);
  co_return text;
}

/// Whether the client has asked for something; otherwise it is told why it gets nothing.
asio::awaitable<bool> read_request(std::shared_ptr<Session> session, boost::json::object& request) {
  using namespace asio::experimental::awaitable_operators;
  auto reading = read_line(session);
  auto patience = pause_for(request_limit);
  auto race = std::move(reading) || std::move(patience);
  const auto outcome = co_await std::move(race);
  const Line* line = std::get_if<0>(&outcome);
  std::string_view wrong;
  if (line == nullptr) {
    wrong = "no request came to the control socket in time";
  } else if (*line) {
    if (parse_object(**line, request)) co_return true;
    wrong = "the request to the control socket is no JSON object";
  } else if (line->error() == asio::error::not_found) {
    wrong = "the request to the control socket is too long";
  } else {
    co_return false;  // the client has gone
  }
  session->send(to_json(usage_failure(std::string(wrong))));
  session->send({{"event", "exit"}, {"code", exit_usage}});
  co_return false;
}

/// Lets the client read what was written: closing with bytes of its own unread would throw that
/// away.
asio::awaitable<void> part_from(std::shared_ptr<Session> session) {
  using namespace asio::experimental::awaitable_operators;
  session->finish();
  auto leaving = until_gone(session);
  auto patience = pause_for(part_limit);
  auto race = std::move(leaving) || std::move(patience);
  (void)co_await std::move(race);
  session->drop();
}

asio::awaitable<void> serve(std::shared_ptr<Session> session, ControlState& state) {
  using namespace asio::experimental::awaitable_operators;
  ++state.clients;
  boost::json::object request;
  auto reading = read_request(session, request);
  if (co_await std::move(reading)) {
    Operation operation{
        .host = *state.host,
        .request = std::move(request),
        .emit = [session](const boost::json::object& event) { session->send(event); }};
    auto running = run_quietly(std::move(operation));
    auto leaving = until_gone(session);
    auto race = std::move(running) || std::move(leaving);
    const auto outcome = co_await std::move(race);
    if (outcome.index() == 0) session->send({{"event", "exit"}, {"code", std::get<0>(outcome)}});
  }
  auto parting = part_from(session);
  co_await std::move(parting);
  --state.clients;
}

asio::awaitable<void> accept_clients(std::shared_ptr<Acceptor> acceptor, ControlState& state) {
  const auto executor = co_await asio::this_coro::executor;
  while (!state.stopping) {
    auto accepting = acceptor->async_accept(as_result);
    auto [error, socket] = co_await std::move(accepting);
    if (state.stopping) co_return;
    if (error) {
      // Too many open files, most likely: it must not become a busy loop.
      auto resting = pause_for(100ms);
      co_await std::move(resting);
      continue;
    }
    if (!same_user(socket)) continue;
    auto session = std::make_shared<Session>(std::move(socket));
    if (state.clients >= control_clients_max) {
      session->send(to_json(Failure{.code = "busy",
                                    .message = "the running node serves too many commands",
                                    .hint = "wait for one of them to end"}));
      session->send({{"event", "exit"}, {"code", exit_failed}});
      asio::co_spawn(executor, part_from(session), asio::detached);
      continue;
    }
    asio::co_spawn(executor, serve(session, state), asio::detached);
  }
}

}  // namespace

Outcome<void> start_control_server(asio::io_context& context, const DataFolder& folder,
                                   ControlState& state) {
  io::FileDescriptor holder;
  const std::string path = control_socket_path(folder, holder);
  const std::string name = folder.path() + "/control.sock";
  ::unlink(name.c_str());
  // The coroutine owns it, so that it dies with its context at the latest; `close`, which may
  // outlive the context after an exception, only knows it.
  auto acceptor = std::make_shared<Acceptor>(context);
  boost::system::error_code error;
  acceptor->open(asio::local::stream_protocol(), error);
  // Nobody else may connect in the moment between bind and chmod.
  const mode_t mask = ::umask(0177);
  if (!error) acceptor->bind(asio::local::stream_protocol::endpoint(path), error);
  ::umask(mask);
  if (!error) acceptor->listen(backlog, error);
  if (error)
    return std::unexpected(
        make_failure(fmt::format("cannot open the control socket {}", name), error));
  state.close = [known = std::weak_ptr(acceptor), name, &state] {
    if (std::exchange(state.stopping, true)) return;
    ::unlink(name.c_str());
    boost::system::error_code ignored;
    if (const auto open = known.lock()) open->close(ignored);
  };
  asio::co_spawn(context, accept_clients(std::move(acceptor), state), asio::detached);
  return {};
}

}  // namespace quicmesh::cli
