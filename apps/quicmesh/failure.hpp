// Failure: why a command ends without having done its work, as one line for a person, one JSON
// object for a script, and an exit code.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <system_error>

#include <boost/json/object.hpp>

namespace quicmesh::cli {

inline constexpr int exit_done = 0;
inline constexpr int exit_failed = 1;
inline constexpr int exit_usage = 2;
inline constexpr int exit_timed_out = 3;
inline constexpr int exit_interrupted = 130;

struct Failure {
  int exit_code = exit_failed;
  std::string code;     // for scripts: "usage", "config", or category and number of an error code
  std::string message;  // what failed and why
  std::string hint;     // what to try
};

template <class T>
using Outcome = std::expected<T, Failure>;

/// `what` failed because of `error`; `reason` is what the peer said about it, if anything.
/// Errors that mean "no answer in time" exit with 3.
[[nodiscard]] Failure make_failure(std::string_view what, std::error_code error,
                                   std::string_view reason = {});

/// The same for a bad command line, environment or configuration: exit code 2.
[[nodiscard]] Failure usage_failure(std::string message, std::string hint = {});

[[nodiscard]] int exit_code_of(std::error_code error);
[[nodiscard]] std::string code_name(std::error_code error);

/// "message (hint)", on one line.
[[nodiscard]] std::string to_line(const Failure& failure);

/// `{"event":"error","code","message","hint"}`.
[[nodiscard]] boost::json::object to_json(const Failure& failure);

}  // namespace quicmesh::cli
