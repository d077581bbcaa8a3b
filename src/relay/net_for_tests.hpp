// Relays and nodes with relay clients, by number, in virtual time; for the tests of RelayClient.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <queue>

#include "relay/relay_client.hpp"
#include "relay/server_for_tests.hpp"

namespace quicmesh {

inline NodeId relay_id(unsigned number) {
  return TestRelay::node(1000 + number);
}

inline RelayHint hint_of(unsigned number) {
  return {relay_id(number), {{IpAddress::v4({10, 1, 0, std::uint8_t(number)}), 443}}};
}

// Relays and nodes by number. Messages take half the relay's round trip; nothing is lost, but a
// relay that is not alive hears and says nothing.
class Net {
 public:
  struct Server {
    Server(RelayLimits limits, unsigned seed) : relay(limits, seed) {}
    TestRelay relay;
    Duration rtt{};
    bool alive = true;
    std::map<RelayClientId, unsigned> nodes;  // of each control connection
  };
  struct Node {
    explicit Node(unsigned number) : client(TestRelay::node(number), Rng(number)) {}
    RelayClient client;
    std::map<NodeId, RelayClientId> controls;  // that stand, by relay
    std::vector<RelayEvent> events;
    std::map<NodeId, int> opened;  // how often each relay was dialled
    std::map<NodeId, int> doubted;
    NetworkPath path;  // own address, as the relays see it
  };

  Net() = default;
  /// Relays 1, 2 ... with these round trips, and nodes 1 to `nodes`, each of which knows them all.
  Net(std::initializer_list<Duration> relay_rtts, unsigned nodes) {
    for (const Duration rtt : relay_rtts)
      add_server(static_cast<unsigned>(servers_.size()) + 1, rtt);
    for (unsigned number = 1; number <= nodes; ++number) {
      add_node(number, {});
      for (const auto& [relay, server] : servers_)
        EXPECT_TRUE(node(number).client.add_relay(now, hint_of(relay)));
      touch(number);
    }
  }

  Server& add_server(unsigned number, Duration rtt, RelayLimits limits = {}) {
    auto& server = servers_[number];
    server = std::make_unique<Server>(limits, number + 1000 * ++servers_made_);
    server->rtt = rtt;
    return *server;
  }
  Node& add_node(unsigned number, std::initializer_list<unsigned> relays) {
    auto& node = nodes_[number];
    node = std::make_unique<Node>(number);
    node->path = TestRelay::path(number);
    for (const unsigned relay : relays)
      EXPECT_TRUE(node->client.add_relay(now, hint_of(relay)));
    drain(*node, number);
    return *node;
  }
  Server& server(unsigned number) { return *servers_.at(number); }
  Node& node(unsigned number) { return *nodes_.at(number); }
  void connect(unsigned from, unsigned to) {
    EXPECT_TRUE(node(from).client.connect(now, TestRelay::node(to)));
    drain(node(from), from);
  }
  void touch(unsigned number) { drain(node(number), number); }
  void touch_server(unsigned number) { drain(server(number), number); }

  /// Its connections are reset: clients notice after a round trip.
  void restart(unsigned number) {
    const Duration rtt = server(number).rtt;
    kill_quietly(number);
    add_server(number, rtt);
    for (auto& [other, node] : nodes_) {
      if (node->controls.erase(relay_id(number)) == 0) continue;
      at(rtt, [this, other = other, number] {
        node_at(other).client.control_down(now, relay_id(number));
        touch(other);
      });
    }
  }
  void kill_quietly(unsigned number) { server(number).alive = false; }

  void run(Duration time) {
    const Instant end = now + time;
    for (;;) {
      Instant next = queue_.empty() ? never : queue_.top().at;
      for (auto& [number, node] : nodes_)
        next = std::min(next, node->client.poll_timeout());
      for (auto& [number, server] : servers_)
        next = std::min(next, server->relay.server.poll_timeout());
      if (next > end) break;
      now = std::max(now, next);
      ASSERT_LT(++steps_, 2'000'000u) << "the deadlines do not move on";
      step();
    }
    now = end;
  }

  Instant now{1000s};

 private:
  struct Later {
    Instant at;
    std::uint64_t order;
    std::function<void()> action;
    bool operator<(const Later& other) const {
      return std::pair(at, order) > std::pair(other.at, other.order);
    }
  };

  Node& node_at(unsigned number) { return *nodes_.at(number); }
  void at(Duration delay, std::function<void()> action) {
    queue_.push({now + delay, ++order_, std::move(action)});
  }
  void step() {
    while (!queue_.empty() && queue_.top().at <= now) {
      const auto action = queue_.top().action;
      queue_.pop();
      action();
    }
    for (auto& [number, node] : nodes_) {
      if (node->client.poll_timeout() > now) continue;
      node->client.handle_timeout(now);
      drain(*node, number);
    }
    for (auto& [number, server] : servers_) {
      if (server->relay.server.poll_timeout() > now) continue;
      server->relay.server.handle_timeout(now);
      drain(*server, number);
    }
  }

  void drain(Node& node, unsigned number) {
    while (auto output = node.client.poll_output()) {
      if (const auto* open = std::get_if<RelayOpen>(&*output)) {
        on_open(node, number, open->relay.id);
      } else if (const auto* shut = std::get_if<RelayShut>(&*output)) {
        on_shut(node, shut->relay);
      } else if (const auto* doubt = std::get_if<RelayDoubt>(&*output)) {
        ++node.doubted[doubt->relay.id];
      } else {
        on_send(node, std::get<RelaySendTo>(*output));
      }
    }
    while (auto event = node.client.poll_event())
      node.events.push_back(std::move(*event));
  }

  std::optional<unsigned> number_of(const NodeId& relay) const {
    for (const auto& [number, server] : servers_) {
      if (relay_id(number) == relay) return number;
    }
    return std::nullopt;
  }

  void on_open(Node& node, unsigned number, const NodeId& relay) {
    ++node.opened[relay];
    const auto at_server = number_of(relay);
    if (!at_server || !server(*at_server).alive) return;
    const RelayClientId id{++last_id_};
    at(server(*at_server).rtt, [this, number, relay, id, s = *at_server] {
      Server& server = this->server(s);
      Node& dialler = node_at(number);
      if (!server.alive) return;
      RelayKey key{};
      key[0] = std::uint8_t(std::uint64_t(id));
      if (!server.relay.server.client_up(now, id, TestRelay::node(number), dialler.path, key))
        return;
      server.nodes[id] = number;
      dialler.controls[relay] = id;
      const NetworkPath path{SocketId{0}, {}, hint_of(s).addresses[0]};
      dialler.client.control_up(now, relay, path, key);
      drain(dialler, number);
    });
  }
  void on_shut(Node& node, const NodeId& relay) {
    const auto found = node.controls.find(relay);
    if (found == node.controls.end()) return;
    const RelayClientId id = found->second;
    node.controls.erase(found);
    const unsigned s = *number_of(relay);
    at(server(s).rtt / 2, [this, s, id] {
      server(s).relay.server.client_down(id);
      drain(server(s), s);
    });
  }
  void on_send(Node& node, const RelaySendTo& sent) {
    const auto found = node.controls.find(sent.relay);
    if (found == node.controls.end()) return;
    const unsigned s = *number_of(sent.relay);
    // Over the wire as bytes, as in earnest.
    const auto wire = decode_relay_message(encode_relay_message(sent.message));
    ASSERT_TRUE(wire && wire->message);
    at(server(s).rtt / 2, [this, s, id = found->second, message = *wire->message] {
      if (!server(s).alive) return;
      server(s).relay.server.handle_message(now, id, message);
      drain(server(s), s);
    });
  }
  void drain(Server& server, unsigned s) {
    while (auto output = server.relay.server.poll_output()) {
      if (!server.alive) continue;
      if (auto* sent = std::get_if<RelaySend>(&*output)) {
        const auto number = server.nodes.find(sent->client);
        if (number == server.nodes.end()) continue;
        at(server.rtt / 2,
           [this, s, id = sent->client, n = number->second, message = std::move(sent->message)] {
             Node& node = node_at(n);
             const auto control = node.controls.find(relay_id(s));
             if (control == node.controls.end() || control->second != id) return;
             node.client.handle_message(now, relay_id(s), message);
             drain(node, n);
           });
      } else {
        const RelayClientId id = std::get<RelayDisconnect>(*output).client;
        const auto number = server.nodes.find(id);
        if (number == server.nodes.end()) continue;
        at(server.rtt / 2, [this, s, id, n = number->second] {
          Node& node = node_at(n);
          const auto control = node.controls.find(relay_id(s));
          if (control == node.controls.end() || control->second != id) return;
          node.controls.erase(control);
          node.client.control_down(now, relay_id(s));
          drain(node, n);
        });
      }
    }
  }

  std::map<unsigned, std::unique_ptr<Server>> servers_;
  std::map<unsigned, std::unique_ptr<Node>> nodes_;
  std::priority_queue<Later> queue_;
  std::uint64_t order_ = 0;
  std::uint64_t last_id_ = 0;
  std::uint64_t steps_ = 0;
  unsigned servers_made_ = 0;
};

template <class Event>
std::vector<Event> events_of(const Net::Node& node) {
  std::vector<Event> found;
  for (const RelayEvent& event : node.events) {
    if (const auto* one = std::get_if<Event>(&event)) found.push_back(*one);
  }
  return found;
}

inline std::size_t legs(Net& net, unsigned from, unsigned to) {
  return net.node(from).client.legs(TestRelay::node(to)).size();
}

inline bool is_up(Net& net, unsigned node, unsigned relay) {
  for (const RelayReport& report : net.node(node).client.relays()) {
    if (report.id == relay_id(relay)) return report.up;
  }
  return false;
}

}  // namespace quicmesh
