// Dialling, and two connections where one is enough: see the head of connectivity.hpp.
#include <algorithm>
#include <utility>

#include "path/connectivity.hpp"
#include "path/path_errc.hpp"

namespace quicmesh {
namespace {

// A definite answer tells more than silence.
int rank(const std::error_code& error) {
  if (!error) return 0;
  if (error == QuicErrc::handshake_timeout) return 1;
  return error == QuicErrc::wrong_peer ? 3 : 2;
}

}  // namespace

Result<void> Connectivity::connect(Instant now, const NodeId& id,
                                   std::span<const NetworkPath> offered, PathPolicy policy) {
  if (id == self_) return failure(PathErrc::dialled_oneself);
  std::vector<NetworkPath> candidates;
  std::ranges::copy_if(offered, std::back_inserter(candidates), [&](const NetworkPath& path) {
    return path_allowed({.relayed = is_relayed(path)}, policy);
  });
  if (Link* link = active_link(id)) {
    peers_.at(id).policy = policy;
    if (link->dialler) {
      for (const NetworkPath& path : candidates)
        add_target(now, *link, path);
      choose_path(now, *link);
      arm(now, *link);
    }
    return failure(PathErrc::already_connected);
  }
  if (candidates.empty() && !dialling_.contains(id)) return failure(PathErrc::no_candidates);
  Peer& peer = peers_[id];
  peer.policy = policy;
  const bool dialling = peer.dial.has_value();
  if (!dialling) peer.dial = Dial{};
  dialling_.insert(id);
  for (const NetworkPath& path : candidates) {
    auto& known = peer.dial->candidates;
    if (known.size() < candidates_max && std::ranges::find(known, path) == known.end())
      known.push_back(path);
  }
  if (dialling) {
    // Those known before were all tried: the new one need not wait until they have failed.
    if (peer.dial->due == never && peer.dial->next < peer.dial->candidates.size()) {
      peer.dial->due = now;
    }
    return failure(PathErrc::already_connected);
  }
  try_next_candidate(now, id, peer);
  return {};
}

void Connectivity::try_next_candidate(Instant now, const NodeId& id, Peer& peer) {
  Dial& dial = *peer.dial;
  while (dial.next < dial.candidates.size()) {
    const NetworkPath path = dial.candidates[dial.next++];
    PathTable table;
    const PathLabel label = table.label_for(now, path);
    const auto handle = quic_->dial(now, label, id);
    if (!handle) {
      dial.error = handle.error();
      continue;
    }
    Link& link = add_link(*handle);
    link.peer = id;
    link.table = std::move(table);
    link.table.set_current(label);
    note_remote(link, path.remote);
    peer.links.push_back(*handle);
    dial.due = dial.next < dial.candidates.size() ? now + attempt_delay : never;
    return;
  }
  dial.due = never;
  const bool attempts_left = std::ranges::any_of(peer.links, [&](ConnectionHandle handle) {
    const Link* link = find_link(handle);
    return link != nullptr && link->dialler && !link->confirmed;
  });
  if (attempts_left) return;
  const std::error_code error = dial.error;
  std::string reason = std::move(dial.reason);
  peer.dial.reset();
  dialling_.erase(id);
  if (!peer.active) events_.push_back(PeerUnreachable{id, error, std::move(reason)});
}

void Connectivity::on_attempt_failed(Instant now, const NodeId& id,
                                     const ConnectionClosed& closed) {
  Peer& peer = peers_.at(id);
  if (rank(closed.error) >= rank(peer.dial->error)) {
    peer.dial->error = closed.error;
    peer.dial->reason = closed.reason;
  }
  try_next_candidate(now, id, peer);
}

void Connectivity::cancel_other_attempts(Instant now, Peer& peer, const Link& winner) {
  for (const ConnectionHandle handle : std::vector(peer.links)) {
    const Link* link = find_link(handle);
    if (link == nullptr || handle == winner.handle || !link->dialler || link->confirmed) continue;
    // Once our side is complete the acceptor may have begun to use it: then it retires in order.
    if (quic_->handshake_completed(handle)) continue;
    quic_->close(now, handle, CloseCode::duplicate_connection, "another address answered first");
  }
}

bool Connectivity::preferred(const Link& a, const Link& b) const {
  // The dialler with the lower NodeId wins: both sides know that without asking.
  if (a.dialler != b.dialler) return a.dialler == (self_ < *a.peer);
  return a.handle > b.handle;  // the newer: the same node dials twice only when it was restarted
}

void Connectivity::choose_link(Instant now, const NodeId& id, Peer& peer) {
  Link* best = nullptr;
  for (const ConnectionHandle handle : peer.links) {
    Link* link = find_link(handle);
    if (link == nullptr || !link->confirmed || link->retiring_there) continue;
    if (best == nullptr || preferred(*link, *best)) best = link;
  }
  if (best == nullptr) return;
  const bool first = !peer.active;
  peer.active = best->handle;
  if (first) events_.push_back(PeerConnected{id, current_path_of(*best), best->dialler});
  for (const ConnectionHandle handle : std::vector(peer.links)) {
    Link* link = find_link(handle);
    if (link == nullptr || link == best || !link->confirmed) continue;
    // Of two links of one dialler only the dialler may drop one: the acceptor may see another
    // order.
    if (link->dialler == best->dialler && !link->dialler && !link->retiring_there) continue;
    link->retiring_here = true;
    advance_retirement(now, *link);
  }
}

void Connectivity::advance_retirement(Instant now, Link& link) {
  if (!link.retiring_here || !link.streams.empty() || !link.unnamed.empty()) return;
  if (!link.drained_sent) {
    link.drained_sent = true;
    send_control(link, RetireMessage{});
  }
  const bool ours_to_close = self_ < *link.peer;
  if (link.retiring_there && ours_to_close) {
    quic_->close(now, link.handle, CloseCode::duplicate_connection, "the other connection is kept");
  }
}

}  // namespace quicmesh
