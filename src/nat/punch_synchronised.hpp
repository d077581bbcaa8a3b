// Synchronised punching between two NATs that keep one external port for everybody but let in only
// whom was sent to.
//
// A gateway that takes in the peer's early packet (it should not) keeps a state for it and then
// sends our own packet to that peer from another port. So the openers must not arrive: they pass
// our own NAT and die behind it. The ordinary probes then leave both ends at the same moment, and
// cross: the leader says "begin" and waits half the relay's round trip, the follower begins when it
// hears it (libp2p DCUtR). Behind a carrier-grade NAT no opener is sent, since nobody knows how far
// it would have to go.
//
// Three rounds; a round ends a round trip after its last probe.
#pragma once

#include "nat/punch_task.hpp"

namespace quicmesh {

class SynchronisedPunch final : public PunchTask {
 public:
  static constexpr unsigned synchronised_rounds_max = 3;
  static constexpr Duration round_margin = 100ms;

  explicit SynchronisedPunch(const PunchContext& context)
      : PunchTask(PunchTechnique::synchronised, context) {}

  void begin(Instant now) override;
  void handle_timeout(Instant now) override;
  [[nodiscard]] Instant poll_timeout() const override;

 private:
  PunchVerdict on_message(Instant now, const PunchMessage& message) override;
  void start_round(Instant now);
  void start_probes(Instant now);

  ProbeTimes probes_;
  Instant probes_at_ = never;  // of the leader
  Instant round_end_ = never;  // of the leader
};

}  // namespace quicmesh
