// The base of every error category of ours: a table of codes, each with a message and a hint.
//
// A layer declares `enum class FooErrc` (codes from 1), `std::is_error_code_enum<FooErrc>`, and one
// `HintedCategory` over a constant table; see base_errc.hpp for the smallest example.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <system_error>

namespace quicmesh {

struct ErrorText {
  int code;
  std::string_view message;  // what failed and why, no full stop
  std::string_view hint;     // what to try
};

class HintedCategory : public std::error_category {
 public:
  /// `table` must have static storage; codes need not be contiguous.
  constexpr HintedCategory(const char* name, std::span<const ErrorText> table)
      : name_(name), table_(table) {}

  [[nodiscard]] const char* name() const noexcept override { return name_; }
  [[nodiscard]] std::string message(int code) const override;
  [[nodiscard]] std::string_view hint(int code) const;

 private:
  [[nodiscard]] const ErrorText* find(int code) const;

  const char* name_;
  std::span<const ErrorText> table_;
};

}  // namespace quicmesh
