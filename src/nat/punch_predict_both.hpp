// Port prediction where both sides' mappings depend on the destination and both sides' ports follow
// a rule.
//
// Both take a sample from a fresh socket at the same moment (the leader, the dialler, waits half
// the relay's round trip after its "begin"), tell each other the port that comes next, and send
// from the fresh socket to exactly the port told. A second destination would take a mapping of its
// own, so there is no window - unless our NAT looks only at the address of the destination: then
// all eight ports are probed from one mapping. What others take in between costs a round.
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
  [[nodiscard]] bool wants_quiet() const override { return quiet_; }

 private:
  PunchVerdict on_message(Instant now, const PunchMessage& message) override;
  void start_round(Instant now);
  void prepare();
  void take_sample();
  void tell(Instant now, int port, int step);
  void fire_if_ready(Instant now);
  void fire();
  void on_no_sample(Instant now);

  std::optional<OpenedSocket> socket_;
  std::optional<SocketId> previous_;
  bool told_ = false;  // our port
  std::optional<PunchMessage> theirs_;
  ProbeTimes probes_;
  Instant sample_at_ = never;
  Instant round_end_ = never;  // of the leader
  bool quiet_ = false;
};

}  // namespace quicmesh
