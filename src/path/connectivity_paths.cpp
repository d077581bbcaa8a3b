// Moving a connection: probes, planned migration, and rescue from a path that fell silent.
#include <algorithm>
#include <utility>

#include "base/address_codec.hpp"
#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"
#include "base/tunnel_path.hpp"
#include "base/turn_path.hpp"
#include "path/connectivity.hpp"
#include "path/path_errc.hpp"

namespace quicmesh {
namespace {

constexpr unsigned hints_max = 20;
constexpr unsigned hints_after_change = 6;
constexpr unsigned restarts_max = 4;
constexpr Duration proof_age_max = 2s;
constexpr Duration restart_after = 1s;  // 1, 2, 4, 8 s of silence
constexpr Duration misled_pto_min = 2s;
constexpr int misled_factor = 20;  // times the round trip of a probe

PathState state_of(const PathProber::Target& target) {
  if (target.unanswered >= PathProber::tries_max) return PathState::silent;
  return target.rtt ? PathState::standby : PathState::probing;
}

/// Whom a datagram on `path` reaches without having agreed to it. A relay joins those that have
/// both come to it; a TURN server sends wherever it is told to.
std::optional<IpAddress> stranger_on(const NetworkPath& path) {
  if (is_turn_path(path)) return turn_peer_of(path).ip;
  if (is_relayed(path)) return std::nullopt;
  return path.remote.ip;
}

}  // namespace

NetworkPath Connectivity::current_path_of(const Link& link) const {
  const PathLabel label = quic_->current_label(link.handle);
  if (const PathTable::Entry* entry = link.table.find(label)) return entry->path;
  return link.table.entries().empty() ? NetworkPath{} : link.table.entries().front().path;
}

void Connectivity::handle_frame(Instant now, const NetworkPath& path, ByteView datagram) {
  const auto tag = probe_frame_tag(datagram);
  const auto owner = tag ? tags_.find(*tag) : tags_.end();
  Link* link = owner == tags_.end() ? nullptr : find_link(owner->second);
  const auto frame = link == nullptr ? std::nullopt : decode_probe_frame(datagram, link->probe_key);
  if (!frame) {
    ++counters_.frames_refused;
    return;
  }
  // Where the policy keeps the connection off such paths, it does not show itself on them either.
  if (!allows(*link, path)) return;
  const bool in_flight = quic_->path_info(link->handle).bytes_in_flight > 0;
  const bool on_current = link->prober.find(path) != nullptr &&
                          link->prober.find(path) == link->prober.find(current_path_of(*link));
  switch (frame->type) {
    case ProbeFrameType::request:
      // The address may be one that nobody told of: the far end's NAT made it (peer-reflexive,
      // RFC 8445 s7.3.1.3). The MAC vouches for it.
      if (link->prober.find(path) == nullptr && link->allowance.take(now)) {
        on_new_path(now, *link, path, false);
      }
      if (!link->dialler) link->table.note_epoch(now, path, frame->epoch);
      link->prober.heard(now, path, frame->nonce);
      if (may_answer(now, *link, path)) {
        send_frame(*link, path, ProbeFrameType::response, frame->nonce, frame->epoch);
      } else {
        ++counters_.probes_withheld;
      }
      break;
    case ProbeFrameType::response:
      if (link->prober.handle_response(now, path, frame->nonce) == nullptr) {
        if (frame->nonce == punch_nonce(*link, path)) {
          on_new_path(now, *link, path, true);
        } else {
          on_rebound_answer(now, *link, path, frame->nonce);
        }
        break;
      }
      if (const auto ip = stranger_on(path)) strangers_.answered(*ip);  // it alone got the nonce
      if (on_current) {
        link->watch.probe_answered(now, in_flight);
        if (!link->dialler) events_.push_back(PeerPathProved{link->handle, path});
        if (link->former_source && *link->former_source != path.local) restart_path(now, *link);
        link->former_source.reset();
      } else {
        choose_path(now, *link);
      }
      break;
    case ProbeFrameType::hint:
      if (link->dialler) follow_hint(now, *link, path);
      break;
  }
  watch_link(now, *link);
  arm(now, *link);
}

void Connectivity::send_frame(Link& link, const NetworkPath& path, ProbeFrameType type,
                              std::uint64_t nonce, std::uint16_t epoch, std::uint8_t hop_limit) {
  send_small(path, encode_probe_frame({type, link.tag_there, nonce, epoch}, link.probe_key),
             hop_limit);
}

bool Connectivity::add_target(Instant now, Link& link, const NetworkPath& path) {
  const std::uint64_t before = link.prober.dropped();
  const bool added = link.prober.add(now, path);
  counters_.targets_dropped += link.prober.dropped() - before;
  return added;
}

void Connectivity::on_new_path(Instant now, Link& link, const NetworkPath& path, bool answered) {
  const bool is_new = add_target(now, link, path);
  if (!is_new && !answered) return;
  if (active_link(*link.peer) == &link) {
    events_.push_back(PeerPathFound{*link.peer, path, answered});
  }
}

// Of one connection, socket and remote address, and known to this node alone: so an answer proves
// the path it comes on, and no probe has to be remembered.
std::uint64_t Connectivity::punch_nonce(const Link& link, const NetworkPath& path) const {
  Bytes text;
  ByteWriter writer(text);
  writer.u64(std::to_underlying(link.handle));
  writer.u16(std::to_underlying(path.socket));
  write_address(writer, path.remote);
  const Blake3Digest digest = blake3_keyed(punch_key_, text);
  return ByteReader(digest).u64() | 1;
}

void Connectivity::punch(const NodeId& peer, const NetworkPath& path, std::uint8_t hop_limit) {
  Link* link = active_link(peer);
  if (link == nullptr || !allows(*link, path)) return;
  // The dialler has not come to this path yet: its first epoch there is the next one.
  send_frame(*link, path, ProbeFrameType::request, punch_nonce(*link, path), 1, hop_limit);
}

void Connectivity::say_punch(const NodeId& peer, Bytes body) {
  if (Link* link = active_link(peer)) send_control(*link, OpaquePunchMessage{std::move(body)});
}

bool Connectivity::may_probe(Instant now, const Link& link, const PathProber::Target& target) {
  const auto stranger = stranger_on(target.path);
  if (!stranger || target.ever_answered) return true;
  const NetworkPath current = current_path_of(link);  // which QUIC has validated
  if (stranger_on(current) == stranger) return true;
  // One packet for one that came: from there, so the far end's NAT has opened.
  if (target.heard_since_probed() && strangers_.take_reply(now, *stranger)) return true;
  const unsigned kept = target.forwarded ? StrangerAllowance::kept_from_forwarded
                                         : StrangerAllowance::kept_for_punches;
  return strangers_.left(now, *stranger) > kept && strangers_.take(now, *stranger);
}

// The peer can write any source on its requests. Until one of ours to there was answered, the
// address is a stranger's.
bool Connectivity::may_answer(Instant now, const Link& link, const NetworkPath& path) {
  const auto stranger = stranger_on(path);
  if (!stranger || path == current_path_of(link)) return true;
  const PathProber::Target* target = link.prober.find(path);
  if (target != nullptr && target->ever_answered) return true;
  return strangers_.take_reply(now, *stranger);
}

void Connectivity::send_probes(Instant now, Link& link) {
  while (true) {
    const std::uint64_t nonce = secure_rng_.next_u64() | 1;  // 0 means none
    const PathProber::Target* target = link.prober.next_due(now, nonce);
    if (target == nullptr) return;
    if (!may_probe(now, link, *target)) {
      ++counters_.probes_withheld;
      continue;
    }
    const PathTable::Entry* entry = link.table.find(target->path);
    const bool current = entry != nullptr && entry->path == current_path_of(link);
    std::uint16_t epoch = entry == nullptr ? 0 : entry->epoch;
    if (!current) ++epoch;  // what it will be when the dialler comes to it
    send_frame(link, target->path, ProbeFrameType::request, nonce, epoch);
  }
}

void Connectivity::watch_link(Instant now, Link& link) {
  if (!link.confirmed) return;
  const Duration pto = quic_->path_info(link.handle).probe_timeout;
  const Instant since = quic_->unacknowledged_since(link.handle);
  const bool waits =
      now - since >= PathWatch::payload_suspicion_min && quic_->awaits_acknowledgement(link.handle);
  link.watch.payload_waits(waits ? since : never);
  switch (link.watch.verdict(now, pto)) {
    case PathWatch::Verdict::fine:
      link.prober.relax();
      link.restarts = 0;
      link.silence_told = false;
      break;
    case PathWatch::Verdict::suspicious:
      link.prober.hurry(now, std::max<Duration>(pto / 2, 20ms));
      break;
    case PathWatch::Verdict::dead:
      link.prober.hurry(now, std::max<Duration>(pto / 2, 20ms));
      if (leave_silent_path(now, link)) break;
      if (!std::exchange(link.silence_told, true)) events_.push_back(PeerSilent{*link.peer});
      restart_silent_path(now, link);
      break;
  }
  if (link.hint && link.hint->due <= now) {
    Link::Hint& hint = *link.hint;
    if (++hint.sent > hints_max) {
      link.hint.reset();
    } else {
      send_frame(link, hint.path, ProbeFrameType::hint, hint.nonce, 0);
      hint.due = now + 50ms * std::min(hint.sent, 10u);
    }
  }
  send_probes(now, link);
}

bool Connectivity::leave_silent_path(Instant now, Link& link) {
  const Duration silence = link.watch.silence(now);
  const PathPolicy policy = policy_of(link);
  const PathProber::Target* best = link.prober.best_since(now - silence, policy);
  if (best == nullptr) return false;  // nothing answers: stay, and go on probing
  if (!link.silent_since) link.silent_since = now - silence;
  if (link.dialler) {
    const NetworkPath dead = current_path_of(link);
    if (!migrate_link(now, link, best->path, true, {MoveRule::rescue})) return false;
    link.prober.hold_down(now, dead);
  } else if (!link.hint || link.hint->path == current_path_of(link)) {
    start_hint(now, link, best->path, hints_max);
  }
  return true;
}

bool Connectivity::allows(const Link& link, const NetworkPath& path) const {
  const PathPolicy policy = policy_of(link);
  return path_allowed({.relayed = link.counts_as_relayed(path, policy)}, policy);
}

PathPolicy Connectivity::policy_of(const Link& link) const {
  const auto peer = link.peer ? peers_.find(*link.peer) : peers_.end();
  return peer == peers_.end() ? PathPolicy::any : peer->second.policy;
}

// With nothing better to go to, the dialler comes to its own path anew: a new label resets QUIC's
// probe time-out, which doubles with each loss and would keep the connection silent for ten seconds
// after a break of five, or for ever at 25 % loss in bursts. Four tries a silence: each costs a
// connection id, and a peer that cannot be heard sends no new ones.
void Connectivity::restart_silent_path(Instant now, Link& link) {
  if (!link.dialler || link.restarts >= restarts_max) return;
  const Duration silence = link.watch.silence(now);
  if (silence < restart_after * (1 << link.restarts)) return;
  ++link.restarts;
  restart_path(now, link);
}

void Connectivity::restart_path(Instant now, Link& link) {
  const NetworkPath path = current_path_of(link);
  const PathTable::Entry* entry = link.table.find(path);
  const auto epoch = static_cast<std::uint16_t>(entry == nullptr ? 1 : entry->epoch + 1);
  send_frame(link, path, ProbeFrameType::request, secure_rng_.next_u64() | 1, epoch);
  migrate_link(now, link, path, true, {});
}

// Whether the path in use still carries anything is not known, and the far end may see this one at
// another address. A dialler's packets tell that, so it sends some: on its path begun anew, if its
// source is gone, or turns out to be another when the probe is answered. An acceptor's packets are
// not listened to from elsewhere, so it asks to be followed to where it is now, which costs nothing
// if that is where it was.
void Connectivity::network_changed(Instant now, std::span<const IpAddress> own,
                                   std::span<const IpAddress> chosen, bool slept) {
  for (const auto& link : links_) {
    if (link == nullptr || !link->confirmed) continue;
    NetworkPath path = current_path_of(*link);
    const IpAddress source = path.local;
    const bool source_gone = unpin_source(path, own);
    // The kernel chooses a dialler's sources anew; an acceptor answers from where it was asked.
    const auto kept = link->dialler ? chosen : own;
    link->table.unpin(kept);
    link->prober.start_over(now, kept);
    link->watch.suspect(now, quic_->path_info(link->handle).probe_timeout);
    link->restarts = 0;
    if (!link->dialler) {
      if (!is_relayed(path)) start_hint(now, *link, path, hints_after_change);
    } else if (slept || source_gone) {
      restart_path(now, *link);
    } else if (!source.is_unspecified() && !is_relayed(path)) {
      link->former_source = source;
    }
    watch_link(now, *link);
    arm(now, *link);
  }
}

void Connectivity::start_hint(Instant now, Link& link, const NetworkPath& path, unsigned count) {
  link.hint = Link::Hint{path, secure_rng_.next_u64() | 1, hints_max - count, now};
}

void Connectivity::follow_hint(Instant now, Link& link, const NetworkPath& path) {
  const PathProber::Target* target = link.prober.find(path);
  if (target == nullptr) return;  // the dialler goes only where it has itself been
  if (!allows(link, path)) return;
  const PathTable::Entry* entry = link.table.find(path);
  const Duration pto = quic_->path_info(link.handle).probe_timeout;
  if (entry != nullptr && entry->label == quic_->current_label(link.handle)) {
    // The far end has been away, and its late acknowledgements were taken for the round trip.
    const bool misled = target->rtt && pto > misled_pto_min && pto > misled_factor * *target->rtt;
    if (misled && link.restarts++ < restarts_max) restart_path(now, link);
    return;
  }
  if (link.moving_to == path) return;
  const bool silent = link.watch.verdict(now, pto) != PathWatch::Verdict::fine;
  if (silent && !link.silent_since) link.silent_since = now - link.watch.silence(now);
  migrate_link(now, link, target->path, silent, {MoveRule::hint});
}

void Connectivity::choose_path(Instant now, Link& link) {
  if (!automatic_ || !link.dialler || !link.confirmed || link.moving_to || link.retiring_here) {
    return;
  }
  const auto peer = peers_.find(*link.peer);
  if (peer == peers_.end() || peer->second.active != link.handle) return;
  const QuicPathInfo info = quic_->path_info(link.handle);
  if (link.watch.verdict(now, info.probe_timeout) != PathWatch::Verdict::fine) return;
  const std::vector<PathProber::Target>& targets = link.prober.targets();
  const PathProber::Target* in_use = link.prober.find(current_path_of(link));
  std::vector<PathCandidate> paths;
  const auto is_overloaded = [this](const NetworkPath& path) {
    return std::ranges::find(overloaded_paths_, path) != overloaded_paths_.end();
  };
  for (const PathProber::Target& target : targets) {
    const bool answers = target.rtt && target.unanswered <= 1;
    paths.push_back({.relayed = link.counts_as_relayed(target.path, peer->second.policy),
                     .rtt = target.rtt,
                     .usable = answers && now >= target.held_until,
                     .tunnelled = is_tunnelled(target.path),
                     .overloaded = is_overloaded(target.path)});
    if (&target == in_use && !target.rtt && info.least_rtt > Duration::zero()) {
      paths.back().rtt = info.least_rtt;
    }
  }
  if (in_use == nullptr) return;
  const auto current = static_cast<std::size_t>(in_use - targets.data());
  const std::size_t chosen = select_path(paths, current, peer->second.policy);
  if (chosen == current) return;
  MoveRule rule = MoveRule::cheaper;
  if (paths[current].overloaded) rule = MoveRule::overload;
  if (!path_allowed(paths[current], peer->second.policy)) rule = MoveRule::policy;
  migrate_link(now, link, targets[chosen].path, false,
               {rule, path_cost(paths[current]), path_cost(paths[chosen])});
}

void Connectivity::note_forwarded(const NodeId& peer, std::span<const NetworkPath> paths) {
  Link* link = active_link(peer);
  if (link == nullptr) return;
  for (const NetworkPath& path : paths)
    link->prober.note_forwarded(path);
}

void Connectivity::set_overloaded_paths(Instant now, std::vector<NetworkPath> paths) {
  overloaded_paths_ = std::move(paths);
  for (const auto& link : links_) {
    if (link != nullptr) choose_path(now, *link);
  }
}

bool Connectivity::migrate_link(Instant now, Link& link, const NetworkPath& path, bool immediately,
                                const MoveReason& why) {
  const PathTable::Entry entry = link.table.renew(now, path);
  if (!quic_->migrate(now, link.handle, entry.label, immediately)) {
    link.table.forget(entry.label);  // what arrives there must not be given a label unknown to QUIC
    return false;
  }
  link.moving_to = path;  // the events are taken later: one of them may end the link
  link.moving_because = why;
  return true;
}

void Connectivity::on_path_switched(Instant now, Link& link, const PathSwitched& event) {
  const PathTable::Entry* from = link.table.find(event.from);
  const PathTable::Entry* to = link.table.find(event.to);
  if (to == nullptr) return link.moving_to.reset();
  const NetworkPath from_path = from == nullptr ? NetworkPath{} : from->path;
  const NetworkPath to_path = to->path;
  link.table.set_current(event.to);
  link.moving_to.reset();
  MoveReason why = std::exchange(link.moving_because, {});
  if (link.hint && link.hint->path == to_path) {
    why.rule = link.silent_since ? MoveRule::rescue : MoveRule::hint;  // the dialler did as told
  }
  if (from_path == to_path) return;  // a restart of the same path (restart_silent_path)
  add_target(now, link, to_path);
  link.prober.set_current(to_path);
  link.prober.relax();
  link.hint.reset();
  link.watch.switched(now, quic_->path_info(link.handle).bytes_in_flight > 0);
  note_remote(link, to_path.remote);

  Duration stall{};
  if (link.silent_since) stall = now - *link.silent_since;
  link.silent_since.reset();
  const PathProber::Target* target = link.prober.find(to_path);
  const Duration rtt = target != nullptr && target->rtt ? *target->rtt : Duration::zero();
  if (quic_->alive(link.handle) && link.peer) {
    PeerPathChanged changed{*link.peer, from_path, to_path, rtt, stall};
    changed.why = why;
    events_.push_back(std::move(changed));
    // Not by an answer of long ago, from where the peer may have been then.
    const bool proved = target != nullptr && target->rtt && target->unanswered == 0 &&
                        now - target->heard_at < proof_age_max;
    if (proved && !link.dialler) events_.push_back(PeerPathProved{link.handle, to_path});
  }
  arm(now, link);
}

// The acceptor's NAT has rebound: its packets come from another port, which QUIC on
// the dialling side ignores for ever. The same IP may prove itself by answering a probe; one small
// probe for a packet that came, so never more bytes out than in.
void Connectivity::probe_rebound_acceptor(Instant now, Link& link, const NetworkPath& path) {
  const NetworkPath current = current_path_of(link);
  if (!link.confirmed || path.socket != current.socket || path.remote.ip != current.remote.ip) {
    return;
  }
  if (link.rebound && link.rebound->path == path && now - link.rebound->asked_at < 100ms) return;
  link.rebound = Link::Rebound{path, secure_rng_.next_u64() | 1, now};
  send_frame(link, path, ProbeFrameType::request, link.rebound->nonce, 0);
}

void Connectivity::on_rebound_answer(Instant now, Link& link, const NetworkPath& path,
                                     std::uint64_t nonce) {
  if (!link.rebound || link.rebound->path != path || link.rebound->nonce != nonce) return;
  link.rebound.reset();
  const NetworkPath old = current_path_of(link);
  link.table.repoint(old, path);
  link.prober.remove(old);
  add_target(now, link, path);
  link.prober.set_current(path);
  note_remote(link, path.remote);
  PeerPathChanged changed{*link.peer, old, path, {}, {}};
  changed.why.rule = MoveRule::rebound;
  events_.push_back(std::move(changed));
}

void Connectivity::arm(Instant now, Link& link) {
  Instant deadline = link.prober.deadline();
  const Duration pto = quic_->path_info(link.handle).probe_timeout;
  const Instant payload_since = quic_->unacknowledged_since(link.handle);
  for (const Instant watch :
       {link.watch.deadline(now, pto), link.watch.payload_deadline(now, pto, payload_since)}) {
    // Dead, and nothing answered yet: the probes' own deadlines drive the search on.
    if (watch > now) deadline = std::min(deadline, watch);
  }
  if (link.hint) deadline = std::min(deadline, link.hint->due);
  if (!link.confirmed) deadline = never;
  // An armed deadline that is too early does no harm; moving it for each packet would cost.
  if (deadline >= link.armed) return;
  link.armed = deadline;
  link_timers_.set(static_cast<std::uint32_t>(std::to_underlying(link.handle)), deadline);
}

Result<void> Connectivity::move(Instant now, const NodeId& peer, const NetworkPath& path) {
  Link* link = active_link(peer);
  if (link == nullptr) return failure(PathErrc::not_connected);
  if (!link->dialler) return failure(QuicErrc::only_dialler_migrates);
  const PathProber::Target* target = link->prober.find(path);
  if (target == nullptr) return failure(PathErrc::unknown_path);
  if (!target->rtt) return failure(PathErrc::path_does_not_answer);
  // Under way, or there already: a second move would only use up connection ids.
  if (link->moving_to == target->path) return {};
  if (link->prober.find(current_path_of(*link)) == target) return {};
  if (!migrate_link(now, *link, target->path, false, {MoveRule::asked})) {
    return failure(QuicErrc::migration_not_possible_yet);
  }
  return {};
}

Result<void> Connectivity::suggest(Instant now, const NodeId& peer, const NetworkPath& path) {
  Link* link = active_link(peer);
  if (link == nullptr) return failure(PathErrc::not_connected);
  const PathProber::Target* target = link->prober.find(path);
  if (target == nullptr) return failure(PathErrc::unknown_path);
  start_hint(now, *link, target->path, hints_max);
  if (target->far_nonce != 0) send_control(*link, HintMessage{target->far_nonce});
  watch_link(now, *link);
  arm(now, *link);
  return {};
}

Result<void> Connectivity::update_key(Instant now, const NodeId& peer) {
  Link* link = active_link(peer);
  if (link == nullptr) return failure(PathErrc::not_connected);
  return quic_->update_key(now, link->handle);
}

std::vector<PathReport> Connectivity::paths(const NodeId& peer) const {
  std::vector<PathReport> out;
  const Link* link = active_link(peer);
  if (link == nullptr) return out;
  const NetworkPath current = current_path_of(*link);
  const PathProber::Target* in_use = link->prober.find(current);
  const auto add = [&](PathReport report, const PathProber::Target* target) {
    if (target != nullptr) {
      report.probes_sent = target->sent_lately();
      report.probes_answered = target->answered_lately();
      if (!report.current) report.state = state_of(*target);
      report.held_until = target->held_until;
    }
    const PathTable::Traffic traffic = link->table.traffic_on(report.path);
    report.bytes_sent = traffic.sent;
    report.bytes_received = traffic.received;
    out.push_back(report);
  };
  const QuicPathInfo info = quic_->path_info(link->handle);
  add({current, true, info.smoothed_rtt, info.max_payload_bytes}, in_use);
  for (const PathProber::Target& target : link->prober.targets()) {
    if (&target != in_use) add({target.path, false, target.rtt, 0}, &target);
  }
  return out;
}

std::optional<NetworkPath> Connectivity::current_path(const NodeId& peer) const {
  const Link* link = active_link(peer);
  if (link == nullptr) return std::nullopt;
  return current_path_of(*link);
}

PathPolicy Connectivity::policy(const NodeId& peer) const {
  const auto found = peers_.find(peer);
  return found == peers_.end() ? PathPolicy::any : found->second.policy;
}

void Connectivity::forget_socket(SocketId socket) {
  for (const auto& link : links_) {
    if (link != nullptr) link->prober.remove_socket(socket);
  }
}

bool Connectivity::dialled(const NodeId& peer) const {
  const Link* link = active_link(peer);
  return link != nullptr && link->dialler;
}

QuicPathInfo Connectivity::path_info(const NodeId& peer) const {
  const Link* link = active_link(peer);
  return link == nullptr ? QuicPathInfo{} : quic_->path_info(link->handle);
}

std::size_t Connectivity::unacknowledged_bytes(const NodeId& peer) const {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return 0;
  std::size_t total = 0;
  for (const ConnectionHandle handle : found->second.links) {
    total += quic_->unacknowledged_bytes(handle);
  }
  return total;
}

}  // namespace quicmesh
