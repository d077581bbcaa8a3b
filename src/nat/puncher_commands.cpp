// Puncher: what its tasks want done. See puncher.hpp.
#include <algorithm>

#include "nat/puncher.hpp"
#include "stun/stun_writer.hpp"

namespace quicmesh {
namespace {

// An answer that comes late costs the prediction more than another request.
Retransmission sample_schedule(Duration round_trip) {
  const Duration rto = std::clamp<Duration>(round_trip * 3 / 2, 100ms, 400ms);
  return {.rto = rto,
          .sends = 3,
          .interval_max = rto,
          .final_wait = std::max<Duration>(2 * round_trip, 300ms)};
}

PunchContext context_of(const PunchStart& start, bool leads, std::uint16_t attempt) {
  return {.path = start.path,
          .mapping = start.ours.mapping,
          .their_mapping = start.theirs.mapping,
          .port_allocation = start.ours.port_allocation,
          .port_delta = start.ours.port_delta,
          .cgnat = start.ours.cgnat,
          .our_ip = start.our_external ? std::optional(start.our_external->ip) : std::nullopt,
          .attested = start.attested == start.path.remote.ip,
          .round_trip = std::clamp<Duration>(start.round_trip, 1ms, 2s),
          .leads = leads,
          .attempt = attempt};
}

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};

}  // namespace

bool Puncher::obey(Instant now, Punch& punch, const PunchTask::Command& command) {
  const NodeId peer = punch.start.peer;
  const auto end = [&](const PunchTask::End& wanted) {
    const bool too_little = punch.probes_refused > 0 && wanted.outcome != PunchOutcome::silent_peer;
    finish(now, peer, too_little ? PunchOutcome::not_attested : wanted.outcome, std::nullopt);
  };
  std::visit(Overloaded{
                 [&](const PunchTask::WantSocket& wanted) {
                   open_socket(peer, punch.start.path.remote.ip, wanted.ticket);
                 },
                 [&](const PunchTask::GiveBack& wanted) { give_back(punch, wanted.socket); },
                 [&](const PunchTask::Say& wanted) {
                   events_.emplace_back(PunchSay{peer, encode_punch_message(wanted.message)});
                 },
                 [&](const PunchTask::Probe& wanted) { probe(now, punch, wanted); },
                 [&](const PunchTask::Sample& wanted) { sample(now, punch, wanted); },
                 [&](const PunchTask::WantTurn&) { turns_.want(peer); },
                 [&](const PunchTask::GuessInstead&) {
                   guess_instead(punch, PunchRole::many_sockets);
                   punch.task->begin(now);
                 },
                 end,
             },
             command);
  return !std::holds_alternative<PunchTask::End>(command);
}

void Puncher::set_task(Punch& punch, const PunchPlan& plan) {
  punch.plan = plan;
  const auto attempt = static_cast<std::uint16_t>(rng_.next());
  const PunchContext context = context_of(punch.start, punch.leads, attempt);
  punch.task = make_punch_task(plan, context, Rng(rng_.next()));
}

// The leader has found that ports do not follow.
bool Puncher::begins_to_guess(const Punch& punch, const PunchMessage& message) {
  return punch.plan.role == PunchRole::predicting &&
         message.technique == PunchTechnique::birthday && message.type == PunchMessageType::begin;
}

void Puncher::guess_instead(Punch& punch, PunchRole role) {
  while (!punch.sockets.empty())
    give_back(punch, punch.sockets.back());
  std::erase_if(wanted_, [&](const auto& entry) { return entry.second.peer == punch.start.peer; });
  PunchPlan plan = punch.plan;
  plan.technique = PunchTechnique::birthday;
  plan.role = role;
  plan.reason = PunchReason::ports_random;
  set_task(punch, plan);
}

void Puncher::open_socket(const NodeId& peer, const IpAddress& remote, std::uint32_t ticket) {
  while (wanted_.contains(SocketRequestId{next_request_}))
    ++next_request_;
  const SocketRequestId id{next_request_++};
  wanted_[id] = {peer, ticket};
  events_.emplace_back(OpenSocket{id, remote.family()});
}

void Puncher::probe(Instant now, Punch& punch, const PunchTask::Probe& wanted) {
  const IpAddress& ip = wanted.path.remote.ip;
  const bool attested = punch.start.attested == ip;
  if (!(attested ? allowance_.take_guess(now, ip) : allowance_.take(now, ip))) {
    ++punch.probes_refused;
    ++counters_.probes_refused;
    return;
  }
  ++punch.probes;
  ++counters_.probes;
  events_.emplace_back(PunchProbe{punch.start.peer, wanted.path, wanted.hop_limit});
}

void Puncher::sample(Instant now, Punch& punch, const PunchTask::Sample& wanted) {
  const auto& servers = punch.start.stun_servers;
  StunRequest request;
  request.id = client_.new_id();
  bool started = false;
  if (!servers.empty()) {
    request.path = {wanted.socket, wanted.local, servers[wanted.server % servers.size()]};
    request.schedule = sample_schedule(punch.start.round_trip);
    std::array<std::uint8_t, 64> buffer{};
    StunWriter writer(buffer, StunClass::request, StunMethod::binding, request.id);
    writer.add_fingerprint();
    request.message = to_bytes(writer.written());
    asked_[request.id] = {punch.start.peer, wanted.socket};
    const TransactionId id = request.id;
    started = bool(client_.start(now, std::move(request)));
    if (!started) asked_.erase(id);
  }
  if (!started) punch.task->handle_sample(now, wanted.socket, std::nullopt, 0);
}

void Puncher::give_back(Punch& punch, SocketId socket) {
  std::erase(punch.sockets, socket);
  forget_asked(socket);
  events_.emplace_back(CloseSocket{socket});
}

void Puncher::forget_asked(SocketId socket) {
  std::erase_if(asked_, [&](const auto& entry) {
    if (entry.second.socket != socket) return false;
    client_.cancel(entry.first);
    return true;
  });
}

}  // namespace quicmesh
