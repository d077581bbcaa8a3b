// Two whole nodes with one confirmed connection, and somebody on the wire between them.
//
// The input is a script: the next packet is delivered, lost, doubled, delayed, changed, or raced
// from another address; time passes; datagrams come from anywhere; and the two nodes themselves
// open, write, finish, reset and stop streams, send datagrams, change paths and keys, and close.
// Nobody on the wire has a key. So: nothing asserts; events, streams and memory stay bounded; what
// arrives on a stream is a prefix of what was written; and when the wire is left in peace, a
// connection that neither side has ended still lives, and every stream that neither side has cut
// short comes to its end.
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "crypto/seeded_rng.hpp"
#include "node/node_core.hpp"
#include "node_pair.hpp"
#include "script.hpp"

using namespace quicmesh;

namespace {

constexpr std::size_t operations_max = 300;
constexpr unsigned streams_max = 12;      // opened by each side
constexpr Duration script_time_max = 8s;  // well within the idle time-out
constexpr std::string_view flow_protocol = "fuzz/flow";

std::uint8_t pattern(unsigned stream, unsigned from, std::uint64_t offset) {
  return static_cast<std::uint8_t>(stream * 31 + from * 101 + offset * 7 + (offset >> 8));
}

// One side's view of one stream.
struct StreamState {
  unsigned number = 0;  // counts the streams of the opening side
  bool ours = false;
  std::uint64_t written = 0;
  std::uint64_t received = 0;
  std::uint64_t uncredited = 0;
  bool ended = false;      // we have written the end
  bool end_seen = false;   // the peer has
  bool cut_short = false;  // reset or stopped, by whomever
};

struct Node {
  explicit Node(unsigned index_in, const Keypair& identity, const QuicConfig& config)
      : index(index_in), rng(index_in, "fuzz node") {
    core = NodeCore::create(config, identity, rng, Rng(index_in + 1)).value();
    for (unsigned i = 0; i < streams_max; ++i)
      QM_ASSERT(core->add_protocol("fuzz/" + std::to_string(i)));
    QM_ASSERT(core->add_protocol(std::string(flow_protocol)));
  }

  unsigned index;
  SeededRng rng;
  std::unique_ptr<NodeCore> core;
  std::map<StreamKey, StreamState> streams;
  std::vector<unsigned> ended_early;  // numbers of our own streams that the peer or we cut short
  std::optional<StreamKey> flow;
  unsigned opened = 0;
  bool connected = false;
  bool hold_credit = false;
  std::size_t finished = 0;
};

class World {
 public:
  World() : nodes_{Node(0, identity(0), {}), Node(1, identity(1), {})} {
    const std::vector<NetworkPath> candidates{fuzz::path_of(0, 0), fuzz::path_of(0, 1)};
    QM_ASSERT(nodes_[0].core->connect(now_, id(1), candidates));
    drain(nodes_[0]);
    pass(500ms, true);
    QM_ASSERT(nodes_[0].connected && nodes_[1].connected);
  }

  void run(fuzz::Script& script) {
    const Instant end = now_ + script_time_max;
    for (std::size_t i = 0; i < operations_max && !script.done() && now_ < end; ++i) {
      const std::uint8_t operation = script.u8();
      Node& node = nodes_[operation >> 7];
      if ((operation & 0x40) != 0) {
        command(node, operation & 0x3f, script);
      } else {
        meddle(node, operation & 0x3f, script);
      }
      for (Node& each : nodes_)
        check_bounds(each);
    }
  }

  // The wire carries everything again; whoever has not closed must come to good ends.
  void settle() {
    for (Node& node : nodes_) {
      node.hold_credit = false;
      for (auto& [key, stream] : node.streams)
        credit(node, key, stream);
      drain(node);
    }
    pass(20s, true);
    for (Node& node : nodes_) {
      for (auto& [key, stream] : node.streams)
        finish(node, key, stream);
      drain(node);
    }
    pass(40s, true);
    for (Node& node : nodes_)
      check_bounds(node);
    if (closed_) return;
    for (Node& node : nodes_) {
      QM_ASSERT(node.connected && node.core->connectivity().connected(id(1 - node.index)));
      QM_ASSERT(node.streams.empty());  // each of them is over: finished, or cut short
    }
  }

 private:
  static const Keypair& identity(unsigned index) {
    static const std::array<Keypair, 2> keys{Keypair::from_seed({1}), Keypair::from_seed({2})};
    return keys[index];
  }
  static NodeId id(unsigned index) { return identity(index).node_id(); }

  // What others can do on the wire.
  void meddle(Node& node, unsigned operation, fuzz::Script& script) {
    auto& packets = wire_.packets;
    switch (operation % 10) {
      case 0:
      case 1:
        return deliver_next(script.u8());
      case 2:
        if (!packets.empty()) packets.pop_front();
        return;
      case 3: {
        if (packets.empty()) return;
        Packet copy = packets.front();
        packets.push_back(std::move(copy));
        return;
      }
      case 4:
        if (packets.empty()) return;
        packets.push_back(std::move(packets.front()));
        return packets.pop_front();
      case 5: {
        if (packets.empty()) return;
        Bytes& bytes = packets.front().bytes;
        std::size_t at = script.u16() % bytes.size();
        for (const std::uint8_t mask : script.bytes(script.u8() % 16)) {
          if (at < bytes.size()) bytes[at++] ^= mask;
        }
        return;
      }
      case 6: {
        // The packet arrives a second time, from an address of the attacker's choice, and first.
        if (packets.empty()) return;
        Packet raced = packets.front();
        raced.path = fuzz::spoofed_path(raced.to, script.u8());
        return deliver(std::move(raced));
      }
      case 7: {
        const NetworkPath path = fuzz::spoofed_path(node.index, script.u8());
        return deliver({node.index, path, now_, to_bytes(script.string())});
      }
      case 8:
        return pass(1ms * script.u8(), true);
      default:
        return pass(1ms * script.u8(), false);
    }
  }

  // What the node's own program can do.
  void command(Node& node, unsigned operation, fuzz::Script& script) {
    NodeCore& core = *node.core;
    const NodeId peer = id(1 - node.index);
    switch (operation % 12) {
      case 0:
        open(node, script);
        break;
      case 1:
      case 2:
        if (auto* stream = pick(node, script)) write(node, stream->first, stream->second, script);
        break;
      case 3:
        if (auto* stream = pick(node, script)) finish(node, stream->first, stream->second);
        break;
      case 4:
        if (auto* stream = pick(node, script)) {
          cut(node, stream->second);
          (void)core.connectivity().reset_stream(stream->first, CloseCode{script.u8()});
        }
        break;
      case 5:
        if (auto* stream = pick(node, script)) {
          cut(node, stream->second);
          (void)core.connectivity().stop_stream(stream->first, CloseCode{script.u8()});
        }
        break;
      case 6:
        if (!node.flow) {
          const auto flow = core.open_flow(now_, peer, std::string(flow_protocol));
          if (flow) node.flow = *flow;
        } else {
          (void)core.connectivity().send_datagram(*node.flow, script.string());
        }
        break;
      case 7:
        (void)core.connectivity().move(now_, peer, fuzz::path_of(node.index, script.u8() & 1u));
        break;
      case 8:
        (void)core.connectivity().suggest(now_, peer, fuzz::path_of(node.index, script.u8() & 1u));
        break;
      case 9:
        (void)core.connectivity().update_key(now_, peer);
        break;
      case 10:
        node.hold_credit = !node.hold_credit;
        break;
      default:
        close(node, script.u8());
        break;
    }
    drain(node);
  }

  void close(Node& node, std::uint8_t how) {
    if (how % 4 == 0) {
      closed_ = true;
      node.core->disconnect(now_, id(1 - node.index), "the script says so");
    } else if (how % 4 == 1) {
      closed_ = true;
      node.core->begin_close(now_);
      node.core->handle_timeout(now_);
    } else if (!closed_ && !node.core->connectivity().connected(id(1 - node.index))) {
      (void)node.core->connect(now_, id(1 - node.index), {});
    }
  }

  void open(Node& node, fuzz::Script& script) {
    if (node.opened >= streams_max) return;
    // Every fourth kind is one that the other side does not speak.
    const bool known = script.u8() % 4 != 0;
    const std::string name = known ? "fuzz/" + std::to_string(node.opened) : "fuzz/unknown";
    const auto key = node.core->open_stream(now_, id(1 - node.index), name);
    if (!key) return;
    StreamState state;
    state.number = node.opened++;
    state.ours = true;
    state.cut_short = !known;
    QM_ASSERT(node.streams.emplace(*key, state).second);
  }

  using Entry = std::pair<const StreamKey, StreamState>;
  static Entry* pick(Node& node, fuzz::Script& script) {
    if (node.streams.empty()) return nullptr;
    return &*std::next(node.streams.begin(),
                       static_cast<std::ptrdiff_t>(script.u8() % node.streams.size()));
  }

  void write(Node& node, const StreamKey& key, StreamState& stream, fuzz::Script& script) {
    const std::size_t size = script.u8() * std::size_t{40};
    Bytes data(size);
    for (std::size_t i = 0; i < size; ++i)
      data[i] = pattern(stream.number, stream.ours ? node.index : 2, stream.written + i);
    if (node.core->connectivity().write(key, data, false)) stream.written += size;
  }

  static void finish(Node& node, const StreamKey& key, StreamState& stream) {
    if (stream.ended) return;
    Bytes none;
    if (node.core->connectivity().write(key, none, true)) stream.ended = true;
  }

  // The other side learns of it, and may not count on an end either.
  void cut(Node& node, StreamState& stream) {
    stream.cut_short = true;
    Node& other = nodes_[1 - node.index];
    for (auto& [key, theirs] : other.streams) {
      if (theirs.number == stream.number && theirs.ours != stream.ours) theirs.cut_short = true;
    }
    if (!stream.ours) return;
    node.ended_early.push_back(stream.number);
  }

  void credit(Node& node, const StreamKey& key, StreamState& stream) {
    if (stream.uncredited == 0 || node.hold_credit) return;
    node.core->connectivity().credit(key, stream.uncredited);
    stream.uncredited = 0;
  }

  void handle(Node& node, NodeEvent& event) {
    if (std::holds_alternative<PeerConnected>(event)) {
      node.connected = true;
    } else if (std::holds_alternative<PeerDisconnected>(event)) {
      node.connected = false;
    } else if (const auto* opened = std::get_if<PeerStreamOpened>(&event)) {
      on_opened(node, *opened);
    } else if (const auto* data = std::get_if<PeerStreamData>(&event)) {
      on_data(node, *data);
    } else if (const auto* reset = std::get_if<PeerStreamReset>(&event)) {
      const auto found = node.streams.find(reset->stream);
      if (found != node.streams.end()) QM_ASSERT(found->second.cut_short || closed_);
    } else if (const auto* over = std::get_if<PeerStreamFinished>(&event)) {
      node.streams.erase(over->stream);
      if (node.flow == over->stream) node.flow.reset();
      ++node.finished;
    } else if (const auto* lost = std::get_if<PeerStreamLost>(&event)) {
      QM_ASSERT(closed_);
      node.streams.erase(lost->stream);
      if (node.flow == lost->stream) node.flow.reset();
    }
  }

  void on_opened(Node& node, const PeerStreamOpened& opened) {
    if (opened.header.protocol == flow_protocol) return;
    StreamState state;
    state.number = static_cast<unsigned>(std::stoul(opened.header.protocol.substr(5)));
    const auto& early = nodes_[1 - node.index].ended_early;
    state.cut_short = std::ranges::find(early, state.number) != early.end();
    QM_ASSERT(node.streams.emplace(opened.stream, state).second);
  }

  void on_data(Node& node, const PeerStreamData& data) {
    const auto found = node.streams.find(data.stream);
    if (found == node.streams.end()) return;  // the flow's stream, or one that was refused
    StreamState& stream = found->second;
    for (const std::uint8_t byte : data.data) {
      const unsigned from = stream.ours ? 2 : 1 - node.index;
      QM_ASSERT(byte == pattern(stream.number, from, stream.received));
      ++stream.received;
    }
    stream.uncredited += data.data.size();
    QM_ASSERT(!stream.end_seen);
    stream.end_seen = data.end;
    credit(node, found->first, stream);
  }

  void deliver_next(std::uint8_t which) {
    auto& packets = wire_.packets;
    if (packets.empty()) return;
    const auto at = packets.begin() + static_cast<std::ptrdiff_t>(which % packets.size());
    Packet packet = std::move(*at);
    packets.erase(at);
    deliver(std::move(packet));
  }

  void deliver(fuzz::Packet packet) {
    Node& node = nodes_[packet.to];
    node.core->handle_datagram(now_, packet.path, Ecn::not_ect, packet.bytes);
    drain(node);
  }

  void drain(Node& node) {
    // Handling an event may give a node something to send, and once more at most.
    for (int round = 0; round < 2; ++round) {
      std::size_t count = 0;
      while (const auto train = node.core->poll_transmit(now_, buffer_)) {
        wire_.send(now_, node.index, *train, buffer_);
        QM_ASSERT(++count < 2'000);
      }
      count = 0;
      while (auto event = node.core->poll_event()) {
        handle(node, *event);
        QM_ASSERT(++count < 2'000);
      }
    }
  }

  // Time passes, with or without packets arriving in their order.
  void pass(Duration span, bool carrying) {
    const Instant end = now_ + span;
    std::size_t turns = 0;
    while (true) {
      QM_ASSERT(++turns < 200'000);  // a node keeps time from passing
      Instant next = end;
      for (Node& node : nodes_)
        next = std::min(next, node.core->poll_timeout());
      if (carrying && !wire_.packets.empty()) next = std::min(next, wire_.packets.front().due);
      now_ = std::max(now_, next);
      if (now_ >= end) break;
      while (carrying && !wire_.packets.empty() && wire_.packets.front().due <= now_)
        deliver_next(0);
      for (Node& node : nodes_) {
        if (node.core->poll_timeout() > now_) continue;
        node.core->handle_timeout(now_);
        drain(node);
      }
    }
  }

  void check_bounds(const Node& node) const {
    const QuicEndpoint& quic = node.core->connectivity().quic();
    QM_ASSERT(quic.connections() <= 64);
    QM_ASSERT(quic.total_memory_used() <= 64u << 20);
    QM_ASSERT(node.streams.size() <= 2 * streams_max);
  }

  using Packet = fuzz::Packet;

  Instant now_{1000s};
  Bytes buffer_ = Bytes(transmit_buffer_size);
  fuzz::Wire wire_;
  std::array<Node, 2> nodes_;
  bool closed_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Script script(data, size);
  World world;
  world.run(script);
  world.settle();
  return 0;
}
