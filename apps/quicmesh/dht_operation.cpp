// The operations of `quicmesh dht`. A node that was started for the command joins first.
#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <boost/json/array.hpp>

#include "dht_reach.hpp"
#include "dht_value.hpp"
#include "operation.hpp"
#include "quicmesh/dht.hpp"
#include "quicmesh/io_errc.hpp"
#include "text.hpp"

namespace quicmesh::cli {
namespace {

/// What the node has itself is there at once.
constexpr Duration local_limit = 1s;

Duration limit_of(const Operation& operation) {
  const double seconds = std::clamp(number_of(operation.request, "timeout", 15), 0.0, 86'400.0);
  return Duration(static_cast<Duration::rep>(seconds * 1e9));
}

Failure failure_of(std::error_code error) {
  Failure failure = make_failure("the DHT", error);
  if (error == IoErrc::dht_off) failure.hint = "start the node without `--dht off`";
  return failure;
}

/// The answer, or why there is none. `reach` says whether anybody can have been asked.
template <class T>
asio::awaitable<Outcome<T>> ask(const Operation& operation, DhtReach& reach, Task<T> task) {
  const Duration limit = limit_of(operation);
  auto joining = wait_for_dht(operation.host, limit);
  reach = co_await std::move(joining);
  const bool joined = reach == DhtReach::joined;
  auto limited = within(joined ? limit : std::min(limit, local_limit), std::move(task));
  auto result = co_await std::move(limited);
  if (result) co_return std::move(*result);
  if (!joined && exit_code_of(result.error()) == exit_timed_out)
    co_return std::unexpected(nobody_to_ask(operation.host, reach));
  co_return std::unexpected(failure_of(result.error()));
}

/// What it was about: "found", "stored" or "stopped".
int finish(const Operation& operation, DhtReach reach, const LookupFigures& figures,
           std::string_view what, bool good) {
  int code = good ? exit_done : exit_failed;
  if (!good && reach != DhtReach::joined) {
    code = operation.fail(nobody_to_ask(operation.host, reach));
  }
  boost::json::object event{{"event", "summary"},
                            {"hops", figures.hops},
                            {"queries", figures.queries},
                            {"ms", std::chrono::duration<double, std::milli>(figures.took).count()},
                            {"complete", figures.complete},
                            {"found", good}};
  event[what] = good;
  operation.emit(event);
  return code;
}

template <class T>
boost::json::array list_of(const std::vector<T>& several) {
  boost::json::array texts;
  for (const T& one : several)
    texts.emplace_back(one.to_string());
  return texts;
}

std::vector<std::string> texts_of(const boost::json::object& request, std::string_view key) {
  std::vector<std::string> texts;
  const boost::json::value* value = request.if_contains(key);
  const boost::json::array* list = value == nullptr ? nullptr : value->if_array();
  if (list == nullptr) return texts;
  for (const boost::json::value& one : *list)
    if (one.is_string()) texts.emplace_back(one.as_string());
  return texts;
}

Failure no_content(const std::string& text) {
  return usage_failure(fmt::format("\"{}\" names no content", printable(text)),
                       "name a file, or the BLAKE3 hash of something in 64 hexadecimal digits");
}

std::optional<NodeId> target_of(const std::string& text) {
  if (const auto key = ValueKey::parse(text)) return NodeId{key->bytes};
  const auto node = NodeAddress::parse(text);
  return node ? std::optional(node->id) : std::nullopt;
}

}  // namespace

asio::awaitable<int> dht_put_operation(Operation operation) {
  const auto value = value_in(operation.request);
  if (!value) {
    co_return operation.fail(
        usage_failure("there is no value to put", "quicmesh dht put NAME VALUE"));
  }
  const auto name = parse_value_name(text_of(operation.request, "key"));
  if (!name) co_return operation.fail(name.error());
  auto putting = flag_of(operation.request, "immutable")
                     ? operation.host.node()->dht_put(to_bytes(*value))
                     : operation.host.node()->dht_put(*name, to_bytes(*value));
  DhtReach reach{};
  auto asking = ask(operation, reach, std::move(putting));
  const auto stored = co_await std::move(asking);
  if (!stored) co_return operation.fail(stored.error());
  operation.emit({{"event", "stored"},
                  {"key", stored->key.to_string()},
                  {"stored", stored->stored},
                  {"refused", stored->refused}});
  co_return finish(operation, reach, stored->figures, "stored", stored->stored > 0);
}

asio::awaitable<int> dht_get_operation(Operation operation) {
  const auto sought = parse_key_or_name(text_of(operation.request, "key"));
  if (!sought) co_return operation.fail(sought.error());
  const auto* key = std::get_if<ValueKey>(&*sought);
  auto getting = key != nullptr ? operation.host.node()->dht_get(*key)
                                : operation.host.node()->dht_get(std::get<std::string>(*sought));
  DhtReach reach{};
  auto asking = ask(operation, reach, std::move(getting));
  const auto found = co_await std::move(asking);
  if (!found) co_return operation.fail(found.error());
  if (found->value) {
    boost::json::object event{{"event", "value"}};
    add_value(event, std::string(found->value->begin(), found->value->end()));
    event["size_bytes"] = found->value->size();
    event["sequence"] = found->sequence;
    event["holders"] = found->holders;
    operation.emit(event);
  }
  co_return finish(operation, reach, found->figures, "found", found->value.has_value());
}

asio::awaitable<int> dht_find_operation(Operation operation) {
  const std::string text = text_of(operation.request, "key");
  const auto target = target_of(text);
  if (!target) {
    co_return operation.fail(usage_failure(fmt::format("\"{}\" is no key", printable(text)),
                                           "write a NODEID, signed:HEX or immutable:HEX"));
  }
  auto finding = operation.host.node()->dht_find(*target);
  DhtReach reach{};
  auto asking = ask(operation, reach, std::move(finding));
  const auto found = co_await std::move(asking);
  if (!found) co_return operation.fail(found.error());
  for (const NodeId& node : found->nodes)
    operation.emit({{"event", "node"}, {"node_id", node.to_hex()}});
  co_return finish(operation, reach, found->figures, "found", !found->nodes.empty());
}

asio::awaitable<int> dht_provide_operation(Operation operation) {
  const bool stop = flag_of(operation.request, "stop");
  LookupFigures figures{.complete = true};
  DhtReach reach = DhtReach::joined;
  bool all = true;
  for (const std::string& text : texts_of(operation.request, "keys")) {
    const auto key = ContentKey::parse(text);
    if (!key) co_return operation.fail(no_content(text));
    if (stop) {
      auto stopping = operation.host.node()->dht_stop_providing(*key);
      const auto stopped = co_await std::move(stopping);
      if (!stopped) co_return operation.fail(failure_of(stopped.error()));
      operation.emit({{"event", "stopped"}, {"key", text}, {"was_provided", *stopped}});
      all = all && *stopped;
      continue;
    }
    auto providing = operation.host.node()->dht_provide(*key);
    auto asking = ask(operation, reach, std::move(providing));
    const auto provision = co_await std::move(asking);
    if (!provision) co_return operation.fail(provision.error());
    operation.emit({{"event", "provided"},
                    {"key", text},
                    {"stored", provision->stored},
                    {"refused", provision->refused}});
    all = all && provision->stored > 0;
    figures.hops = std::max(figures.hops, provision->figures.hops);
    figures.queries += provision->figures.queries;
    figures.took += provision->figures.took;
    figures.complete = figures.complete && provision->figures.complete;
  }
  co_return finish(operation, reach, figures, stop ? "stopped" : "stored", all);
}

asio::awaitable<int> dht_providers_operation(Operation operation) {
  const std::string text = text_of(operation.request, "key");
  const auto key = ContentKey::parse(text);
  if (!key) co_return operation.fail(no_content(text));
  const auto wanted = static_cast<std::size_t>(
      std::clamp(number_of(operation.request, "wanted", 16), 1.0, 1'000.0));
  auto searching = operation.host.node()->dht_find_providers(*key, wanted);
  DhtReach reach{};
  auto asking = ask(operation, reach, std::move(searching));
  auto search = co_await std::move(asking);
  if (!search) co_return operation.fail(search.error());
  const auto end = std::chrono::steady_clock::now() + limit_of(operation);
  for (;;) {
    const Duration left = end - std::chrono::steady_clock::now();
    auto limited = within(std::max(left, Duration(1ms)), search->next());
    const auto provider = co_await std::move(limited);
    if (!provider) co_return operation.fail(failure_of(provider.error()));
    if (!*provider) break;
    operation.emit({{"event", "provider"},
                    {"node", (*provider)->node.to_hex()},
                    {"addresses", list_of((*provider)->addresses)},
                    {"relays", list_of((*provider)->relays)}});
  }
  const ProvidersSummary summary = search->summary().value_or(ProvidersSummary{});
  co_return finish(operation, reach, summary.figures, "found", summary.found > 0);
}

asio::awaitable<int> dht_resolve_operation(Operation operation) {
  const auto node = node_of(operation.request, "key");
  if (!node) co_return operation.fail(node.error());
  auto resolving = operation.host.node()->resolve(node->id);
  DhtReach reach{};
  auto asking = ask(operation, reach, std::move(resolving));
  const auto resolved = co_await std::move(asking);
  if (!resolved) co_return operation.fail(resolved.error());
  if (resolved->found) {
    operation.emit({{"event", "resolved"},
                    {"node_id", resolved->node.to_hex()},
                    {"addresses", list_of(resolved->addresses)},
                    {"relays", list_of(resolved->relays)},
                    {"sequence", resolved->sequence}});
  }
  co_return finish(operation, reach, resolved->figures, "found", resolved->found);
}

}  // namespace quicmesh::cli
