#include "nat/puncher.hpp"

#include <algorithm>

#include "nat/nat_errc.hpp"

namespace quicmesh {
namespace {

// Servers that can sample for this peer: one at the peer's own address would use up what the
// sample is to tell about.
std::vector<SocketAddress> usable_servers(const PunchStart& start) {
  std::vector<SocketAddress> usable;
  for (const SocketAddress& server : start.stun_servers) {
    if (usable.size() == Puncher::stun_servers_max) break;
    if (server.ip.family() == start.path.remote.ip.family() && server.ip != start.path.remote.ip) {
      usable.push_back(server);
    }
  }
  return usable;
}

}  // namespace

std::string_view to_string(PunchOutcome outcome) {
  switch (outcome) {
    case PunchOutcome::direct:
      return "direct";
    case PunchOutcome::no_way_through:
      return "no way through";
    case PunchOutcome::silent_peer:
      return "the peer did not answer";
    case PunchOutcome::given_up_there:
      return "the peer gave up";
    case PunchOutcome::not_attested:
      return "nobody attests the peer's address";
    case PunchOutcome::no_sockets:
      return "too few sockets";
    case PunchOutcome::no_sample:
      return "no STUN server answered";
    case PunchOutcome::busy:
      break;
  }
  return "too many birthdays at once";
}

Puncher::Puncher(SecureRng& secure_rng, Rng rng, StrangerAllowance& allowance)
    : rng_(rng), allowance_(allowance), client_(secure_rng) {}

Puncher::~Puncher() = default;

Result<PunchPlan> Puncher::start(Instant now, const PunchStart& start) {
  if (const auto found = punches_.find(start.peer); found != punches_.end()) {
    return found->second.plan;
  }
  const PunchPlan plan = plan_punch(start.ours, start.theirs);
  if (plan.technique == PunchTechnique::plain || plan.technique == PunchTechnique::relay) {
    return plan;
  }
  const SocketAddress& external = start.path.remote;
  if (external.port < PunchTask::first_port || external.ip.is_unspecified()) {
    return failure(NatErrc::unusable_external);
  }
  if (now < may_start(start.peer)) return failure(NatErrc::punch_too_soon);
  if (punches_.size() >= peers_max) return failure(NatErrc::too_many_punches);

  Punch& punch = punches_[start.peer];
  punch.start = start;
  punch.start.stun_servers = usable_servers(start);
  punch.leads = leads_punch(plan, start.lower_id);
  punch.began = now;
  set_task(punch, plan);
  ++counters_.started;
  drive(now, start.peer, [&](PunchTask& task) { task.begin(now); });
  give_turns(now);
  return plan;
}

Instant Puncher::may_start(const NodeId& peer) const {
  const auto found = back_offs_.find(peer);
  return found == back_offs_.end() ? Instant{} : found->second.until;
}

void Puncher::stop(Instant now, const NodeId& peer) {
  if (!punches_.contains(peer)) return;
  (void)take_out(peer, std::nullopt);
  give_turns(now);
}

void Puncher::forget_back_offs() {
  back_offs_.clear();
}

bool Puncher::on_message(Instant now, const NodeId& peer, ByteView body) {
  if (!punches_.contains(peer)) return false;
  const auto message = decode_punch_message(body);
  if (!message) {
    ++counters_.messages_malformed;
    return true;
  }
  if (begins_to_guess(punches_.at(peer), *message)) {
    guess_instead(punches_.at(peer), PunchRole::random_ports);
    drive(now, peer, [&](PunchTask& task) { task.begin(now); });
  }
  drive(now, peer, [&](PunchTask& task) {
    const PunchVerdict verdict = task.handle_message(now, *message);
    counters_.messages_late += verdict == PunchVerdict::late;
    counters_.messages_refused += verdict == PunchVerdict::refused;
  });
  give_turns(now);
  return true;
}

void Puncher::on_path_heard(Instant now, const NodeId& peer, const NetworkPath& path) {
  const auto found = punches_.find(peer);
  if (found == punches_.end() || is_relayed(path)) return;
  Punch& punch = found->second;
  if (punch.heard_until != never || punch.times_heard >= rests_max) return;
  ++punch.times_heard;
  punch.heard_until = now + 2 * punch.start.round_trip + 300ms;
}

void Puncher::on_path_answered(Instant now, const NodeId& peer, const NetworkPath& path) {
  if (is_relayed(path)) return;
  allowance_.answered(path.remote.ip);
  if (!punches_.contains(peer)) return;
  finish(now, peer, PunchOutcome::direct, path);
  give_turns(now);
}

void Puncher::handle_socket_opened(Instant now, SocketRequestId id, SocketId socket,
                                   const SocketAddress& local) {
  const auto found = wanted_.find(id);
  if (found == wanted_.end()) {
    events_.emplace_back(CloseSocket{socket});
    return;
  }
  const Wanted wanted = found->second;
  wanted_.erase(found);
  punches_.at(wanted.peer).sockets.push_back(socket);
  const OpenedSocket opened{socket, local};
  drive(now, wanted.peer, [&](PunchTask& task) { task.handle_socket(now, wanted.ticket, opened); });
  give_turns(now);
}

void Puncher::handle_socket_failed(Instant now, SocketRequestId id) {
  const auto found = wanted_.find(id);
  if (found == wanted_.end()) return;
  const Wanted wanted = found->second;
  wanted_.erase(found);
  drive(now, wanted.peer,
        [&](PunchTask& task) { task.handle_socket(now, wanted.ticket, std::nullopt); });
  give_turns(now);
}

bool Puncher::handle_datagram(Instant now, const NetworkPath& path, Ecn ecn, ByteView datagram) {
  const bool asked = std::ranges::any_of(
      asked_, [&](const auto& entry) { return entry.second.socket == path.socket; });
  if (!asked || !client_.handle_datagram(now, path, ecn, datagram)) return false;
  drain_client(now);
  give_turns(now);
  return true;
}

void Puncher::handle_timeout(Instant now) {
  client_.handle_timeout(now);
  drain_client(now);
  std::vector<NodeId> due;
  for (auto& [peer, punch] : punches_) {
    if (punch.heard_until != never) {
      if (now < punch.heard_until) continue;
      punch.heard_until = never;
    }
    if (now >= punch.task->poll_timeout()) due.push_back(peer);
  }
  for (const NodeId& peer : due)
    drive(now, peer, [&](PunchTask& task) { task.handle_timeout(now); });
  give_turns(now);
}

std::optional<Transmit> Puncher::poll_transmit(Instant now, MutableByteView buffer) {
  const auto transmit = client_.poll_transmit(now, buffer);
  if (!transmit) return std::nullopt;
  const auto found = std::ranges::find_if(asked_, [&](const auto& entry) {
    return entry.second.socket == transmit->path.socket && !entry.second.sent;
  });
  if (found != asked_.end()) {
    found->second.sent = true;
    const SocketId socket = found->second.socket;
    const NodeId peer = found->second.peer;
    drive(now, peer, [&](PunchTask& task) { task.handle_sampling(now, socket); });
  }
  return transmit;
}

std::optional<PuncherEvent> Puncher::poll_event() {
  if (events_.empty()) return std::nullopt;
  PuncherEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

Instant Puncher::poll_timeout() const {
  Instant earliest = std::min(client_.poll_timeout(), turns_.poll_timeout());
  for (const auto& [peer, punch] : punches_) {
    const bool rests = punch.heard_until != never;
    earliest = std::min(earliest, rests ? punch.heard_until : punch.task->poll_timeout());
  }
  return earliest;
}

bool Puncher::is_punching(const NodeId& peer) const {
  return punches_.contains(peer);
}

template <class Call>
void Puncher::drive(Instant now, const NodeId& peer, Call&& call) {
  const auto found = punches_.find(peer);
  if (found == punches_.end()) return;
  Punch& punch = found->second;
  call(*punch.task);
  // Obeying may leave further commands. Each round of this makes a socket, a sample or an end
  // happen, all of which are bounded.
  for (;;) {
    const auto commands = punch.task->take_commands();
    if (commands.empty()) return;
    for (const PunchTask::Command& command : commands) {
      if (!obey(now, punch, command)) return;
    }
  }
}

void Puncher::drain_client(Instant now) {
  while (const auto event = client_.poll_event()) {
    const TransactionId id = std::visit([](const auto& each) { return each.id; }, *event);
    const auto found = asked_.find(id);
    if (found == asked_.end()) continue;
    const Asked asked = found->second;
    asked_.erase(found);
    std::optional<SocketAddress> external;
    unsigned sends = 0;
    if (const auto* answered = std::get_if<StunAnswered>(&*event)) {
      const auto message = StunMessage::parse(answered->message);
      if (message) external = message->mapped_address();
      sends = answered->sends;
    }
    drive(now, asked.peer,
          [&](PunchTask& task) { task.handle_sample(now, asked.socket, external, sends); });
  }
}

void Puncher::give_turns(Instant now) {
  while (const auto peer = turns_.grant(now))
    drive(now, *peer, [&](PunchTask& task) { task.handle_turn(now); });
}

void Puncher::finish(Instant now, const NodeId& peer, PunchOutcome outcome,
                     const std::optional<NetworkPath>& path) {
  Punch& running = punches_.at(peer);
  const bool adopted =
      path && std::ranges::find(running.sockets, path->socket) != running.sockets.end();
  const Punch punch = take_out(peer, adopted ? std::optional(path->socket) : std::nullopt);
  Duration back_off{};
  if (outcome == PunchOutcome::direct) {
    ++counters_.direct;
    back_offs_.erase(peer);
  } else {
    ++counters_.failed;
    back_off = note_failure(now, punch);
  }
  events_.emplace_back(PunchEnded{.peer = peer,
                                  .technique = punch.plan.technique,
                                  .outcome = outcome,
                                  .path = path,
                                  .adopted = adopted,
                                  .probes = punch.probes,
                                  .rounds = punch.task->rounds(),
                                  .duration = now - punch.began,
                                  .back_off = back_off});
}

Puncher::Punch Puncher::take_out(const NodeId& peer, std::optional<SocketId> adopted) {
  const auto found = punches_.find(peer);
  Punch punch = std::move(found->second);
  punches_.erase(found);
  std::erase_if(wanted_, [&](const auto& entry) { return entry.second.peer == peer; });
  for (const SocketId socket : punch.sockets) {
    forget_asked(socket);
    if (socket != adopted) events_.emplace_back(CloseSocket{socket});
  }
  turns_.drop(peer, punch.probes);
  return punch;
}

Duration Puncher::note_failure(Instant now, const Punch& punch) {
  const auto found = back_offs_.find(punch.start.peer);
  const Duration last = found == back_offs_.end() ? Duration::zero() : found->second.last;
  const Duration next = last == Duration::zero() ? back_off_first : 2 * last;
  const Duration back_off = std::min<Duration>(next, back_off_max);
  const Duration wait = punch.leads ? back_off : back_off / 2;
  set_back_off(now, punch.start.peer, back_off, wait);
  return wait;
}

void Puncher::set_back_off(Instant now, const NodeId& peer, Duration last, Duration wait) {
  if (back_offs_.size() >= back_offs_max && !back_offs_.contains(peer)) {
    back_offs_.erase(std::ranges::min_element(
        back_offs_, {}, [](const auto& entry) { return entry.second.until; }));
  }
  back_offs_[peer] = {last, now + wait};
}

}  // namespace quicmesh
