#include "nat/punch_predict.hpp"

#include <algorithm>
#include <cstdlib>

namespace quicmesh {

std::vector<std::uint16_t> predicted_ports(const PunchMessage& message) {
  std::vector<std::uint16_t> ports;
  if (message.count > predict_window || std::abs(int{message.step}) > predict_step_max) return {};
  for (int i = 0; i < int{message.count}; ++i) {
    const int port = int{message.port} + i * int{message.step};
    if (port < PunchTask::first_port || port > 0xffff) break;
    ports.push_back(static_cast<std::uint16_t>(port));
  }
  return ports;
}

void PredictedPunch::begin(Instant now) {
  note_begun(now);
  start_round(now);
}

void PredictedPunch::start_round(Instant now) {
  if (is_last_round()) {
    const bool guess = outcome_ == PunchOutcome::no_way_through && context().attested;
    return guess ? want(GuessInstead{}) : give_up(outcome_);
  }
  next_round();
  if (previous_) want(GiveBack{*previous_});
  previous_.reset();
  if (socket_) previous_ = socket_->id;
  socket_.reset();
  openers_.stop();
  round_end_ = now + sample_patience;
  want(WantSocket{rounds()});
}

void PredictedPunch::handle_socket(Instant now, std::uint32_t ticket,
                                   const std::optional<OpenedSocket>& socket) {
  if (ticket != rounds()) return PunchTask::handle_socket(now, ticket, socket);
  if (!socket) return start_round(now);
  socket_ = socket;
  outcome_ = std::max(outcome_, PunchOutcome::no_sample);
  if (context().port_allocation == PortAllocation::preserved) {
    open(now);
    return tell(now, socket_->local.port, 1);
  }
  want(Sample{socket_->id, socket_->local.ip, rounds() - 1});
}

void PredictedPunch::handle_sampling(Instant now, SocketId socket) {
  if (socket_ && socket == socket_->id) open(now);
}

void PredictedPunch::open(Instant now) {
  openers_.start(now);
  handle_timeout(now);
}

void PredictedPunch::handle_sample(Instant now, SocketId socket,
                                   const std::optional<SocketAddress>& external, unsigned sends) {
  if (!socket_ || socket != socket_->id) return;
  // With another address than the one told, the peer would send in vain.
  if (!external || (context().our_ip && external->ip != *context().our_ip)) {
    return start_round(now);
  }
  const int step = context().port_delta;
  // If it was the second request that made the mapping, the opener's came before it.
  tell(now, external->port + (sends > 1 ? -step : step), step);
}

void PredictedPunch::tell(Instant now, int first, int step) {
  if (first < first_port || first > 0xffff) return start_round(now);
  outcome_ = PunchOutcome::no_way_through;
  say(PunchMessageType::predicted, static_cast<std::uint16_t>(first),
      static_cast<std::int16_t>(step), predict_window);
  round_end_ = now + context().round_trip * 3 / 2 + round_margin;
}

PunchVerdict PredictedPunch::on_message(Instant, const PunchMessage&) {
  return PunchVerdict::refused;  // there is nothing to be said to the leader but the end
}

void PredictedPunch::handle_timeout(Instant now) {
  if (openers_.take(now)) {
    want(Probe{path_from(*socket_, context().path.remote.port),
               rounds() % 2 == 1 ? opener_limit() : std::nullopt});
  }
  if (now >= round_end_) start_round(now);
}

Instant PredictedPunch::poll_timeout() const {
  return std::min(openers_.due(), round_end_);
}

PunchVerdict PredictingPunch::on_message(Instant now, const PunchMessage& message) {
  if (message.type != PunchMessageType::predicted || predicted_ports(message).empty()) {
    return PunchVerdict::refused;
  }
  const PunchVerdict verdict = follow(message);
  if (verdict != PunchVerdict::taken) return verdict;
  told_ = message;
  volleys_left_ = volleys;
  send_volley(now);
  return verdict;
}

void PredictingPunch::send_volley(Instant now) {
  NetworkPath path = context().path;
  for (const std::uint16_t port : predicted_ports(told_)) {
    path.remote.port = port;
    want(Probe{path, std::nullopt});
  }
  --volleys_left_;
  volley_at_ = volleys_left_ > 0 ? now + volley_interval : never;
}

void PredictingPunch::handle_timeout(Instant now) {
  if (now >= volley_at_) send_volley(now);
  if (now >= silent_at()) {
    end(was_heard() ? PunchOutcome::no_way_through : PunchOutcome::silent_peer);
  }
}

Instant PredictingPunch::poll_timeout() const {
  return std::min(volley_at_, silent_at());
}

}  // namespace quicmesh
