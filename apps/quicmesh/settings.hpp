// Settings: what a command is told, from four places: flag > environment > file > default.
//
// Every value is kept as the texts it was given as, with where it came from, and is checked when it
// is read: a bad one fails with its place ("mesh.toml:3"), so that no later code meets one.
//
// The environment variable of `idle_timeout` is QUICMESH_IDLE_TIMEOUT; lists are separated by
// spaces there. The file is TOML, flat, with lists as arrays: the one of --config or
// QUICMESH_CONFIG, which must exist, else `$XDG_CONFIG_HOME/quicmesh/config.toml` if it exists.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "failure.hpp"
#include "quicmesh/config.hpp"
#include "quicmesh/node_address.hpp"

namespace quicmesh::cli {

enum class SettingKind : std::uint8_t {
  text,
  folder,
  flag,     // true or false
  seconds,  // above 0, at most a day
  count,    // 1 to 1,000,000
  port,     // 0 to 65535
  choice,   // one of SettingSpec::choices
  addresses,
  nodes,
  turn_servers,  // turn:user[:password]@host[:port]
  secret,        // text that is never shown
};

struct SettingSpec {
  std::string_view key;
  SettingKind kind;
  std::string_view fallback;
  std::string_view description;
  std::string_view choices = {};  // separated by spaces
};

/// Of every environment variable that is read as a setting.
inline constexpr std::string_view environment_prefix = "QUICMESH_";

/// Every setting there is.
std::span<const SettingSpec> setting_specs();
/// Nothing for an unknown key.
const SettingSpec* find_setting(std::string_view key);

struct SettingValue {
  std::vector<std::string> texts;
  std::string source;  // "--log", "QUICMESH_LOG", "/etc/mesh.toml:3", "default"
};

class Settings {
 public:
  using Texts = std::map<std::string, std::vector<std::string>, std::less<>>;

  /// What the command line gave, by key; `config_file` of --config, empty without.
  static Outcome<Settings> load(const Texts& flags, const std::string& config_file);

  [[nodiscard]] const SettingValue& value(std::string_view key) const;
  [[nodiscard]] std::string text(std::string_view key) const;
  [[nodiscard]] bool flag(std::string_view key) const {
    return text(key) == "true" || text(key) == "1";
  }
  [[nodiscard]] Duration seconds(std::string_view key) const;
  [[nodiscard]] std::size_t count(std::string_view key) const;
  [[nodiscard]] std::vector<SocketAddress> addresses(std::string_view key) const;
  [[nodiscard]] std::vector<NodeAddress> nodes(std::string_view key) const;
  /// A server without a password of its own has that of the setting `turn_password`.
  [[nodiscard]] std::vector<TurnAccount> turn_servers(std::string_view key) const;
  /// The file that was read; empty if none.
  [[nodiscard]] const std::string& file() const { return file_; }

  /// For a node under `data`, with the key file there.
  [[nodiscard]] Config node_config() const;

 private:
  Outcome<void> take(const SettingSpec& spec, std::vector<std::string> texts, std::string source);
  Outcome<void> take_environment();
  Outcome<void> take_file(const std::string& path);

  std::map<std::string, SettingValue, std::less<>> values_;
  std::string file_;
};

/// Several values of such a setting stand side by side.
[[nodiscard]] bool is_list(SettingKind kind);

/// `turn:user[:password]@host[:port]`: the user up to the first colon, the host behind the last @.
/// Port 3478 if none is named (RFC 8656 s19).
[[nodiscard]] Result<TurnAccount> parse_turn_server(std::string_view text);
/// `text`, a value of `spec`, as it may be shown: without passwords.
[[nodiscard]] std::string shown_text(const SettingSpec& spec, const std::string& text);

/// A path of the file system made absolute, with a leading `~/` replaced.
[[nodiscard]] std::string absolute_path(const std::string& path);

}  // namespace quicmesh::cli
