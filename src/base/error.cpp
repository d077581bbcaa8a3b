// The look-up of messages and hints; tables have a few dozen rows, so a linear search will do.
#include "base/error.hpp"

namespace quicmesh {

std::string HintedCategory::message(int code) const {
  if (const ErrorText* text = find(code)) return std::string(text->message);
  return "unknown " + std::string(name_) + " error " + std::to_string(code);
}

std::string_view HintedCategory::hint(int code) const {
  const ErrorText* text = find(code);
  return text ? text->hint : std::string_view{};
}

const ErrorText* HintedCategory::find(int code) const {
  for (const ErrorText& text : table_) {
    if (text.code == code) return &text;
  }
  return nullptr;
}

}  // namespace quicmesh
