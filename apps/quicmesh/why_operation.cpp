// `why NODE`: the chain of decisions about one peer, and what it comes to.
#include <fmt/format.h>
#include <boost/json/array.hpp>

#include "node_events.hpp"
#include "operation.hpp"
#include "text.hpp"

namespace quicmesh::cli {
namespace {

using boost::json::object;
using boost::json::value;

value text_or_null(std::string_view text) {
  return text.empty() ? value(nullptr) : value(boost::json::string(text));
}

/// Some of it are a peer's own words, cut after so many bytes.
struct ToValue {
  value operator()(const std::string& text) const { return value(valid_utf8(text)); }
  value operator()(const auto& any) const { return any; }
};

object decision_of(const DecisionReport& report) {
  object decision{{"age_s", std::chrono::duration<double>(report.age).count()},
                  {"times", report.times},
                  {"kind", report.kind},
                  {"text", valid_utf8(report.text)}};
  for (const DecisionField& field : report.fields)
    decision[field.name] = std::visit(ToValue{}, field.value);
  return decision;
}

object explanation_of(const Explanation& why) {
  boost::json::array decisions;
  for (const DecisionReport& report : why.decisions)
    decisions.emplace_back(decision_of(report));
  object event{{"event", "why"}, {"peer", why.peer.to_hex()}, {"connected", why.connected}};
  event["path"] =
      why.connected ? value(path_name(why.relay, why.technique == "relay")) : value(nullptr);
  event["remote"] = why.remote ? value(boost::json::string(why.remote->to_string())) : nullptr;
  event["relay"] = relay_value(why.relay);
  event["rule"] = text_or_null(why.rule);
  event["technique"] = text_or_null(why.technique);
  event["plan"] = text_or_null(why.plan);
  event["nat_here"] = to_string(why.nat_here);
  event["nat_there"] = to_string(why.nat_there);
  event["reason"] = text_or_null(why.reason);
  event["remedy"] = text_or_null(why.remedy);
  event["decisions"] = std::move(decisions);
  event["decisions_dropped"] = why.decisions_dropped;
  return event;
}

}  // namespace

asio::awaitable<int> why_operation(Operation operation) {
  const auto peer = node_of(operation.request, "node");
  if (!peer) co_return operation.fail(peer.error());
  auto asking = operation.host.node()->why(peer->id);
  const auto why = co_await std::move(asking);
  if (!why) co_return operation.fail(make_failure("cannot ask the node", why.error()));
  if (!why->connected && why->decisions.empty()) {
    co_return operation.fail(
        {.code = "unknown_peer",
         .message = fmt::format("nothing is known of {}: this node has not dialled it, nor been "
                                "dialled by it",
                                peer->id.prefix()),
         .hint = "reach for it first: quicmesh ping NODEID"});
  }
  operation.emit(explanation_of(*why));
  co_return exit_done;
}

}  // namespace quicmesh::cli
