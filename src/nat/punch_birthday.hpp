// The birthday technique, where one side takes a random external port for each peer and the other
// keeps one port but lets in only whom it has sent to (Ford, Srisuresh & Kegel 2005 s5.1 name the
// problem; the birthday paradox is the way out).
//
// The side with many ports opens 256 sockets and sends an opener from each to the other's external
// endpoint: 256 of the 64,512 ports of its NAT then let that endpoint in. The other side guesses
// ports, none twice. A guess hits with 1/252, so half of all cases need 175 guesses (0.35 s), 95 %
// 755 (1.5 s), and the 2,048 allowed are in vain once in 3,000. It begins when half of the openers
// are out: they are as slow as the guesses (512/s), for neither shall flood a line or a NAT.
//
// begin (many) -> accept (random) -> openers out (many) -> guesses. Both wait for their node's one
// turn, the many side before "begin", the other before "accept", and both only towards an address
// that a relay or STUN node attests (THREATS TQ10).
#pragma once

#include <bitset>

#include "nat/punch_task.hpp"

namespace quicmesh {

inline constexpr std::size_t birthday_sockets = 256;
inline constexpr unsigned birthday_packets_max = 2048;  // of each side
/// 512 a second.
inline constexpr unsigned birthday_packets_per_tick = 8;
inline constexpr Duration birthday_tick = Duration(1s) / 64;
static_assert(birthday_tick * 64 == 1s);  // seconds are whole numbers: 1s / 64 would be none
/// Guesses, all of them.
inline constexpr Duration birthday_guessing_time =
    birthday_tick * (birthday_packets_max / birthday_packets_per_tick);
inline constexpr Duration birthday_turn_patience = 30s;

class ManySocketsPunch final : public PunchTask {
 public:
  static constexpr std::size_t openers_before_guessing = birthday_sockets / 2;
  static constexpr std::size_t sockets_min = 16;   // with fewer it is not worth the packets
  static constexpr unsigned repeats_per_tick = 2;  // each opener every 2 s
  static constexpr Duration accept_patience = 3s;
  static constexpr Duration guess_margin = 1s;

  explicit ManySocketsPunch(const PunchContext& context)
      : PunchTask(PunchTechnique::birthday, context) {}

  void begin(Instant now) override;
  void handle_turn(Instant now) override;
  void handle_socket(Instant now, std::uint32_t ticket,
                     const std::optional<OpenedSocket>& socket) override;
  void handle_timeout(Instant now) override;
  [[nodiscard]] Instant poll_timeout() const override { return std::min(tick_at_, deadline_); }

 private:
  enum class Stage : std::uint8_t { waiting, asking, opening, open };

  PunchVerdict on_message(Instant now, const PunchMessage& message) override;
  void tick(Instant now);
  void open_from(const OpenedSocket& socket);
  void say_when_out(Instant now);

  Stage stage_ = Stage::waiting;
  std::vector<OpenedSocket> sockets_;
  std::size_t wanted_ = 0;    // sockets asked for so far
  std::size_t answered_ = 0;  // opened or failed
  std::size_t next_repeat_ = 0;
  unsigned packets_ = 0;
  bool said_ = false;
  Instant tick_at_ = never;
  Instant deadline_ = never;
  PunchOutcome at_deadline_ = PunchOutcome::busy;
};

class RandomPortsPunch final : public PunchTask {
 public:
  static constexpr Duration openers_patience = 5s;
  static constexpr Duration last_margin = 500ms;

  RandomPortsPunch(const PunchContext& context, Rng rng)
      : PunchTask(PunchTechnique::birthday, context), rng_(rng) {}

  void begin(Instant now) override;
  void handle_turn(Instant now) override;
  void handle_timeout(Instant now) override;
  [[nodiscard]] Instant poll_timeout() const override { return std::min(tick_at_, deadline_); }

 private:
  enum class Stage : std::uint8_t { waiting, queued, accepted, guessing };

  PunchVerdict on_message(Instant now, const PunchMessage& message) override;
  void guess();

  Stage stage_ = Stage::waiting;
  Rng rng_;
  std::bitset<0x10000> guessed_;
  unsigned packets_ = 0;
  Instant tick_at_ = never;
  Instant deadline_ = never;
  PunchOutcome at_deadline_ = PunchOutcome::silent_peer;
};

}  // namespace quicmesh
