// See node_host.hpp.
#include "node_host.hpp"

#include <algorithm>
#include <random>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <boost/asio/detached.hpp>
#include <boost/json/array.hpp>

#include "node_events.hpp"
#include "ping.hpp"
#include "quicmesh/io_errc.hpp"

namespace quicmesh::cli {
namespace {

constexpr Duration redial_first = 1s;
constexpr Duration redial_most = 60s;
constexpr Duration close_limit = 5s;

/// Up to a quarter more, so that nodes that lost the same peer do not all come at once.
Duration jittered(Duration pause) {
  static thread_local std::minstd_rand random{std::random_device{}()};
  return pause +
         Duration(std::uniform_int_distribution<Duration::rep>(0, pause.count() / 4)(random));
}

}  // namespace

NodeHost::NodeHost(Settings settings) : settings_(std::move(settings)) {}

NodeHost::~NodeHost() = default;

asio::awaitable<Outcome<void>> NodeHost::start(asio::thread_pool& pool) {
  pool_ = &pool;
  executor_ = co_await asio::this_coro::executor;
  started_ = std::chrono::steady_clock::now();
  Config config = settings_.node_config();
  config.port_mapping = config.port_mapping && stays;
  // Nobody should remember a node that is gone in a moment.
  if (!stays && config.dht == DhtRole::automatic) config.dht = DhtRole::client;
  std::string where;
  for (const SocketAddress& address : config.listen)
    where.append(where.empty() ? " on " : ", ").append(address.to_string());
  std::string where_tcp;
  for (const SocketAddress& address : config.relay_tls_listen)
    where_tcp.append(where_tcp.empty() ? " on TCP " : ", ").append(address.to_string());
  const std::string key_file = config.key_file;
  auto starting = Node::start(executor_, std::move(config));
  auto node = co_await std::move(starting);
  if (!node) {
    const bool of_key = std::string_view(node.error().category().name()) == "quicmesh.identity";
    const bool of_tcp = node.error() == IoErrc::tcp_address_in_use ||
                        node.error() == IoErrc::tcp_permission_denied ||
                        node.error() == IoErrc::tcp_no_such_address;
    co_return std::unexpected(
        make_failure(of_key ? fmt::format("cannot use the key file {}", key_file)
                            : fmt::format("cannot start the node{}", of_tcp ? where_tcp : where),
                     node.error()));
  }
  node_ = std::move(*node);
  auto answer = [quota = std::make_shared<PingQuota>()](Stream stream) {
    return answer_pings(quota, std::move(stream));
  };
  if (auto handled = node_->handle(ping_protocol, std::move(answer)); !handled)
    co_return std::unexpected(make_failure("cannot answer pings", handled.error()));
  asio::co_spawn(executor_, pump_events(), asio::detached);
  co_return Outcome<void>();
}

asio::awaitable<void> NodeHost::close() {
  auto closing = node_->close();
  auto limited = within(close_limit, std::move(closing));
  const auto closed = co_await std::move(limited);
  if (!closed) spdlog::warn("closing the node: {}", describe(closed.error()));
}

boost::json::object NodeHost::ready() const {
  boost::json::array listen;
  for (const SocketAddress& address : node_->listen_addresses())
    listen.emplace_back(address.to_string());
  boost::json::array relay_tls;
  for (const SocketAddress& address : node_->relay_tls_addresses())
    relay_tls.emplace_back(address.to_string());
  return {{"event", "ready"},
          {"node_id", node_->id().to_hex()},
          {"listen", std::move(listen)},
          {"relay_tls", std::move(relay_tls)},
          {"api", nullptr},
          {"address", node_->node_address()}};
}

std::unique_ptr<NodeHost::Subscription> NodeHost::subscribe(Listener listener) {
  const std::uint64_t number = next_listener_++;
  listeners_.push_back({.number = number, .listener = std::move(listener)});
  return std::make_unique<Subscription>(*this, number);
}

void NodeHost::unsubscribe(std::uint64_t number) {
  const auto entry = std::ranges::find(listeners_, number, &Entry::number);
  if (entry == listeners_.end()) return;
  if (telling_) {
    entry->ended = true;
  } else {
    listeners_.erase(entry);
  }
}

void NodeHost::tell(const Event& event) {
  const std::uint64_t next = next_listener_;
  telling_ = true;
  for (Entry& entry : listeners_) {
    if (!entry.ended && entry.number < next) entry.listener(event);
  }
  telling_ = false;
  std::erase_if(listeners_, [](const Entry& entry) { return entry.ended; });
}

asio::awaitable<void> NodeHost::pump_events() {
  const std::shared_ptr<Node> node = node_;  // it may close while an event is awaited
  while (true) {
    auto waiting = node->next_event();
    const auto event = co_await std::move(waiting);
    if (!event) co_return;
    tell(*event);
  }
}

void NodeHost::keep_bootstrapped(const EventSink& emit) {
  for (NodeAddress& peer : settings_.nodes("bootstrap"))
    asio::co_spawn(executor_, stay_connected(std::move(peer), emit), asio::detached);
}

asio::awaitable<void> NodeHost::stay_connected(NodeAddress peer, EventSink emit) {
  const std::shared_ptr<Node> node = node_;  // it may close while we dial
  Duration pause = redial_first;
  std::error_code told;
  while (true) {
    const auto peers = node->peers();
    if (std::ranges::find(peers, peer.id) == peers.end()) {
      auto dialling = node->connect(peer, ping_protocol);
      const auto connection = co_await std::move(dialling);
      if (!connection && connection.error() == make_error_code(IoErrc::node_closed)) co_return;
      if (connection) {
        pause = redial_first;
        told = {};
      } else {
        pause = std::min(pause * 2, redial_most);
        // Said once, not at every try.
        if (told != connection.error()) {
          auto event = to_json(make_failure(fmt::format("bootstrap node {}", peer.id.prefix()),
                                            connection.error(), node->last_reason(peer.id)));
          event["peer"] = peer.id.to_hex();
          emit(event);
        }
        told = connection.error();
      }
    }
    auto resting = pause_for(jittered(pause));
    co_await std::move(resting);
  }
}

PathChangeCount::PathChangeCount(NodeHost& host, NodeId peer)
    : count_(std::make_shared<std::uint64_t>(0)) {
  subscription_ = host.subscribe([count = count_, peer](const Event& event) {
    const auto* change = std::get_if<event::PathChanged>(&event);
    if (change != nullptr && change->peer == peer) ++*count;
  });
}

}  // namespace quicmesh::cli
