// See settings_file.hpp.
#include "settings_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include <fmt/format.h>
#include <toml++/toml.h>

namespace quicmesh::cli {
namespace {

/// A scalar as the text that a flag would have; false for anything else.
bool scalar_text(const toml::node& node, std::string& text) {
  if (const auto* value = node.as_string()) {
    text = value->get();
  } else if (const auto* number = node.as_integer()) {
    text = std::to_string(number->get());
  } else if (const auto* real = node.as_floating_point()) {
    text = fmt::format("{}", real->get());
  } else if (const auto* flag = node.as_boolean()) {
    text = flag->get() ? "true" : "false";
  } else {
    return false;
  }
  return true;
}

bool node_texts(const toml::node& node, SettingsFileEntry& entry) {
  const toml::array* array = node.as_array();
  if (array == nullptr) return scalar_text(node, entry.texts.emplace_back());
  entry.is_list = true;
  return std::ranges::all_of(*array, [&](const toml::node& element) {
    return element.is_string() && scalar_text(element, entry.texts.emplace_back());
  });
}

Failure unreadable(const std::string& path, std::error_code error) {
  return usage_failure(fmt::format("{}: cannot read the configuration: {}", path, error.message()),
                       "check the path after --config or in QUICMESH_CONFIG");
}

Outcome<std::string> read_text(const std::string& path) {
  std::error_code ignored;
  // A folder opens like a file.
  if (std::filesystem::is_directory(path, ignored))
    return std::unexpected(unreadable(path, std::make_error_code(std::errc::is_a_directory)));
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::unexpected(unreadable(path, {errno, std::generic_category()}));
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

Outcome<std::vector<SettingsFileEntry>> read_settings_file(const std::string& path) {
  const auto text = read_text(path);
  if (!text) return std::unexpected(text.error());
  std::vector<SettingsFileEntry> entries;
  try {
    const toml::table table = toml::parse(*text, path);
    for (const auto& [key, node] : table) {
      SettingsFileEntry entry;
      entry.key = key.str();
      entry.where = fmt::format("{}:{}", path, node.source().begin.line);
      if (!node_texts(node, entry))
        return std::unexpected(
            usage_failure(fmt::format("{}: \"{}\" must be a string, a number, true, false or an "
                                      "array of strings",
                                      entry.where, entry.key)));
      entries.push_back(std::move(entry));
    }
  } catch (const toml::parse_error& error) {
    return std::unexpected(usage_failure(
        fmt::format("{}:{}: {}", path, error.source().begin.line, error.description())));
  }
  std::ranges::stable_sort(entries, {}, [](const SettingsFileEntry& entry) {
    return std::pair(entry.where.size(), entry.where);
  });
  return entries;
}

}  // namespace quicmesh::cli
