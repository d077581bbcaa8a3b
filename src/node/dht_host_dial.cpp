// Where peers are, and dialling them by NodeId alone; see dht_host.hpp.
//
// A dial begins with all that is known: the peer's record, if one is at hand, and the relays in
// common. When nothing of that has reached the peer, or there was no record, the DHT is asked; what
// it says is tried if it is new. A peer that keeps to a relay which this node does not know is met
// there: the relay is taken on for that, and has `relay_patience` to come up.
#include <algorithm>
#include <map>
#include <utility>

#include "node/candidate_filter.hpp"
#include "node/dht_host.hpp"
#include "path/path_errc.hpp"
#include "relay/relay_errc.hpp"

namespace quicmesh {
namespace {

constexpr std::uint16_t relay_port = 443;

}  // namespace

bool may_dial(const SocketAddress& address) {
  return address.port >= system_ports_end || address.port == relay_port;
}

std::optional<DhtHost::Whereabouts> DhtHost::whereabouts(Instant now, const NodeCore& node,
                                                         const NodeId& peer) const {
  const PeerHandle handle = book_.find(peer);
  if (handle == no_peer || book_.record(handle).empty()) return std::nullopt;
  const auto record =
      verify_endpoint_record(book_.record(handle), peer, node.wall_time(now), node.address_rules());
  if (!record) return std::nullopt;  // it has expired
  return Whereabouts{record->stamp.sequence, record->candidates, record->relays};
}

std::vector<NetworkPath> DhtHost::paths_to_peer(Instant now, const NodeCore& node,
                                                const NodeId& peer) const {
  std::vector<SocketAddress> addresses;
  for (const DhtContact& contact : config_.bootstrap) {
    if (contact.id != peer) continue;
    addresses.insert(addresses.end(), contact.addresses.begin(), contact.addresses.end());
  }
  if (const auto where = whereabouts(now, node, peer)) {
    std::map<IpAddress, int> ports;
    std::ranges::copy_if(where->addresses, std::back_inserter(addresses),
                         [&](const SocketAddress& one) {
                           return may_dial(one) && ports[one.ip]++ < ports_of_a_host_max;
                         });
  }
  std::vector<NetworkPath> paths;
  for (const SocketAddress& address : addresses) {
    const bool own = std::ranges::any_of(
        node.endpoints(), [&](const LocalEndpoint& one) { return one.address == address; });
    if (own) continue;
    for (const NetworkPath& path : paths_to(address, node.endpoints())) {
      if (std::ranges::find(paths, path) == paths.end()) paths.push_back(path);
    }
  }
  paths.resize(std::min(paths.size(), Connectivity::candidates_max));
  return paths;
}

// Resolving.

Result<DhtTicket> DhtHost::resolve(Instant now, const NodeCore& node, const NodeId& target) {
  const DhtTicket ticket = ++last_ticket_;
  dirty_ = true;
  if (target == self_id_) {
    ResolvedNode own{.node = target, .found = true};
    for (const Candidate& candidate : node.own_candidates().candidates)
      own.addresses.push_back(candidate.address);
    own.sequence = own_.sequence();
    own.figures.complete = true;
    news_.emplace_back(DhtOutcome{ticket, std::move(own)});
    return ticket;
  }
  if (const auto known = whereabouts(now, node, target)) {
    end_resolve(now, node, {.ticket = ticket, .target = target}, known, {.complete = true});
    return ticket;
  }
  if (const auto begun = begin_resolve(now, ticket, target, 0); !begun) {
    return failure(begun.error());
  }
  return ticket;
}

Result<void> DhtHost::begin_resolve(Instant now, DhtTicket ticket, const NodeId& target,
                                    std::uint64_t known) {
  if (resolves_.size() >= resolves_max) return failure(DhtErrc::too_many_queries);
  dirty_ = true;
  if (core_.table().contacts().empty() && !config_.bootstrap.empty()) {
    resolves_.push_back({ticket, target, dht::no_query, now, known, now + join_patience});
    return {};
  }
  const auto query = ask_for(now, target, known);
  if (!query) return failure(query.error());
  resolves_.push_back({ticket, target, *query, now, known, never});
  return {};
}

// With a record at hand, which was of no use, only the node's own word ends the lookup.
Result<dht::QueryId> DhtHost::ask_for(Instant now, const NodeId& target, std::uint64_t known) {
  if (known == 0) return core_.resolve(now, target);
  return core_.find_node(now, DhtKey::of(target), {.until_found = true});
}

void DhtHost::start_waiting_resolves(Instant now, const NodeCore& node) {
  const bool joined = !core_.table().contacts().empty();
  for (std::size_t i = 0; i < resolves_.size();) {
    Resolve& resolve = resolves_[i];
    if (resolve.waits_until == never || (!joined && now < resolve.waits_until)) {
      ++i;
      continue;
    }
    resolve.waits_until = never;
    const auto query = ask_for(now, resolve.target, resolve.known);
    if (query) {
      resolve.query = *query;
      ++i;
      continue;
    }
    const Resolve ended = resolve;
    resolves_.erase(resolves_.begin() + static_cast<std::ptrdiff_t>(i));
    end_resolve(now, node, ended, std::nullopt, {.took = now - ended.began});
  }
}

// A newer record comes with the answer that names the peer, before the lookup has come to its end.
void DhtHost::check_resolves(Instant now, const NodeCore& node) {
  for (std::size_t i = 0; i < resolves_.size();) {
    const Resolve resolve = resolves_[i];
    // The signature is checked again only if there is another record.
    const PeerHandle peer = resolve.known == 0 ? no_peer : book_.find(resolve.target);
    const bool held = peer != no_peer && !book_.record(peer).empty();
    const auto stamp = peek_endpoint_stamp(held ? book_.record(peer) : ByteView());
    const bool newer = stamp && stamp->sequence != resolve.known;
    const auto found = newer ? whereabouts(now, node, resolve.target) : std::nullopt;
    if (!found) {
      ++i;
      continue;
    }
    resolves_.erase(resolves_.begin() + static_cast<std::ptrdiff_t>(i));
    end_resolve(now, node, resolve, found, {.took = now - resolve.began, .complete = true});
  }
}

std::vector<NodeAddress> DhtHost::addresses_of(const std::vector<RelayEndpoint>& relays) {
  std::vector<NodeAddress> addresses;
  for (const RelayEndpoint& relay : relays) {
    NodeAddress address;
    address.id = relay.id;
    for (const SocketAddress& one : relay.addresses)
      address.addresses.push_back({one.ip.to_string(), one.port});
    addresses.push_back(std::move(address));
  }
  return addresses;
}

void DhtHost::end_resolve(Instant /*now*/, const NodeCore& /*node*/, const Resolve& resolve,
                          const std::optional<Whereabouts>& found, LookupFigures figures) {
  dirty_ = true;
  if (resolve.ticket == 0) {
    if (Dial* dial = find_dial(resolve.target)) dial->resolving = false;  // advance_dials goes on
    return;
  }
  ResolvedNode resolved{.node = resolve.target, .found = found.has_value()};
  if (found) {
    resolved.addresses = found->addresses;
    resolved.relays = addresses_of(found->relays);
    resolved.sequence = found->sequence;
  }
  resolved.figures = figures;
  news_.emplace_back(DhtOutcome{resolve.ticket, std::move(resolved)});
}

// Dialling.

DhtHost::Dial* DhtHost::find_dial(const NodeId& peer) {
  const auto found = std::ranges::find(dials_, peer, &Dial::peer);
  return found == dials_.end() ? nullptr : &*found;
}

Result<void> DhtHost::dial(Instant now, NodeCore& node, const NodeId& peer) {
  const bool known = node.connectivity().connected(peer) || find_dial(peer) != nullptr;
  if (!known && dials_.size() >= dials_max) return failure(DhtErrc::too_many_queries);
  claim(peer);
  if (known) return {};
  dirty_ = true;
  Dial& dial = dials_.emplace_back();
  dial.peer = peer;
  if (const auto where = whereabouts(now, node, peer)) {
    try_whereabouts(now, node, dial, *where);
    return {};
  }
  // A relay in common, or an address from the list.
  dial.dialling = node.connect(now, peer, paths_to_peer(now, node, peer)).has_value();
  dial.resolving = begin_resolve(now, 0, peer, 0).has_value();
  dial.asked = true;
  return {};
}

void DhtHost::try_whereabouts(Instant now, NodeCore& node, Dial& dial, const Whereabouts& where) {
  dial.tried = where.sequence;
  ++dial.records_tried;
  const auto paths = paths_to_peer(now, node, dial.peer);
  const auto dialled = node.connect(now, dial.peer, paths);
  dial.dialling = dialled || dialled.error() == PathErrc::already_connected;
  if (!dialled) dial.failed = {dial.peer, dialled.error(), ""};
  take_relays(now, node, dial, where);
}

void DhtHost::take_relays(Instant now, NodeCore& node, Dial& dial, const Whereabouts& where) {
  // Whoever keeps to relays keeps to those that he has chosen: to others he would show his address.
  if (node.policy() != PathPolicy::any) return;
  for (const RelayEndpoint& relay : where.relays) {
    auto known = node.relays().relays();
    const bool is_known =
        std::ranges::any_of(known, [&](const RelayReport& one) { return one.id == relay.id; });
    if (is_known || relay.id == self_id_) continue;
    std::erase_if(known, [](const RelayReport& one) { return !one.of_peer; });
    if (known.size() >= relays_taken_max) {
      const auto idle = std::ranges::find(known, std::size_t{0}, &RelayReport::sessions);
      if (idle == known.end()) return;
      node.remove_relay(now, idle->id);
    }
    RelayHint hint{relay.id, relay.addresses};
    hint.tls_port = 0;  // nobody's word leads to a TCP connection (node/relay_tunnels.hpp)
    std::erase_if(hint.addresses, [](const SocketAddress& one) { return !may_dial(one); });
    if (hint.addresses.empty() || !node.add_relay(now, hint, RelayUse::of_peer)) {
      continue;
    }
    dial.relays_until = now + relay_patience;
  }
}

void DhtHost::on_relay_up(Instant now, NodeCore& node) {
  for (Dial& dial : dials_) {
    if (dial.relays_until == never) continue;
    const auto dialled = node.connect(now, dial.peer, paths_to_peer(now, node, dial.peer));
    dial.dialling |= dialled.has_value();
  }
}

void DhtHost::advance_dials(Instant now, NodeCore& node) {
  for (std::size_t i = 0; i < dials_.size();) {
    Dial& dial = dials_[i];
    if (dial.relays_until <= now) dial.relays_until = never;
    if (dial.dialling || dial.resolving || dial.relays_until != never) {
      ++i;
      continue;
    }
    const auto where = whereabouts(now, node, dial.peer);
    if (where && where->sequence != dial.tried && dial.records_tried < records_tried_max) {
      try_whereabouts(now, node, dial, *where);
      continue;
    }
    // What was known was of no use; has anybody heard since? Asked once.
    if (!dial.asked && begin_resolve(now, 0, dial.peer, dial.tried)) {
      dial.asked = true;
      dial.resolving = true;
      continue;
    }
    DhtDialFailed failed = std::move(dial.failed);
    failed.peer = dial.peer;
    dials_.erase(dials_.begin() + static_cast<std::ptrdiff_t>(i));
    if (!node.connectivity().connected(failed.peer)) {
      claimed_.erase(failed.peer);
      news_.emplace_back(std::move(failed));
    }
  }
}

}  // namespace quicmesh
