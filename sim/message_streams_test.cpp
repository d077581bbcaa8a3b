// Messages between whole nodes over streams of their own (node/message_streams.hpp), and what a
// peer can make this node hold that does not end its streams, does not read, or never completes a
// message.
#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <memory>
#include <vector>

#include "node/message_streams.hpp"
#include "node/node_service.hpp"
#include "sim/mesh_node.hpp"

namespace quicmesh::sim {
namespace {

constexpr std::size_t message_max = std::size_t{1} << 20;

class Talker final : public NodeService {
 public:
  [[nodiscard]] const std::string& protocol() const override { return streams.protocol(); }
  bool take_in(Instant now, NodeCore& node, NodeEvent& event) override {
    using Event = MessageStreams::Event;
    Connectivity& connectivity = node.connectivity();
    bool taken = false;
    NodeId peer;
    if (const auto* opened = std::get_if<PeerStreamOpened>(&event)) {
      taken = streams.on_opened(now, connectivity, *opened) != Event::not_ours;
    } else if (const auto* data = std::get_if<PeerStreamData>(&event)) {
      if (!reads) return true;  // nor gives any credit
      taken = streams.on_data(connectivity, *data) != Event::not_ours;
    } else if (const auto* reset = std::get_if<PeerStreamReset>(&event)) {
      taken = streams.on_broken(connectivity, reset->stream, peer) != Event::not_ours;
    } else if (const auto* stopped = std::get_if<PeerStreamStopped>(&event)) {
      taken = streams.on_broken(connectivity, stopped->stream, peer) != Event::not_ours;
    } else if (const auto* finished = std::get_if<PeerStreamFinished>(&event)) {
      taken = streams.on_over(finished->stream) != Event::not_ours;
    } else if (const auto* lost = std::get_if<PeerStreamLost>(&event)) {
      taken = streams.on_over(lost->stream) != Event::not_ours;
    }
    while (auto one = streams.poll_arrived())
      arrived.push_back(std::move(*one));
    return taken;
  }
  void on_proved(Instant now, NodeCore& node, const PeerProved& proved) override {
    if (first_words.empty()) return;
    said_early = streams.send(now, node.connectivity(), proved.peer, first_words);
  }
  void advance(Instant now, NodeCore& node) override {
    if (streams.poll_timeout() <= now) streams.handle_timeout(now, node.connectivity());
  }
  [[nodiscard]] Instant poll_timeout() const override { return streams.poll_timeout(); }
  void on_reach_changed(Instant /*now*/, NodeCore& /*node*/) override {}
  void stop(Instant /*now*/, NodeCore& node) override { streams.reset_all(node.connectivity()); }

  MessageStreams streams{"test/messages/1", message_max};
  std::vector<MessageStreams::Arrived> arrived;
  bool reads = true;
  Bytes first_words;  // to be said to whoever is proved
  bool said_early = false;
};

struct Member {
  std::unique_ptr<MeshNode> node;
  InterfaceId interface{};
  Talker* talker = nullptr;  // of the node's services

  [[nodiscard]] bool is_connected(const Member& to) const {
    return node->core().connectivity().connected(to.node->id());
  }
  bool send(const Member& to, ByteView message) {
    return node->command([&](NodeCore& core, Instant now) {
      return talker->streams.send(now, core.connectivity(), to.node->id(), message);
    });
  }
  /// A stream under the protocol's name, with whatever bytes.
  StreamKey open_raw(const Member& to, ByteView bytes) {
    return node->command([&](NodeCore& core, Instant now) {
      Connectivity& connectivity = core.connectivity();
      const auto stream = connectivity.open_stream(now, to.node->id(),
                                                   {StreamKind::stream, talker->protocol()}, false);
      EXPECT_TRUE(stream);
      Bytes begin = to_bytes(bytes);
      EXPECT_TRUE(connectivity.write(*stream, begin, false));
      return *stream;
    });
  }
};

struct World {
  explicit World(std::size_t count) {
    for (std::size_t i = 1; i <= count; ++i)
      add({198, 18, static_cast<std::uint8_t>(i), 1});
    for (std::size_t i = 1; i < count; ++i)
      dial(members[i], members[0]);
    run_for(1s);
  }
  Member& add(std::array<std::uint8_t, 4> ip) {
    Member& member = members.emplace_back();
    const HostId host = simulation.network().add_host("n" + std::to_string(members.size())).value();
    AccessConfig access;
    access.up.delay = access.down.delay = 5ms;
    member.interface = simulation.network()
                           .add_interface(host, {"eth", internet, IpAddress::v4(ip), access})
                           .value();
    member.node = std::make_unique<MeshNode>(simulation, host);
    member.node->command([&](NodeCore& core, Instant) {
      auto talker = std::make_unique<Talker>();
      member.talker = talker.get();
      core.add_service(std::move(talker));
    });
    return member;
  }
  void dial(Member& from, const Member& to) {
    const NetworkPath path = from.node->path(from.interface, to.node->address(to.interface));
    EXPECT_TRUE(from.node->command([&](NodeCore& core, Instant now) {
      return core.connect(now, to.node->id(), std::span(&path, 1));
    }));
  }
  void run_for(Duration time) { EXPECT_TRUE(simulation.run_for(time)); }

  Simulation simulation{{.seed = 1, .replay = "MessageStreams"}};
  std::deque<Member> members;
};

TEST(MessageStreams, carries_messages_whole_and_in_order_from_stream_to_stream) {
  World world(2);
  Member& from = world.members[1];
  Member& to = world.members[0];
  std::vector<Bytes> sent;
  for (std::size_t i = 0; i < 60; ++i) {
    sent.emplace_back(1 + i * i * 20, static_cast<std::uint8_t>(i));
    EXPECT_TRUE(from.send(to, sent.back()));
    world.run_for(700ms);  // four streams' lives in all
  }
  ASSERT_EQ(to.talker->arrived.size(), sent.size());
  for (std::size_t i = 0; i < sent.size(); ++i) {
    EXPECT_EQ(to.talker->arrived[i].message, sent[i]);
    EXPECT_EQ(to.talker->arrived[i].from, from.node->id());
  }
  EXPECT_EQ(to.talker->streams.counters().streams_stopped, 0u);
  world.run_for(MessageStreams::stream_life + 1s);
  EXPECT_EQ(from.talker->streams.poll_timeout(), never) << "nothing is open any more";
}

TEST(MessageStreams, a_message_to_a_peer_that_is_proved_goes_with_the_end_of_the_handshake) {
  World world(1);
  Member& to = world.members[0];
  Member& from = world.add({198, 18, 99, 1});
  from.talker->first_words = to_bytes("hello");
  world.dial(from, to);
  // 10 ms one way: out, back, and out again.
  world.run_for(29ms);
  EXPECT_TRUE(from.talker->said_early);
  EXPECT_FALSE(from.is_connected(to));
  EXPECT_TRUE(to.talker->arrived.empty());
  world.run_for(6ms);
  EXPECT_FALSE(from.is_connected(to));
  ASSERT_EQ(to.talker->arrived.size(), 1u);
  EXPECT_EQ(to.talker->arrived[0].message, to_bytes("hello"));
  EXPECT_EQ(to.talker->arrived[0].from, from.node->id());
  // The stream goes on.
  world.run_for(1s);
  EXPECT_TRUE(from.is_connected(to));
  EXPECT_TRUE(from.send(to, to_bytes("again")));
  world.run_for(1s);
  EXPECT_EQ(to.talker->arrived.size(), 2u);
  EXPECT_EQ(from.talker->streams.counters().dropped_no_stream, 0u);
}

// Else it would hold open a connection that is to be left for a better one.
TEST(MessageStreams, stops_a_stream_that_its_peer_does_not_end) {
  World world(2);
  Member& hostile = world.members[1];
  Member& node = world.members[0];
  const StreamKey stream = hostile.open_raw(node, Bytes{0, 0, 0, 1, 42});
  world.run_for(MessageStreams::incoming_life - 2s);
  EXPECT_EQ(node.talker->arrived.size(), 1u);
  EXPECT_EQ(node.talker->streams.counters().streams_stopped, 0u);
  world.run_for(4s);
  EXPECT_EQ(node.talker->streams.counters().streams_stopped, 1u);
  hostile.node->command([&](NodeCore& core, Instant) {
    Bytes more{0, 0, 0, 1, 43};
    EXPECT_FALSE(core.connectivity().write(stream, more, false)) << "the peer has stopped it";
  });
  EXPECT_TRUE(hostile.send(node, Bytes{44})) << "the next one is welcome";
  world.run_for(1s);
  EXPECT_EQ(node.talker->arrived.size(), 2u);
}

// THREATS TQ, S1.R: bounded, whatever a peer does.
TEST(MessageStreams, whoever_does_not_read_holds_two_backlogs_at_most) {
  World world(2);
  Member& node = world.members[0];
  Member& hostile = world.members[1];
  hostile.talker->reads = false;
  const Bytes message(40'000, 7);
  for (int i = 0; i < 600; ++i) {
    (void)node.send(hostile, message);
    world.run_for(100ms);
  }
  EXPECT_GT(node.talker->streams.counters().dropped_backlog, 400u);
  const auto waiting = node.node->core().connectivity().unacknowledged_bytes(hostile.node->id());
  EXPECT_LE(waiting, 2 * MessageStreams::backlog_max + 2 * message.size());
}

TEST(MessageStreams, messages_begun_and_not_ended_have_a_bound_over_all_peers) {
  World world(6);
  Member& node = world.members[0];
  const std::size_t most = message_max - 1000;
  Bytes begun{0, 0x10, 0, 0};  // the length of the greatest message
  begun.resize(most, 1);
  std::size_t opened = 0;
  for (std::size_t peer = 2; peer < world.members.size(); ++peer) {
    for (std::size_t i = 0; i < MessageStreams::incoming_max; ++i) {
      Bytes rest = begun;
      Member& hostile = world.members[peer];
      StreamKey stream = hostile.open_raw(node, Bytes(rest.begin(), rest.begin() + 4));
      rest.erase(rest.begin(), rest.begin() + 4);
      for (std::size_t at = 0; at < rest.size();) {
        const std::size_t size = std::min<std::size_t>(rest.size() - at, 16'384);
        hostile.node->command([&](NodeCore& core, Instant) {
          Bytes part(rest.begin() + std::ptrdiff_t(at), rest.begin() + std::ptrdiff_t(at + size));
          (void)core.connectivity().write(stream, part, false);
        });
        at += size;
        world.run_for(20ms);
      }
      ++opened;
    }
  }
  const auto& counters = node.talker->streams.counters();
  EXPECT_GE(counters.streams_stopped, opened - MessageStreams::partial_max / most - 1);
  EXPECT_EQ(counters.malformed, 0u);
  // Who has nothing open is not hindered.
  EXPECT_TRUE(world.members[1].send(node, Bytes(30'000, 9)));
  world.run_for(1s);
  ASSERT_EQ(node.talker->arrived.size(), 1u);
  EXPECT_EQ(node.talker->arrived[0].message.size(), 30'000u);
}

}  // namespace
}  // namespace quicmesh::sim
