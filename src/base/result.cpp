// Finds the hint of an error code: only categories of ours carry one, recognised by their base
// class.
#include "quicmesh/result.hpp"

#include "base/error.hpp"

namespace quicmesh {

std::string_view hint(const std::error_code& error) {
  const auto* category = dynamic_cast<const HintedCategory*>(&error.category());
  return category ? category->hint(error.value()) : std::string_view{};
}

std::string describe(const std::error_code& error) {
  std::string text = error.message();
  const std::string_view advice = hint(error);
  if (!advice.empty()) text.append(" (").append(advice).append(")");
  return text;
}

}  // namespace quicmesh
