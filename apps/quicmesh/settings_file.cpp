// See settings_file.hpp.
#include "settings_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <system_error>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "io/file_descriptor.hpp"

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

constexpr std::size_t file_size_max = 1u << 20;

Failure unreadable(const std::string& path, const std::string& why) {
  return usage_failure(fmt::format("{}: cannot read the configuration: {}", path, why),
                       "check the path after --config or in QUICMESH_CONFIG");
}

Failure unreadable(const std::string& path, int error_number) {
  return unreadable(path, std::generic_category().message(error_number));
}

/// Of a regular file, or of /dev/null; whatever else there is might never end.
Outcome<std::string> read_text(const std::string& path) {
  // O_NONBLOCK: a named pipe would wait for a writer.
  const io::FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status{};
  if (!file || ::fstat(file.get(), &status) != 0) return std::unexpected(unreadable(path, errno));
  if (S_ISDIR(status.st_mode)) return std::unexpected(unreadable(path, EISDIR));
  if (!S_ISREG(status.st_mode) && !S_ISCHR(status.st_mode))
    return std::unexpected(unreadable(path, "it is no regular file"));
  std::string text;
  std::array<char, 16'384> piece{};
  while (true) {
    const ssize_t size = ::read(file.get(), piece.data(), piece.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return std::unexpected(unreadable(path, errno));
    if (size == 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(size));
    if (text.size() > file_size_max) return std::unexpected(unreadable(path, "it is too large"));
  }
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
