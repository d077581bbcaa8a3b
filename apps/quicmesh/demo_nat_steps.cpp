// The steps of demo.hpp behind NATs: what the NATs are found to be, and each pair of nodes on its
// way from the relay to a direct path.
//
// That a pair stays on the relay is no failure, but is told with its reason. All times are those of
// `quicmesh ping`, all techniques those of the `punch` events of `quicmesh up`.
#include <algorithm>

#include <fmt/format.h>

#include "demo.hpp"
#include "demo_network.hpp"

namespace quicmesh::cli {
namespace {

using Milliseconds = std::chrono::milliseconds;
using Object = boost::json::object;

constexpr const char* direct_within_s = "8";
// The end of a punch is told just before or after the path changes.
constexpr Milliseconds told_within(50);

bool is_about(const Object& event, std::string_view kind, const DemoNode& peer) {
  return text_of(event, "event") == kind && text_of(event, "peer") == peer.node_id;
}

const DemoHost& host_of(const DemoNode& node) {
  return *std::ranges::find(demo_hosts, node.name, &DemoHost::name);
}

/// What brought `node` directly to `peer`, or did not.
std::string technique_of(DemoNode& node, const DemoNode& peer, bool direct) {
  const auto punch =
      node.hear([&](const Object& event) { return is_about(event, "punch", peer); }, told_within);
  if (!punch) return direct ? "by plain probes" : "plain probes are not answered";
  const std::string tried = fmt::format("{} punching, {} probes", text_of(*punch, "technique"),
                                        integer_of(*punch, "probes"));
  return direct ? "by " + tried : fmt::format("{}: {}", tried, text_of(*punch, "outcome"));
}

}  // namespace

Outcome<std::string> Demo::find_nats() {
  for (DemoNode& node : mesh_.nodes()) {
    const DemoHost& host = host_of(node);
    std::string found = "nothing";
    const auto right = node.hear(
        [&](const Object& event) {
          if (text_of(event, "event") == "nat") found = text_of(event, "type");
          return text_of(event, "event") == "nat" && found == host.nat;
        },
        DemoMesh::patience);
    if (!right)
      return lost(fmt::format("{}'s NAT is of the kind {}, and was found to be {}", node.name,
                              host.nat, found));
    const auto registered =
        node.hear([](const Object& event) { return text_of(event, "event") == "relay_up"; },
                  DemoMesh::patience);
    if (!registered) return lost(node.name + " does not reach the relay");
    say(fmt::format("  {:<5} {:<21} mapping {}, filtering {}; seen as {}", node.name, found + ":",
                    text_of(*right, "mapping"), text_of(*right, "filtering"),
                    text_of(*registered, "observed")));
  }
  return "every NAT was found to be what it is";
}

Outcome<bool> Demo::dial(DemoNode& from, const DemoNode& to) {
  const auto ran = mesh_.run(from, {"ping", to.node_id, "--until-direct", "--interval", "0.01",
                                    "--timeout", direct_within_s});
  const Object summary = ran.last("summary");
  if (integer_of(summary, "received") == 0)
    return lost(fmt::format("{} does not reach {}: {}", from.name, to.name,
                            text_of(ran.last("error"), "message")));
  const auto up = from.hear([&](const Object& event) { return is_about(event, "peer_up", to); },
                            DemoMesh::patience);
  if (!up) return lost(fmt::format("{} does not say that {} is up", from.name, to.name));
  const bool direct = text_of(summary, "path") == "direct";
  const std::string way = text_of(*up, "path") == "relayed" ? "over the relay" : "without it";
  const std::string first =
      fmt::format("  {:<4} -> {:<4} connected {}, first answer after {:.0f} ms", from.name, to.name,
                  way, number_of(summary, "first_byte_ms"));
  if (direct)
    say(fmt::format("{}, direct after {:.0f} ms {}", first, number_of(summary, "direct_ms"),
                    technique_of(from, to, true)));
  else
    say(fmt::format("{}, stays there ({} and {}): {}", first, host_of(from).nat, host_of(to).nat,
                    technique_of(from, to, false)));
  return direct;
}

Outcome<std::string> Demo::dial_all_pairs() {
  int direct = 0;
  int pairs = 0;
  auto& nodes = mesh_.nodes();
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    for (std::size_t j = i + 1; j < nodes.size(); ++j) {
      const auto went = dial(nodes[i], nodes[j]);
      if (!went) return std::unexpected(went.error());
      direct += *went ? 1 : 0;
      ++pairs;
    }
  }
  return fmt::format("{} pairs connected, {} of them direct", pairs, direct);
}

}  // namespace quicmesh::cli
