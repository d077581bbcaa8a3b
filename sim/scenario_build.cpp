// See scenario_build.hpp. Members of a group count up: name "peer-7", address of the first plus 7.
#include "sim/scenario_build.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/assert.hpp"
#include "sim/scenario_file.hpp"
#include "sim/sim_errc.hpp"

namespace quicmesh::sim {
namespace {

std::string member_name(const std::string& group, std::uint32_t count, std::uint32_t index) {
  return count == 1 ? group : group + "-" + std::to_string(index);
}

/// `first` plus `steps`; nothing if the address space ends before.
std::optional<IpAddress> counted_up(const IpAddress& first, std::uint64_t steps) {
  auto bytes = first.bytes();
  const std::size_t size = first.family() == IpFamily::v4 ? 4 : 16;
  for (std::size_t i = size; i-- > 0 && steps > 0;) {
    steps += bytes[i];
    bytes[i] = static_cast<std::uint8_t>(steps);
    steps >>= 8;
  }
  if (steps > 0) return std::nullopt;
  if (size == 16) return IpAddress::v6(bytes);
  return IpAddress::v4({bytes[0], bytes[1], bytes[2], bytes[3]});
}

/// Where a fault acts, found out before the run.
struct ResolvedTarget {
  std::string name;
  std::optional<InterfaceId> interface;
  std::optional<NatId> nat;
  std::optional<Network::Links> links;  // of the interface, the NAT's outside, or the path
};

class Builder {
 public:
  Builder(const Scenario& scenario, Simulation& simulation)
      : scenario_(scenario), simulation_(simulation), network_(simulation.network()) {}

  ScenarioResult<void> build(ProgramFaultHook hook) {
    for (const ScenarioNat& nat : scenario_.nats) {
      if (auto added = add_nat_group(nat); !added) return added;
    }
    for (const ScenarioHost& host : scenario_.hosts) {
      if (auto added = add_host_group(host); !added) return added;
    }
    for (const ScenarioPath& path : scenario_.paths) {
      if (auto added = add_path(path); !added) return added;
    }
    for (const ScenarioFault& fault : scenario_.timeline) {
      if (auto planned = plan(fault, hook); !planned) return planned;
    }
    return {};
  }

 private:
  [[nodiscard]] std::unexpected<ScenarioError> error(int line, const std::string& message) const {
    return std::unexpected(ScenarioError{
        SimErrc::scenario_value, scenario_.file + ":" + std::to_string(line) + ": " + message});
  }

  /// The link's figures for one end named `end`: its own spread comes on top of the delay.
  LinkConfig link_for(const std::string& link, const std::string& end) {
    const ScenarioLink& found = scenario_.links.find(link)->second;
    LinkConfig config = found.config;
    if (found.spread > 0ns) {
      config.delay = std::min(
          config.delay + simulation_.rng("spread " + link + " " + end).between(0ns, found.spread),
          link_delay_max);
    }
    return config;
  }
  AccessConfig access_for(const ScenarioAccess& access, const std::string& end) {
    return {link_for(access.up, end), link_for(access.down, end)};
  }

  /// The inside that member `index` of something belongs to.
  RealmId realm_for(const std::string& realm, std::uint32_t index) {
    for (const ScenarioNat& nat : scenario_.nats) {
      if (nat.name != realm) continue;
      const auto id = network_.find_nat(member_name(nat.name, nat.count, index % nat.count));
      QM_ASSERT(id.has_value());  // the reader wants NATs above those that stand behind them
      return network_.inside(*id);
    }
    return internet;
  }

  ScenarioResult<void> add_nat_group(const ScenarioNat& group) {
    for (std::uint32_t i = 0; i < group.count; ++i) {
      NatPlacement placement{.name = member_name(group.name, group.count, i),
                             .outside = realm_for(group.outside, i),
                             .behaviour = group.behaviour};
      placement.access = access_for(group.access, placement.name);
      for (const IpAddress& first : group.addresses) {
        const auto address = counted_up(first, std::uint64_t{i} * group.addresses.size());
        if (!address) return error(group.line, "the addresses of " + group.name + " run out");
        placement.addresses.push_back(*address);
      }
      if (const auto added = network_.add_nat(placement); !added) {
        return error(group.line, placement.name + ": " + describe(added.error()));
      }
    }
    return {};
  }

  ScenarioResult<void> add_host_group(const ScenarioHost& group) {
    for (std::uint32_t i = 0; i < group.count; ++i) {
      const std::string name = member_name(group.name, group.count, i);
      const auto host = network_.add_host(name);
      if (!host) return error(group.line, name + ": " + describe(host.error()));
      for (const ScenarioInterface& interface : group.interfaces) {
        const auto address = counted_up(interface.address, i);
        if (!address) return error(interface.line, "the addresses of " + name + " run out");
        const auto added = network_.add_interface(
            *host, {.name = interface.name,
                    .realm = realm_for(interface.realm, i),
                    .address = *address,
                    .access = access_for(interface.access, name + "." + interface.name)});
        if (!added) {
          return error(interface.line, name + "." + interface.name + " (" + address->to_string() +
                                           "): " + describe(added.error()));
        }
      }
    }
    return {};
  }

  [[nodiscard]] std::optional<AttachmentId> find_attachment(std::string_view name) const {
    if (const auto interface = network_.find_interface(name)) {
      return network_.attachment_of(*interface);
    }
    if (const auto nat = network_.find_nat(name)) return network_.attachment_of(*nat);
    return std::nullopt;
  }

  ScenarioResult<void> add_path(const ScenarioPath& path) {
    const auto from = find_attachment(path.from);
    const auto to = find_attachment(path.to);
    if (!from) return error(path.line, "\"" + path.from + "\" is no interface and no NAT");
    if (!to) return error(path.line, "\"" + path.to + "\" is no interface and no NAT");
    const std::string name = path.from + ">" + path.to;
    const auto set = network_.set_path(*from, *to, link_for(path.link, name + " there"),
                                       link_for(path.back, name + " back"));
    if (!set) {
      return error(path.line, name + ": the ends must differ, share a realm and have no path yet");
    }
    return {};
  }

  std::optional<ResolvedTarget> resolve(const std::string& name) const {
    ResolvedTarget target{.name = name};
    if (const auto arrow = name.find('>'); arrow != std::string::npos) {
      const auto from = find_attachment(std::string_view(name).substr(0, arrow));
      const auto to = find_attachment(std::string_view(name).substr(arrow + 1));
      if (from && to) target.links = network_.path_links(*from, *to);
      return target.links ? std::optional(target) : std::nullopt;
    }
    target.interface = network_.find_interface(name);
    target.nat = network_.find_nat(name);
    const auto attachment = find_attachment(name);
    if (!attachment) return std::nullopt;
    target.links = network_.access_links(*attachment);
    return target;
  }

  ScenarioResult<std::vector<ResolvedTarget>> resolve_all(const ScenarioFault& fault) const {
    std::vector<ResolvedTarget> targets;
    if (fault.action == FaultAction::program) return targets;  // its targets are the program's
    for (const std::string& written : fault.targets) {
      const auto names = expand_target(written);
      if (names.empty()) return error(fault.line, "\"" + written + "\" is no range");
      for (const std::string& name : names) {
        const auto target = resolve(name);
        if (!target) {
          return error(fault.line, "\"" + name + "\" is no interface, NAT or path");
        }
        if (const auto why = misfit(fault.action, *target)) {
          return error(fault.line, std::string(name_of(fault.action)) + " of \"" + name +
                                       "\": " + std::string(*why));
        }
        targets.push_back(*target);
      }
    }
    return targets;
  }

  /// Why `action` cannot be done to `target`.
  static std::optional<std::string_view> misfit(FaultAction action, const ResolvedTarget& target) {
    switch (action) {
      case FaultAction::interface_down:
      case FaultAction::interface_up:
        if (!target.interface) return "it is no interface";
        break;
      case FaultAction::nat_rebind:
        if (!target.nat) return "it is no NAT";
        break;
      case FaultAction::address_change:
      case FaultAction::partition:
        if (!target.interface && !target.nat) return "it is neither an interface nor a NAT";
        break;
      default:
        break;
    }
    return std::nullopt;
  }

  ScenarioResult<void> plan(const ScenarioFault& fault, const ProgramFaultHook& hook) {
    const auto targets = resolve_all(fault);
    if (!targets) return std::unexpected(targets.error());
    if (fault.action == FaultAction::address_change && targets->size() != 1) {
      return error(fault.line, "address_change has one target");
    }
    const LinkConfig link = fault.action == FaultAction::set_link
                                ? scenario_.links.find(fault.link)->second.config
                                : LinkConfig{};
    for (std::uint32_t i = 0; i < fault.times; ++i) {
      simulation_.at(fault.at + fault.every * i,
                     [&simulation = simulation_, fault, targets = *targets, link, hook] {
                       carry_out(simulation, fault, targets, link, hook);
                     });
    }
    return {};
  }

  static void carry_out(Simulation& simulation, const ScenarioFault& fault,
                        const std::vector<ResolvedTarget>& targets, const LinkConfig& link,
                        const ProgramFaultHook& hook) {
    std::string text(name_of(fault.action));
    for (const std::string& target : fault.targets)
      text += " " + target;
    if (!fault.event.empty()) text += " " + fault.event;
    simulation.trace().fault(simulation.now(), text);

    Network& network = simulation.network();
    if (fault.action == FaultAction::heal) return network.heal();
    if (fault.action == FaultAction::program) {
      if (hook) hook(fault);
      return;
    }
    if (fault.action == FaultAction::partition) {
      std::vector<AttachmentId> island;
      for (const ResolvedTarget& target : targets) {
        island.push_back(target.interface ? network.attachment_of(*target.interface)
                                          : network.attachment_of(*target.nat));
      }
      return network.partition(island, fault.cut);
    }
    for (const ResolvedTarget& target : targets) {
      if (const auto done = act(simulation, fault, target, link); !done) {
        simulation.fail(text + ": " + describe(done.error()));
      }
    }
  }

  static Result<void> act(Simulation& simulation, const ScenarioFault& fault,
                          const ResolvedTarget& target, const LinkConfig& link) {
    Network& network = simulation.network();
    const bool up = fault.direction != LinkDirection::down;
    const bool down = fault.direction != LinkDirection::up;
    switch (fault.action) {
      case FaultAction::link_down:
      case FaultAction::blackhole:
        if (up) network.set_link_state(target.links->up, LinkState::blackhole);
        if (down) network.set_link_state(target.links->down, LinkState::blackhole);
        return {};
      case FaultAction::link_up:
        network.set_link_state(target.links->up, LinkState::carrying);
        network.set_link_state(target.links->down, LinkState::carrying);
        return {};
      case FaultAction::set_link: {
        Result<void> done;
        if (up) done = network.set_link(simulation.now(), target.links->up, link);
        if (down && done) done = network.set_link(simulation.now(), target.links->down, link);
        return done;
      }
      case FaultAction::interface_down:
        network.set_interface_state(*target.interface, InterfaceState::down);
        return {};
      case FaultAction::interface_up:
        network.set_interface_state(*target.interface, InterfaceState::up);
        return {};
      case FaultAction::address_change:
        if (target.nat) return network.renumber_nat(*target.nat, {fault.address});
        return network.change_address(*target.interface, fault.address);
      case FaultAction::nat_rebind:
        network.rebind_nat(*target.nat);
        return {};
      default:
        return {};  // carried out for all targets at once
    }
  }

  const Scenario& scenario_;
  Simulation& simulation_;
  Network& network_;
};

}  // namespace

std::vector<std::string> expand_target(std::string_view target) {
  const std::size_t dots = target.find("..");
  if (dots == std::string_view::npos) return {std::string(target)};
  std::size_t begin = dots;
  while (begin > 0 && target[begin - 1] >= '0' && target[begin - 1] <= '9')
    --begin;
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  const char* const text = target.data();
  const auto first_error = std::from_chars(text + begin, text + dots, first).ec;
  const auto [last_end, last_error] = std::from_chars(text + dots + 2, text + target.size(), last);
  if (first_error != std::errc{} || last_error != std::errc{} || last < first ||
      last - first >= scenario_hosts_max) {
    return {};
  }
  const std::string prefix(target.substr(0, begin));
  const std::string suffix(last_end, text + target.size());
  std::vector<std::string> names;
  for (std::uint64_t i = first; i <= last; ++i)
    names.push_back(prefix + std::to_string(i) + suffix);
  return names;
}

ScenarioResult<void> build_scenario(const Scenario& scenario, Simulation& simulation,
                                    ProgramFaultHook hook) {
  return Builder(scenario, simulation).build(std::move(hook));
}

}  // namespace quicmesh::sim
