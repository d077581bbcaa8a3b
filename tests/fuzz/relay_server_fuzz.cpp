// A relay among eight clients and whoever sends to it from sixteen addresses.
//
// The input is a script: clients come, register, ask for sessions, move, leave and say anything;
// trains of frames come from anywhere, of live sessions, of none, or of any bytes; challenges are
// answered by who holds the key, or by who does not; time passes. Beside the relay runs a model
// that knows for every client the path that it has proved: the one that its driver named, or the
// one from which it answered a challenge with its key, whichever was last. Whatever is sent:
//
// - a datagram goes only to the proved path of the other end of its session, and only from that of
//   the end that it names (TR1, TR2);
// - runs are whole segments of the train, in order, without overlap;
// - a challenge goes only to a source of the last train and is not larger than a frame of it (TR4);
// - what the relay says fits the wire, and no table exceeds its limit (TR3).
#include <algorithm>
#include <map>

#include "base/assert.hpp"
#include "relay/server_for_tests.hpp"
#include "script.hpp"

using namespace quicmesh;

namespace {

constexpr unsigned clients = 8;
constexpr unsigned addresses = 16;
constexpr std::size_t operations_max = 400;
constexpr std::size_t segments_max = 24;

RelayLimits small_limits() {
  RelayLimits limits;
  limits.clients = 6;
  limits.reservations = 5;
  limits.sessions = 6;
  limits.sessions_per_client = 3;
  limits.client_bytes_per_s = 200'000;
  limits.total_bytes_per_s = 400'000;
  return limits;
}

class World {
 public:
  void run(fuzz::Script script) {
    for (std::size_t i = 0; i < operations_max && !script.done(); ++i) {
      step(script);
      watch_outputs();
      check_tables();
    }
  }

 private:
  struct Challenge {
    NetworkPath to;
    Bytes bytes;
    unsigned client = 0;         // whose key answers it
    std::uint64_t bindings = 0;  // of that client when it was made
  };

  void step(fuzz::Script& script) {
    const std::uint8_t operation = script.u8();
    const unsigned client = operation >> 4 & 7;
    const RelayClientId id = TestRelay::id(client);
    switch (operation & 15) {
      case 0:
        return come(client, TestRelay::path(script.u8() % addresses));
      case 1:
        relay_.server.client_down(id);
        proved_.erase(client);
        return;
      case 2:
        return say(id, RelayRegister{});
      case 3:
        return say(id, RelayConnect{TestRelay::node(script.u8() % (clients + 1))});
      case 4:
        return move(client, TestRelay::path(script.u8() % addresses));
      case 5:
        return say_raw(id, script.string());
      case 6:
        return say(id, RelayCloseSession{any_session(script.u8()), RelayCloseReason::by_peer});
      case 7:
        return say(id, RelaySignal{TestRelay::node(script.u8() % clients), Bytes(1)});
      case 8:
      case 9:
      case 10:
        return send_train(script);
      case 11:
        return answer(script);
      case 12:
        relay_.now += Duration(script.u8()) * 1'000'000;
        relay_.server.handle_timeout(relay_.now);
        return;
      case 13:
        relay_.now += script.u8() * 1s;
        relay_.server.handle_timeout(relay_.now);
        return;
      case 14:
        relay_.server.client_backlog(id, std::size_t{script.u8()} * 2048);
        return;
      default:
        if (script.u8() == 0) relay_.server.drain();
    }
  }

  void come(unsigned client, const NetworkPath& path) {
    relay_.server.client_down(TestRelay::id(client));
    proved_.erase(client);
    ++bindings_[client];
    if (relay_.up(client, path)) proved_[client] = path;
  }

  void move(unsigned client, const NetworkPath& path) {
    if (!proved_.contains(client)) return;
    relay_.server.client_path_changed(TestRelay::id(client), path);
    if (proved_[client] != path) ++bindings_[client];
    proved_[client] = path;
  }

  void say(RelayClientId id, const RelayMessage& message) {
    relay_.server.handle_message(relay_.now, id, message);
  }

  void say_raw(RelayClientId id, ByteView bytes) {
    const auto decoded = decode_relay_message(bytes);
    if (decoded && decoded->message) say(id, *decoded->message);
  }

  RelaySessionId any_session(unsigned index) const {
    if (sessions_.empty()) return RelaySessionId{index};
    auto found = sessions_.begin();
    std::advance(found, index % sessions_.size());
    return found->first;
  }

  void send_train(fuzz::Script& script) {
    const NetworkPath source = TestRelay::path(script.u8() % addresses);
    const std::size_t segment_size = 12 + script.u8();
    const std::size_t count = 1 + script.u8() % segments_max;
    Bytes train;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint8_t kind = script.u8();
      Bytes segment;
      if (kind & 0x80) {
        segment = to_bytes(script.bytes(kind & 0x3f));
      } else {
        const auto sender = RelayRole{static_cast<std::uint8_t>(kind & 1)};
        segment = TestRelay::frame(any_session(kind >> 1), sender, segment_size);
      }
      segment.resize(i + 1 == count && (kind & 0x40) ? 1 + segment_size / 2 : segment_size);
      train.insert(train.end(), segment.begin(), segment.end());
    }
    forward(source, train, segment_size, 1 + script.u8() % segments_max);
  }

  void forward(const NetworkPath& source, ByteView train, std::size_t segment_size,
               std::size_t room) {
    std::vector<RelayRun> runs(room);
    std::size_t offset = 0;
    while (offset < train.size()) {
      const ByteView rest = train.subspan(offset);
      const RelayTrain result =
          relay_.server.forward_train(relay_.now, source, rest, segment_size, runs);
      QM_ASSERT(result.runs <= room && result.consumed > 0 && result.consumed <= rest.size());
      std::size_t end = 0;
      for (std::size_t i = 0; i < result.runs; ++i) {
        QM_ASSERT(runs[i].offset >= end && runs[i].offset % segment_size == 0);
        end = runs[i].offset + runs[i].size;
        QM_ASSERT(runs[i].size > 0 && end <= result.consumed);
        QM_ASSERT(end % segment_size == 0 || end == rest.size());
        check_run(source, rest.subspan(runs[i].offset, runs[i].size), segment_size,
                  runs[i].destination);
      }
      offset += result.consumed;
    }
    challenges_.clear();
    while (auto challenge = relay_.challenge()) {
      QM_ASSERT(challenge->first == source);
      QM_ASSERT(challenge->second.size() <= segment_size);
      const ChallengeFrame fields = *peek_challenge_frame(challenge->second);
      const unsigned asked = sessions_.at(fields.session)[static_cast<std::size_t>(fields.role)];
      challenges_.push_back(
          {challenge->first, std::move(challenge->second), asked, bindings_[asked]});
    }
  }

  void check_run(const NetworkPath& source, ByteView run, std::size_t segment_size,
                 const NetworkPath& destination) {
    for (std::size_t at = 0; at < run.size(); at += segment_size) {
      const auto header =
          decode_relay_header(run.subspan(at, std::min(segment_size, run.size() - at)));
      QM_ASSERT(header);
      const auto session = sessions_.find(header->session);
      QM_ASSERT(session != sessions_.end());
      const auto end = static_cast<std::size_t>(header->sender);
      QM_ASSERT(is_proved(session->second[end], source));
      QM_ASSERT(is_proved(session->second[1 - end], destination));
    }
  }

  bool is_proved(unsigned client, const NetworkPath& path) const {
    const auto found = proved_.find(client);
    return found != proved_.end() && found->second == path;
  }

  void answer(fuzz::Script& script) {
    if (challenges_.empty()) return;
    const Challenge challenge = challenges_[script.u8() % challenges_.size()];
    const unsigned key = script.u8() % clients;
    const std::uint8_t where = script.u8();
    const NetworkPath source = where & 0x80 ? challenge.to : TestRelay::path(where % addresses);
    const Bytes frame = TestRelay::answer_to(challenge.bytes, key);
    // An answer counts once: every binding since makes it worthless.
    const bool right =
        source == challenge.to && key == challenge.client && bindings_[key] == challenge.bindings;
    const std::uint64_t before = relay_.row("rebindings").value;
    std::array<RelayRun, 1> runs;
    const auto result = relay_.server.forward_train(relay_.now, source, frame, 0, runs);
    QM_ASSERT(result.runs == 0);
    const bool bound = relay_.row("rebindings").value > before;
    QM_ASSERT(right || !bound);
    if (!bound) return;
    proved_[key] = source;
    ++bindings_[key];
  }

  void watch_outputs() {
    while (const auto output = relay_.server.poll_output()) {
      if (const auto* gone = std::get_if<RelayDisconnect>(&*output)) {
        QM_ASSERT(gone->reason);
        proved_.erase(static_cast<unsigned>(gone->client));
        continue;
      }
      const auto& sent = std::get<RelaySend>(*output);
      const auto decoded = decode_relay_message(encode_relay_message(sent.message));
      QM_ASSERT(decoded && decoded->message == sent.message);
      if (const auto* session = std::get_if<RelaySession>(&sent.message)) {
        const auto receiver = static_cast<unsigned>(sent.client);
        sessions_[session->session][static_cast<std::size_t>(session->role)] = receiver;
      } else if (const auto* over = std::get_if<RelayCloseSession>(&sent.message)) {
        sessions_.erase(over->session);
      }
    }
  }

  void check_tables() {
    const RelayLimits limits = small_limits();
    QM_ASSERT(relay_.row("clients").value <= limits.clients);
    QM_ASSERT(relay_.row("clients").value == proved_.size());
    QM_ASSERT(relay_.row("reservations").value <= limits.reservations);
    QM_ASSERT(relay_.row("sessions").value <= limits.sessions);
    QM_ASSERT(relay_.server.load_percent(relay_.now) <= 100);
  }

  TestRelay relay_{small_limits()};
  std::map<unsigned, NetworkPath> proved_;      // by client that is up
  std::map<unsigned, std::uint64_t> bindings_;  // by client, and one more for each life of it
  std::map<RelaySessionId, std::array<unsigned, 2>> sessions_;  // by role
  std::vector<Challenge> challenges_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  World world;
  world.run({data, size});
  return 0;
}
