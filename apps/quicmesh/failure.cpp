// See failure.hpp.
#include "failure.hpp"

#include "quic/quic_errc.hpp"
#include "quicmesh/io_errc.hpp"
#include "quicmesh/result.hpp"
#include "text.hpp"

namespace quicmesh::cli {

int exit_code_of(std::error_code error) {
  const bool timed_out = error == make_error_code(QuicErrc::handshake_timeout) ||
                         error == make_error_code(QuicErrc::idle_timeout) ||
                         error == make_error_code(IoErrc::flush_timeout) ||
                         error == std::make_error_code(std::errc::timed_out);
  return timed_out ? exit_timed_out : exit_failed;
}

std::string code_name(std::error_code error) {
  return std::string(error.category().name()) + "." + std::to_string(error.value());
}

Failure make_failure(std::string_view what, std::error_code error, std::string_view reason) {
  Failure failure{.exit_code = exit_code_of(error), .code = code_name(error)};
  failure.message.append(what).append(": ").append(error.message());
  if (!reason.empty() && reason != error.message())
    failure.message.append(" [").append(reason).append("]");
  failure.hint = std::string(hint(error));
  return failure;
}

Failure usage_failure(std::string message, std::string hint) {
  return {.exit_code = exit_usage,
          .code = "usage",
          .message = std::move(message),
          .hint = std::move(hint)};
}

std::string to_line(const Failure& failure) {
  std::string line = printable(failure.message);
  if (!failure.hint.empty()) line.append(" (").append(printable(failure.hint)).append(")");
  return line;
}

boost::json::object to_json(const Failure& failure) {
  return {{"event", "error"},
          {"code", failure.code},
          {"message", valid_utf8(failure.message)},
          {"hint", valid_utf8(failure.hint)}};
}

}  // namespace quicmesh::cli
