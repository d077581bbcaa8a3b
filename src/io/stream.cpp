// The handle of a stream; its state and the work are the hub's. See quicmesh/stream.hpp.
#include "quicmesh/stream.hpp"

#include <algorithm>
#include <utility>

#include "base/base_errc.hpp"
#include "io/node_hub.hpp"
#include "io/occupied.hpp"
#include "quicmesh/io_errc.hpp"

namespace quicmesh {
namespace {

using StatePointer = std::shared_ptr<io::StreamState>;

// The operations are free functions that share the state, so that none of them minds if its handle
// is moved or dropped meanwhile.

Task<Bytes> next_chunk(StatePointer state) {
  for (;;) {
    auto chunk = state->hub->take_chunk(*state);
    if (!chunk) co_return failure(chunk.error());
    if (*chunk) co_return std::move(**chunk);
    auto waiting = state->hub->wait(std::shared_ptr<io::WaitSlot>(state, &state->reader));
    const std::error_code error = co_await std::move(waiting);
    if (error && error != IoErrc::node_closed) co_return failure(error);
  }
}

Task<Bytes> read_from(StatePointer state) {
  if (!state) co_return failure(IoErrc::empty_handle);
  const io::Occupied busy(state->reader_busy);
  if (!busy) co_return failure(IoErrc::already_waiting);
  auto chunk = next_chunk(state);
  co_return co_await std::move(chunk);
}

Task<Bytes> read_up_to(StatePointer state, std::size_t size, bool exactly) {
  if (!state) co_return failure(IoErrc::empty_handle);
  const io::Occupied busy(state->reader_busy);
  if (!busy) co_return failure(IoErrc::already_waiting);
  Bytes collected;
  for (;;) {
    if (exactly && collected.size() == size) co_return collected;
    auto next = next_chunk(state);
    auto chunk = co_await std::move(next);
    if (chunk && collected.empty() && chunk->size() <= size) {
      if (chunk->empty() && (!exactly || size == 0)) co_return collected;
      if (!chunk->empty()) {
        collected = std::move(*chunk);
        continue;
      }
    }
    std::error_code error;
    if (!chunk) {
      error = chunk.error();
    } else if (chunk->empty()) {
      if (!exactly) co_return collected;
      error = IoErrc::ended_early;
    } else if (const std::size_t wanted = size - collected.size(); chunk->size() <= wanted) {
      collected.insert(collected.end(), chunk->begin(), chunk->end());
      continue;
    } else if (exactly) {
      const auto cut = chunk->begin() + static_cast<std::ptrdiff_t>(wanted);
      collected.insert(collected.end(), chunk->begin(), cut);
      state->hub->put_back(*state, Bytes(cut, chunk->end()));
      co_return collected;
    } else {
      state->hub->put_back(*state, std::move(*chunk));
      error = BaseErrc::too_long;
    }
    if (!collected.empty()) state->hub->put_back(*state, std::move(collected));
    co_return failure(error);
  }
}

Task<void> write_to(StatePointer state, Bytes data) {
  if (!state) co_return failure(IoErrc::empty_handle);
  const io::Occupied busy(state->writer_busy);
  if (!busy) co_return failure(IoErrc::already_waiting);
  constexpr std::size_t piece_max = Stream::write_queue_max;
  std::size_t offset = 0;
  while (offset < data.size()) {
    Bytes piece;
    if (offset == 0 && data.size() <= piece_max) {
      offset = data.size();
      piece = std::move(data);
      data.clear();
    } else {
      // A very large write is handed over in pieces, or it would be queued whole.
      const std::size_t size = std::min(piece_max, data.size() - offset);
      piece = to_bytes(ByteView(data).subspan(offset, size));
      offset += size;
    }
    const auto queued = state->hub->enqueue(state, std::move(piece));
    if (!queued) co_return failure(queued.error());
    for (;;) {
      const auto room = state->hub->write_room(*state);
      if (!room) co_return failure(room.error());
      if (*room) break;
      auto waiting = state->hub->wait(std::shared_ptr<io::WaitSlot>(state, &state->writer));
      const std::error_code error = co_await std::move(waiting);
      if (error) co_return failure(error);
    }
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
  return read_up_to(state_, size, true);
}

Task<Bytes> Stream::read_all(std::size_t size_max) {
  return read_up_to(state_, size_max, false);
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
