// Knows the paths of one connection from the outside: which exist, which answer, how fast.
//
// Probes are single small frames beside QUIC (probe_frame.hpp). Paths are kept warm: one probe
// every 5 s (+- 20 %) to those that answer, the path in use among them if there is another to
// compare it with. A path's round trip is the least of its last four answers: what one of them
// waited in a queue does not count, and a path that has become slow shows after 20 s.
//
// A path that does not answer is asked after 0.1, 0.2, 0.4 ... s, at most 10 times in a row, then
// once a minute: an address that never answers must not be flooded because somebody named it.
// `hurry` probes everything at once, for a connection that has fallen silent: every half PTO at
// first, every second in the end. A probe that comes from a path not yet answered makes ours follow
// at once (the triggered check of RFC 8445 s7.3.1.4): the far end's NAT has just opened.
//
// A path that was left because it had died, or on which a migration failed, is held down: 2, 4, 8
// ... s up to two minutes, before it may be chosen again; rescue may use it all the same.
//
// At most 16 targets; a new one beyond that takes the place of one that does not answer, or is
// refused. Both are counted.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/network_path.hpp"
#include "base/rng.hpp"
#include "path/path_selector.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh {

class PathProber {
 public:
  static constexpr std::size_t targets_max = 16;
  static constexpr Duration warm_interval = 5s;
  static constexpr Duration retry_first = 100ms;
  static constexpr unsigned tries_max = 10;
  static constexpr Duration retry_slow = 60s;
  static constexpr std::size_t times_kept = 4;
  static constexpr Duration hold_down_first = 2s;
  static constexpr Duration hold_down_max = 120s;

  struct Sent {
    std::uint64_t nonce = 0;
    Instant at{};
  };

  struct Target {
    NetworkPath path;
    std::array<Sent, 4> recent{};  // the last probes: in a hurry the next leaves before an answer
    unsigned sent_count = 0;
    Instant heard_at{};                       // of the last frame from the far end; origin if none
    std::array<Duration, times_kept> took{};  // the last answers
    unsigned took_count = 0;
    std::optional<Duration> rtt;  // the least of them
    bool ever_answered = false;   // also before the network changed
    bool forwarded = false;       // by the far end's gateway, to which no punch is needed
    unsigned unanswered = 0;
    std::uint64_t far_nonce = 0;  // of the far end's last probe: by it we name the path to it
    Instant due{};
    unsigned failures = 0;  // in a row, of this path in use
    Instant held_until{};
    std::uint32_t answers = 0;  // a bit for each of the last probes, the newest lowest

    /// Probes on which there is a verdict: the newest is left out as long as it may be answered.
    [[nodiscard]] unsigned sent_lately() const;
    [[nodiscard]] unsigned answered_lately() const;

    Instant probed_at{};      // when the last probe was due
    Instant probed_before{};  // and the one before
    /// Something came from there between the last two.
    [[nodiscard]] bool heard_since_probed() const { return heard_at > probed_before; }
  };

  explicit PathProber(Rng rng) : rng_(rng) {}

  /// False if it is known already or there is no room.
  bool add(Instant now, const NetworkPath& path);
  void remove(const NetworkPath& path);
  /// All paths from that socket.
  void remove_socket(SocketId socket);
  /// Asks a path that was given up as if it were new. False if it was not.
  bool retry(Instant now, const NetworkPath& path);
  /// The far end's gateway forwards what comes on `path`, as the far end says.
  void note_forwarded(const NetworkPath& path);
  /// The path in use. While it is the only one it is probed in a hurry alone.
  void set_current(const NetworkPath& path) { current_ = path; }

  /// A target whose probe is due, with `nonce` (not 0) noted as its last.
  const Target* next_due(Instant now, std::uint64_t nonce);
  /// An answer came: which path it speaks for, if the nonce is one of ours.
  const Target* handle_response(Instant now, const NetworkPath& from, std::uint64_t nonce);
  /// The far end sent the probe `nonce` on `path`.
  void heard(Instant now, const NetworkPath& path, std::uint64_t nonce);

  /// Every target is due at once, and again after `interval` until it answers.
  void hurry(Instant now, Duration interval);
  void relax() { hurry_interval_ = Duration::zero(); }

  /// The network has changed: what was measured and held against a path is forgotten, all are due
  /// at once. Sources that are none of `own` are left to the kernel; paths that differed in nothing
  /// else become one.
  void start_over(Instant now, std::span<const IpAddress> own);

  /// The path failed in use: it is not to be chosen for a while.
  void hold_down(Instant now, const NetworkPath& path);

  /// The fastest path but the current one that answered a probe sent at or after `since`.
  [[nodiscard]] const Target* best_since(Instant since, PathPolicy policy = PathPolicy::any) const;
  [[nodiscard]] const Target* find(const NetworkPath& path) const;
  /// The path of our probe `nonce`; how the far end names a path to us.
  [[nodiscard]] const Target* find_by_nonce(std::uint64_t nonce) const;
  [[nodiscard]] const std::vector<Target>& targets() const { return targets_; }
  /// Paths that had to make room for others, or for which there was none.
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }
  [[nodiscard]] Instant deadline() const;

 private:
  Target* match(const NetworkPath& path);
  [[nodiscard]] bool is_current(const Target& target) const;
  [[nodiscard]] bool spared(const Target& target) const;
  void schedule(Instant now, Target& target);

  Rng rng_;
  std::vector<Target> targets_;
  NetworkPath current_;
  Duration hurry_interval_{};
  std::uint64_t dropped_ = 0;
};

}  // namespace quicmesh
