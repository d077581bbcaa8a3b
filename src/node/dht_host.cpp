#include "node/dht_host.hpp"

#include <algorithm>
#include <utility>

#include "base/address_prefix.hpp"
#include "base/turn_path.hpp"
#include "crypto/blake3.hpp"
#include "identity/record_offer.hpp"
#include "path/path_errc.hpp"
#include "wire/wire_errc.hpp"

namespace quicmesh {
namespace {

constexpr std::size_t group_bytes_v4 = 3;
constexpr std::size_t group_bytes_v6 = 7;

/// Whose addresses share a public prefix: a /24, a /56.
DiversityGroup group_of(const IpAddress& ip, AddressRules rules) {
  if (scope_of(ip, rules) != AddressScope::public_internet) return DiversityGroup::not_public;
  const auto hash = blake3(to_bytes(prefix_of(ip, group_bytes_v4, group_bytes_v6).to_string()));
  std::uint32_t group = 0;
  for (std::size_t i = 0; i < sizeof(group); ++i)
    group = group << 8 | hash[i];
  return DiversityGroup{std::max<std::uint32_t>(group, 1)};
}

dht::Config core_config(const DhtHostConfig& config) {
  dht::Config core = config.core;
  // Until there is evidence: the first node of a mesh has nobody to learn from, and has to serve.
  core.server = config.role != DhtRole::client;
  return core;
}

/// Of connections, relays and the network; the others are of streams and flows.
bool is_of_node(const NodeEvent& event) {
  return std::holds_alternative<PeerConnected>(event) ||
         std::holds_alternative<PeerDisconnected>(event) ||
         std::holds_alternative<PeerUnreachable>(event) ||
         std::holds_alternative<PeerPathChanged>(event) || std::holds_alternative<RelayUp>(event) ||
         std::holds_alternative<RelayDown>(event) || std::holds_alternative<NetworkChanged>(event);
}

/// The message is none that an honest node sends, whatever its version.
bool is_fault(std::error_code error) {
  return error != WireErrc::unknown_body;
}

}  // namespace

DhtHost::DhtHost(Instant now, DhtHostConfig config, const NodeId& self, SecureRng& secure_rng)
    : config_([&] {
        config.core = core_config(config);
        config.bootstrap.resize(std::min(config.bootstrap.size(), bootstrap_max));
        return std::move(config);
      }()),
      self_id_(self),
      rng_(secure_rng.next_u64()),
      book_(book_capacity, secure_rng.next_u64()),
      self_(book_.intern(self)),
      core_(now, config_.core, book_, self_, rng_.fork("core")),
      tiers_(TierConfig{}, rng_.fork("tiers")),
      streams_(dht::protocol, dht::message_size_max),
      own_(config_.last_sequence),
      join_at_(now) {
  own_.on_reach_changed(now);
}

// Events of the node.

bool DhtHost::take_in(Instant now, NodeCore& node, NodeEvent& event) {
  const bool of_node = is_of_node(event) && !stopped_;
  const bool taken = of_node ? on_node_event(now, node, event) : on_stream_event(now, node, event);
  // Each piece of the application's streams comes by here, and is none of ours.
  if ((of_node || taken) && !stopped_) {
    dirty_ = true;
    pump(now, node);
  }
  return taken;
}

bool DhtHost::on_node_event(Instant now, NodeCore& node, NodeEvent& event) {
  if (const auto* connected = std::get_if<PeerConnected>(&event)) {
    on_connected(now, node, *connected);
    return false;
  }
  if (const auto* gone = std::get_if<PeerDisconnected>(&event)) {
    on_disconnected(now, gone->peer);
    return false;
  }
  if (const auto* unreachable = std::get_if<PeerUnreachable>(&event)) {
    return on_unreachable(now, node, *unreachable);
  }
  if (const auto* moved = std::get_if<PeerPathChanged>(&event)) {
    on_path_changed(now, node, *moved);
    return false;
  }
  if (std::holds_alternative<RelayUp>(event)) {
    own_.on_reach_changed(now);
    on_relay_up(now, node);
    return false;
  }
  if (std::holds_alternative<NetworkChanged>(event)) {
    reached_in_ = AddressScope::unusable;  // who came to the network before
    update_role(node);
  }
  own_.on_reach_changed(now);  // a relay is lost, or the network has changed
  return false;
}

bool DhtHost::on_stream_event(Instant now, NodeCore& node, NodeEvent& event) {
  using Fate = MessageStreams::Event;
  Connectivity& connectivity = node.connectivity();
  if (const auto* opened = std::get_if<PeerStreamOpened>(&event)) {
    const bool ours = streams_.on_opened(now, connectivity, *opened) == Fate::taken;
    if (!ours) claim(opened->peer);
    return ours;
  }
  if (const auto* data = std::get_if<PeerStreamData>(&event)) {
    return streams_.on_data(connectivity, *data) == Fate::taken;
  }
  NodeId peer;
  Fate fate = Fate::not_ours;
  if (const auto* reset = std::get_if<PeerStreamReset>(&event)) {
    fate = streams_.on_broken(connectivity, reset->stream, peer);
  } else if (const auto* stopped = std::get_if<PeerStreamStopped>(&event)) {
    fate = streams_.on_broken(connectivity, stopped->stream, peer);
  } else if (const auto* finished = std::get_if<PeerStreamFinished>(&event)) {
    fate = streams_.on_over(finished->stream);
  } else if (const auto* lost = std::get_if<PeerStreamLost>(&event)) {
    fate = streams_.on_over(lost->stream);
  } else if (const auto* writable = std::get_if<PeerStreamWritable>(&event)) {
    return streams_.owns(writable->stream);
  }
  if (fate == Fate::refused) set_deaf(now, peer);
  return fate != Fate::not_ours;
}

void DhtHost::on_reach_changed(Instant now, NodeCore& node) {
  dirty_ = true;
  own_.on_reach_changed(now);
  update_role(node);
}

void DhtHost::stop(Instant /*now*/, NodeCore& node) {
  stopped_ = true;
  next_ = never;
  streams_.reset_all(node.connectivity());
}

void DhtHost::on_connected(Instant now, NodeCore& node, const PeerConnected& event) {
  const PeerHandle peer = intern(event.peer);
  const bool sought = wanted_.erase(event.peer) > 0;
  if (std::erase_if(dials_, [&](const Dial& dial) { return dial.peer == event.peer; }) > 0) {
    std::erase_if(resolves_, [&](const Resolve& resolve) {
      return resolve.ticket == 0 && resolve.target == event.peer;
    });
  }
  if (peer == no_peer) return;
  const bool was_early = early_.erase(event.peer) > 0;
  const auto early = links_.find(event.peer);
  const bool is_deaf = was_early && early != links_.end() && early->second.deaf;
  const Duration rtt = node.connectivity().path_info(event.peer).smoothed_rtt;
  Link& link =
      make_link(now, node, peer, {event.peer, event.path, rtt, event.relay, event.over_turn});
  link.deaf = is_deaf;
  link.ours = sought && event.dialled_by_us && !claimed_.contains(event.peer);
  if (link.direct) {
    if (!event.dialled_by_us && !sought) reached_in_ = std::max(reached_in_, link.scope);
    dial_rests_.answered(event.path.remote.ip);
  }
  update_role(node);
  if (!was_early) core_.handle(now, peer::Up{peer, rtt});
  // Whoever is connected is somebody to begin with.
  if (!was_joined_) join_at_ = std::min(join_at_, now + join_pause_ / 10);
}

// Of the peers that are dialled only those that the core waits for: nobody else has anything to
// say.
void DhtHost::on_proved(Instant now, NodeCore& node, const PeerProved& proved) {
  const bool is_over = !node.connectivity().is_proved(proved.peer);
  if (stopped_ || is_over || !wanted_.contains(proved.peer) || links_.contains(proved.peer)) return;
  const PeerHandle peer = intern(proved.peer);
  if (peer == no_peer) return;
  dirty_ = true;
  early_.insert(proved.peer);
  (void)make_link(now, node, peer, proved);
  core_.handle(now, peer::Up{peer, proved.rtt});
  pump(now, node);
}

/// Keeps which of our records the peer has, if it has one of this scope.
DhtHost::Link& DhtHost::make_link(Instant now, NodeCore& node, PeerHandle peer,
                                  const PeerProved& where) {
  Link made{.peer = peer, .direct = !where.relay && !where.over_turn};
  set_scopes(node, made, where.path, where.relay);
  Link& link = links_[where.peer];
  if (link.peer == peer && link.scope == made.scope) made.shown = link.shown;
  link = made;
  set_group(now, node, peer, where.path, where.relay);
  return link;
}

/// The dial has come to nothing after all.
void DhtHost::drop_early(Instant now, const NodeCore& node) {
  for (const NodeId& id : std::vector(early_.begin(), early_.end())) {
    if (node.connectivity().is_proved(id)) continue;
    lose_link(now, id);
    dirty_ = true;
  }
}

void DhtHost::on_disconnected(Instant now, const NodeId& peer) {
  claimed_.erase(peer);
  lose_link(now, peer);
}

void DhtHost::lose_link(Instant now, const NodeId& peer) {
  early_.erase(peer);
  const auto found = links_.find(peer);
  if (found == links_.end()) return;
  const Link link = found->second;
  links_.erase(found);
  tiers_.remove(link.peer);
  if (!link.deaf) core_.handle(now, peer::Down{link.peer});
}

bool DhtHost::on_unreachable(Instant now, NodeCore& node, const PeerUnreachable& event) {
  drop_early(now, node);
  const bool sought = wanted_.erase(event.peer) > 0;
  if (sought) core_.handle(now, peer::Unreachable{book_.find(event.peer)});
  if (Dial* dial = find_dial(event.peer)) {
    dial->dialling = false;
    dial->failed = {event.peer, event.error, event.reason};
    advance_dials(now, node);
    return true;
  }
  // Whom the DHT alone sought is nobody's business but its own.
  const bool claimed = claimed_.erase(event.peer) > 0;
  return sought && !claimed;
}

void DhtHost::on_path_changed(Instant now, NodeCore& node, const PeerPathChanged& event) {
  const auto found = links_.find(event.peer);
  if (found == links_.end()) return;
  Link& link = found->second;
  link.direct = !event.to_relay && !event.to_turn;
  const AddressScope before = link.scope;
  set_scopes(node, link, event.to, event.to_relay);
  if (link.scope != before) link.shown = 0;
  set_group(now, node, link.peer, event.to, event.to_relay);
  update_role(node);
  tiers_.remove(link.peer);
  if (!link.deaf) core_.handle(now, peer::PathChanged{link.peer, event.rtt});
}

// Over a relay the peer may be anywhere, so it is shown what everybody may see. It was met in the
// scope of the relay.
void DhtHost::set_scopes(const NodeCore& node, Link& link, const NetworkPath& path,
                         const std::optional<NodeId>& relay) const {
  link.scope = link.met = AddressScope::public_internet;
  if (link.direct) link.scope = link.met = scope_of(path.remote.ip, node.address_rules());
  if (!relay) return;
  if (const auto one = links_.find(*relay); one != links_.end()) link.met = one->second.met;
}

// Whoever comes over a relay has the relay's own group, else many keys over one would count as many
// places. Over TURN the address is the peer's, as the server sees it.
void DhtHost::set_group(Instant now, const NodeCore& node, PeerHandle peer, const NetworkPath& path,
                        const std::optional<NodeId>& relay) {
  const DiversityGroup before = book_.group(peer);
  DiversityGroup group = DiversityGroup::not_public;
  if (relay) {
    if (const PeerHandle one = book_.find(*relay); one != no_peer) group = book_.group(one);
  } else {
    group = group_of(path.remote.ip, node.address_rules());
  }
  if (group == before) return;
  book_.set_group(peer, group);
  core_.handle(now, peer::Regrouped{peer, before});
}

void DhtHost::set_deaf(Instant now, const NodeId& peer) {
  const auto found = links_.find(peer);
  if (found == links_.end() || found->second.deaf) return;
  found->second.deaf = true;
  core_.handle(now, peer::Down{found->second.peer});
}

PeerHandle DhtHost::intern(const NodeId& id) {
  PeerHandle peer = book_.intern(id);
  if (peer != no_peer) return peer;
  sweep();
  peer = book_.intern(id);
  if (peer == no_peer) ++record_counts_.no_room;
  return peer;
}

// The core's queues are empty between its turns, so all it names is marked.
void DhtHost::sweep() {
  PeerBook::Sweep sweep(book_);
  core_.mark(sweep);
  for (const auto& [id, link] : links_)
    sweep.mark(link.peer);
  announced_.mark(sweep);
  if (question_) sweep.mark(question_->from);
  const auto mark = [&](const NodeId& id) {
    if (const PeerHandle peer = book_.find(id); peer != no_peer) sweep.mark(peer);
  };
  for (const Resolve& resolve : resolves_)
    mark(resolve.target);
  for (const Dial& dial : dials_)
    mark(dial.peer);
  for (const NodeId& id : wanted_)
    mark(id);
  (void)sweep.finish();
}

// Messages.

RecordLink DhtHost::record_link(Instant now, const NodeCore& node, const Link& link) const {
  return {link.scope, node.wall_time(now), node.address_rules()};
}

void DhtHost::on_message(Instant now, NodeCore& node, const MessageStreams::Arrived& arrived) {
  const auto found = links_.find(arrived.from);
  if (found == links_.end() || found->second.deaf) return;
  Link& link = found->second;
  const RecordLink over = record_link(now, node, link);
  // Signatures are checked in what was asked for alone.
  const auto head = dht::peek_message(arrived.message);
  if (head && head->answer && !core_.awaits(link.peer, head->request)) {
    // Only the sender's own record, which it shows once, is of use; once on a connection.
    if (!book_.record(link.peer).empty() || std::exchange(link.late_record_taken, true)) return;
    (void)dht::decode_message(arrived.message, book_, link.peer, over, record_counts_);
    return;
  }
  auto message = dht::decode_message(arrived.message, book_, link.peer, over, record_counts_);
  if (!message) {
    if (!is_fault(message.error())) return;
    ++messages_malformed_;
    set_deaf(now, arrived.from);
    if (link.ours && !is_used(node, arrived.from)) {
      node.disconnect(now, arrived.from, "what it says in the DHT is malformed");
    }
    return;
  }
  question_.reset();
  if (const auto* asked = std::get_if<dht::FindNode>(&message->body)) {
    question_ = {link.peer, message->request, asked->target};
    if (asked->target == DhtKey::of(arrived.from)) announced_.remember(now, link.peer);
  } else if (!dht::is_request(message->body)) {
    tiers_.add_sample(now, link.peer, node.connectivity().path_info(arrived.from).latest_rtt);
  }
  core_.handle(now, peer::Received<dht::Message>{link.peer, std::move(*message)});
  pump(now, node);
  question_.reset();
  check_resolves(now, node);
}

void DhtHost::send(Instant now, NodeCore& node, peer::Send<dht::Message> output) {
  const NodeId id = book_.id(output.to);
  const auto found = links_.find(id);
  if (found == links_.end() || found->second.deaf) return;
  Link& link = found->second;
  if (auto* nodes = std::get_if<dht::Nodes>(&output.message.body)) {
    const bool answer =
        question_ && question_->from == output.to && question_->request == output.message.request;
    if (answer) name_announced(now, *nodes);
  }
  const bool show = link.shown != own_.sequence();
  const ByteView record = show ? own_.record_for(link.scope) : ByteView();
  const Bytes bytes =
      dht::encode_message(output.message, book_, record, record_link(now, node, link));
  if (!streams_.send(now, node.connectivity(), id, bytes)) {
    ++messages_dropped_;
    return;
  }
  if (show && !record.empty()) link.shown = own_.sequence();
}

void DhtHost::name_announced(Instant now, dht::Nodes& answer) const {
  const PeerHandle sought = announced_.find(now, question_->target);
  if (sought == no_peer || sought == question_->from || book_.record(sought).empty()) return;
  std::erase(answer.nodes, sought);
  answer.nodes.insert(answer.nodes.begin(), sought);
  if (answer.nodes.size() > dht::contacts_max) answer.nodes.pop_back();
}

void DhtHost::pump(Instant now, NodeCore& node) {
  for (bool more = true; more;) {
    more = false;
    while (auto output = core_.poll_output()) {
      more = true;
      if (auto* send_to = std::get_if<peer::Send<dht::Message>>(&*output)) {
        send(now, node, std::move(*send_to));
      } else if (const auto* open_to = std::get_if<peer::Open>(&*output)) {
        open(now, node, open_to->peer);
      } else if (const auto* close_to = std::get_if<peer::Close>(&*output)) {
        close(now, node, close_to->peer);
      }
    }
    while (auto event = core_.poll_event()) {
      more = true;
      std::visit([&](auto& one) { on_event(now, node, one); }, *event);
    }
    if (inputs_.empty()) continue;
    more = true;
    auto input = std::move(inputs_.front());
    inputs_.pop_front();
    core_.handle(now, std::move(input));
  }
}

// What the core wants.

void DhtHost::open(Instant now, NodeCore& node, PeerHandle peer) {
  const NodeId id = book_.id(peer);
  if (const auto link = links_.find(id); link != links_.end()) {
    if (link->second.deaf) {
      inputs_.emplace_back(peer::Unreachable{peer});
    } else {
      const Duration rtt = node.connectivity().path_info(id).smoothed_rtt;
      inputs_.emplace_back(peer::Up{peer, rtt});
    }
    return;
  }
  auto paths = paths_to_peer(now, node, id);
  std::erase_if(paths, [&](const NetworkPath& path) {
    return !is_relayed(path) && dial_rests_.rests(now, path.remote.ip);
  });
  std::set<IpAddress> hosts;
  for (const NetworkPath& path : paths) {
    if (!is_relayed(path)) hosts.insert(path.remote.ip);
  }
  for (const IpAddress& ip : hosts)
    dial_rests_.dialled(now, ip);
  const auto dialled = node.connect(now, id, paths);
  if (dialled || dialled.error() == PathErrc::already_connected) {
    wanted_.insert(id);
  } else {
    inputs_.emplace_back(peer::Unreachable{peer});
  }
}

void DhtHost::close(Instant now, NodeCore& node, PeerHandle peer) {
  const NodeId id = book_.id(peer);
  if (early_.contains(id) && !is_used(node, id) && !find_dial(id)) {
    early_.erase(id);
    links_.erase(id);
  }
  const auto link = links_.find(id);
  if (link == links_.end() && wanted_.contains(id) && !is_used(node, id) && !find_dial(id)) {
    wanted_.erase(id);
    node.disconnect(now, id, "nobody waits for it any more");  // it is still being dialled
    return;
  }
  if (link == links_.end() || !link->second.ours || is_used(node, id)) return;
  node.disconnect(now, id, "the DHT keeps others");
}

bool DhtHost::is_used(const NodeCore& node, const NodeId& peer) const {
  if (claimed_.contains(peer)) return true;
  const auto relays = node.relays().relays();
  return std::ranges::any_of(relays, [&](const RelayReport& one) { return one.id == peer; });
}

void DhtHost::claim(const NodeId& peer) {
  claimed_.insert(peer);
  if (const auto link = links_.find(peer); link != links_.end()) link->second.ours = false;
}

// Now and then.

void DhtHost::advance(Instant now, NodeCore& node) {
  if (stopped_) return;
  drop_early(now, node);
  watch_clock(now, node);
  if (!dirty_ && now < next_) return;
  dirty_ = false;
  streams_.handle_timeout(now, node.connectivity());
  if (own_.handle_timeout(now, node)) {
    book_.set_record(self_, to_bytes(own_.widest_record()));  // express queries may end with us
    update_role(node);
    announce_at_ = std::min(announce_at_, now);
  }
  while (const auto arrived = streams_.poll_arrived())
    on_message(now, node, *arrived);
  tiers_.handle_timeout(now);
  if (const auto tiers = tiers_.poll_tiers()) core_.handle(now, peer::TiersChanged{*tiers});
  core_.set_wall_time(now, node.wall_time(now));
  core_.handle_timeout(now);
  pump(now, node);
  if (join_at_ <= now) join(now, node);
  const bool joined = !core_.table().contacts().empty();
  if (joined && !was_joined_) {
    announce_at_ = std::min(announce_at_, now);
    announce_pause_ = announce_first;
  }
  if (!joined && was_joined_) join_at_ = now;
  was_joined_ = joined;
  if (announce_at_ <= now) announce(now);
  start_waiting_resolves(now, node);
  pump(now, node);
  advance_dials(now, node);
  put_again(now, node);
  provide_again(now, node);
  pump(now, node);
  if (book_.size() > book_capacity / 4 * 3) sweep();
  next_ = std::min({core_.poll_timeout(), streams_.poll_timeout(), own_.poll_timeout(),
                    tiers_.poll_timeout(), join_at_, announce_at_});
  for (const Dial& dial : dials_)
    next_ = std::min(next_, dial.relays_until);
  for (const Resolve& resolve : resolves_)
    next_ = std::min(next_, resolve.waits_until);
  for (const OwnValue& value : own_values_)
    next_ = std::min(next_, value.again);
  for (const Provided& one : provided_)
    next_ = std::min(next_, one.again);
}

void DhtHost::watch_clock(Instant now, const NodeCore& node) {
  const auto steady = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch());
  const std::int64_t offset = std::to_underlying(node.wall_time(now)) - steady.count();
  if (clock_offset_s_ && std::abs(offset - *clock_offset_s_) < clock_step_s) return;
  if (clock_offset_s_) {
    own_.on_clock_stepped(now);
    dirty_ = true;
  }
  clock_offset_s_ = offset;
}

// Whoever is connected, and the next few of the list.
void DhtHost::join(Instant now, NodeCore& node) {
  join_at_ = never;
  if (!core_.table().contacts().empty()) {
    join_pause_ = bootstrap_first;
    return;
  }
  std::vector<PeerHandle> known;
  // Once, and not while `known` holds handles that nothing else names.
  if (book_.size() + 2 * bootstrap_at_once + RelayClient::relays_max > book_capacity) sweep();
  const auto add = [&](const NodeId& id) {
    const PeerHandle peer = id == self_id_ ? no_peer : book_.intern(id);
    if (peer != no_peer && std::ranges::find(known, peer) == known.end()) known.push_back(peer);
  };
  for (const auto& [id, link] : links_) {
    if (!link.deaf && known.size() < bootstrap_at_once) add(id);
  }
  // Relays are nodes of the mesh as a rule.
  for (const RelayReport& relay : node.relays().relays()) {
    if (relay.up) add(relay.id);
  }
  const std::size_t count = std::min(bootstrap_at_once, config_.bootstrap.size());
  for (std::size_t i = 0; i < count; ++i) {
    add(config_.bootstrap[bootstrap_next_ % config_.bootstrap.size()].id);
    ++bootstrap_next_;
    ++bootstraps_tried_;
  }
  if (known.empty() && config_.bootstrap.empty()) return;  // somebody may still come
  if (!known.empty()) core_.bootstrap(now, known);
  join_at_ = now + rng_.between(join_pause_ * 4 / 5, join_pause_ * 6 / 5);
  join_pause_ = std::min(2 * join_pause_, bootstrap_pause_max);
}

void DhtHost::announce(Instant now) {
  announce_at_ = now + rng_.between(announce_pause_ * 4 / 5, announce_pause_ * 6 / 5);
  announce_pause_ = std::min(2 * announce_pause_, announce_interval);
  if (core_.table().contacts().empty()) return;
  (void)core_.find_node(now, DhtKey::of(self_id_));  // refused: the next one will do
}

void DhtHost::update_role(const NodeCore& node) {
  if (config_.role == DhtRole::server) return core_.set_server(true);
  if (config_.role == DhtRole::client || node.policy() == PathPolicy::relay_only) {
    return core_.set_server(false);
  }
  const AddressRules rules = node.address_rules();
  const auto& nat = node.nat();
  const bool shut =
      nat && (nat->profile.translated == Finding::yes || nat->profile.udp_blocked == Finding::yes ||
              nat->profile.filtering > NatBehaviour::endpoint_independent);
  AddressScope reach = reached_in_;
  for (const LocalEndpoint& endpoint : node.endpoints()) {
    const AddressScope scope = scope_of(endpoint.address.ip, rules);
    if (scope == AddressScope::public_internet && shut) continue;
    reach = std::max(reach, scope);
  }
  for (const SocketAddress& mapped : node.mapped_addresses().addresses)
    reach = std::max(reach, scope_of(mapped.ip, rules));
  AddressScope met = AddressScope::unusable;
  for (const auto& [id, link] : links_)
    met = std::max(met, link.met);
  core_.set_server(reach >= met);
}

// What is worth keeping.

std::vector<DhtContact> DhtHost::contacts_to_keep(Instant now, const NodeCore& node) const {
  std::vector<PeerHandle> peers = core_.contacts_to_keep();
  // A node that was up for a moment has few contacts, but has met some.
  for (const auto& [id, link] : links_) {
    if (std::ranges::find(peers, link.peer) == peers.end()) peers.push_back(link.peer);
  }
  std::vector<DhtContact> contacts;
  for (const PeerHandle peer : peers) {
    if (contacts.size() >= bootstrap_max / 2) break;
    const NodeId& id = book_.id(peer);
    auto where = whereabouts(now, node, id);
    if (!where) continue;
    std::erase_if(where->addresses, [](const SocketAddress& one) { return !may_dial(one); });
    if (!where->addresses.empty()) contacts.push_back({id, std::move(where->addresses)});
  }
  return contacts;
}

std::vector<DhtPeer> DhtHost::peers() const {
  std::vector<DhtPeer> peers;
  for (const PeerHandle peer : core_.contacts_to_keep()) {
    DhtPeer one{.node = book_.id(peer)};
    const dht::Contact* contact = core_.table().find(peer);
    one.rtt = tiers_.rtt(peer);
    if (!one.rtt && contact != nullptr) one.rtt = contact->rtt();
    if (one.rtt) one.tier = static_cast<unsigned>(core_.tiers().tier_of(*one.rtt));
    one.connected = links_.contains(one.node);
    peers.push_back(one);
  }
  return peers;
}

DhtStatus DhtHost::status() const {
  const dht::Counters& counters = core_.counters();
  DhtStatus status;
  status.on = true;
  status.server = core_.is_server();
  status.contacts = core_.table().contacts().size();
  status.connections = core_.links_up();
  status.tiers = core_.tiers().count;
  status.values = core_.store().size();
  status.provider_records = core_.providers().size();
  status.provided = provided_.size();
  status.provider_records_refused = core_.providers().refused();
  status.provider_records_replaced = core_.providers().replaced();
  status.provider_records_false = counters.provider_records_false;
  status.k = core_.adaptation().k();
  status.alpha = core_.adaptation().alpha();
  status.requests_sent = counters.requests_sent;
  status.requests_answered = counters.requests_answered;
  status.requests_failed = counters.requests_failed;
  status.messages_malformed = messages_malformed_ + streams_.counters().malformed;
  status.messages_dropped = messages_dropped_;
  status.records_signed = own_.signed_count();
  status.bootstraps_tried = bootstraps_tried_;
  return status;
}

}  // namespace quicmesh
