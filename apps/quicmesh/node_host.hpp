// NodeHost: the node of this process, and what all operations on it share: its settings, its
// events, the answer to pings, and the wish to stay connected to the bootstrap nodes.
//
// It is declared before the io_context whose coroutines refer to it, and owns no asio object.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include <boost/json/object.hpp>

#include "async.hpp"
#include "failure.hpp"
#include "output.hpp"
#include "quicmesh/node.hpp"
#include "settings.hpp"

namespace quicmesh::cli {

inline constexpr const char* ping_protocol = "quicmesh/ping/1";

class NodeHost {
 public:
  using Listener = std::function<void(const Event& event)>;

  /// Ends when it is destroyed; the host outlives it.
  class Subscription {
   public:
    Subscription(NodeHost& host, std::uint64_t number) : host_(&host), number_(number) {}
    Subscription(const Subscription&) = delete;
    Subscription& operator=(const Subscription&) = delete;
    ~Subscription() { host_->unsubscribe(number_); }

   private:
    NodeHost* host_;
    std::uint64_t number_;
  };

  explicit NodeHost(Settings settings);
  ~NodeHost();
  NodeHost(const NodeHost&) = delete;
  NodeHost& operator=(const NodeHost&) = delete;

  /// Starts the node and what belongs to it on the executor of the caller. `pool` runs what blocks.
  asio::awaitable<Outcome<void>> start(asio::thread_pool& pool);
  /// Lets written data reach the peers, at most a few seconds.
  asio::awaitable<void> close();

  [[nodiscard]] const std::shared_ptr<Node>& node() const { return node_; }
  [[nodiscard]] const Settings& settings() const { return settings_; }
  [[nodiscard]] asio::thread_pool& pool() { return *pool_; }
  [[nodiscard]] double uptime() const { return seconds_since(started_); }

  /// `{"event":"ready",...}`.
  [[nodiscard]] boost::json::object ready() const;

  /// `listener` is told every event of the node, on the executor of the host. It may subscribe
  /// others, which hear from the next event on, and end any subscription, which is silent at once.
  [[nodiscard]] std::unique_ptr<Subscription> subscribe(Listener listener);
  /// Tells the listeners; the events of the node come by themselves.
  void tell(const Event& event);

  /// Dials the nodes of the setting `bootstrap`, and again when they are lost. `emit` is told of
  /// dials that fail.
  void keep_bootstrapped(const EventSink& emit);

  /// Set before `start` for a node that stays: its port is worth a mapping at the gateway.
  bool stays = false;
  /// An operation takes incoming files; there is one at a time.
  bool receiving_files = false;
  /// Transfers that were still going on when their operation ended.
  std::size_t files_cut_short = 0;

 private:
  asio::awaitable<void> pump_events();
  asio::awaitable<void> stay_connected(NodeAddress peer, EventSink emit);
  void unsubscribe(std::uint64_t number);

  struct Entry {
    std::uint64_t number = 0;
    Listener listener;
    bool ended = false;  // during a telling; its function may be the one that runs
  };

  Settings settings_;
  std::shared_ptr<Node> node_;  // shared with its handles
  asio::thread_pool* pool_ = nullptr;
  asio::any_io_executor executor_;
  std::chrono::steady_clock::time_point started_;
  std::list<Entry> listeners_;
  bool telling_ = false;
  std::uint64_t next_listener_ = 1;
};

/// Counts the path changes of one peer while it exists.
class PathChangeCount {
 public:
  PathChangeCount(NodeHost& host, NodeId peer);
  [[nodiscard]] std::uint64_t count() const { return *count_; }

 private:
  std::shared_ptr<std::uint64_t> count_;  // shared with the listener
  std::unique_ptr<NodeHost::Subscription> subscription_;
};

}  // namespace quicmesh::cli
