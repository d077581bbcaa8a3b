// Explanation: why the connection to a peer is as it is: what was tried, what answered, the rule
// that chose the path, and the one thing that would help.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "quicmesh/nat_report.hpp"
#include "quicmesh/node_id.hpp"
#include "quicmesh/socket_address.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh {

/// Times are whole numbers, their unit is in the name (`rtt_us`).
struct DecisionField {
  std::string_view name;
  std::variant<bool, std::int64_t, std::string> value;

  bool operator==(const DecisionField&) const = default;
};

/// One link of the chain.
struct DecisionReport {
  Duration age{};         // since it was taken, for the first time if it was repeated
  unsigned times = 1;     // in a row
  std::string_view kind;  // stable: docs/guide/cli.md has them all
  std::string text;       // a sentence without a full stop
  std::vector<DecisionField> fields;
};

struct Explanation {
  NodeId peer;
  bool connected = false;
  std::optional<SocketAddress> remote;  // of the path in use; the relay's if there is one
  std::optional<NodeId> relay;
  /// The rule that chose the path in use, as a sentence; empty without a connection.
  std::string rule;
  /// How the path in use came about: "plain", "synchronised", "predict", "birthday", "relay"; empty
  /// without a connection.
  std::string_view technique;
  /// What the two NATs ask for, of the same words; empty as long as one of them is not known.
  std::string_view plan;
  ClassicNatType nat_here{};
  ClassicNatType nat_there{};
  /// Why it is not better than it is, or why that is all it takes.
  std::string reason;
  /// The one thing that would help; empty if nothing is wanting.
  std::string remedy;
  std::vector<DecisionReport> decisions;  // oldest first
  std::uint64_t decisions_dropped = 0;    // older ones, for which there was no room
};

}  // namespace quicmesh
