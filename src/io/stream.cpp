// The handle of a stream; its state and the work are the hub's. See quicmesh/stream.hpp.
#include "quicmesh/stream.hpp"

#include <limits>
#include <utility>

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/this_coro.hpp>

#include "base/base_errc.hpp"
#include "io/node_hub.hpp"
#include "io/occupied.hpp"
#include "io/streak.hpp"
#include "quicmesh/io_errc.hpp"

namespace quicmesh {
namespace asio = boost::asio;
namespace {

using StatePointer = std::shared_ptr<io::StreamState>;

constexpr std::size_t any_size = std::numeric_limits<std::size_t>::max();

// The operations are free functions that share the state, so that none of them minds if its handle
// is moved or dropped meanwhile.

std::error_code cancelled() {
  return std::make_error_code(std::errc::operation_canceled);
}

/// Nothing is taken from the stream before the last moment at which it may be cancelled.
Task<Bytes> next_chunk(StatePointer state, std::size_t size_max) {
  if (state->reads.too_long()) {
    auto resting = io::let_others_run(state->reads);
    if (!co_await std::move(resting)) co_return failure(cancelled());
  }
  for (;;) {
    auto chunk = state->hub->take_chunk(*state, size_max);
    if (!chunk) co_return failure(chunk.error());
    if (*chunk) {
      state->reads.add((*chunk)->size());
      co_return std::move(**chunk);
    }
    const asio::cancellation_state before = co_await asio::this_coro::cancellation_state;
    auto waiting = state->hub->wait(std::shared_ptr<io::WaitSlot>(state, &state->reader));
    const std::error_code error = co_await std::move(waiting);
    state->reads.end();
    if (error && error != IoErrc::node_closed) co_return failure(error);
    // Bytes and a cancellation may come in one turn.
    const asio::cancellation_state after = co_await asio::this_coro::cancellation_state;
    if (after.cancelled() != before.cancelled()) co_return failure(cancelled());
  }
}

/// What a read has of its bytes; they go back to the stream unless the read takes them. By the
/// destructor, as a coroutine may end by cancellation at any co_await.
class Collected {
 public:
  explicit Collected(io::StreamState& stream) : stream_(stream) {}
  Collected(const Collected&) = delete;
  Collected& operator=(const Collected&) = delete;
  ~Collected() {
    if (!bytes_.empty()) stream_.hub->put_back(stream_, std::move(bytes_));
  }

  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  void add(Bytes chunk) {
    if (bytes_.empty()) {
      bytes_ = std::move(chunk);
    } else {
      bytes_.insert(bytes_.end(), chunk.begin(), chunk.end());
    }
  }
  [[nodiscard]] Bytes take() { return std::exchange(bytes_, {}); }

 private:
  io::StreamState& stream_;
  Bytes bytes_;
};

Task<Bytes> read_from(StatePointer state) {
  if (!state) co_return failure(IoErrc::empty_handle);
  const io::Occupied busy(state->reader_busy);
  if (!busy) co_return failure(IoErrc::already_waiting);
  auto chunk = next_chunk(state, any_size);
  co_return co_await std::move(chunk);
}

Task<Bytes> read_exactly_from(StatePointer state, std::size_t size) {
  if (!state) co_return failure(IoErrc::empty_handle);
  const io::Occupied busy(state->reader_busy);
  if (!busy) co_return failure(IoErrc::already_waiting);
  Collected collected(*state);
  while (collected.size() < size) {
    auto next = next_chunk(state, size - collected.size());
    auto chunk = co_await std::move(next);
    if (!chunk) co_return failure(chunk.error());
    if (chunk->empty()) co_return failure(IoErrc::ended_early);
    collected.add(std::move(*chunk));
  }
  co_return collected.take();
}

Task<Bytes> read_all_from(StatePointer state, std::size_t size_max) {
  if (!state) co_return failure(IoErrc::empty_handle);
  const io::Occupied busy(state->reader_busy);
  if (!busy) co_return failure(IoErrc::already_waiting);
  Collected collected(*state);
  for (;;) {
    // One byte more than allowed, to see that there is one.
    const std::size_t left = size_max - collected.size();
    auto next = next_chunk(state, left == any_size ? left : left + 1);
    auto chunk = co_await std::move(next);
    if (!chunk) co_return failure(chunk.error());
    if (chunk->empty()) co_return collected.take();
    collected.add(std::move(*chunk));
    if (collected.size() > size_max) co_return failure(BaseErrc::too_long);
  }
}

Task<void> write_to(StatePointer state, Bytes data) {
  if (!state) co_return failure(IoErrc::empty_handle);
  const io::Occupied busy(state->writer_busy);
  if (!busy) co_return failure(IoErrc::already_waiting);
  const std::size_t size = data.size();
  for (std::size_t offset = 0; offset < size;) {
    if (state->writes.too_long()) {
      auto resting = io::let_others_run(state->writes);
      if (!co_await std::move(resting)) co_return failure(cancelled());
    }
    const auto queued = state->hub->enqueue(state, data, offset);
    if (!queued) co_return failure(queued.error());
    offset += *queued;
    if (*queued > 0) {
      state->writes.add(*queued);
      continue;
    }
    auto waiting = state->hub->wait(std::shared_ptr<io::WaitSlot>(state, &state->writer));
    const std::error_code error = co_await std::move(waiting);
    state->writes.end();
    if (error) co_return failure(error);
  }
  co_return Result<void>();
}

Task<void> finish_of(StatePointer state) {
  if (!state) co_return failure(IoErrc::empty_handle);
  co_return state->hub->finish(state);
}

Task<void> flush_of(StatePointer state) {
  if (!state) co_return failure(IoErrc::empty_handle);
  auto flushing = state->hub->flushed(state);
  co_return co_await std::move(flushing);
}

}  // namespace

Stream::Stream(std::shared_ptr<io::StreamState> state) : state_(std::move(state)) {}

Stream& Stream::operator=(Stream&& other) noexcept {
  if (this == &other) return *this;
  drop();
  state_ = std::move(other.state_);
  return *this;
}

Stream::~Stream() {
  drop();
}

void Stream::drop() {
  if (!state_) return;
  state_->hub->drop(state_);
  state_.reset();
}

Task<void> Stream::write(Bytes data) {
  return write_to(state_, std::move(data));
}

Task<void> Stream::write(ByteView data) {
  return write_to(state_, to_bytes(data));
}

Task<void> Stream::write(std::string_view text) {
  return write_to(state_, to_bytes(text));
}

Task<void> Stream::finish() {
  return finish_of(state_);
}

Task<void> Stream::flushed() {
  return flush_of(state_);
}

Task<Bytes> Stream::read() {
  return read_from(state_);
}

Task<Bytes> Stream::read_exactly(std::size_t size) {
  return read_exactly_from(state_, size);
}

Task<Bytes> Stream::read_all(std::size_t size_max) {
  return read_all_from(state_, size_max);
}

void Stream::reset() {
  if (state_) state_->hub->reset(state_);
}

NodeId Stream::peer() const {
  return state_ ? state_->peer : NodeId();
}

std::string Stream::protocol() const {
  return state_ ? state_->protocol : std::string();
}

}  // namespace quicmesh
