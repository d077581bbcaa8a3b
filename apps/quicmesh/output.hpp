// What a command says: events go to stdout, as JSON lines or as lines for people; errors to stderr
// as well, and progress to stderr if that is a terminal.
//
// When nobody reads stdout any more, as after `| head -1`, the process ends: in order by SIGTERM if
// it handles that, otherwise as SIGPIPE ends a program. What cannot be written for another reason,
// as on a full disk, is one line on stderr, and makes the process fail.
//
// A process with a node writes in the background (line_writer.hpp), all others wait for the reader.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <boost/json/object.hpp>

#include "failure.hpp"
#include "line_writer.hpp"

namespace quicmesh::cli {

/// Where an operation reports to: the Output of this process, or a client of the control socket.
using EventSink = std::function<void(const boost::json::object& event)>;

class Output {
 public:
  explicit Output(bool json);

  [[nodiscard]] bool json() const { return json_; }

  /// Prints an event. "error" goes to stderr in text mode, "progress" only ever to a terminal.
  void event(const boost::json::object& event);
  void fail(const Failure& failure);
  /// A line for people: nothing with --json.
  void line(const std::string& text);
  [[nodiscard]] EventSink sink();

  /// Writes text as it is.
  void text(const std::string& text);

  /// From now on nothing here waits for the reader: lines that it does not read are dropped. With
  /// `vital`, the process ends in order if not even the first line can be written.
  void write_in_background(bool vital);
  /// Somebody wants the process to end: `finish` waits for the reader no longer than a moment.
  void hurry() { hurried_ = true; }
  /// Waits until all is written; the exit code, given that of the work.
  [[nodiscard]] int finish(int code);

  /// Nobody reads stdout any more; may be said several times.
  static void on_reader_gone();

 private:
  void print(std::string line);
  void write(int descriptor, std::string text);
  void show_progress(const boost::json::object& event);
  void clear_progress();

  bool json_;
  bool terminal_;
  bool progress_shown_ = false;
  bool hurried_ = false;
  std::unique_ptr<LineWriter> background_;
};

/// How an event reads for a person; empty for one that people need not see.
[[nodiscard]] std::string event_text(const boost::json::object& event);

/// Members of events, with a default for what is missing or of another kind.
[[nodiscard]] std::string text_of(const boost::json::object& object, std::string_view key);
[[nodiscard]] std::int64_t integer_of(const boost::json::object& object, std::string_view key,
                                      std::int64_t fallback = 0);
[[nodiscard]] double number_of(const boost::json::object& object, std::string_view key,
                               double fallback = 0);
[[nodiscard]] bool flag_of(const boost::json::object& object, std::string_view key);

/// `text` as a JSON object of at most a few levels; nothing if it is no such thing.
[[nodiscard]] bool parse_object(std::string_view text, boost::json::object& object);
[[nodiscard]] std::string to_text(const boost::json::object& object);

}  // namespace quicmesh::cli
