// `quicmesh up`: runs a node in the foreground and tells its events.
//
// Events that strangers can cause (refused handshakes) are limited to a few lines a second.
#include <spdlog/spdlog.h>
#include <boost/asio/as_tuple.hpp>

#include "invocation.hpp"
#include "node_command.hpp"
#include "node_events.hpp"

namespace quicmesh::cli {
namespace {

constexpr int refusals_per_second = 5;

/// Whether to show an event, given how many of its kind were shown lately.
class RefusalLimit {
 public:
  bool allows(const Event& event) {
    if (!std::holds_alternative<event::HandshakeRefused>(event)) return true;
    const auto now = std::chrono::steady_clock::now();
    if (now - second_ > std::chrono::seconds(1)) {
      if (suppressed_ > 0) spdlog::warn("{} refused handshakes were not shown", suppressed_);
      second_ = now;
      shown_ = 0;
      suppressed_ = 0;
    }
    if (shown_ < refusals_per_second) {
      ++shown_;
      return true;
    }
    ++suppressed_;
    return false;
  }

 private:
  std::chrono::steady_clock::time_point second_;
  int shown_ = 0;
  std::uint64_t suppressed_ = 0;
};

asio::awaitable<int> stay_up(NodeHost& host, EventSink emit) {
  emit(host.ready());
  RefusalLimit limit;
  const auto subscription = host.subscribe([&](const Event& event) {
    if (!limit.allows(event)) return;
    for (const boost::json::object& object : to_json(event))
      emit(object);
  });
  host.keep_bootstrapped(emit);
  asio::steady_timer forever(co_await asio::this_coro::executor,
                             asio::steady_timer::time_point::max());
  auto waiting = forever.async_wait(asio::as_tuple(asio::use_awaitable));
  (void)co_await std::move(waiting);  // it only ends by being cancelled
  co_return exit_done;
}

}  // namespace

void add_up_command(CLI::App& app, Invocation& invocation) {
  CLI::App& command = *app.add_subcommand("up", "run a node in the foreground");
  add_node_settings(command, invocation);
  add_example(command, "quicmesh up --listen 0.0.0.0:4433 --bootstrap NODEID@203.0.113.7:4433");
  command.callback([&invocation] {
    invocation.run = [](const Settings& settings, Output& output) {
      return run_own_node(settings, output, {.interrupted_code = exit_done, .body = stay_up});
    };
  });
}

}  // namespace quicmesh::cli
