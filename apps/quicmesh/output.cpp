// See output.hpp.
#include "output.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cmath>
#include <csignal>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "dht_value.hpp"
#include "interrupts.hpp"
#include "text.hpp"

namespace quicmesh::cli {
namespace {

/// Six decimals at most: Boost.JSON would write 2.5 as 2.5E0, which is JSON but nothing to read.
std::string number_text(double value) {
  if (!std::isfinite(value)) return "null";
  std::string text = fmt::format("{:.6f}", value);
  while (text.back() == '0')
    text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

/// Arrays and objects of our own making, a few levels deep.
void write_value(std::string& out, const boost::json::value& value) {
  const char* separator = "";
  if (value.is_double()) {
    out += number_text(value.get_double());
  } else if (value.is_array()) {
    out += '[';
    for (const boost::json::value& element : value.get_array()) {
      out += std::exchange(separator, ",");
      write_value(out, element);
    }
    out += ']';
  } else if (value.is_object()) {
    out += '{';
    for (const auto& [key, member] : value.get_object()) {
      out += std::exchange(separator, ",");
      out += boost::json::serialize(key);
      out += ':';
      write_value(out, member);
    }
    out += '}';
  } else {
    out += boost::json::serialize(value);
  }
}

constexpr std::chrono::milliseconds hurried_limit{1000};
constexpr int look_every_ms = 100;  // for an interrupt

// Of the whole process, as stdout is.
std::atomic<bool> reader_gone = false;
std::atomic<bool> stdout_failed = false;

/// Waits for the reader, unless the user interrupts that: 0 or the number of the error.
int write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    // What poll(2) found room for does not block, so that an interrupt is never missed.
    pollfd room{.fd = descriptor, .events = POLLOUT, .revents = 0};
    if (::poll(&room, 1, look_every_ms) <= 0) {
      if (interrupted()) return 0;
      continue;
    }
    const ssize_t size =
        ::write(descriptor, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF));
    if (size < 0 && errno != EINTR && errno != EAGAIN) return errno;
    if (size > 0) text.remove_prefix(static_cast<std::size_t>(size));
  }
  return 0;
}

void on_write_error(int descriptor, int error_number, bool /*first*/) {
  if (descriptor != STDOUT_FILENO) return;  // nowhere to complain
  if (error_number == EPIPE) return Output::on_reader_gone();
  if (stdout_failed.exchange(true)) return;
  (void)write_all(STDERR_FILENO,
                  fmt::format("quicmesh: cannot write to stdout: {} (its output is lost)\n",
                              std::strerror(error_number)));
}

/// Nobody learns where a node is whose first line is lost.
void on_vital_write_error(int descriptor, int error_number, bool first) {
  on_write_error(descriptor, error_number, first);
  if (first && descriptor == STDOUT_FILENO) Output::on_reader_gone();
}

std::string json_drop_note(std::uint64_t count) {
  return fmt::format("{{\"event\":\"lines_dropped\",\"count\":{}}}\n", count);
}

std::string text_drop_note(std::uint64_t count) {
  return fmt::format("({} lines are missing here: they were not read in time)\n", count);
}

/// A value of the DHT, byte for byte; on a terminal as a line that cannot steer it.
std::string value_text(const boost::json::object& event) {
  const std::string bytes = value_in(event).value_or("");
  return ::isatty(STDOUT_FILENO) == 1 ? printable(bytes) + '\n' : bytes;
}

}  // namespace

Output::Output(bool json) : json_(json), terminal_(::isatty(STDERR_FILENO) == 1) {}

EventSink Output::sink() {
  return [this](const boost::json::object& event) { this->event(event); };
}

void Output::event(const boost::json::object& event) {
  const std::string kind = text_of(event, "event");
  if (kind == "progress") return show_progress(event);
  clear_progress();
  if (kind == "error") {
    std::string line = printable(text_of(event, "message"));
    const std::string hint = text_of(event, "hint");
    if (!hint.empty()) line.append(" (").append(printable(hint)).append(")");
    write(STDERR_FILENO, fmt::format("quicmesh: {}\n", line));
    if (!json_) return;
  }
  if (kind == "value" && !json_) return write(STDOUT_FILENO, value_text(event));
  const std::string text = json_ ? to_text(event) : event_text(event);
  if (text.empty()) return;
  // What a question to the DHT took is beside the point: on stdout is what was asked for.
  if (kind == "summary" && event.contains("hops") && !json_)
    return write(STDERR_FILENO, text + '\n');
  print(text);
}

void Output::fail(const Failure& failure) {
  event(to_json(failure));
}

void Output::line(const std::string& text) {
  if (json_) return;
  clear_progress();
  print(text);
}

void Output::text(const std::string& text) {
  write(STDOUT_FILENO, text);
}

void Output::print(std::string line) {
  write(STDOUT_FILENO, std::move(line) + '\n');
}

void Output::write(int descriptor, std::string text) {
  if (background_) return background_->write(descriptor, std::move(text));
  if (const int error = write_all(descriptor, text); error != 0)
    on_write_error(descriptor, error, false);
}

void Output::write_in_background(bool vital) {
  background_ = std::make_unique<LineWriter>(vital ? on_vital_write_error : on_write_error,
                                             json_ ? json_drop_note : text_drop_note);
}

int Output::finish(int code) {
  if (background_) {
    using Limit = std::optional<std::chrono::milliseconds>;
    (void)background_->drain(hurried_ ? Limit(hurried_limit) : Limit());
    background_.reset();
  }
  const bool well = code == exit_done || code == exit_interrupted;
  return stdout_failed && well ? exit_failed : code;
}

void Output::on_reader_gone() {
  if (reader_gone.exchange(true)) return;
  struct sigaction action{};
  ::sigaction(SIGTERM, nullptr, &action);
  if (action.sa_handler == SIG_DFL) {
    std::signal(SIGPIPE, SIG_DFL);
    ::kill(::getpid(), SIGPIPE);
  }
  ::kill(::getpid(), SIGTERM);
}

void Output::show_progress(const boost::json::object& event) {
  if (!terminal_ || json_) return;
  if (background_ && !background_->idle()) return;  // the next one shows more
  const auto total = static_cast<std::uint64_t>(integer_of(event, "total"));
  const auto bytes = static_cast<std::uint64_t>(integer_of(event, "bytes"));
  constexpr std::size_t width = 30;
  const double part = total == 0 ? 1.0 : static_cast<double>(bytes) / static_cast<double>(total);
  const auto filled = std::min(width, static_cast<std::size_t>(part * width));
  std::string line =
      fmt::format("\r\x1b[K{} [{}{}] {:3.0f} %  {} of {}  {}", printable(text_of(event, "name")),
                  std::string(filled, '#'), std::string(width - filled, '.'), part * 100,
                  human_bytes(bytes), human_bytes(total),
                  human_rate(static_cast<std::uint64_t>(integer_of(event, "moved")),
                             number_of(event, "seconds")));
  write(STDERR_FILENO, std::move(line));
  progress_shown_ = true;
}

void Output::clear_progress() {
  if (!progress_shown_) return;
  write(STDERR_FILENO, "\r\x1b[K");
  progress_shown_ = false;
}

std::string text_of(const boost::json::object& object, std::string_view key) {
  const boost::json::value* value = object.if_contains(key);
  if (value == nullptr || !value->is_string()) return {};
  return std::string(value->get_string());
}

std::int64_t integer_of(const boost::json::object& object, std::string_view key,
                        std::int64_t fallback) {
  const boost::json::value* value = object.if_contains(key);
  if (value == nullptr) return fallback;
  if (value->is_int64()) return value->get_int64();
  if (value->is_uint64() && value->get_uint64() <= INT64_MAX)
    return static_cast<std::int64_t>(value->get_uint64());
  return fallback;
}

double number_of(const boost::json::object& object, std::string_view key, double fallback) {
  const boost::json::value* value = object.if_contains(key);
  if (value == nullptr) return fallback;
  if (value->is_double()) return value->get_double();
  if (value->is_int64()) return static_cast<double>(value->get_int64());
  if (value->is_uint64()) return static_cast<double>(value->get_uint64());
  return fallback;
}

bool flag_of(const boost::json::object& object, std::string_view key) {
  const boost::json::value* value = object.if_contains(key);
  return value != nullptr && value->is_bool() && value->get_bool();
}

bool parse_object(std::string_view text, boost::json::object& object) {
  boost::json::parse_options options;
  options.max_depth = 8;
  boost::system::error_code error;
  boost::json::value value = boost::json::parse(text, error, {}, options);
  if (error || !value.is_object()) return false;
  object = std::move(value.get_object());
  return true;
}

std::string to_text(const boost::json::object& object) {
  std::string out;
  write_value(out, object);
  return out;
}

}  // namespace quicmesh::cli
