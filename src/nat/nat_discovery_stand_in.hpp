// The filtering test by a second node S that stands in for a server's other address
// (stun/stand_in.hpp). S sends one packet for each request, to a port of ours.
//
//   control   to the mapping socket, which has been in touch with S: the packet must arrive, or S
//             cannot send and silence means nothing
//   stranger  to the filtering socket, which has not: it arrives through endpoint-independent
//             filtering only
//   neighbour the filtering socket sends to a port of S's address that nobody serves; then S
//             sends again: it arrives through address-dependent filtering. Only with
//             endpoint-independent mapping: otherwise that packet made a mapping of its own, and
//             what S sends goes to another.
//
// Each question is put up to four times, the first two kinds at once; silence counts if S said
// at least three times that it sent, and the last of those is long enough ago.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/rng.hpp"
#include "nat/nat_profile.hpp"
#include "quicmesh/socket_address.hpp"
#include "stun/stand_in.hpp"

namespace quicmesh {

class StandInTest {
 public:
  static constexpr unsigned asks_max = 4;
  static constexpr unsigned sent_min = 3;
  static constexpr Duration ask_interval = 100ms;

  /// `rng` outlives the test.
  explicit StandInTest(SecureRng& rng) : rng_(rng) {}

  struct Plan {
    SocketAddress node;                // S, as it was asked by STUN
    std::uint16_t control_port = 0;    // of the mapping socket, as S sees it
    std::uint16_t filtering_port = 0;  // of the filtering socket, as another server sees it
    Duration wait{};                   // after the last request: a round trip and a bit
  };
  void start(Instant now, const Plan& plan);
  /// The filtering socket has sent to S's address; now for the neighbour.
  void start_neighbour(Instant now);

  void handle_answer(const StandInAnswer& answer);
  /// A packet with `id` came from `from`; false if it is none of this test's.
  bool handle_packet(const SocketAddress& from, const TransactionId& id);
  std::optional<StandInRequest> poll_request(Instant now);
  [[nodiscard]] Instant poll_timeout() const;

  [[nodiscard]] bool started() const { return stage_ != Stage::idle; }
  [[nodiscard]] bool neighbour_started() const { return stage_ == Stage::neighbour; }
  [[nodiscard]] const SocketAddress& node() const { return plan_.node; }
  /// `unknown` as long as questions are out, or if S refused.
  [[nodiscard]] Finding control() const { return finding(Question::control); }
  [[nodiscard]] Finding stranger() const { return finding(Question::stranger); }
  [[nodiscard]] Finding neighbour() const { return finding(Question::neighbour); }
  /// Nothing more to ask or to wait for in this stage.
  [[nodiscard]] bool is_settled(Instant now) const;

 private:
  enum class Stage : std::uint8_t { idle, first, neighbour };
  enum class Question : std::uint8_t { control, stranger, neighbour };
  struct State {
    bool open = false;  // being asked
    unsigned asked = 0;
    unsigned sent = 0;  // S said so
    bool heard = false;
    bool waited = false;  // the time of the last request is over
    Instant due = never;
  };
  struct Ask {
    TransactionId id;
    Question question{};
    bool answered = false;
  };
  [[nodiscard]] State& state(Question q) { return states_[static_cast<std::size_t>(q)]; }
  [[nodiscard]] Finding finding(Question q) const;
  void open(Instant now, Question q);

  SecureRng& rng_;
  Plan plan_;
  Stage stage_ = Stage::idle;
  std::array<State, 3> states_{};
  std::vector<Ask> asks_;  // at most three times `asks_max`
};

}  // namespace quicmesh
