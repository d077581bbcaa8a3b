#include "nat/punch_task.hpp"

#include "base/assert.hpp"
#include "nat/punch_birthday.hpp"
#include "nat/punch_predict.hpp"
#include "nat/punch_predict_both.hpp"
#include "nat/punch_synchronised.hpp"

namespace quicmesh {

PunchVerdict PunchTask::handle_message(Instant now, const PunchMessage& message) {
  if (message.technique != technique_) return PunchVerdict::refused;
  PunchVerdict verdict = PunchVerdict::taken;
  if (message.type != PunchMessageType::end) {
    verdict = on_message(now, message);
  } else if (context_.leads && message.attempt != context_.attempt) {
    verdict = PunchVerdict::late;
  } else {
    end(PunchOutcome::given_up_there);
  }
  if (verdict == PunchVerdict::taken) heard_at_ = now;
  return verdict;
}

void PunchTask::handle_socket(Instant, std::uint32_t, const std::optional<OpenedSocket>& socket) {
  if (socket) want(GiveBack{socket->id});
}

void PunchTask::handle_sampling(Instant, SocketId) {}

void PunchTask::handle_sample(Instant, SocketId, const std::optional<SocketAddress>&, unsigned) {}

void PunchTask::handle_turn(Instant) {}

void PunchTask::say(PunchMessageType type, std::uint16_t port, std::int16_t step,
                    std::uint16_t count) {
  const std::uint16_t attempt = context_.leads ? context_.attempt : attempt_.value_or(0);
  want(Say{{.type = type,
            .technique = technique_,
            .round = std::max<std::uint8_t>(round_, 1),
            .attempt = attempt,
            .port = port,
            .step = step,
            .count = count}});
}

void PunchTask::probe_main(std::optional<std::uint8_t> hop_limit) {
  want(Probe{context_.path, hop_limit});
}

void PunchTask::give_up(PunchOutcome outcome) {
  say(PunchMessageType::end);
  end(outcome);
}

PunchVerdict PunchTask::follow(const PunchMessage& message) {
  if (attempt_ == message.attempt && message.round <= round_) return PunchVerdict::late;
  if (is_last_round()) return PunchVerdict::refused;
  attempt_ = message.attempt;
  round_ = message.round;
  ++rounds_;
  return PunchVerdict::taken;
}

PunchVerdict PunchTask::check_current(const PunchMessage& message) const {
  const bool current =
      context_.leads ? message.attempt == context_.attempt : message.attempt == attempt_;
  return current && message.round == round_ ? PunchVerdict::taken : PunchVerdict::late;
}

std::optional<std::uint8_t> PunchTask::opener_limit() const {
  if (context_.cgnat == Finding::yes) return std::nullopt;
  return opener_hops;
}

NetworkPath PunchTask::path_from(const OpenedSocket& socket, std::uint16_t port) const {
  return {socket.id, socket.local.ip, {context_.path.remote.ip, port}};
}

bool leads_punch(const PunchPlan& plan, bool lower_id) {
  if (plan.role == PunchRole::same) return lower_id;
  return plan.role == PunchRole::predicted || plan.role == PunchRole::many_sockets;
}

std::unique_ptr<PunchTask> make_punch_task(const PunchPlan& plan, const PunchContext& context,
                                           Rng rng) {
  switch (plan.role) {
    case PunchRole::predicted:
      return std::make_unique<PredictedPunch>(context);
    case PunchRole::predicting:
      return std::make_unique<PredictingPunch>(context);
    case PunchRole::many_sockets:
      return std::make_unique<ManySocketsPunch>(context);
    case PunchRole::random_ports:
      return std::make_unique<RandomPortsPunch>(context, rng);
    case PunchRole::same:
      break;
  }
  if (plan.technique == PunchTechnique::predict) return std::make_unique<PredictBothPunch>(context);
  QM_ASSERT(plan.technique == PunchTechnique::synchronised);
  return std::make_unique<SynchronisedPunch>(context);
}

}  // namespace quicmesh
