// Command lines of the yardsticks: words first, then `--name value` or `--name` alone.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

class Arguments {
 public:
  Arguments(int argc, char** argv);

  /// The n-th word that is no option, or `otherwise`.
  [[nodiscard]] std::string word(std::size_t index, std::string_view otherwise) const;
  [[nodiscard]] bool flag(std::string_view name) const;
  [[nodiscard]] std::string text(std::string_view name, std::string_view otherwise) const;
  /// A decimal number; anything else ends the process with a message.
  [[nodiscard]] std::uint64_t number(std::string_view name, std::uint64_t otherwise) const;

  /// Ends the process if an option was given that nothing asked for. Call it after all options were
  /// read: a misspelt option would otherwise silently measure something else.
  void reject_unknown() const;

 private:
  std::vector<std::string> words_;
  std::map<std::string, std::string, std::less<>> options_;
  mutable std::set<std::string, std::less<>> asked_;
};

}  // namespace bench
