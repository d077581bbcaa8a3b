// A peer that speaks QUIC correctly, has a valid certificate, and says whatever it likes.
//
// The hostile side is a bare QUIC endpoint driven by the script: it opens streams of any kind and
// writes any bytes to them, control messages among them; sends any datagrams; sends frames beside
// QUIC with its own valid MAC, from any address; resets, stops, credits or not, and updates keys.
// The other side is a whole node with an application that reads. Nothing asserts; events, streams
// and memory stay bounded; what is malformed is counted, or ends the connection with an error; and
// when the peer has gone, nothing of it is left.
#include <array>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/byte_reader.hpp"
#include "crypto/seeded_rng.hpp"
#include "node/node_core.hpp"
#include "node_pair.hpp"
#include "path/probe_frame.hpp"
#include "script.hpp"

using namespace quicmesh;

namespace {

constexpr std::size_t operations_max = 300;
constexpr std::size_t streams_max = 300;
constexpr std::string_view protocol = "fuzz/hostile";

const Keypair& identity(unsigned index) {
  static const std::array<Keypair, 3> keys{Keypair::from_seed({1}), Keypair::from_seed({2}),
                                           Keypair::from_seed({3})};
  return keys[index];
}

// A node with a protocol that its peers may speak.
struct Victim {
  Victim() : rng(1, "victim") {
    core = NodeCore::create({}, identity(0), rng, Rng(1)).value();
    QM_ASSERT(core->add_protocol(std::string(protocol)));
  }
  SeededRng rng;
  std::unique_ptr<NodeCore> core;
};

class World {
 public:
  explicit World(bool hostile_dials) : hostile_rng_(2, "hostile") {
    quic_ = QuicEndpoint::create({}, identity(1), hostile_rng_).value();
    const NetworkPath path = fuzz::path_of(0, 0);
    if (hostile_dials) {
      connection_ = quic_->dial(now_, labels_[0], identity(0).node_id()).value();
    } else {
      QM_ASSERT(victim_.core->connect(now_, identity(1).node_id(), std::array{path}));
    }
    pass(300ms);
    QM_ASSERT(confirmed_ && victim_.core->connectivity().connected(identity(1).node_id()));
    read_frame_keys(hostile_dials);
  }

  void run(fuzz::Script& script) {
    for (std::size_t i = 0; i < operations_max && !script.done(); ++i) {
      step(script);
      drain();
      check_bounds();
    }
    pass(1s);
    check_bounds();
  }

  void check_nothing_is_left() {
    quic_->close(now_, connection_, CloseCode::goodbye, "enough");
    pass(1s);
    QM_ASSERT(victim_.core->connectivity().quic().connections() == 0);
    QM_ASSERT(victim_.core->connectivity().peers().empty());
    QM_ASSERT(victim_.core->connectivity().quic().total_memory_used() == 0);
  }

 private:
  void step(fuzz::Script& script) {
    switch (script.u8() % 10) {
      case 0:
        return open((script.u8() & 1) != 0);
      case 1:
        if (const auto* stream = pick(script.u8())) {
          Bytes data = to_bytes(script.string());
          (void)quic_->write(connection_, *stream, data, false);
        }
        return;
      case 2:
        if (const auto* stream = pick(script.u8())) {
          Bytes none;
          (void)quic_->write(connection_, *stream, none, true);
        }
        return;
      case 3:
        if (const auto* stream = pick(script.u8())) {
          (void)quic_->reset_stream(connection_, *stream, CloseCode{script.u8()});
        }
        return;
      case 4:
        if (const auto* stream = pick(script.u8())) {
          (void)quic_->stop_stream(connection_, *stream, CloseCode{script.u8()});
        }
        return;
      case 5:
        (void)quic_->send_datagram(connection_, to_bytes(script.string()));
        return;
      case 6:
        return send_frame(script);
      case 7:
        return pass(1ms * script.u8());
      case 8:
        (void)quic_->update_key(now_, connection_);
        return;
      default:
        return command(script);
    }
  }

  // What the node itself does meanwhile, and changes of path by either.
  void command(fuzz::Script& script) {
    Connectivity& node = victim_.core->connectivity();
    const NodeId hostile = identity(1).node_id();
    switch (script.u8() % 6) {
      case 0:
        if (own_streams_.size() < streams_max) {
          const auto key = victim_.core->open_stream(now_, hostile, std::string(protocol));
          if (key) own_streams_.push_back(*key);
        }
        return;
      case 1:
        for (const StreamKey& key : own_streams_) {
          Bytes data(1'000, 0x55);
          (void)node.write(key, data, false);
        }
        return;
      case 2:
        (void)node.move(now_, hostile, fuzz::path_of(0, script.u8() & 1u));
        return;
      case 3:
        (void)node.suggest(now_, hostile, fuzz::path_of(0, script.u8() & 1u));
        return;
      case 4: {
        const PathLabel label = labels_[script.u8() % labels_.size()];
        (void)quic_->migrate(now_, connection_, label, (script.u8() & 1) != 0);
        return;
      }
      default:
        reads_ = !reads_;
        return;
    }
  }

  void open(bool bidirectional) {
    if (streams_.size() >= streams_max) return;
    const auto stream = quic_->open_stream(connection_, bidirectional);
    if (stream) streams_.push_back(*stream);
  }

  [[nodiscard]] const StreamId* pick(std::uint8_t choice) const {
    if (streams_.empty()) return nullptr;
    // 255 is the newest, so that a script can go on with what it has just opened.
    return &streams_[choice == 255 ? streams_.size() - 1 : choice % streams_.size()];
  }

  void read_frame_keys(bool hostile_dials) {
    std::array<std::uint8_t, 48> secret;
    QM_ASSERT(quic_->export_secret(connection_, "EXPORTER-quicmesh path probes 1", secret));
    std::copy_n(secret.begin(), frame_key_.size(), frame_key_.begin());
    ByteReader reader(ByteView(secret).subspan(frame_key_.size()));
    const LinkTag dialler_tag{reader.u64()};
    const LinkTag acceptor_tag{reader.u64()};
    victim_tag_ = hostile_dials ? acceptor_tag : dialler_tag;
  }

  void send_frame(fuzz::Script& script) {
    ProbeFrame frame;
    frame.type = static_cast<ProbeFrameType>(0x20 + script.u8() % 3);
    frame.tag = victim_tag_;
    const NetworkPath path = fuzz::spoofed_path(0, script.u8());
    frame.nonce = script.u64();
    // A nonce of the node's own, heard in one of its probes, goes further than a random one.
    if (frame.nonce == 0) frame.nonce = heard_nonce_;
    frame.epoch = script.u16();
    ProbeFrameBytes bytes = encode_probe_frame(frame, frame_key_);
    victim_.core->handle_datagram(now_, path, Ecn::not_ect, bytes);
  }

  void drain() {
    for (int round = 0; round < 2; ++round) {
      drain_victim();
      drain_hostile();
    }
  }

  void drain_victim() {
    std::size_t count = 0;
    while (const auto train = victim_.core->poll_transmit(now_, buffer_)) {
      wire_.send(now_, 0, *train, buffer_);
      QM_ASSERT(++count < 4'000);
    }
    count = 0;
    while (auto event = victim_.core->poll_event()) {
      QM_ASSERT(++count < 4'000);
      if (auto* data = std::get_if<PeerStreamData>(&*event)) {
        if (reads_) victim_.core->connectivity().credit(data->stream, data->data.size());
        Bytes answer = std::move(data->data);
        (void)victim_.core->connectivity().write(data->stream, answer, data->end);
      } else if (const auto* gone = std::get_if<PeerDisconnected>(&*event)) {
        QM_ASSERT(gone->error);
      }
    }
  }

  void drain_hostile() {
    std::size_t count = 0;
    while (const auto train = quic_->poll_transmit(now_, buffer_)) {
      QM_ASSERT(++count < 4'000);
      send_from_hostile(train->label, ByteView(buffer_).first(train->size), train->segment_size);
    }
    while (auto event = quic_->poll_event()) {
      if (std::holds_alternative<ConnectionConfirmed>(*event)) confirmed_ = true;
      if (const auto* closed = std::get_if<ConnectionClosed>(&*event)) {
        if (!closed->last_packet.empty())
          send_from_hostile(closed->label, closed->last_packet, closed->last_packet.size());
      }
    }
  }

  void send_from_hostile(PathLabel label, ByteView train, std::size_t segment) {
    const auto index = static_cast<unsigned>((label.path - 1) % fuzz::addresses_per_node);
    wire_.send(now_, 1, {fuzz::path_of(1, index), train.size(), segment}, train);
  }

  void deliver(fuzz::Packet packet) {
    if (packet.to == 0) {
      victim_.core->handle_datagram(now_, packet.path, Ecn::not_ect, packet.bytes);
      return;
    }
    if (packet.bytes.size() == probe_frame_size && is_probe_frame_type(packet.bytes[0])) {
      const auto frame = decode_probe_frame(packet.bytes, frame_key_);
      if (frame) heard_nonce_ = frame->nonce;
      return;
    }
    const PathLabel label =
        packet.path.local == fuzz::address_of(1, 0).ip ? labels_[0] : labels_[1];
    const QuicRoute route = quic_->route(packet.bytes);
    if (route.kind == QuicRoute::Kind::connection) {
      quic_->handle_datagram(now_, route.connection, label, Ecn::not_ect, packet.bytes);
    } else if (route.kind == QuicRoute::Kind::initial) {
      if (const auto handle = quic_->accept(now_, label, Ecn::not_ect, packet.bytes)) {
        connection_ = *handle;
      }
    }
  }

  void pass(Duration span) {
    const Instant end = now_ + span;
    std::size_t turns = 0;
    drain();
    while (true) {
      QM_ASSERT(++turns < 200'000);  // somebody keeps time from passing
      Instant next = std::min({end, victim_.core->poll_timeout(), quic_->poll_timeout()});
      if (!wire_.packets.empty()) next = std::min(next, wire_.packets.front().due);
      now_ = std::max(now_, next);
      if (now_ >= end) break;
      while (!wire_.packets.empty() && wire_.packets.front().due <= now_) {
        fuzz::Packet packet = std::move(wire_.packets.front());
        wire_.packets.pop_front();
        deliver(std::move(packet));
        drain();
      }
      if (victim_.core->poll_timeout() <= now_) victim_.core->handle_timeout(now_);
      if (quic_->poll_timeout() <= now_) quic_->handle_timeout(now_);
      drain();
    }
  }

  void check_bounds() const {
    const QuicEndpoint& quic = victim_.core->connectivity().quic();
    QM_ASSERT(quic.connections() <= 1);
    QM_ASSERT(quic.total_memory_used() <= QuicConfig{}.budget_proven);
    QM_ASSERT(victim_.core->connectivity().paths(identity(1).node_id()).size() <= 16);
  }

  Instant now_{1000s};
  Bytes buffer_ = Bytes(transmit_buffer_size);
  fuzz::Wire wire_;
  Victim victim_;
  SeededRng hostile_rng_;
  std::unique_ptr<QuicEndpoint> quic_;
  const std::array<PathLabel, 4> labels_{PathLabel{1, 1}, PathLabel{2, 1}, PathLabel{3, 1},
                                         PathLabel{4, 1}};
  ConnectionHandle connection_{};
  std::vector<StreamId> streams_;
  std::vector<StreamKey> own_streams_;
  ProbeKey frame_key_{};
  LinkTag victim_tag_{};
  std::uint64_t heard_nonce_ = 1;
  bool confirmed_ = false;
  bool reads_ = true;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Script script(data, size);
  World world((script.u8() & 1) == 0);
  world.run(script);
  world.check_nothing_is_left();
  return 0;
}
