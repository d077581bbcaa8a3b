// PunchTask: one technique of hole punching towards one peer, as a small state machine inside the
// puncher. It is told what happens and leaves commands, which the puncher obeys at once.
//
// One side leads: it counts the rounds and draws the attempt's number. The other follows: a message
// of a newer round, or of another attempt (the leader began anew), is taken, an older one is late;
// rounds beyond `rounds_max` are refused, whatever they are called. A follower that hears nothing
// for `silence_max` gives up.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "base/rng.hpp"
#include "nat/punch_event.hpp"
#include "nat/punch_message.hpp"

namespace quicmesh {

/// What all techniques know; the same for the whole punch.
struct PunchContext {
  NetworkPath path;  // from the main socket to the peer's external endpoint
  NatBehaviour mapping{};
  NatBehaviour their_mapping{};
  PortAllocation port_allocation{};
  std::int16_t port_delta = 0;
  Finding cgnat{};
  std::optional<IpAddress> our_ip;  // outside
  bool attested = false;
  Duration round_trip{};  // over the relay
  bool leads = false;
  std::uint16_t attempt = 0;  // of the leader
};

/// A socket that the driver opened for the punch; its address is unspecified if bound to all.
struct OpenedSocket {
  SocketId id{};
  SocketAddress local;
};

/// When the probes of a volley leave: at once, and again for the case that one is lost.
class ProbeTimes {
 public:
  static constexpr std::array<Duration, 4> times{0ms, 50ms, 100ms, 200ms};

  void start(Instant now) {
    begun_ = now;
    next_ = 0;
  }
  void stop() { next_ = times.size(); }
  /// True if one is due.
  bool take(Instant now) {
    if (now < due()) return false;
    ++next_;
    return true;
  }
  [[nodiscard]] Instant due() const { return next_ < times.size() ? begun_ + times[next_] : never; }

 private:
  Instant begun_{};
  std::size_t next_ = times.size();
};

/// What a peer's message came to.
enum class PunchVerdict : std::uint8_t { taken, late, refused };

class PunchTask {
 public:
  static constexpr std::uint8_t rounds_max = 5;
  static constexpr Duration silence_max = 15s;
  static constexpr std::uint16_t first_port = 1024;
  /// Passes a home's NAT and dies at the next router.
  static constexpr std::uint8_t opener_hops = 2;

  /// The socket comes back, or not, with the ticket.
  struct WantSocket {
    std::uint32_t ticket = 0;
  };
  struct GiveBack {
    SocketId socket{};
  };
  struct Say {
    PunchMessage message;
  };
  struct Probe {
    NetworkPath path;
    std::optional<std::uint8_t> hop_limit;
  };
  /// Asks STUN server number `server` (modulo their count) from a socket.
  struct Sample {
    SocketId socket{};
    IpAddress local;
    std::size_t server = 0;
  };
  /// Wants the node's one turn for a birthday.
  struct WantTurn {};
  struct End {
    PunchOutcome outcome{};
  };
  /// Prediction was in vain: the birthday technique does not need it.
  struct GuessInstead {};
  using Command =
      std::variant<WantSocket, GiveBack, Say, Probe, Sample, WantTurn, End, GuessInstead>;

  virtual ~PunchTask() = default;
  PunchTask(const PunchTask&) = delete;
  PunchTask& operator=(const PunchTask&) = delete;

  virtual void begin(Instant now) = 0;
  PunchVerdict handle_message(Instant now, const PunchMessage& message);
  /// Nothing: the driver could not open it.
  virtual void handle_socket(Instant now, std::uint32_t ticket,
                             const std::optional<OpenedSocket>& socket);
  /// The first request left.
  virtual void handle_sampling(Instant now, SocketId socket);
  /// Nothing: no answer. `sends`: how often it was asked.
  virtual void handle_sample(Instant now, SocketId socket,
                             const std::optional<SocketAddress>& external, unsigned sends);
  /// Nobody else in this node has a birthday now.
  virtual void handle_turn(Instant now);
  /// Spurious calls are harmless.
  virtual void handle_timeout(Instant now) = 0;
  [[nodiscard]] virtual Instant poll_timeout() const = 0;

  [[nodiscard]] std::vector<Command> take_commands() { return std::exchange(commands_, {}); }
  [[nodiscard]] unsigned rounds() const { return rounds_; }

 protected:
  PunchTask(PunchTechnique technique, const PunchContext& context)
      : technique_(technique), context_(context) {}

  virtual PunchVerdict on_message(Instant now, const PunchMessage& message) = 0;

  [[nodiscard]] const PunchContext& context() const { return context_; }
  void want(Command command) { commands_.push_back(std::move(command)); }
  void say(PunchMessageType type, std::uint16_t port = 0, std::int16_t step = 0,
           std::uint16_t count = 0);
  /// From the main socket to the peer's external endpoint.
  void probe_main(std::optional<std::uint8_t> hop_limit = std::nullopt);
  void end(PunchOutcome outcome) { want(End{outcome}); }
  /// The leader's end: the other side need not wait.
  void give_up(PunchOutcome outcome);

  /// Leader: one more round begins.
  void next_round() { ++round_, ++rounds_; }
  /// Follower: whether the message begins a round.
  PunchVerdict follow(const PunchMessage& message);
  /// It belongs to the round that is on.
  [[nodiscard]] PunchVerdict check_current(const PunchMessage& message) const;
  [[nodiscard]] bool is_last_round() const { return rounds_ >= rounds_max; }
  /// Its number, which both ends know.
  [[nodiscard]] std::uint8_t round() const { return round_; }
  /// How far openers go: not so far as to be seen by the other's gateway, if that is known to be
  /// far enough for ours.
  [[nodiscard]] std::optional<std::uint8_t> opener_limit() const;
  /// Of the path from a socket of ours to the peer's address.
  [[nodiscard]] NetworkPath path_from(const OpenedSocket& socket, std::uint16_t port) const;
  /// The peer has said something of use.
  [[nodiscard]] bool was_heard() const { return heard_at_.has_value(); }
  /// The follower's patience ends.
  [[nodiscard]] Instant silent_at() const { return heard_at_.value_or(begun_) + silence_max; }
  void note_begun(Instant now) { begun_ = now; }

 private:
  PunchTechnique technique_;
  PunchContext context_;
  std::vector<Command> commands_;
  std::uint8_t round_ = 0;
  unsigned rounds_ = 0;
  std::optional<std::uint16_t> attempt_;  // followed
  Instant begun_{};
  std::optional<Instant> heard_at_;
};

/// The task of `plan`, which is neither plain nor relay.
[[nodiscard]] std::unique_ptr<PunchTask> make_punch_task(const PunchPlan& plan,
                                                         const PunchContext& context, Rng rng);

/// Whether the side with `plan` counts the rounds.
[[nodiscard]] bool leads_punch(const PunchPlan& plan, bool lower_id);

}  // namespace quicmesh
