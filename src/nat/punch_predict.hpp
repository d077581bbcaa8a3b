// Port prediction where one side's mapping depends on the destination and its ports follow a rule,
// and the other side keeps one port but lets in only whom it has sent to.
//
// The predicted side leads. In each round a fresh socket asks a STUN server, and its opener to the
// peer's external endpoint leaves right behind, so that hardly anybody can take the port between
// the two; the answer tells the sample's port, and the opener has that plus delta. Where the NAT
// keeps the inner port if it can, the fresh socket needs no sample. What is told is a window of
// ports, since others behind the same NAT open mappings too.
//
// The predicting side probes the window from its main socket, three times. Its packets come from
// the endpoint that the opener went to, so the predicted side's NAT lets them in, and everything
// further goes over that pair of ports.
//
// In odd rounds the opener dies behind our own NAT (punch_synchronised.hpp says why), in even ones
// it goes the whole way, in case ours is further away than thought. The socket of the round before
// is kept: an answer may still be on its way. After five rounds the ports are taken for random, and
// the birthday technique is tried (punch_birthday.hpp), which the same side leads.
#pragma once

#include "nat/punch_task.hpp"

namespace quicmesh {

inline constexpr std::uint16_t predict_window = 8;
inline constexpr int predict_step_max = 2048;

class PredictedPunch final : public PunchTask {
 public:
  static constexpr Duration sample_patience = 2s;  // for socket and sample
  static constexpr Duration round_margin = 200ms;

  explicit PredictedPunch(const PunchContext& context)
      : PunchTask(PunchTechnique::predict, context) {}

  void begin(Instant now) override;
  void handle_socket(Instant now, std::uint32_t ticket,
                     const std::optional<OpenedSocket>& socket) override;
  void handle_sampling(Instant now, SocketId socket) override;
  void handle_sample(Instant now, SocketId socket, const std::optional<SocketAddress>& external,
                     unsigned sends) override;
  void handle_timeout(Instant now) override;
  [[nodiscard]] Instant poll_timeout() const override;

 private:
  PunchVerdict on_message(Instant now, const PunchMessage& message) override;
  void start_round(Instant now);
  void open(Instant now);
  void tell(Instant now, int first, int step);

  std::optional<OpenedSocket> socket_;  // of this round
  std::optional<SocketId> previous_;
  ProbeTimes openers_;
  Instant round_end_ = never;
  PunchOutcome outcome_ = PunchOutcome::no_sockets;  // if nothing comes of it
};

class PredictingPunch final : public PunchTask {
 public:
  static constexpr unsigned volleys = 3;
  static constexpr Duration volley_interval = 75ms;

  explicit PredictingPunch(const PunchContext& context)
      : PunchTask(PunchTechnique::predict, context) {}

  void begin(Instant now) override { note_begun(now); }
  void handle_timeout(Instant now) override;
  [[nodiscard]] Instant poll_timeout() const override;

 private:
  PunchVerdict on_message(Instant now, const PunchMessage& message) override;
  void send_volley(Instant now);

  PunchMessage told_;
  unsigned volleys_left_ = 0;
  Instant volley_at_ = never;
};

/// The ports that a `predicted` message names, within the bounds; none if it is not acceptable.
[[nodiscard]] std::vector<std::uint16_t> predicted_ports(const PunchMessage& message);

}  // namespace quicmesh
