#include "path/connectivity.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "base/byte_reader.hpp"
#include "path/path_errc.hpp"

namespace quicmesh {
namespace {

constexpr std::uint8_t quic_bit = 0x40;  // set in every QUIC v1 packet (RFC 9000 s17)

std::size_t slot_of(ConnectionHandle handle) {
  return static_cast<std::uint32_t>(std::to_underlying(handle));
}

}  // namespace

Result<std::unique_ptr<Connectivity>> Connectivity::create(QuicConfig config,
                                                           const Keypair& identity,
                                                           SecureRng& secure_rng, Rng rng) {
  auto quic = QuicEndpoint::create(std::move(config), identity, secure_rng);
  if (!quic) return failure(quic.error());
  return std::make_unique<Connectivity>(std::move(*quic), identity.node_id(), secure_rng, rng);
}

Connectivity::Connectivity(std::unique_ptr<QuicEndpoint> quic, NodeId self, SecureRng& secure_rng,
                           Rng rng)
    : quic_(std::move(quic)), self_(self), secure_rng_(secure_rng), rng_(rng) {
  secure_rng_.fill(punch_key_);
}

Connectivity::~Connectivity() = default;

void Connectivity::handle_datagram(Instant now, const NetworkPath& path, Ecn ecn,
                                   MutableByteView datagram) {
  if (datagram.empty()) return;
  if ((datagram[0] & quic_bit) != 0) {
    handle_quic(now, path, ecn, datagram);
  } else if (is_probe_frame_type(datagram[0])) {
    handle_frame(now, path, datagram);
  } else {
    ++counters_.datagrams_unknown;
  }
}

void Connectivity::handle_quic(Instant now, const NetworkPath& path, Ecn ecn, ByteView datagram) {
  const QuicRoute route = quic_->route(datagram);
  if (route.kind == QuicRoute::Kind::connection) {
    Link* link = find_link(route.connection);
    if (link == nullptr) return;
    std::optional<PathLabel> label;
    if (link->dialler) {
      label = link->table.known_arrival(now, path);
    } else {
      label = link->table.label_of_arrival(now, path);
    }
    if (!label) {
      ++counters_.arrivals_unexpected;
      return probe_rebound_acceptor(now, *link, path);
    }
    link->table.count_received(*label, datagram.size());
    const std::uint64_t before = quic_->payload_received(link->handle);
    quic_->handle_datagram(now, link->handle, *label, ecn, datagram);
    if (*label == quic_->current_label(link->handle)) {
      const bool with_data = quic_->payload_received(link->handle) != before;
      const bool in_flight = quic_->path_info(link->handle).bytes_in_flight > 0;
      link->watch.heard(now, in_flight, with_data);
      arm(now, *link);
    }
    return;
  }
  if (route.kind == QuicRoute::Kind::initial) {
    PathTable table;
    const PathLabel label = table.label_of_arrival(now, path);
    const auto handle = quic_->accept(now, label, ecn, datagram);
    if (!handle) return;
    Link& link = add_link(*handle);
    link.table = std::move(table);
    link.table.set_current(label);
    link.table.count_received(label, datagram.size());
    note_remote(link, path.remote);
    return;
  }
  if (route.kind == QuicRoute::Kind::drop) return;
  // Late packets of an id just retired must never reset the connection that lives on.
  if (route.kind == QuicRoute::Kind::unknown && remotes_.contains(path.remote)) return;
  std::array<std::uint8_t, 1500> answer;
  const std::size_t size = quic_->stateless_answer(now, datagram, answer);
  if (size > 0) send_small(path, ByteView(answer).first(size));
}

void Connectivity::send_small(const NetworkPath& path, ByteView bytes, std::uint8_t hop_limit) {
  if (small_answers_.size() >= small_answers_max) {
    ++counters_.answers_dropped;
    return;
  }
  small_answers_.push_back({path, to_bytes(bytes), hop_limit});
}

void Connectivity::handle_timeout(Instant now) {
  quic_->handle_timeout(now);
  pump(now);
  while (const auto due = link_timers_.pop_due(now)) {
    Link* link = links_[due->handle].get();
    if (link == nullptr) continue;
    link->armed = never;
    watch_link(now, *link);
    arm(now, *link);
  }
  const std::vector<NodeId> dialling(dialling_.begin(), dialling_.end());
  for (const NodeId& id : dialling) {
    Peer& peer = peers_.at(id);
    if (peer.dial && peer.dial->due <= now) try_next_candidate(now, id, peer);
  }
}

std::optional<Transmit> Connectivity::poll_transmit(Instant now, MutableByteView buffer) {
  pump(now);
  if (!small_answers_.empty()) {
    const SmallAnswer answer = std::move(small_answers_.front());
    small_answers_.pop_front();
    std::ranges::copy(answer.bytes, buffer.begin());
    return Transmit{answer.path, answer.bytes.size(), answer.bytes.size(), Ecn::not_ect,
                    answer.hop_limit};
  }
  while (const auto train = quic_->poll_transmit(now, buffer)) {
    Link* link = find_link(train->connection);
    if (link == nullptr) continue;
    PathTable::Entry* entry = link->table.find(train->label);
    if (entry == nullptr) continue;  // evicted: an unvalidated path nobody used for longest
    const NetworkPath path = entry->path;
    entry->traffic.sent += train->size;
    link->watch.sent(now, quic_->path_info(link->handle).bytes_in_flight > 0);
    arm(now, *link);
    return Transmit{path, train->size, train->segment_size, train->ecn};
  }
  pump(now);
  if (!small_answers_.empty()) return poll_transmit(now, buffer);
  return std::nullopt;
}

std::optional<PathEvent> Connectivity::poll_event() {
  if (events_.empty()) return std::nullopt;
  PathEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

Instant Connectivity::poll_timeout() const {
  Instant earliest = std::min(quic_->poll_timeout(), link_timers_.earliest());
  for (const NodeId& id : dialling_)
    earliest = std::min(earliest, peers_.at(id).dial->due);
  return earliest;
}

void Connectivity::pump(Instant now) {
  while (auto event = quic_->poll_event())
    handle_event(now, *event);
}

void Connectivity::handle_event(Instant now, QuicEvent& event) {
  if (auto* closed = std::get_if<ConnectionClosed>(&event)) return on_closed(now, *closed);
  const ConnectionHandle handle = std::visit([](const auto& any) { return any.connection; }, event);
  Link* link = find_link(handle);
  if (link == nullptr) return;
  if (const auto* confirmed = std::get_if<ConnectionConfirmed>(&event)) {
    on_confirmed(now, *link, confirmed->peer);
  } else if (std::holds_alternative<HandshakeCompleted>(event)) {
    on_proved(*link);
  } else if (const auto* opened = std::get_if<StreamOpened>(&event)) {
    link->unnamed.emplace(opened->stream, Bytes{});
  } else if (const auto* readable = std::get_if<StreamReadable>(&event)) {
    on_stream_readable(now, *link, readable->stream);
  } else if (const auto* writable = std::get_if<StreamWritable>(&event)) {
    events_.push_back(PeerStreamWritable{{handle, writable->stream}});
  } else if (std::holds_alternative<StreamsAvailable>(event)) {
    events_.push_back(PeerStreamsAvailable{*link->peer});
  } else if (const auto* reset = std::get_if<StreamReset>(&event)) {
    if (link->streams.contains(reset->stream)) {
      events_.push_back(PeerStreamReset{{handle, reset->stream}, reset->code});
    } else if (link->unnamed.erase(reset->stream) > 0) {
      // The application never hears of it, so our half would stay open for ever.
      (void)quic_->reset_stream(handle, reset->stream, CloseCode::cancelled);
    }
  } else if (const auto* stopped = std::get_if<StreamStopped>(&event)) {
    if (link->streams.contains(stopped->stream)) {
      events_.push_back(PeerStreamStopped{{handle, stopped->stream}});
    }
  } else if (const auto* finished = std::get_if<StreamFinished>(&event)) {
    on_stream_over(now, *link, finished->stream);
  } else if (const auto* datagram = std::get_if<DatagramReceived>(&event)) {
    on_datagram(*link, datagram->data);
  } else if (const auto* switched = std::get_if<PathSwitched>(&event)) {
    on_path_switched(now, *link, *switched);
  } else if (const auto* failed = std::get_if<PathValidationFailed>(&event)) {
    const PathTable::Entry* entry = link->table.find(failed->label);
    if (entry != nullptr) {
      link->prober.hold_down(now, entry->path);
      events_.push_back(PeerPathRefused{*link->peer, entry->path});
    }
    if (entry == nullptr || link->moving_to == entry->path) {
      link->moving_to.reset();
      link->moving_because = {};
    }
    link->table.forget(failed->label);
  }
}

Link& Connectivity::add_link(ConnectionHandle handle) {
  if (slot_of(handle) >= links_.size()) links_.resize(slot_of(handle) + 1);
  auto& place = links_[slot_of(handle)];
  place = std::make_unique<Link>(handle, Rng(rng_.next()));
  place->dialler = quic_->is_dialler(handle);
  return *place;
}

Link* Connectivity::find_link(ConnectionHandle handle) const {
  if (slot_of(handle) >= links_.size()) return nullptr;
  Link* link = links_[slot_of(handle)].get();
  return link != nullptr && link->handle == handle ? link : nullptr;
}

Link* Connectivity::active_link(const NodeId& id) const {
  const auto peer = peers_.find(id);
  if (peer == peers_.end() || !peer->second.active) return nullptr;
  return find_link(*peer->second.active);
}

/// The dialler has seen the peer's certificate, and the peer will see ours before anything of what
/// we send now (RFC 9001 s5.7).
void Connectivity::on_proved(Link& link) {
  link.proved = true;
  tell_candidates(link);  // the peer's probes then open its NAT a round trip earlier
  if (active_link(*link.peer) != nullptr) return;
  events_.push_back(PeerProved{.peer = *link.peer,
                               .path = current_path_of(link),
                               .rtt = quic_->path_info(link.handle).smoothed_rtt});
}

Link* Connectivity::proved_link(const NodeId& id) const {
  const auto peer = peers_.find(id);
  if (peer == peers_.end()) return nullptr;
  for (const ConnectionHandle handle : peer->second.links) {
    Link* link = find_link(handle);
    if (link != nullptr && link->proved && !link->retiring_here && !link->retiring_there) {
      return link;
    }
  }
  return nullptr;
}

void Connectivity::on_confirmed(Instant now, Link& link, const NodeId& id) {
  link.confirmed = true;
  link.peer = id;
  std::array<std::uint8_t, 48> secret;
  // Cannot fail: the handshake is complete.
  const auto exported =
      quic_->export_secret(link.handle, "EXPORTER-quicmesh path probes 1", secret);
  QM_ASSERT(exported.has_value());
  std::copy_n(secret.begin(), link.probe_key.size(), link.probe_key.begin());
  ByteReader reader(ByteView(secret).subspan(link.probe_key.size()));
  const LinkTag dialler_tag{reader.u64()};
  const LinkTag acceptor_tag{reader.u64()};
  link.tag_here = link.dialler ? dialler_tag : acceptor_tag;
  link.tag_there = link.dialler ? acceptor_tag : dialler_tag;
  tags_[link.tag_here] = link.handle;

  const PathLabel label = quic_->current_label(link.handle);
  link.table.set_current(label);
  link.confirmed_on = current_path_of(link);
  link.prober.set_current(link.confirmed_on);
  add_target(now, link, link.confirmed_on);

  Peer& peer = peers_[id];
  if (!link.dialler) peer.links.push_back(link.handle);
  if (peer.links.size() > links_per_peer_max) {
    quic_->close(now, peer.links.front(), CloseCode::duplicate_connection,
                 "too many connections between two nodes");
  }
  if (link.dialler && peer.dial) {
    for (const NetworkPath& candidate : peer.dial->candidates)
      add_target(now, link, candidate);
    cancel_other_attempts(now, peer, link);
    peer.dial.reset();
    dialling_.erase(id);
  }
  choose_link(now, id, peer);
  tell_candidates(link);
  arm(now, link);
}

void Connectivity::tell_candidates(Link& link) {
  if (link.candidates_told || candidates_.candidates.empty()) return;
  if (policy_of(link) == PathPolicy::relay_only) return;
  link.candidates_told = true;
  send_control(link, candidates_);
}

void Connectivity::set_candidates(CandidatesMessage candidates, bool again) {
  if (candidates == candidates_ && (!again || candidates.candidates.empty())) return;
  candidates_ = std::move(candidates);
  for (const auto& link : links_) {
    if (link == nullptr) continue;
    link->candidates_told = link->confirmed;  // or else it is told again when it is
    if (!link->confirmed || policy_of(*link) == PathPolicy::relay_only) continue;
    send_control(*link, candidates_);
  }
}

void Connectivity::remove_path(const NodeId& peer, const NetworkPath& path) {
  Link* link = active_link(peer);
  if (link != nullptr && current_path_of(*link) != path) link->prober.remove(path);
}

bool Connectivity::is_relayed_for(const NodeId& peer, const NetworkPath& path) const {
  const Link* link = active_link(peer);
  return link != nullptr && !is_relayed(path) && link->is_over_relay(path);
}

std::optional<NetworkPath> Connectivity::proved_path(ConnectionHandle connection) const {
  const Link* link = find_link(connection);
  if (link == nullptr || !link->confirmed) return std::nullopt;
  return link->confirmed_on;
}

void Connectivity::add_paths(Instant now, const NodeId& peer, std::span<const NetworkPath> paths) {
  Link* link = active_link(peer);
  if (link == nullptr) return;
  for (const NetworkPath& path : paths) {
    if (!allows(*link, path)) continue;
    if (const PathProber::Target* known = link->prober.find(path)) {
      // Told again, perhaps because the far end's network has changed: it gets another chance.
      if (known->unanswered < PathProber::tries_max) continue;
      if (is_relayed(path) || link->allowance.take(now)) link->prober.retry(now, path);
      continue;
    }
    if (!is_relayed(path) && !link->allowance.take(now)) {
      ++counters_.paths_refused;
      continue;
    }
    add_target(now, *link, path);
  }
  watch_link(now, *link);
  arm(now, *link);
}

void Connectivity::on_closed(Instant now, ConnectionClosed& closed) {
  Link* link = find_link(closed.connection);
  if (link == nullptr) return;
  if (!closed.last_packet.empty()) {
    const PathTable::Entry* entry = link->table.find(closed.label);
    if (entry != nullptr) send_small(entry->path, closed.last_packet);
  }
  if (!link->confirmed && !link->dialler) {
    const NetworkPath path = current_path_of(*link);
    events_.push_back(HandshakeRefused{path, closed.error, std::move(closed.reason)});
    return remove_link(*link);
  }
  const NodeId id = *link->peer;
  Peer& peer = peers_.at(id);
  std::erase(peer.links, link->handle);
  for (const StreamId stream : link->streams) {
    events_.push_back(PeerStreamLost{{link->handle, stream}, closed.error});
  }
  const bool was_active = peer.active == link->handle;
  remove_link(*link);
  if (was_active) {
    peer.active.reset();
    choose_link(now, id, peer);
    if (!peer.active) {
      events_.push_back(PeerDisconnected{id, closed.error, std::move(closed.reason)});
    }
  } else if (peer.dial) {
    on_attempt_failed(now, id, closed);
  }
  if (peer.links.empty() && !peer.dial) peers_.erase(id);
}

void Connectivity::remove_link(Link& link) {
  if (link.confirmed) tags_.erase(link.tag_here);
  note_remote(link, std::nullopt);
  link_timers_.erase(static_cast<TimerHeap::Handle>(slot_of(link.handle)));
  links_[slot_of(link.handle)].reset();
}

void Connectivity::note_remote(Link& link, std::optional<SocketAddress> remote) {
  if (remote) ++remotes_[*remote];
  const auto former = link.remote ? remotes_.find(*link.remote) : remotes_.end();
  if (former != remotes_.end() && --former->second == 0) remotes_.erase(former);
  link.remote = remote;
}

bool Connectivity::connected(const NodeId& peer) const {
  return active_link(peer) != nullptr;
}

void Connectivity::disconnect(Instant now, const NodeId& id, CloseCode code,
                              std::string_view reason) {
  const auto peer = peers_.find(id);
  if (peer == peers_.end()) return;
  peer->second.dial.reset();
  dialling_.erase(id);
  const std::vector<ConnectionHandle> links = peer->second.links;
  for (const ConnectionHandle handle : links)
    quic_->close(now, handle, code, reason);
  if (links.empty()) peers_.erase(peer);
  pump(now);
}

void Connectivity::disconnect_all(Instant now, CloseCode code, std::string_view reason,
                                  std::span<const NodeId> last) {
  std::vector<NodeId> all;
  for (const auto& [id, peer] : peers_)
    all.push_back(id);
  std::ranges::sort(all, {}, [&](const NodeId& id) {
    return std::pair(std::ranges::find(last, id) != last.end(), id);
  });
  for (const NodeId& id : all)
    disconnect(now, id, code, reason);
}

std::vector<NodeId> Connectivity::peers() const {
  std::vector<NodeId> out;
  for (const auto& [id, peer] : peers_) {
    if (peer.active) out.push_back(id);
  }
  std::ranges::sort(out);
  return out;
}

}  // namespace quicmesh
