// Port prediction where both sides' mappings depend on the destination and both sides' ports follow
// a rule.
//
// Both take a sample from a fresh socket at the same moment (the leader waits half the relay's
// round trip after its "begin"), tell each other the port that comes next, and send from the fresh
// sockets.
//
// Each further destination takes the next port of our own NAT, and other machines may have taken
// some before: a of our ports, b of theirs. Let the leader send to the ports 0, 1, 2 ... behind the
// one told (in steps of delta), so from its own ports a, a+1, a+2 ..., and the follower to the
// ports c, c-1 ... 0, from its own b, b+1, b+2 .... The leader's packet number i and the follower's
// number j use the same pair of ports if i = b + j and c - j = a + i, so 2j = c - a - b. With c = 6
// in odd rounds and 7 in even ones two rounds cover all cases of up to seven ports taken, and a
// single one that of none. If one of the NATs looks only at the address of the destination, all its
// packets have one port, and c = 3 is best.
#pragma once

#include "nat/punch_task.hpp"

namespace quicmesh {

class PredictBothPunch final : public PunchTask {
 public:
  static constexpr Duration sample_patience = 800ms;  // besides two round trips
  static constexpr Duration round_margin = 100ms;

  explicit PredictBothPunch(const PunchContext& context)
      : PunchTask(PunchTechnique::predict, context) {}

  void begin(Instant now) override;
  void handle_socket(Instant now, std::uint32_t ticket,
                     const std::optional<OpenedSocket>& socket) override;
  void handle_sample(Instant now, SocketId socket, const std::optional<SocketAddress>& external,
                     unsigned sends) override;
  void handle_timeout(Instant now) override;
  [[nodiscard]] Instant poll_timeout() const override;

 private:
  PunchVerdict on_message(Instant now, const PunchMessage& message) override;
  void start_round(Instant now);
  void prepare();
  void take_sample();
  void tell(Instant now, int port, int step);
  void fire_if_ready(Instant now);
  [[nodiscard]] std::vector<std::uint16_t> destinations() const;
  void fire();
  void on_no_sample(Instant now);

  std::optional<OpenedSocket> socket_;
  std::optional<SocketId> previous_;
  bool told_ = false;  // our port
  std::optional<PunchMessage> theirs_;
  ProbeTimes probes_;
  Instant sample_at_ = never;
  Instant round_end_ = never;  // of the leader
};

}  // namespace quicmesh
