// What the programs on the DHT world share: their settings, the cost of a run, the end of a report.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sim/dht_world.hpp"
#include "sim/meters.hpp"
#include "sim/program_registry.hpp"

namespace quicmesh::sim {

struct DhtSettings {
  DhtWorldConfig world;
  std::string latencies;  // a file; empty: the built-in sites
  std::int64_t lookups = 0;
  std::int64_t warm_up = 0;  // lookups of each node
  std::int64_t join = 0;     // minutes in which the nodes join; 0: they begin with full tables
};

/// An error that names the setting.
[[nodiscard]] ScenarioError wrong_setting(const Scenario& scenario, std::string_view setting,
                                          std::string_view what);

/// A whole number within bounds, which are told to whoever asks for them.
[[nodiscard]] ScenarioResult<std::int64_t> bounded_setting(const Scenario& scenario,
                                                           const PeerRun& run,
                                                           std::string_view setting,
                                                           std::int64_t fallback, std::int64_t low,
                                                           std::int64_t high);

[[nodiscard]] ScenarioResult<DhtSettings> dht_settings_of(const Scenario& scenario,
                                                          const PeerRun& run);
[[nodiscard]] ScenarioResult<LatencyModel> latencies_of(const Scenario& scenario,
                                                        const DhtSettings& settings);

/// Readings of the machine around a run; nothing if nobody lent meters.
class Cost {
 public:
  explicit Cost(const Meters& meters) : meters_(meters) {
    if (meters_.seconds) begun_ = meters_.seconds();
    if (meters_.resident_bytes) before_ = meters_.resident_bytes();
  }

  void add(ScenarioReport& report, const DhtWorld& world) const {
    const auto events = world.fabric().counters().events;
    report.add("events", static_cast<std::int64_t>(events));
    report.add("threads", static_cast<std::int64_t>(world.fabric().threads()));
    if (meters_.seconds) {
      const double taken = std::max(1e-6, meters_.seconds() - begun_);
      report.add("wall_s", taken);
      report.add("events_per_s", static_cast<double>(events) / taken);
    }
    if (meters_.resident_bytes) {
      const auto now = static_cast<double>(meters_.resident_bytes());
      const auto nodes = static_cast<double>(std::max<std::size_t>(1, world.live().size()));
      report.add("resident_kib_per_node", (now - static_cast<double>(before_)) / 1024 / nodes);
    }
  }

 private:
  const Meters& meters_;
  double begun_ = 0;
  std::uint64_t before_ = 0;
};

/// The trace hash and, if the bar was missed, the command that replays it.
void close_report(ScenarioReport& report, const PeerRun& run, const DhtWorld& world);

}  // namespace quicmesh::sim
