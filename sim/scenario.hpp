// A scenario as plain data: what a .toml file says, read and checked, nothing built yet.
//
// scenario_file.hpp reads it and documents the keys; scenario_build.hpp makes a simulation of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <variant>
#include <vector>

#include "quicmesh/socket_address.hpp"
#include "quicmesh/time.hpp"
#include "sim/link.hpp"
#include "sim/nat.hpp"
#include "sim/network.hpp"

namespace quicmesh::sim {

/// Why a scenario was refused: `message` begins with "file:line: ".
struct ScenarioError {
  std::error_code code;
  std::string message;
};
template <class T>
using ScenarioResult = std::expected<T, ScenarioError>;

struct ScenarioLink {
  LinkConfig config;
  Duration spread{};  // each end gets a further fixed delay of up to this, drawn once
};

/// Names of two links in `Scenario::links`.
struct ScenarioAccess {
  std::string up;
  std::string down;
};

struct ScenarioInterface {
  std::string name;
  std::string realm;  // "internet", or the name of a NAT (group)
  IpAddress address;  // of the first; the others of a group count up from it
  ScenarioAccess access;
  int line = 0;
};

/// `count` machines: "name" if it is one, else "name-0" to "name-(count-1)".
struct ScenarioHost {
  std::string name;
  std::uint32_t count = 1;
  std::vector<ScenarioInterface> interfaces;
  int line = 0;
};

struct ScenarioNat {
  std::string name;
  std::uint32_t count = 1;
  std::string outside;
  std::vector<IpAddress> addresses;  // of the first; a group counts up in blocks of this size
  NatConfig behaviour;
  ScenarioAccess access;
  int line = 0;
};

struct ScenarioPath {
  std::string from;  // "host.interface" or a NAT
  std::string to;
  std::string link;
  std::string back;
  int line = 0;
};

enum class FaultAction : std::uint8_t {
  link_down,
  link_up,
  blackhole,
  set_link,
  interface_down,
  interface_up,
  address_change,
  nat_rebind,
  partition,
  heal,
  program,
};
[[nodiscard]] std::string_view name_of(FaultAction action);

enum class LinkDirection : std::uint8_t { both, up, down };

struct ScenarioFault {
  Duration at{};
  FaultAction action = FaultAction::heal;
  std::vector<std::string> targets;
  LinkDirection direction = LinkDirection::both;
  std::string link;   // set_link
  IpAddress address;  // address_change
  Cut cut = Cut::both_ways;
  std::string event;  // program
  Duration every{};   // repeat after this long, `times` times in all
  std::uint32_t times = 1;
  int line = 0;
};

/// The table of the scenario's program, flattened: "sizes.small" for `small` of `[transfer.sizes]`.
class ScenarioSettings {
 public:
  using Value = std::variant<std::int64_t, bool, std::string>;
  struct Entry {
    Value value;
    std::string where;  // "file:line"
  };

  void set(std::string key, Entry entry) { entries_.insert_or_assign(std::move(key), entry); }
  [[nodiscard]] const std::map<std::string, Entry, std::less<>>& entries() const {
    return entries_;
  }

  /// The value of `key`, or the fallback if it is not there; wrong kinds are errors.
  [[nodiscard]] ScenarioResult<std::int64_t> integer(std::string_view key,
                                                     std::int64_t fallback) const;
  [[nodiscard]] ScenarioResult<bool> flag(std::string_view key, bool fallback) const;
  [[nodiscard]] ScenarioResult<std::string> text(std::string_view key,
                                                 std::string_view fallback) const;
  [[nodiscard]] ScenarioResult<Duration> duration(std::string_view key, Duration fallback) const;
  [[nodiscard]] ScenarioResult<std::uint64_t> bytes(std::string_view key,
                                                    std::uint64_t fallback) const;

  /// An error at the first key that is not among `known`: a misspelt setting must not pass unseen.
  [[nodiscard]] ScenarioResult<void> only(std::initializer_list<std::string_view> known) const;

 private:
  [[nodiscard]] const Entry* find(std::string_view key) const;

  std::map<std::string, Entry, std::less<>> entries_;
};

struct Scenario {
  std::string file;  // as named by the reader, for messages
  std::string title;
  std::string claim;
  std::string program;
  std::vector<std::uint64_t> seeds;
  Duration duration{};
  std::map<std::string, std::string, std::less<>> parameters;  // after --set, as text
  std::map<std::string, ScenarioLink, std::less<>> links;
  std::vector<ScenarioNat> nats;
  std::vector<ScenarioHost> hosts;
  std::vector<ScenarioPath> paths;
  std::vector<ScenarioFault> timeline;
  ScenarioSettings settings;
};

}  // namespace quicmesh::sim
