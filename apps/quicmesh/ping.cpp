// See ping.hpp.
#include "ping.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"
#include "node_events.hpp"
#include "operation.hpp"

namespace quicmesh::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t pings_max = 1'000'000'000;

struct PingRequest {
  NodeAddress peer;
  std::int64_t count = 4;
  Duration interval = 1s;
  Duration timeout = 10s;
  bool until_direct = false;
};

Duration from_seconds(double seconds) {
  return Duration(static_cast<Duration::rep>(std::clamp(seconds, 0.0, 86'400.0) * 1e9));
}

Outcome<PingRequest> parse_request(const boost::json::object& object) {
  auto peer = node_of(object, "node");
  if (!peer) return std::unexpected(peer.error());
  PingRequest request{.peer = std::move(*peer)};
  request.count =
      std::clamp(integer_of(object, "count", request.count), std::int64_t{1}, pings_max);
  request.interval = from_seconds(number_of(object, "interval", 1));
  request.timeout = from_seconds(number_of(object, "timeout", 10));
  request.until_direct = flag_of(object, "until_direct");
  return request;
}

struct PingTally {
  std::int64_t sent = 0;
  std::int64_t received = 0;
  std::optional<double> first_byte_ms;
  std::optional<double> direct_ms;
  std::string path;
  std::string technique;  // by which the path came about, at the end
};

boost::json::value number_or_null(const std::optional<double>& number) {
  return number ? boost::json::value(*number) : boost::json::value(nullptr);
}

boost::json::object summary_of(const PingTally& tally) {
  return {{"event", "summary"},
          {"sent", tally.sent},
          {"received", tally.received},
          {"first_byte_ms", number_or_null(tally.first_byte_ms)},
          {"direct_ms", number_or_null(tally.direct_ms)},
          {"path", tally.path},
          {"technique", tally.technique.empty() ? boost::json::value(nullptr)
                                                : boost::json::value(tally.technique)}};
}

Bytes ping_message(std::int64_t seq) {
  Bytes message;
  ByteWriter writer(message);
  writer.u64(static_cast<std::uint64_t>(seq));
  writer.u64(static_cast<std::uint64_t>(Clock::now().time_since_epoch().count()));
  return message;
}

/// The number of the ping that a message is, or answers.
std::uint64_t number_in(const Bytes& message) {
  ByteReader reader(message);
  return reader.u64();
}

/// Sends one ping and waits for its answer. A peer that sends anything but answers, in the order of
/// the pings, is in error: it could go on for ever.
Task<void> exchange(Stream& stream, Bytes message) {
  auto writing = stream.write(ByteView(message));
  if (const auto written = co_await std::move(writing); !written)
    co_return failure(written.error());
  for (std::uint64_t next = 0;;) {
    auto reading = stream.read_exactly(ping_size);
    const auto answer = co_await std::move(reading);
    if (!answer) co_return failure(answer.error());
    if (*answer == message) co_return Result<void>();
    // The answer to a ping that was given up before may still come.
    const std::uint64_t number = number_in(*answer);
    if (number < next || number >= number_in(message))
      co_return failure(std::make_error_code(std::errc::protocol_error));
    next = number + 1;
  }
}

/// A stream's place in a quota, given back at its end, however that comes.
class QuotaPlace {
 public:
  QuotaPlace(std::shared_ptr<PingQuota> quota, NodeId peer)
      : quota_(std::move(quota)), peer_(peer), taken_(quota_->open(peer, Clock::now())) {}
  QuotaPlace(const QuotaPlace&) = delete;
  QuotaPlace& operator=(const QuotaPlace&) = delete;
  ~QuotaPlace() {
    if (taken_) quota_->close(peer_);
  }

  [[nodiscard]] explicit operator bool() const { return taken_; }

 private:
  std::shared_ptr<PingQuota> quota_;  // shared by all places
  NodeId peer_;
  bool taken_;
};

asio::awaitable<PathStatus> current_path(NodeHost& host, NodeId peer) {
  auto asking = host.node()->paths(peer);
  const auto paths = co_await std::move(asking);
  if (!paths) co_return PathStatus();
  for (const PathStatus& path : *paths) {
    if (path.current) co_return path;
  }
  co_return PathStatus();
}

asio::awaitable<std::string> technique_of(NodeHost& host, NodeId peer) {
  auto asking = host.node()->why(peer);
  const auto why = co_await std::move(asking);
  co_return why ? std::string(why->technique) : std::string();
}

/// Exchanges the pings of the request; the failure that ended them, if any.
asio::awaitable<Outcome<void>> exchange_all(Operation& operation, const PingRequest& request,
                                            Stream& stream, PingTally& tally,
                                            Clock::time_point start) {
  const NodeId peer = request.peer.id;
  for (std::int64_t seq = 0; request.until_direct || seq < request.count; ++seq) {
    const auto sent_at = Clock::now();
    ++tally.sent;
    auto exchanging = exchange(stream, ping_message(seq));
    auto limited = within(request.timeout, std::move(exchanging));
    const auto answered = co_await std::move(limited);
    const double rtt_us = seconds_since(sent_at) * 1e6;
    if (answered) {
      ++tally.received;
      if (!tally.first_byte_ms) tally.first_byte_ms = seconds_since(start) * 1e3;
      auto asking = current_path(operation.host, peer);
      const PathStatus path = co_await std::move(asking);
      tally.path = path_name(path.relay, path.kind == PathKind::turn);
      if (!path.relay && path.kind != PathKind::turn && !tally.direct_ms)
        tally.direct_ms = seconds_since(start) * 1e3;
      operation.emit({{"event", "pong"},
                      {"seq", seq},
                      {"rtt_us", static_cast<std::int64_t>(rtt_us)},
                      {"path", tally.path},
                      {"remote", path.remote.to_string()},
                      {"relay", relay_value(path.relay)}});
      if (request.until_direct && !path.relay && path.kind != PathKind::turn)
        co_return Outcome<void>();
    } else if (answered.error() == std::make_error_code(std::errc::timed_out)) {
      operation.emit({{"event", "lost"}, {"seq", seq}});
    } else {
      co_return std::unexpected(make_failure(fmt::format("pinging {}", request.peer.id.prefix()),
                                             answered.error(),
                                             operation.host.node()->last_reason(peer)));
    }
    if (!request.until_direct && seq + 1 == request.count) break;
    if (request.until_direct && Clock::now() - start >= request.timeout) {
      co_return std::unexpected(
          make_failure(fmt::format("no direct path to {}", request.peer.id.prefix()),
                       std::make_error_code(std::errc::timed_out), ""));
    }
    auto resting = pause_for(request.interval);
    co_await std::move(resting);
  }
  co_return Outcome<void>();
}

}  // namespace

asio::awaitable<void> answer_pings(std::shared_ptr<PingQuota> quota, Stream stream) {
  const QuotaPlace place(quota, stream.peer());
  if (!place) co_return;
  while (true) {
    auto reading = stream.read_exactly(ping_size);
    auto message = co_await std::move(reading);
    if (!message) break;
    if (const Duration wait = quota->answer(stream.peer(), Clock::now()); wait > Duration::zero()) {
      auto resting = pause_for(wait);
      co_await std::move(resting);
    }
    auto writing = stream.write(std::move(*message));
    if (const auto written = co_await std::move(writing); !written) co_return;
  }
  auto finishing = stream.finish();
  (void)co_await std::move(finishing);  // the other side may have gone already
}

asio::awaitable<int> ping_operation(Operation operation) {
  const auto request = parse_request(operation.request);
  if (!request) co_return operation.fail(request.error());
  const auto start = Clock::now();
  PingTally tally;
  auto connecting = connect_to(operation.host, request->peer, ping_protocol, request->timeout);
  auto connection = co_await std::move(connecting);
  if (!connection) {
    const int code = operation.fail(connection.error());
    operation.emit(summary_of(tally));
    co_return code;
  }
  auto opening = connection->open_stream();
  auto limited = within(request->timeout, std::move(opening));
  auto stream = co_await std::move(limited);
  if (!stream) {
    const int code = operation.fail(make_failure("cannot open a stream", stream.error()));
    operation.emit(summary_of(tally));
    co_return code;
  }
  auto exchanging = exchange_all(operation, *request, *stream, tally, start);
  const auto done = co_await std::move(exchanging);
  int code = tally.received > 0 ? exit_done : exit_timed_out;
  if (!done) code = operation.fail(done.error());
  auto asking = technique_of(operation.host, request->peer.id);
  tally.technique = co_await std::move(asking);
  auto finishing = stream->finish();
  (void)co_await std::move(finishing);  // all answers are here
  operation.emit(summary_of(tally));
  co_return code;
}

}  // namespace quicmesh::cli
