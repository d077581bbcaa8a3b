// Streams: what their handles do under the mutex; see node_hub.hpp.
#include <algorithm>
#include <utility>

#include "io/node_hub.hpp"
#include "path/path_errc.hpp"
#include "quic/quic_errc.hpp"
#include "quicmesh/io_errc.hpp"

namespace quicmesh::io {

void NodeHub::mark_dirty(const std::shared_ptr<StreamState>& stream) {
  if (phase_ == Phase::closed) return;  // nobody serves it any more: it would hold us for ever
  if (stream->over || std::exchange(stream->dirty, true)) return;
  dirty_streams_.push_back(stream);
}

namespace {

/// By the reader; what it takes is consumed, unless it was so before it was put back.
Bytes take_reading(StreamState& stream, std::size_t size_max) {
  Bytes chunk = stream.reading.take(size_max);
  const std::size_t again = std::min(stream.credited_early, chunk.size());
  stream.credited_early -= again;
  stream.consumed += chunk.size() - again;
  return chunk;
}

}  // namespace

Result<std::optional<Bytes>> NodeHub::take_chunk(StreamState& stream, std::size_t size_max) {
  const bool settle_credit = stream.consumed >= credit_step;
  if (!stream.reading.empty() && !settle_credit) return take_reading(stream, size_max);
  std::optional<Bytes> chunk;
  bool must_wake = false;
  {
    const std::scoped_lock lock(mutex_);
    if (stream.consumed > 0 && !stream.over) {
      const std::size_t consumed = std::exchange(stream.consumed, 0);
      stream.credit += consumed;
      lazy_credit_ += consumed;
      mark_dirty(stream.shared_from_this());
      if (stream.credit >= credit_step || lazy_credit_ >= lazy_credit_max) must_wake = knock();
    }
    if (stream.reading.empty()) stream.reading.swap(stream.arrived);
    if (!stream.reading.empty()) {
      chunk = take_reading(stream, size_max);
    } else if (stream.end_arrived) {
      chunk.emplace();
    } else if (stream.read_error) {
      return failure(stream.read_error);
    } else if (phase_ == Phase::closed) {
      return failure(IoErrc::node_closed);
    } else {
      stream.reader.signalled = false;
    }
  }
  if (must_wake) wake();
  return chunk;
}

void NodeHub::put_back(StreamState& stream, Bytes chunk) {
  const std::size_t uncredited = std::min(stream.consumed, chunk.size());
  stream.consumed -= uncredited;
  stream.credited_early += chunk.size() - uncredited;
  stream.reading.unpop(std::move(chunk));
}

Result<std::size_t> NodeHub::enqueue(const std::shared_ptr<StreamState>& stream, Bytes& data,
                                     std::size_t offset) {
  bool must_wake = false;
  std::size_t size = 0;
  {
    const std::scoped_lock lock(mutex_);
    if (stream->write_error) return failure(stream->write_error);
    if (stream->finish_wanted) return failure(IoErrc::stream_finished);
    if (phase_ != Phase::open) return failure(IoErrc::node_closed);
    if (stream->over) return failure(QuicErrc::stream_closed);
    size = write_budget_.admit(stream->peer, stream->queued_bytes, data.size() - offset);
    stream->writer.signalled = false;
    if (size == 0) return size;
    if (size == data.size()) {
      stream->queued.append(std::move(data));
    } else {
      stream->queued.append(to_bytes(ByteView(data).subspan(offset, size)));
    }
    stream->queued_bytes += size;
    write_budget_.charge(stream->peer, size);
    mark_dirty(stream);
    must_wake = knock();
  }
  if (must_wake) wake();
  return size;
}

Result<void> NodeHub::finish(const std::shared_ptr<StreamState>& stream) {
  bool must_wake = false;
  {
    const std::scoped_lock lock(mutex_);
    if (stream->write_error) return failure(stream->write_error);
    if (stream->finish_wanted) return {};
    if (phase_ == Phase::closed) return failure(IoErrc::node_closed);
    stream->finish_wanted = true;
    mark_dirty(stream);
    must_wake = knock();
  }
  if (must_wake) wake();
  return {};
}

void NodeHub::reset(const std::shared_ptr<StreamState>& stream) {
  Batch batch;
  bool must_wake = false;
  {
    const std::scoped_lock turn(turn_mutex_);
    {
      const std::scoped_lock lock(mutex_);
      if (stream->over) return;
      if (!stream->write_error) {
        stream->reset_wanted = true;
        stream->write_error = QuicErrc::stream_closed;
      }
      if (!stream->read_error) {
        stream->stop_wanted = true;
        stream->read_error = QuicErrc::stream_closed;
      }
      stream->arrived.clear();
      signal(stream->reader, {}, batch);
      signal(stream->writer, {}, batch);
      for (const auto& reply : stream->flushers)
        answer(*reply, stream->write_error, batch);
      stream->flushers.clear();
      mark_dirty(stream);
      must_wake = knock();
    }
    post(std::move(batch));
  }
  if (must_wake) wake();
}

void NodeHub::drop(const std::shared_ptr<StreamState>& stream) {
  ChunkList unread;  // freed without the lock
  bool must_wake = false;
  {
    const std::scoped_lock lock(mutex_);
    stream->dropped = true;
    stream->credit += std::exchange(stream->consumed, 0);
    stream->credit += stream->arrived.bytes() + stream->reading.bytes() - stream->credited_early;
    unread.swap(stream->arrived);
    if (stream->over) return;
    if (!stream->finish_wanted && !stream->write_error) {
      stream->reset_wanted = true;
      stream->write_error = QuicErrc::stream_closed;
    }
    if (!stream->end_arrived && !stream->read_error) stream->stop_wanted = true;
    mark_dirty(stream);
    must_wake = knock();
  }
  if (must_wake) wake();
}

Task<void> NodeHub::flushed(std::shared_ptr<StreamState> stream) {
  auto reply = std::make_shared<Reply>();
  {
    const std::scoped_lock lock(mutex_);
    if (stream->write_error) co_return failure(stream->write_error);
    if (stream->over) co_return Result<void>();
    stream->flushers.push_back(reply);
  }
  Command watch = [this, stream](Instant, HostedNode&) { flushing_.push_back(stream); };
  auto asking = ask(reply, std::move(watch));
  const std::error_code error = co_await std::move(asking);
  if (error) co_return failure(error);
  co_return Result<void>();
}

Task<Stream> NodeHub::open_stream(NodeId peer, std::string protocol) {
  const auto self = shared_from_this();
  auto reply = std::make_shared<OpenReply>();
  reply->peer = peer;
  reply->protocol = std::move(protocol);
  Command open = [this, reply](Instant now, HostedNode& node) {
    try_open(now, node.core(), reply);
  };
  auto asking = ask(reply, std::move(open));
  const std::error_code error = co_await std::move(asking);
  if (error) co_return failure(error);
  co_return Stream(reply->stream);
}

void NodeHub::try_open(Instant now, NodeCore& core, const std::shared_ptr<OpenReply>& reply) {
  {
    const std::scoped_lock lock(mutex_);
    if (reply->cancelled) return;
    if (phase_ != Phase::open) return answer(*reply, IoErrc::node_closed, batch_);
  }
  const auto key = core.open_stream(now, reply->peer, reply->protocol);
  const std::scoped_lock lock(mutex_);
  if (key) {
    if (reply->cancelled) return refuse(*key);
    reply->stream = std::make_shared<StreamState>();
    reply->stream->hub = shared_from_this();
    reply->stream->peer = reply->peer;
    reply->stream->protocol = reply->protocol;
    reply->stream->key = *key;
    streams_.emplace(*key, reply->stream);
    answer(*reply, {}, batch_);
  } else if (key.error() == QuicErrc::stream_limit) {
    peers_[reply->peer].opens.push_back(reply);
  } else {
    answer(*reply, key.error(), batch_);
  }
}

// The network thread's part.

void NodeHub::serve(NodeCore& core, const std::shared_ptr<StreamState>& stream) {
  std::size_t credit = 0;
  bool reset = false;
  bool stop = false;
  {
    const std::scoped_lock lock(mutex_);
    stream->dirty = false;
    credit = std::exchange(stream->credit, 0);
    reset = std::exchange(stream->reset_wanted, false);
    stop = std::exchange(stream->stop_wanted, false);
    if (stream->unsent.empty()) {
      stream->unsent.swap(stream->queued);
    } else {
      while (!stream->queued.empty())
        stream->unsent.append(stream->queued.pop());
    }
    if (stream->over) return;
  }
  Connectivity& connectivity = core.connectivity();
  if (credit > 0) connectivity.credit(stream->key, credit);
  if (reset) {
    (void)connectivity.reset_stream(stream->key, CloseCode::cancelled);  // it may be over already
    break_stream(*stream, QuicErrc::stream_closed);
  }
  if (stop) (void)connectivity.stop_stream(stream->key, CloseCode::cancelled);
  if (!stream->broken) pump(core, *stream);
}

void NodeHub::pump(NodeCore& core, StreamState& stream) {
  std::size_t accepted = 0;
  bool finish = false;
  {
    const std::scoped_lock lock(mutex_);
    finish = stream.finish_wanted && stream.queued.empty();
  }
  while (!stream.unsent.empty() || (finish && !stream.finish_given)) {
    const bool last = stream.unsent.count() <= 1;
    Bytes nothing;
    Bytes& chunk = stream.unsent.empty() ? nothing : stream.unsent.front();
    const std::size_t size = chunk.size();
    const bool end = finish && last;
    const auto written = core.connectivity().write(stream.key, chunk, end);
    if (!written) {
      if (written.error() == QuicErrc::would_block) break;
      break_stream(stream, written.error());
      return;
    }
    accepted += size;
    if (!stream.unsent.empty()) (void)stream.unsent.pop();
    if (end) stream.finish_given = true;
  }
  if (accepted == 0) return;
  const std::scoped_lock lock(mutex_);
  stream.queued_bytes -= accepted;
  write_budget_.release(stream.peer, accepted);
  if (write_budget_.has_room(stream.peer, stream.queued_bytes)) signal(stream.writer, {}, batch_);
}

void NodeHub::forget_queued(StreamState& stream) {
  stream.unsent.clear();
  stream.queued.clear();
  write_budget_.release(stream.peer, std::exchange(stream.queued_bytes, 0));
}

void NodeHub::break_stream(StreamState& stream, std::error_code error) {
  stream.broken = true;
  const std::scoped_lock lock(mutex_);
  forget_queued(stream);
  if (!stream.write_error) stream.write_error = error;
  signal(stream.writer, {}, batch_);
  for (const auto& reply : stream.flushers)
    answer(*reply, stream.write_error, batch_);
  stream.flushers.clear();
}

void NodeHub::check_flushes(NodeCore& core) {
  std::erase_if(flushing_, [&](const std::shared_ptr<StreamState>& stream) {
    bool done = stream->broken;
    if (!done && stream->unsent.empty()) {
      done = core.connectivity().unacknowledged_bytes(stream->key) == 0;
    }
    const std::scoped_lock lock(mutex_);
    if (stream->flushers.empty()) return true;
    if (!done || stream->queued_bytes > 0) return false;
    if (stream->finish_wanted && !stream->finish_given && !stream->broken) return false;
    for (const auto& reply : stream->flushers)
      answer(*reply, stream->write_error, batch_);
    stream->flushers.clear();
    return true;
  });
}

}  // namespace quicmesh::io
