// NodeDriver: the network thread. It drives any number of nodes over one EventLoop.
//
// A turn: sleep until a socket, a deadline or another thread asks; receive from every ready socket
// (at most 16 trains each); then settle each node concerned: commands, timers, packets, events.
// Nodes are found by the tag of their socket, by the list of those that were woken, and by a scan
// of all deadlines, which are a few bytes each. When the machine's network has changed
// (network_watch.hpp) all nodes are told.
//
// Threads: `Mailbox` is what others may touch; it lives as long as anybody holds it, so that a
// handle may still knock when the thread has gone.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "io/event_loop.hpp"
#include "io/hosted_node.hpp"
#include "io/network_watch.hpp"
#include "quicmesh/result.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh::io {

/// Names a node on its driver; never reused.
enum class HostedId : std::uint64_t {};

class Mailbox {
 public:
  explicit Mailbox(std::unique_ptr<EventLoop> loop) : loop_(std::move(loop)) {}

  /// Puts a node on the network thread, which calls its client from now on.
  HostedId add(std::unique_ptr<HostedNode> node);
  /// Has `NodeClient::apply` called soon. Cheap when that is already so.
  void wake(HostedId node);
  /// Takes a node off; its peers are told goodbye. NodeClient::on_removed follows.
  void remove(HostedId node);
  void stop();

 private:
  friend class NodeDriver;
  struct Letter {
    enum class Kind : std::uint8_t { add, wake, remove };
    Kind kind{};
    HostedId id{};
    std::unique_ptr<HostedNode> node;
  };

  void post(Letter letter);

  std::unique_ptr<EventLoop> loop_;
  std::mutex mutex_;
  std::vector<Letter> letters_;  // bounded by the callers: a node knocks once until it is served
  std::uint64_t next_id_ = 1;
  std::atomic<bool> waiting_{false};  // there are letters
  std::atomic<bool> stopping_{false};
};

class NodeDriver {
 public:
  /// `spin`: how long to look for work before sleeping.
  static Result<std::unique_ptr<NodeDriver>> start(Duration spin);
  ~NodeDriver();
  NodeDriver(const NodeDriver&) = delete;
  NodeDriver& operator=(const NodeDriver&) = delete;

  [[nodiscard]] const std::shared_ptr<Mailbox>& mailbox() const { return mailbox_; }

 private:
  struct Place {
    HostedId id{};
    std::unique_ptr<HostedNode> node;
    Instant deadline{};
    bool due = false;
  };

  NodeDriver(std::shared_ptr<Mailbox> mailbox, Duration spin);

  void run();
  void open_letters();
  void put(HostedId id, std::unique_ptr<HostedNode> node);
  void watch_opened_sockets(HostedId id, HostedNode& node);
  void take_off(std::size_t index);
  void on_ready(const Readiness& ready);
  void watch_network();
  void tell_of_network(Instant now);
  void settle(std::size_t index);
  [[nodiscard]] Instant next_deadline() const;
  std::span<const Readiness> wait(Instant deadline);

  std::shared_ptr<Mailbox> mailbox_;  // shared with the handles of the public API
  EventLoop& loop_;
  Duration spin_;
  std::unique_ptr<NetworkWatch> network_;  // null where the system does not allow it
  /// What one train is written to; the rest is for what is gathered.
  [[nodiscard]] MutableByteView sending_buffer() {
    return MutableByteView(buffer_).first(transmit_buffer_size);
  }

  Bytes buffer_;
  std::vector<Place> places_;
  std::unordered_map<std::uint64_t, std::size_t> index_of_;  // by HostedId
  std::vector<Mailbox::Letter> opened_;
  std::thread thread_;
};

}  // namespace quicmesh::io
