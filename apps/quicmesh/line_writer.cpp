// See line_writer.hpp.
#include "line_writer.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

namespace quicmesh::cli {
namespace {

constexpr int look_every_ms = 100;  // whether to give up
constexpr std::chrono::milliseconds farewell{500};

struct Line {
  int descriptor = STDOUT_FILENO;
  std::string text;
};

}  // namespace

struct LineWriter::State {
  OnError on_error;
  DropNote drop_note;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Line> lines;
  std::size_t bytes = 0;
  std::uint64_t dropped = 0;
  bool writing = false;
  bool stop = false;
  bool ended = false;
  bool wrote = false;  // of the thread alone

  bool stopped() {
    const std::lock_guard lock(mutex);
    return stop;
  }

  bool is_idle() const { return lines.empty() && dropped == 0 && !writing; }

  void write(const Line& line);
};

void LineWriter::State::write(const Line& line) {
  std::string_view rest = line.text;
  while (!rest.empty() && !stopped()) {
    pollfd room{.fd = line.descriptor, .events = POLLOUT, .revents = 0};
    if (::poll(&room, 1, look_every_ms) <= 0) continue;
    const ssize_t size =
        ::write(line.descriptor, rest.data(), std::min<std::size_t>(rest.size(), PIPE_BUF));
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (size < 0) return on_error(line.descriptor, errno, !std::exchange(wrote, true));
    wrote = true;
    rest.remove_prefix(static_cast<std::size_t>(size));
  }
}

LineWriter::LineWriter(OnError on_error, DropNote drop_note) : state_(std::make_shared<State>()) {
  state_->on_error = on_error;
  state_->drop_note = drop_note;
  // Signals are for the thread that waits for them.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread([state = state_] { run(state); }).detach();
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

LineWriter::~LineWriter() {
  std::unique_lock lock(state_->mutex);
  state_->stop = true;
  state_->changed.notify_all();
  state_->changed.wait_for(lock, farewell, [&] { return state_->ended; });
}

void LineWriter::run(const std::shared_ptr<State>& state) {
  std::unique_lock lock(state->mutex);
  while (true) {
    state->changed.wait(lock, [&] { return state->stop || !state->is_idle(); });
    if (state->stop) break;
    Line line;
    if (state->dropped > 0) {
      line.text = state->drop_note(std::exchange(state->dropped, 0));
    } else {
      line = std::move(state->lines.front());
      state->lines.pop_front();
      state->bytes -= line.text.size();
    }
    state->writing = true;
    lock.unlock();
    state->write(line);
    lock.lock();
    state->writing = false;
    state->changed.notify_all();
  }
  state->ended = true;
  state->changed.notify_all();
}

void LineWriter::write(int descriptor, std::string text) {
  const std::lock_guard lock(state_->mutex);
  state_->bytes += text.size();
  state_->lines.push_back({.descriptor = descriptor, .text = std::move(text)});
  while (state_->bytes > queue_bytes_max && state_->lines.size() > 1) {
    state_->bytes -= state_->lines.front().text.size();
    state_->lines.pop_front();
    ++state_->dropped;
  }
  state_->changed.notify_all();
}

bool LineWriter::idle() const {
  const std::lock_guard lock(state_->mutex);
  return state_->is_idle();
}

bool LineWriter::drain(std::optional<std::chrono::milliseconds> limit) {
  std::unique_lock lock(state_->mutex);
  const auto done = [&] { return state_->is_idle(); };
  if (limit) return state_->changed.wait_for(lock, *limit, done);
  state_->changed.wait(lock, done);
  return true;
}

}  // namespace quicmesh::cli
