// The operations of `quicmesh dht`. A node that was started for the command joins first.
#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <boost/json/array.hpp>

#include "operation.hpp"
#include "quicmesh/dht.hpp"
#include "text.hpp"

namespace quicmesh::cli {
namespace {

constexpr Duration look_every = 50ms;
constexpr Duration join_limit = 5s;

Duration limit_of(const Operation& operation) {
  const double seconds = std::clamp(number_of(operation.request, "timeout", 15), 0.0, 86'400.0);
  return Duration(static_cast<Duration::rep>(seconds * 1e9));
}

/// Waits until the node knows somebody, for as long as that may take.
asio::awaitable<void> wait_until_joined(std::shared_ptr<Node> node, Duration limit) {
  const auto end = std::chrono::steady_clock::now() + std::min(limit, join_limit);
  while (std::chrono::steady_clock::now() < end) {
    auto asking = node->dht_status();
    const auto status = co_await std::move(asking);
    if (!status || !status->on || status->contacts > 0) co_return;
    auto resting = pause_for(look_every);
    co_await std::move(resting);
  }
}

template <class T>
asio::awaitable<std::optional<T>> ask(const Operation& operation, Task<T> task) {
  const Duration limit = limit_of(operation);
  auto joining = wait_until_joined(operation.host.node(), limit);
  co_await std::move(joining);
  auto limited = within(limit, std::move(task));
  auto result = co_await std::move(limited);
  if (result) co_return std::move(*result);
  (void)operation.fail(make_failure("the DHT", result.error()));
  co_return std::nullopt;
}

int finish(const Operation& operation, const LookupFigures& figures, bool found) {
  operation.emit({{"event", "summary"},
                  {"hops", figures.hops},
                  {"queries", figures.queries},
                  {"ms", std::chrono::duration<double, std::milli>(figures.took).count()},
                  {"complete", figures.complete},
                  {"found", found}});
  return found ? exit_done : exit_failed;
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
  const auto id = NodeId::parse(text);
  return id ? std::optional(*id) : std::nullopt;
}

}  // namespace

asio::awaitable<int> dht_put_operation(Operation operation) {
  const std::string key = text_of(operation.request, "key");
  const std::string value = text_of(operation.request, "value");
  const bool immutable = flag_of(operation.request, "immutable");
  if (immutable && !value.empty()) {
    co_return operation.fail(
        usage_failure("an immutable value has no name", "quicmesh dht put --immutable VALUE"));
  }
  auto putting = immutable ? operation.host.node()->dht_put(to_bytes(key))
                           : operation.host.node()->dht_put(key, to_bytes(value));
  auto asking = ask(operation, std::move(putting));
  const auto stored = co_await std::move(asking);
  if (!stored) co_return exit_failed;
  operation.emit({{"event", "stored"},
                  {"key", stored->key.to_string()},
                  {"stored", stored->stored},
                  {"refused", stored->refused}});
  co_return finish(operation, stored->figures, stored->stored > 0);
}

asio::awaitable<int> dht_get_operation(Operation operation) {
  const std::string text = text_of(operation.request, "key");
  const auto key = ValueKey::parse(text);
  auto getting = key ? operation.host.node()->dht_get(*key) : operation.host.node()->dht_get(text);
  auto asking = ask(operation, std::move(getting));
  const auto found = co_await std::move(asking);
  if (!found) co_return exit_failed;
  if (found->value) {
    const std::string value(found->value->begin(), found->value->end());
    operation.emit({{"event", "value"},
                    {"value", valid_utf8(value)},
                    {"size_bytes", found->value->size()},
                    {"sequence", found->sequence},
                    {"holders", found->holders}});
  }
  co_return finish(operation, found->figures, found->value.has_value());
}

asio::awaitable<int> dht_find_operation(Operation operation) {
  const std::string text = text_of(operation.request, "key");
  const auto target = target_of(text);
  if (!target) {
    co_return operation.fail(usage_failure(fmt::format("\"{}\" is no key", printable(text)),
                                           "write a NODEID, signed:HEX or immutable:HEX"));
  }
  auto finding = operation.host.node()->dht_find(*target);
  auto asking = ask(operation, std::move(finding));
  const auto found = co_await std::move(asking);
  if (!found) co_return exit_failed;
  for (const NodeId& node : found->nodes)
    operation.emit({{"event", "node"}, {"node_id", node.to_hex()}});
  co_return finish(operation, found->figures, !found->nodes.empty());
}

asio::awaitable<int> dht_provide_operation(Operation operation) {
  const bool stop = flag_of(operation.request, "stop");
  LookupFigures figures{.complete = true};
  bool all = true;
  for (const std::string& text : texts_of(operation.request, "keys")) {
    const auto key = ContentKey::parse(text);
    if (!key) co_return operation.fail(no_content(text));
    if (stop) {
      auto stopping = operation.host.node()->dht_stop_providing(*key);
      auto asking = ask(operation, std::move(stopping));
      const auto stopped = co_await std::move(asking);
      if (!stopped) co_return exit_failed;
      operation.emit({{"event", "stopped"}, {"key", text}, {"was_provided", *stopped}});
      all = all && *stopped;
      continue;
    }
    auto providing = operation.host.node()->dht_provide(*key);
    auto asking = ask(operation, std::move(providing));
    const auto provision = co_await std::move(asking);
    if (!provision) co_return exit_failed;
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
  co_return finish(operation, figures, all);
}

asio::awaitable<int> dht_providers_operation(Operation operation) {
  const std::string text = text_of(operation.request, "key");
  const auto key = ContentKey::parse(text);
  if (!key) co_return operation.fail(no_content(text));
  const auto wanted = static_cast<std::size_t>(
      std::clamp(number_of(operation.request, "wanted", 16), 1.0, 1'000.0));
  auto searching = operation.host.node()->dht_find_providers(*key, wanted);
  auto asking = ask(operation, std::move(searching));
  auto search = co_await std::move(asking);
  if (!search) co_return exit_failed;
  const auto end = std::chrono::steady_clock::now() + limit_of(operation);
  for (;;) {
    const Duration left = end - std::chrono::steady_clock::now();
    auto limited = within(std::max(left, Duration(1ms)), search->next());
    const auto provider = co_await std::move(limited);
    if (!provider) co_return operation.fail(make_failure("the DHT", provider.error()));
    if (!*provider) break;
    operation.emit({{"event", "provider"},
                    {"node", (*provider)->node.to_hex()},
                    {"addresses", list_of((*provider)->addresses)},
                    {"relays", list_of((*provider)->relays)}});
  }
  const ProvidersSummary summary = search->summary().value_or(ProvidersSummary{});
  co_return finish(operation, summary.figures, summary.found > 0);
}

asio::awaitable<int> dht_resolve_operation(Operation operation) {
  const auto node = node_of(operation.request, "key");
  if (!node) co_return operation.fail(node.error());
  auto resolving = operation.host.node()->resolve(node->id);
  auto asking = ask(operation, std::move(resolving));
  const auto resolved = co_await std::move(asking);
  if (!resolved) co_return exit_failed;
  if (resolved->found) {
    operation.emit({{"event", "resolved"},
                    {"node_id", resolved->node.to_hex()},
                    {"addresses", list_of(resolved->addresses)},
                    {"relays", list_of(resolved->relays)},
                    {"sequence", resolved->sequence}});
  }
  co_return finish(operation, resolved->figures, resolved->found);
}

}  // namespace quicmesh::cli
