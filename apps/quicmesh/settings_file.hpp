// Reads a settings file: flat TOML, every value with its line. The one place that knows toml++,
// whose exceptions end here.
#pragma once

#include <string>
#include <vector>

#include "failure.hpp"

namespace quicmesh::cli {

struct SettingsFileEntry {
  std::string key;
  std::vector<std::string> texts;
  bool is_list = false;
  std::string where;  // "file:line"
};

/// The entries in the file's order. Fails, with exit code 2 and "file:line", if the file cannot be
/// read, is no TOML, or has a table or another value that no setting has.
Outcome<std::vector<SettingsFileEntry>> read_settings_file(const std::string& path);

}  // namespace quicmesh::cli
