// See scenario_file.hpp for the keys, toml_table.hpp for how a table is read. The exceptions of
// toml++ end here.
#include "sim/scenario_file.hpp"

#include <toml++/toml.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "sim/scenario_values.hpp"
#include "sim/sim_errc.hpp"
#include "sim/toml_table.hpp"

namespace quicmesh::sim {
namespace {

using Value = ScenarioSettings::Value;

constexpr std::int64_t repeats_max = 10'000;

constexpr std::pair<std::string_view, NatDependence> dependence_names[] = {
    {"endpoint_independent", NatDependence::endpoint_independent},
    {"address_dependent", NatDependence::address_dependent},
    {"address_and_port_dependent", NatDependence::address_and_port_dependent}};
constexpr std::pair<std::string_view, PortAllocation> ports_names[] = {
    {"preserving", PortAllocation::preserving},
    {"sequential", PortAllocation::sequential},
    {"random", PortAllocation::random}};
constexpr std::pair<std::string_view, NatRefresh> refresh_names[] = {
    {"outbound", NatRefresh::outbound}, {"both_ways", NatRefresh::both_ways}};
constexpr std::pair<std::string_view, LinkDirection> direction_names[] = {
    {"both", LinkDirection::both}, {"up", LinkDirection::up}, {"down", LinkDirection::down}};
constexpr std::pair<std::string_view, Cut> cut_names[] = {{"both_ways", Cut::both_ways},
                                                          {"from_island", Cut::from_island},
                                                          {"to_island", Cut::to_island}};

/// Gives an override the type of the parameter's default.
std::optional<Value> typed_like(const Value& original, const std::string& text) {
  if (std::holds_alternative<std::string>(original)) return Value(text);
  if (std::holds_alternative<bool>(original)) {
    if (text == "true" || text == "false") return Value(text == "true");
    return std::nullopt;
  }
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return Value(number);
}

class ScenarioReader {
 public:
  ScenarioReader(std::string_view file, const toml::table& root)
      : reading_(file), root_(reading_, root, "the scenario") {
    scenario_.file = file;
  }

  ScenarioResult<Scenario> read(const std::vector<ScenarioOverride>& overrides) {
    read_parameters(overrides);
    scenario_.title = root_.required_text("title");
    scenario_.claim = root_.required_text("claim");
    scenario_.program = root_.required_name("program");
    scenario_.duration = root_.duration("duration", 0s);
    if (scenario_.duration <= 0s) root_.missing("a duration above zero");
    read_seeds();
    read_links();
    root_.each_table("nats", [this](TableReader& table) { read_nat(table); });
    root_.each_table("hosts", [this](TableReader& table) { read_host(table); });
    root_.each_table("paths", [this](TableReader& table) { read_path(table); });
    root_.each_table("timeline", [this](TableReader& table) { read_fault(table); });
    read_settings();
    root_.finish();
    // A scenario of peers has none, and nothing that hosts would need.
    const bool of_peers = scenario_.links.empty() && scenario_.nats.empty() &&
                          scenario_.paths.empty() && scenario_.timeline.empty();
    if (scenario_.hosts.empty() && !of_peers) root_.missing("at least one of [[hosts]]");
    if (reading_.error()) return std::unexpected(*reading_.error());
    return std::move(scenario_);
  }

 private:
  const toml::table* section(std::string_view key) {
    const toml::node* found = root_.node(key);
    if (found == nullptr) return nullptr;
    const toml::table* table = found->as_table();
    if (table == nullptr) root_.wrong(key, "a table");
    return table;
  }

  void read_parameters(const std::vector<ScenarioOverride>& overrides) {
    if (const toml::table* table = section("parameters")) {
      for (const auto& [key, node] : *table) {
        const auto value = Reading::scalar(node);
        if (value) {
          reading_.parameters.insert_or_assign(std::string(key.str()), *value);
        } else {
          reading_.fail(Reading::line_of(node), "a parameter is a string, number, true or false");
        }
      }
    }
    for (const ScenarioOverride& set : overrides) {
      const auto found = reading_.parameters.find(set.name);
      if (found == reading_.parameters.end()) {
        reading_.fail(
            1, "--set " + set.name + "=" + set.value + ": no such parameter" + known_parameters());
        continue;
      }
      if (auto value = typed_like(found->second, set.value)) {
        found->second = std::move(*value);
      } else {
        reading_.fail(1, "--set " + set.name + "=" + set.value + ": not like its default " +
                             as_string(found->second));
      }
    }
    for (const auto& [name, value] : reading_.parameters) {
      scenario_.parameters.emplace(name, as_string(value));
    }
  }

  [[nodiscard]] std::string known_parameters() const {
    std::string names;
    for (const auto& [name, value] : reading_.parameters)
      names += (names.empty() ? "; there are: " : ", ") + name;
    return names.empty() ? "; this scenario has none" : names;
  }

  void read_seeds() {
    scenario_.seeds = {1};
    const toml::node* node = root_.node("seeds");
    if (node == nullptr) return;
    scenario_.seeds.clear();
    if (const toml::table* table = node->as_table()) {
      TableReader range(reading_, *table, "seeds");
      const std::int64_t first = range.integer("first", 1, 0, std::int64_t{1} << 62);
      const std::int64_t count =
          range.integer("count", 1, 1, static_cast<std::int64_t>(scenario_list_max));
      range.finish();
      for (std::int64_t i = 0; i < count; ++i) {
        scenario_.seeds.push_back(static_cast<std::uint64_t>(first + i));
      }
      return;
    }
    const toml::array* list = root_.array("seeds");
    if (list == nullptr) return;
    for (const toml::node& item : *list) {
      const auto* number = item.as_integer();
      if (number == nullptr || number->get() < 0) return root_.wrong("seeds", "whole numbers");
      scenario_.seeds.push_back(static_cast<std::uint64_t>(number->get()));
    }
    if (scenario_.seeds.empty()) root_.wrong("seeds", "at least one");
  }

  void read_links() {
    const toml::table* table = section("links");
    if (table == nullptr) return;
    for (const auto& [key, node] : *table) {
      const toml::table* link = node.as_table();
      if (link == nullptr) return root_.wrong("links", "tables, [links.name]");
      TableReader reader(reading_, *link, "a link");
      scenario_.links.emplace(std::string(key.str()), read_link(reader));
      reader.finish();
    }
  }

  ScenarioLink read_link(TableReader& table) {
    ScenarioLink link;
    LinkConfig& config = link.config;
    config.delay = table.duration("delay", config.delay);
    config.jitter = table.duration("jitter", config.jitter);
    link.spread = table.duration("spread", link.spread);
    config.bits_per_s =
        table.quantity("rate", config.bits_per_s, parse_bit_rate, "a rate such as \"10Mbit/s\"");
    config.queue_bytes = table.quantity("queue", config.queue_bytes, parse_byte_count,
                                        "a byte count such as \"256KiB\"");
    config.mtu_bytes =
        table.quantity("mtu", config.mtu_bytes, parse_byte_count, "a byte count such as 1500");
    config.loss.rate = table.probability("loss");
    config.reorder = table.probability("reorder");
    config.reorder_by = table.duration("reorder_by", config.reorder_by);
    config.duplicate = table.probability("duplicate");
    config.bit_flip = table.probability("bit_flip");
    const Ratio& rate = config.loss.rate;
    if (table.has("burst")) {
      config.loss.mean_burst = table.quantity("burst", config.loss.mean_burst, parse_ratio,
                                              "a number of datagrams such as 4 or 2.5");
    } else if (rate.numerator < rate.denominator) {
      config.loss = Loss::independent(rate);
    }
    if (link.spread > link_delay_max || !check(config)) {
      reading_.fail(table.line(), describe(make_error_code(SimErrc::bad_link)));
    }
    return link;
  }

  ScenarioAccess read_access(TableReader& table) {
    ScenarioAccess access;
    if (table.has("link")) {
      access.up = access.down = table.required_text("link");
    } else {
      access.up = table.required_text("up");
      access.down = table.required_text("down");
    }
    require_link(table, access.up);
    require_link(table, access.down);
    return access;
  }

  void require_link(const TableReader& table, const std::string& name) {
    if (!scenario_.links.contains(name)) {
      reading_.fail(table.line(), "there is no [links." + name + "]");
    }
  }

  void require_realm(const TableReader& table, const std::string& name) {
    const auto& nats = scenario_.nats;
    const bool known =
        name == "internet" || std::any_of(nats.begin(), nats.end(),
                                          [&](const ScenarioNat& nat) { return nat.name == name; });
    if (!known) {
      reading_.fail(table.line(), "\"" + name + "\" is neither \"internet\" nor a NAT named above");
    }
  }

  std::uint32_t read_count(TableReader& table) {
    const auto count = table.integer("count", 1, 1, scenario_hosts_max);
    total_ += static_cast<std::uint64_t>(count);
    if (total_ > 2 * std::uint64_t{scenario_hosts_max}) {
      table.wrong("count", "smaller: the hosts and NATs are too many in all");
    }
    return static_cast<std::uint32_t>(count);
  }

  void read_nat(TableReader& table) {
    ScenarioNat nat;
    nat.line = table.line();
    nat.name = table.required_name("name");
    nat.count = read_count(table);
    nat.outside = table.text("outside").value_or("internet");
    require_realm(table, nat.outside);
    if (table.has("addresses")) {
      for (const std::string& text : table.texts("addresses")) {
        const auto parsed = IpAddress::parse(text);
        if (!parsed) table.wrong("addresses", "IP addresses, not \"" + text + "\"");
        nat.addresses.push_back(parsed.value_or(IpAddress{}));
      }
    } else {
      nat.addresses = {table.address("address")};
    }
    NatConfig& b = nat.behaviour;
    b.mapping = table.choice("mapping", b.mapping, dependence_names);
    b.filtering = table.choice("filtering", b.filtering, dependence_names);
    b.ports = table.choice("ports", b.ports, ports_names);
    b.port_delta = static_cast<std::uint16_t>(table.integer("port_delta", b.port_delta, 1, 1000));
    b.lifetime = table.duration("lifetime", b.lifetime);
    b.refresh = table.choice("refresh", b.refresh, refresh_names);
    b.hairpin = table.flag("hairpin", false) ? Hairpin::on : Hairpin::off;
    b.mappings_max = static_cast<std::size_t>(
        table.integer("mappings_max", static_cast<std::int64_t>(b.mappings_max), 1, 32'000));
    nat.access = read_access(table);
    if (!Nat::check(b, nat.addresses)) {
      reading_.fail(nat.line, describe(make_error_code(SimErrc::bad_nat)));
    }
    scenario_.nats.push_back(std::move(nat));
  }

  void read_host(TableReader& table) {
    ScenarioHost host;
    host.line = table.line();
    host.name = table.required_name("name");
    host.count = read_count(table);
    table.each_table("interfaces", [&](TableReader& interface) {
      ScenarioInterface read;
      read.line = interface.line();
      read.name = interface.required_name("name");
      read.realm = interface.text("realm").value_or("internet");
      require_realm(interface, read.realm);
      read.address = interface.address("address");
      read.access = read_access(interface);
      host.interfaces.push_back(std::move(read));
    });
    if (host.interfaces.empty()) table.missing("at least one of [[hosts.interfaces]]");
    scenario_.hosts.push_back(std::move(host));
  }

  void read_path(TableReader& table) {
    ScenarioPath path;
    path.line = table.line();
    const auto ends = table.texts("between");
    if (ends.size() != 2) return table.wrong("between", "a list of two ends");
    path.from = ends[0];
    path.to = ends[1];
    path.link = table.required_text("link");
    path.back = table.text("back").value_or(path.link);
    require_link(table, path.link);
    require_link(table, path.back);
    scenario_.paths.push_back(std::move(path));
  }

  void read_fault(TableReader& table) {
    ScenarioFault fault;
    fault.line = table.line();
    if (!table.has("at")) table.missing("at");
    fault.at = table.duration("at", 0s);
    const std::string action = table.required_text("action");
    std::optional<FaultAction> known;
    for (int i = 0; i <= static_cast<int>(FaultAction::program); ++i) {
      if (name_of(static_cast<FaultAction>(i)) == action) known = static_cast<FaultAction>(i);
    }
    if (!known)
      table.wrong("action", "a known one (sim/scenario_file.hpp), not \"" + action + "\"");
    fault.action = known.value_or(FaultAction::heal);
    fault.targets = table.texts("targets");
    const bool needs_targets =
        fault.action != FaultAction::heal && fault.action != FaultAction::program;
    if (needs_targets && fault.targets.empty()) table.missing("targets");
    fault.every = table.duration("every", 0s);
    fault.times = static_cast<std::uint32_t>(table.integer("times", 1, 1, repeats_max));
    if (fault.times > 1 && fault.every <= 0s) table.missing("every, as times is above one");
    // The sum must fit into virtual time; no scenario runs for a year.
    if (fault.at > Duration{24h * 365} || fault.every > Duration{24h}) {
      table.wrong("at", "within a year, and every within a day");
    }
    switch (fault.action) {
      case FaultAction::set_link:
        fault.link = table.required_text("link");
        require_link(table, fault.link);
        [[fallthrough]];
      case FaultAction::blackhole:
        fault.direction = table.choice("direction", fault.direction, direction_names);
        break;
      case FaultAction::address_change:
        fault.address = table.address("address");
        break;
      case FaultAction::partition:
        fault.cut = table.choice("cut", fault.cut, cut_names);
        break;
      case FaultAction::program:
        fault.event = table.required_text("event");
        break;
      default:
        break;
    }
    scenario_.timeline.push_back(std::move(fault));
  }

  void read_settings() {
    if (scenario_.program.empty()) return;
    const toml::table* table = section(scenario_.program);
    if (table != nullptr) flatten(*table, "");
  }

  // Tables nest at most as deep as toml++ allows (256).
  void flatten(const toml::table& table, const std::string& prefix) {
    for (const auto& [key, node] : table) {
      const std::string name = prefix + std::string(key.str());
      if (const toml::table* inner = node.as_table()) {
        flatten(*inner, name + ".");
      } else if (const auto value = reading_.resolve(node, name)) {
        scenario_.settings.set(name, {*value, reading_.where(Reading::line_of(node))});
      }
    }
  }

  Reading reading_;
  TableReader root_;
  Scenario scenario_;
  std::uint64_t total_ = 0;
};

}  // namespace

ScenarioResult<Scenario> parse_scenario(std::string_view text, std::string_view file,
                                        const std::vector<ScenarioOverride>& overrides) {
  if (text.size() > scenario_bytes_max) {
    return std::unexpected(ScenarioError{SimErrc::scenario_syntax,
                                         std::string(file) + ":1: the file is larger than 1 MiB"});
  }
  try {
    const toml::table root = toml::parse(text, file);
    return ScenarioReader(file, root).read(overrides);
  } catch (const toml::parse_error& error) {
    return std::unexpected(
        ScenarioError{SimErrc::scenario_syntax, std::string(file) + ":" +
                                                    std::to_string(error.source().begin.line) +
                                                    ": " + std::string(error.description())});
  }
}

std::string replay_command(std::string_view scenario, std::uint64_t seed,
                           const std::vector<ScenarioOverride>& overrides) {
  std::string command = "quicmesh sim " + std::string(scenario) + " --seed " + std::to_string(seed);
  for (const ScenarioOverride& set : overrides)
    command += " --set " + set.name + "=" + set.value;
  return command;
}

}  // namespace quicmesh::sim
