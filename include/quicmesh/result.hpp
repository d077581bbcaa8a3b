// How the library reports failure: a value, or an `std::error_code` whose category names the layer.
//
// Every code of ours carries a hint, one sentence that says what to try; `hint(error)` returns it.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <system_error>

namespace quicmesh {

template <class T>
using Result = std::expected<T, std::error_code>;

/// Makes the failed side of any `Result<T>`.
[[nodiscard]] inline std::unexpected<std::error_code> failure(std::error_code error) {
  return std::unexpected<std::error_code>(error);
}

/// What to try about `error`; empty for codes of other libraries (errno and the like).
[[nodiscard]] std::string_view hint(const std::error_code& error);

/// One line for a person: the message, then the hint in parentheses if there is one.
[[nodiscard]] std::string describe(const std::error_code& error);

}  // namespace quicmesh
