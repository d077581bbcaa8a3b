#include "sim/two_paths.hpp"

#include "base/assert.hpp"
#include "sim/sim_errc.hpp"

namespace quicmesh::sim {
namespace {

// True for `first`, false for `second`, an error for anything else.
ScenarioResult<bool> choice(const Scenario& scenario, std::string_view setting,
                            std::string_view first, std::string_view second) {
  const auto text = scenario.settings.text(setting, first);
  if (!text) return std::unexpected(text.error());
  if (*text != first && *text != second) {
    return std::unexpected(ScenarioError{
        SimErrc::scenario_value, scenario.file + ":1: " + std::string(setting) + " is '" + *text +
                                     "'; it must be '" + std::string(first) + "' or '" +
                                     std::string(second) + "'"});
  }
  return *text == first;
}

}  // namespace

ScenarioResult<std::unique_ptr<TwoPathWorld>> TwoPathWorld::make(const Scenario& scenario,
                                                                 Simulation& simulation) {
  const auto known =
      scenario.settings.only({"dialler", "acceptor", "bytes", "begin_on", "sender", "mover"});
  if (!known) return std::unexpected(known.error());
  auto world = std::unique_ptr<TwoPathWorld>(new TwoPathWorld(simulation));
  const auto dialler = host_of_setting(scenario, simulation, "dialler", "dialler");
  if (!dialler) return std::unexpected(dialler.error());
  const auto acceptor = host_of_setting(scenario, simulation, "acceptor", "acceptor");
  if (!acceptor) return std::unexpected(acceptor.error());
  const auto begin = choice(scenario, "begin_on", "relay", "direct");
  if (!begin) return std::unexpected(begin.error());
  // Enough for the transfer to be in full swing at the event: the direct path is three times
  // faster.
  const auto bytes = scenario.settings.bytes("bytes", *begin ? 20'000'000 : 48'000'000);
  if (!bytes) return std::unexpected(bytes.error());
  const auto sender = choice(scenario, "sender", "dialler", "acceptor");
  if (!sender) return std::unexpected(sender.error());
  const auto mover = choice(scenario, "mover", "dialler", "acceptor");
  if (!mover) return std::unexpected(mover.error());
  world->dialler_host_ = *dialler;
  world->acceptor_host_ = *acceptor;
  world->bytes = *bytes;
  world->begin_on_relay_ = *begin;
  world->dialler_sends_ = *sender;
  world->dialler_moves_ = *mover;
  world->dialler.emplace(simulation, *dialler);
  world->acceptor.emplace(simulation, *acceptor);
  for (auto* node : {&world->dialler, &world->acceptor}) {
    (*node)->command([](NodeCore& core, Instant) { core.connectivity().choose_paths(false); });
  }
  world->dialler->listen([w = world.get()](Instant now, const NodeEvent& event) {
    if (std::holds_alternative<PeerPathChanged>(event)) w->switched_at = now;
  });
  return world;
}

InterfaceId TwoPathWorld::interface_of(HostId host, const char* name) const {
  const auto found =
      simulation.network().find_interface(simulation.network().name_of(host) + "." + name);
  QM_ASSERT(found.has_value());
  return *found;
}

NetworkPath TwoPathWorld::path(const char* interface) const {
  return dialler->path(interface_of(dialler_host_, interface),
                       acceptor->address(interface_of(acceptor_host_, interface)));
}

NetworkPath TwoPathWorld::path_back(const char* interface) const {
  return acceptor->path(interface_of(acceptor_host_, interface),
                        dialler->address(interface_of(dialler_host_, interface)));
}

Network::Links TwoPathWorld::links(const char* interface) const {
  const Network& network = simulation.network();
  const auto found =
      network.path_links(network.attachment_of(interface_of(dialler_host_, interface)),
                         network.attachment_of(interface_of(acceptor_host_, interface)));
  QM_ASSERT(found.has_value());
  return *found;
}

Duration TwoPathWorld::rtt(const char* interface) const {
  const Network::Links both = links(interface);
  const Network& network = simulation.network();
  return network.link(both.up).config().delay + network.link(both.down).config().delay;
}

void TwoPathWorld::kill(const char* interface) {
  const Network::Links both = links(interface);
  simulation.network().set_link_state(both.up, LinkState::blackhole);
  simulation.network().set_link_state(both.down, LinkState::blackhole);
}

RunResult TwoPathWorld::connect_and_start(Duration deadline) {
  const auto started = dialler->command([&](NodeCore& core, Instant now) {
    return core.connect(now, acceptor->id(),
                        std::vector{path(old_interface()), path(new_interface())});
  });
  QM_ASSERT(started.has_value());
  const auto ready = [&] {
    return dialler->core().connectivity().connected(acceptor->id()) &&
           acceptor->core().connectivity().connected(dialler->id());
  };
  RunResult result = simulation.run_until(ready, deadline);
  if (result) transfer.emplace(sender(), receiver(), bytes, simulation.config().seed);
  return result;
}

Result<void> TwoPathWorld::ask_for_switch() {
  if (dialler_moves_) {
    return dialler->command([&](NodeCore& core, Instant now) {
      return core.connectivity().move(now, acceptor->id(), path(new_interface()));
    });
  }
  return acceptor->command([&](NodeCore& core, Instant now) {
    return core.connectivity().suggest(now, dialler->id(), path_back(new_interface()));
  });
}

}  // namespace quicmesh::sim
