// Reads a scenario from TOML. Every wrong key, value or name is an error with file and line. There
// are no floating-point values: a fraction is written as a string ("2.5") and read exactly.
//
//   title = "..."   claim = "..."           what is shown and what must hold (both required)
//   program = "transfer"                    who runs on it; [transfer] holds that program's
//   settings seeds = [1, 2, 3]                       or { first = 1, count = 100 }; default [1]
//   duration = "60s"                        of virtual time (required)
//
//   [parameters]                            values for `--set name=value`; "$name" anywhere else,
//   loss = "2%"                             as a whole string, stands for the value
//
//   [links.home]                            every key may be left out; see LinkConfig
//   delay = "10ms"   jitter = "1ms"         spread: a further fixed delay of up to that, drawn once
//   spread = "20ms"                         for each end of this kind
//   rate = "100Mbit/s"   queue = "256KiB"   also "unlimited"
//   mtu = 1500                              of the IP packet
//   loss = "$loss"   burst = 4              mean length in datagrams; without it, independent
//   losses reorder = "5%"   reorder_by = "5ms" duplicate = "5%"   bit_flip = "0.1%"
//
//   [[nats]]                                once for each end of this kind
//   name = "home"   count = 50              a group: home-0 ... home-49
//   outside = "internet"                    or a NAT named above (CGNAT)
//   address = "203.0.113.1"                 or addresses = [...]; a group counts up from it
//   mapping = "endpoint_independent"        | "address_dependent" | "address_and_port_dependent"
//   filtering = ...                         the same three
//   ports = "random"   port_delta = 1       | "preserving" | "sequential"
//   lifetime = "30s"   refresh = "outbound" | "both_ways"
//   hairpin = false   mappings_max = 16384
//   link = "line"                           or up = "...", down = "..."
//
//   [[hosts]]
//   name = "a"   count = 1
//   [[hosts.interfaces]]
//   name = "wifi"   realm = "home"          "internet" (default) or a NAT; member i of a group of
//   address = "192.168.1.2"   link = "lan"  hosts goes to member i modulo count of a group of NATs
//
//   [[paths]]                               instead of the access links of these two
//   between = ["a.wifi", "b.wifi"]   link = "direct"   back = "direct"
//
//   [[timeline]]
//   at = "1.5s"   action = "link_down"      link_down, link_up: both directions, nobody is told
//   targets = ["a.wifi"]                    blackhole: direction = "up" | "down" | "both"
//   every = "10s"   times = 3               set_link: link = "..." and direction
//                                           interface_down, interface_up: the host is told
//                                           address_change: address = "..." (interface or NAT)
//                                           nat_rebind: forgets all mappings
//                                           partition: targets are the island; cut = "both_ways" |
//                                             "from_island" | "to_island"
//                                           heal: ends partition, blackholes, interfaces down
//                                           program: event = "..."; given to the program
// A target is "host.interface", a NAT, a path "a.wifi>b.wifi" (links only; up is from the first),
// or a range of a group: "peer-0..99.if".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/scenario.hpp"

namespace quicmesh::sim {

/// `--set name=value`
struct ScenarioOverride {
  std::string name;
  std::string value;
};

inline constexpr std::size_t scenario_bytes_max = 1 << 20;
inline constexpr std::uint32_t scenario_hosts_max = 100'000;  // and as many NATs
inline constexpr std::size_t scenario_list_max = 10'000;      // of any list in the file

/// Reads `text`, called `file` in messages. Codes: scenario_syntax, scenario_value.
ScenarioResult<Scenario> parse_scenario(std::string_view text, std::string_view file,
                                        const std::vector<ScenarioOverride>& overrides = {});

/// `quicmesh sim NAME --seed N --set a=b ...`: what repeats a run.
std::string replay_command(std::string_view scenario, std::uint64_t seed,
                           const std::vector<ScenarioOverride>& overrides);

}  // namespace quicmesh::sim
