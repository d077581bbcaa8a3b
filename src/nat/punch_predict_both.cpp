#include "nat/punch_predict_both.hpp"

#include <algorithm>

#include "nat/punch_predict.hpp"

namespace quicmesh {

void PredictBothPunch::begin(Instant now) {
  note_begun(now);
  if (context().leads) start_round(now);
}

void PredictBothPunch::start_round(Instant now) {
  if (is_last_round()) {
    return give_up(was_heard() ? PunchOutcome::no_way_through : PunchOutcome::silent_peer);
  }
  next_round();
  prepare();
  say(PunchMessageType::begin);
  sample_at_ = now + context().round_trip / 2;
  round_end_ = now + 2 * context().round_trip + sample_patience;
}

void PredictBothPunch::prepare() {
  if (previous_) want(GiveBack{*previous_});
  previous_.reset();
  if (socket_) previous_ = socket_->id;
  socket_.reset();
  theirs_.reset();
  told_ = false;
  probes_.stop();
}

void PredictBothPunch::take_sample() {
  sample_at_ = never;
  want(WantSocket{rounds()});
}

void PredictBothPunch::handle_socket(Instant now, std::uint32_t ticket,
                                     const std::optional<OpenedSocket>& socket) {
  if (ticket != rounds()) return PunchTask::handle_socket(now, ticket, socket);
  if (!socket) return on_no_sample(now);
  socket_ = socket;
  if (context().port_allocation == PortAllocation::preserved) {
    return tell(now, socket_->local.port, 1);
  }
  want(Sample{socket_->id, socket_->local.ip, rounds() - 1});
}

void PredictBothPunch::handle_sample(Instant now, SocketId socket,
                                     const std::optional<SocketAddress>& external, unsigned) {
  if (!socket_ || socket != socket_->id) return;
  if (!external || (context().our_ip && external->ip != *context().our_ip)) {
    return on_no_sample(now);
  }
  tell(now, external->port + context().port_delta, context().port_delta);
}

void PredictBothPunch::on_no_sample(Instant now) {
  // The follower waits for the next "begin".
  if (context().leads) start_round(now);
}

void PredictBothPunch::tell(Instant now, int port, int step) {
  if (port < first_port || port > 0xffff) return on_no_sample(now);
  told_ = true;
  say(PunchMessageType::predicted, static_cast<std::uint16_t>(port),
      static_cast<std::int16_t>(step), predict_window);
  fire_if_ready(now);
}

PunchVerdict PredictBothPunch::on_message(Instant now, const PunchMessage& message) {
  if (message.type == PunchMessageType::begin && !context().leads) {
    const PunchVerdict verdict = follow(message);
    if (verdict != PunchVerdict::taken) return verdict;
    prepare();
    take_sample();
    return verdict;
  }
  if (message.type != PunchMessageType::predicted || predicted_ports(message).empty()) {
    return PunchVerdict::refused;
  }
  const PunchVerdict verdict = check_current(message);
  if (verdict != PunchVerdict::taken) return verdict;
  if (theirs_) return PunchVerdict::refused;
  theirs_ = message;
  fire_if_ready(now);
  return verdict;
}

void PredictBothPunch::fire_if_ready(Instant now) {
  if (!told_ || !theirs_) return;
  probes_.start(now);
  if (probes_.take(now)) fire();
  if (context().leads) {
    round_end_ = now + ProbeTimes::times.back() + context().round_trip + round_margin;
  }
}

std::vector<std::uint16_t> PredictBothPunch::destinations() const {
  std::vector<std::uint16_t> ports = predicted_ports(*theirs_);
  if (context().leads) return ports;
  const bool one_port = context().mapping == NatBehaviour::address_dependent ||
                        context().their_mapping == NatBehaviour::address_dependent;
  const std::size_t last = one_port ? 3 : round() % 2 == 1 ? 6 : 7;
  ports.resize(std::min(ports.size(), last + 1));
  std::ranges::reverse(ports);
  return ports;
}

void PredictBothPunch::fire() {
  for (const std::uint16_t port : destinations())
    want(Probe{path_from(*socket_, port), std::nullopt});
}

void PredictBothPunch::handle_timeout(Instant now) {
  if (probes_.take(now)) fire();
  if (now >= sample_at_) take_sample();
  if (context().leads && now >= round_end_) return start_round(now);
  if (!context().leads && now >= silent_at()) {
    end(was_heard() ? PunchOutcome::no_way_through : PunchOutcome::silent_peer);
  }
}

Instant PredictBothPunch::poll_timeout() const {
  const Instant end = context().leads ? round_end_ : silent_at();
  return std::min({probes_.due(), sample_at_, end});
}

}  // namespace quicmesh
