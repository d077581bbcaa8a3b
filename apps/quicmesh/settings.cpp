// See settings.hpp.
#include "settings.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>

#include "quicmesh/result.hpp"
#include "settings_file.hpp"

namespace quicmesh::cli {
namespace {

using Kind = SettingKind;

constexpr std::size_t turn_text_max = 512;  // bytes of a user name (RFC 8489 s14.3) or password

constexpr std::size_t turn_servers_max = 2;  // a node uses no more (node/turn_user.hpp)

constexpr std::array specs{
    SettingSpec{"data", Kind::folder, "", "identity, caches and the control socket"},
    SettingSpec{"log", Kind::choice, "warn", "what is logged on stderr",
                "off error warn info debug trace"},
    SettingSpec{"json", Kind::flag, "false", "one JSON object a line on stdout"},
    SettingSpec{"listen", Kind::addresses, "", "where to receive; any free port without"},
    SettingSpec{"bootstrap", Kind::nodes, "", "nodes of the mesh to begin with, and to stay by"},
    SettingSpec{"dht", Kind::choice, "automatic", "which part to take in the DHT",
                "automatic off client server"},
    SettingSpec{"mdns", Kind::flag, "true", "reserved: nothing is looked for yet"},
    SettingSpec{"private", Kind::flag, "false", "reserved: nothing is announced yet"},
    SettingSpec{"path", Kind::choice, "any", "which paths to use", "any direct relay"},
    SettingSpec{"relay", Kind::flag, "false", "forward for others"},
    SettingSpec{"relay_via", Kind::nodes, "", "relays to be reached over"},
    SettingSpec{"relay_tls", Kind::addresses, "",
                "TCP addresses for relay clients without UDP; usually port 443"},
    SettingSpec{"relay_tls_port", Kind::port, "443", "TCP port of relays without UDP; 0: never"},
    SettingSpec{"turn", Kind::turn_servers, "",
                "TURN servers to fall back on: turn:user[:password]@host[:port]"},
    SettingSpec{"turn_password", Kind::secret, "", "of the TURN servers that are named without"},
    SettingSpec{"stun", Kind::addresses, "", "STUN servers to ask about the NAT, besides relays"},
    SettingSpec{"port_mapping", Kind::flag, "true",
                "have the gateway forward the port, by UPnP or NAT-PMP (up, recv)"},
    SettingSpec{"allow_bogon", Kind::flag, "false",
                "documentation and CGN addresses count as public; for laboratories"},
    SettingSpec{"congestion", Kind::choice, "bbr", "congestion control", "bbr cubic"},
    SettingSpec{"idle_timeout", Kind::seconds, "30", "a silent peer is given up after this"},
    SettingSpec{"keep_alive", Kind::seconds, "12", "something is sent at least this often"},
    SettingSpec{"handshake_timeout", Kind::seconds, "10", "a dial is given up after this"},
    SettingSpec{"max_connections", Kind::count, "20000", "peers at once"},
    SettingSpec{"out", Kind::folder, ".", "where received files go"},
};

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string home_folder(const char* xdg_variable, std::string_view otherwise) {
  const std::string own = variable(xdg_variable);
  if (!own.empty() && own.front() == '/') return own + "/quicmesh";
  return fmt::format("{}/{}/quicmesh", variable("HOME"), otherwise);
}

std::string environment_name(std::string_view key) {
  std::string name(environment_prefix);
  for (const char character : key)
    name += static_cast<char>(character >= 'a' && character <= 'z' ? character - 32 : character);
  return name;
}

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (end > 0) out.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

/// A finite number between the bounds, in decimal notation; NaN for anything else.
double parse_number(std::string_view text, double least, double most) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, std::chars_format::fixed);
  const bool good = error == std::errc{} && stop == end && value >= least && value <= most;
  return good ? value : std::nan("");
}

/// What is wrong with `text` as a value of `spec`; empty if nothing is.
std::string complaint(const SettingSpec& spec, const std::string& text) {
  switch (spec.kind) {
    case Kind::text:
    case Kind::folder:
      return text.empty() ? "must not be empty" : "";
    case Kind::flag:
      return text == "true" || text == "false" || text == "1" || text == "0"
                 ? ""
                 : "must be true or false";
    case Kind::seconds:
      return std::isnan(parse_number(text, 0.001, 86'400))
                 ? "must be a number of seconds up to 86400"
                 : "";
    case Kind::count: {
      const double value = parse_number(text, 1, 1'000'000);
      return std::isnan(value) || value != std::floor(value) ? "must be a number from 1 to 1000000"
                                                             : "";
    }
    case Kind::port:
      return std::isnan(parse_number(text, 0, 65'535)) ? "must be a number from 0 to 65535" : "";
    case Kind::choice: {
      for (const std::string& choice : words(spec.choices)) {
        if (choice == text) return "";
      }
      return fmt::format("must be one of: {}", spec.choices);
    }
    case Kind::addresses: {
      const auto address = SocketAddress::parse(text);
      return address ? "" : describe(address.error());
    }
    case Kind::nodes: {
      const auto address = NodeAddress::parse(text);
      return address ? "" : describe(address.error());
    }
    case Kind::turn_servers:
      return parse_turn_server(text) ? "" : "must be turn:user[:password]@host[:port]";
    case Kind::secret:
      return text.size() <= turn_text_max ? "" : "is too long";
  }
  return "";
}

DhtRole dht_role_of(std::string_view text) {
  if (text == "off") return DhtRole::off;
  if (text == "client") return DhtRole::client;
  return text == "server" ? DhtRole::server : DhtRole::automatic;
}

}  // namespace

std::span<const SettingSpec> setting_specs() {
  return specs;
}

bool is_list(Kind kind) {
  return kind == Kind::addresses || kind == Kind::nodes || kind == Kind::turn_servers;
}

Result<TurnAccount> parse_turn_server(std::string_view text) {
  constexpr std::string_view scheme = "turn:";
  constexpr std::string_view default_port = ":3478";
  const auto malformed = failure(std::make_error_code(std::errc::invalid_argument));
  if (text.starts_with(scheme)) text.remove_prefix(scheme.size());
  const std::size_t at = text.rfind('@');
  if (at == std::string_view::npos) return malformed;
  const std::string_view user = text.substr(0, at);
  const std::size_t colon = std::min(user.find(':'), user.size());
  std::string host(text.substr(at + 1));
  auto server = HostPort::parse(host);
  if (!server) server = HostPort::parse(host.append(default_port));
  TurnAccount account;
  account.username = user.substr(0, colon);
  if (colon < user.size()) account.password = user.substr(colon + 1);
  const bool bounded =
      account.username.size() <= turn_text_max && account.password.size() <= turn_text_max;
  if (!server || account.username.empty() || !bounded) return malformed;
  account.server = *server;
  return account;
}

std::string shown_text(const SettingSpec& spec, const std::string& text) {
  constexpr std::string_view hidden = "***";
  if (spec.kind == Kind::secret) return std::string(text.empty() ? "" : hidden);
  const auto account = parse_turn_server(text);
  if (spec.kind != Kind::turn_servers) return text;
  if (!account) return std::string(hidden);  // what it was meant to be is anybody's guess
  const std::string secret = account->password.empty() ? "" : fmt::format(":{}", hidden);
  return fmt::format("turn:{}{}@{}", account->username, secret, account->server.to_string());
}

const SettingSpec* find_setting(std::string_view key) {
  for (const SettingSpec& spec : specs) {
    if (spec.key == key) return &spec;
  }
  return nullptr;
}

std::string absolute_path(const std::string& path) {
  if (path.starts_with("~/")) return variable("HOME") + path.substr(1);
  std::error_code error;
  const auto absolute = std::filesystem::absolute(path, error);
  return error ? path : absolute.lexically_normal().string();
}

Outcome<Settings> Settings::load(const Texts& flags, const std::string& config_file) {
  Settings settings;
  for (const SettingSpec& spec : specs) {
    SettingValue& value = settings.values_[std::string(spec.key)];
    if (!is_list(spec.kind)) value.texts = {std::string(spec.fallback)};
    value.source = "default";
  }
  settings.values_["data"].texts = {home_folder("XDG_DATA_HOME", ".local/share")};

  std::string path = config_file.empty() ? variable("QUICMESH_CONFIG") : config_file;
  if (path.empty()) {
    const std::string usual = home_folder("XDG_CONFIG_HOME", ".config") + "/config.toml";
    std::error_code error;
    if (std::filesystem::exists(usual, error)) path = usual;
  }
  if (!path.empty()) {
    if (auto read = settings.take_file(path); !read) return std::unexpected(read.error());
  }
  if (auto read = settings.take_environment(); !read) return std::unexpected(read.error());
  for (const auto& [key, texts] : flags) {
    const SettingSpec* spec = find_setting(key);
    std::string flag = "--" + key;
    for (char& character : flag)
      character = character == '_' ? '-' : character;
    if (auto taken = settings.take(*spec, texts, flag); !taken)
      return std::unexpected(taken.error());
  }
  return settings;
}

Outcome<void> Settings::take(const SettingSpec& spec, std::vector<std::string> texts,
                             std::string source) {
  for (const std::string& text : texts) {
    const std::string wrong = complaint(spec, text);
    if (!wrong.empty())
      return std::unexpected(usage_failure(
          fmt::format("{}: {} \"{}\": {}", source, spec.key, shown_text(spec, text), wrong)));
  }
  if (spec.kind == SettingKind::turn_servers && texts.size() > turn_servers_max) {
    return std::unexpected(
        usage_failure(fmt::format("{}: {}: {} servers, and at most {} are used", source, spec.key,
                                  texts.size(), turn_servers_max)));
  }
  values_[std::string(spec.key)] = {.texts = std::move(texts), .source = std::move(source)};
  return {};
}

Outcome<void> Settings::take_environment() {
  for (const SettingSpec& spec : specs) {
    const std::string name = environment_name(spec.key);
    const std::string text = variable(name.c_str());
    if (text.empty()) continue;
    auto taken = take(spec, is_list(spec.kind) ? words(text) : std::vector{text}, name);
    if (!taken) return taken;
  }
  return {};
}

Outcome<void> Settings::take_file(const std::string& path) {
  auto entries = read_settings_file(path);
  if (!entries) return std::unexpected(entries.error());
  file_ = path;
  for (SettingsFileEntry& entry : *entries) {
    const SettingSpec* spec = find_setting(entry.key);
    if (spec == nullptr) {
      std::string known;
      for (const SettingSpec& each : specs)
        known.append(known.empty() ? "" : ", ").append(each.key);
      return std::unexpected(usage_failure(
          fmt::format("{}: unknown key \"{}\"", entry.where, entry.key), "known keys: " + known));
    }
    if (entry.is_list != is_list(spec->kind))
      return std::unexpected(usage_failure(
          fmt::format("{}: {} must be {}", entry.where, entry.key,
                      is_list(spec->kind) ? "an array of strings" : "a single value")));
    if (auto taken = take(*spec, std::move(entry.texts), entry.where); !taken) return taken;
  }
  return {};
}

const SettingValue& Settings::value(std::string_view key) const {
  return values_.find(key)->second;
}

std::string Settings::text(std::string_view key) const {
  const SettingValue& setting = value(key);
  return setting.texts.empty() ? "" : setting.texts.back();
}

Duration Settings::seconds(std::string_view key) const {
  const double value = parse_number(text(key), 0.001, 86'400);
  return Duration(static_cast<Duration::rep>(value * 1e9));
}

std::size_t Settings::count(std::string_view key) const {
  return static_cast<std::size_t>(parse_number(text(key), 1, 1'000'000));
}

std::vector<SocketAddress> Settings::addresses(std::string_view key) const {
  std::vector<SocketAddress> out;
  for (const std::string& text : value(key).texts) {
    if (const auto address = SocketAddress::parse(text)) out.push_back(*address);
  }
  return out;
}

std::vector<NodeAddress> Settings::nodes(std::string_view key) const {
  std::vector<NodeAddress> out;
  for (const std::string& text : value(key).texts) {
    if (const auto address = NodeAddress::parse(text)) out.push_back(*address);
  }
  return out;
}

std::vector<TurnAccount> Settings::turn_servers(std::string_view key) const {
  std::vector<TurnAccount> out;
  for (const std::string& text : value(key).texts) {
    auto account = parse_turn_server(text);
    if (!account) continue;  // it was checked
    if (account->password.empty()) account->password = this->text("turn_password");
    out.push_back(std::move(*account));
  }
  return out;
}

Config Settings::node_config() const {
  Config config;
  config.key_file = absolute_path(text("data")) + "/identity.key";
  config.listen = addresses("listen");
  config.congestion = text("congestion") == "cubic" ? Congestion::cubic : Congestion::bbr;
  config.idle_timeout = seconds("idle_timeout");
  config.keep_alive = seconds("keep_alive");
  config.handshake_timeout = seconds("handshake_timeout");
  config.max_connections = count("max_connections");
  config.bootstrap = nodes("bootstrap");
  config.dht_cache = absolute_path(text("data")) + "/dht-cache";
  config.dht = dht_role_of(text("dht"));
  config.relays = nodes("relay_via");
  config.stun_servers = addresses("stun");
  config.turn = turn_servers("turn");
  config.serve_as_relay = flag("relay");
  config.relay_tls_listen = addresses("relay_tls");
  config.relay_tls_port =
      static_cast<std::uint16_t>(parse_number(text("relay_tls_port"), 0, 65'535));
  config.port_mapping = flag("port_mapping");
  config.laboratory_addresses = flag("allow_bogon");
  if (text("path") == "direct") config.reach = Reach::direct_only;
  if (text("path") == "relay") config.reach = Reach::relay_only;
  return config;
}

}  // namespace quicmesh::cli
