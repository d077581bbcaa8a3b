// Building the topology, names, and faults; see network.hpp. The datagrams' way is in
// network_routing.cpp.
#include "sim/network.hpp"

#include <utility>

#include "base/assert.hpp"
#include "sim/sim_errc.hpp"

namespace quicmesh::sim {
namespace {

template <class Id>
std::optional<Id> find_name(const std::map<std::string, Id, std::less<>>& names,
                            std::string_view name) {
  const auto found = names.find(name);
  if (found == names.end()) return std::nullopt;
  return found->second;
}

template <class Id, class Items>
Id next_id(const Items& items) {
  return Id{static_cast<std::uint32_t>(items.size())};
}

}  // namespace

Network::Network(SimulationQueue& queue, Trace& trace, Rng rng)
    : queue_(queue), trace_(trace), rng_(rng), realms_(1) {}

Result<HostId> Network::add_host(std::string name) {
  if (host_names_.contains(name) || nat_names_.contains(name)) {
    return failure(SimErrc::duplicate_name);
  }
  const HostId id = next_id<HostId>(hosts_);
  host_names_.emplace(name, id);
  hosts_.push_back({std::move(name), {}});
  return id;
}

LinkId Network::add_link(const LinkConfig& config, const std::string& name) {
  links_.emplace_back(config, rng_.fork("link " + name));
  return LinkId{static_cast<std::uint32_t>(links_.size() - 1)};
}

Result<AttachmentId> Network::attach(const std::string& name, RealmId realm,
                                     const std::vector<IpAddress>& addresses,
                                     const AccessConfig& access) {
  QM_ASSERT(index_of(realm) < realms_.size());
  if (auto checked = check(access.up); !checked) return failure(checked.error());
  if (auto checked = check(access.down); !checked) return failure(checked.error());
  for (const IpAddress& address : addresses) {
    if (find_address(realm, address)) return failure(SimErrc::address_in_use);
  }
  const AttachmentId id = next_id<AttachmentId>(attachments_);
  const Links links{add_link(access.up, name + " up"), add_link(access.down, name + " down")};
  attachments_.push_back({.name = name, .realm = realm, .access = links});
  for (const IpAddress& address : addresses) {
    realms_[index_of(realm)].addresses.emplace(address, id);
  }
  return id;
}

Result<InterfaceId> Network::add_interface(HostId host, const InterfaceConfig& config) {
  const std::string name = name_of(host) + "." + config.name;
  if (interface_names_.contains(name)) return failure(SimErrc::duplicate_name);
  const auto attachment = attach(name, config.realm, {config.address}, config.access);
  if (!attachment) return failure(attachment.error());
  const InterfaceId id = next_id<InterfaceId>(interfaces_);
  attachments_[index_of(*attachment)].interface = id;
  interfaces_.push_back({.host = host, .attachment = *attachment, .address = config.address});
  hosts_[index_of(host)].interfaces.push_back(id);
  interface_names_.emplace(name, id);
  return id;
}

Result<NatId> Network::add_nat(const NatPlacement& placement) {
  if (host_names_.contains(placement.name) || nat_names_.contains(placement.name)) {
    return failure(SimErrc::duplicate_name);
  }
  if (auto checked = Nat::check(placement.behaviour, placement.addresses); !checked) {
    return failure(checked.error());
  }
  const auto attachment =
      attach(placement.name, placement.outside, placement.addresses, placement.access);
  if (!attachment) return failure(attachment.error());
  const NatId id = next_id<NatId>(nats_);
  const RealmId inside = next_id<RealmId>(realms_);
  realms_.emplace_back().gateway = id;
  attachments_[index_of(*attachment)].nat = id;
  nats_.push_back(
      {Nat(placement.behaviour, placement.addresses, rng_.fork("nat " + placement.name)),
       *attachment, inside});
  nat_names_.emplace(placement.name, id);
  return id;
}

std::uint64_t Network::path_key(AttachmentId from, AttachmentId to) {
  return std::uint64_t{index_of(from)} << 32 | index_of(to);
}

Result<void> Network::set_path(AttachmentId a, AttachmentId b, const LinkConfig& a_to_b,
                               const LinkConfig& b_to_a) {
  if (auto checked = check(a_to_b); !checked) return checked;
  if (auto checked = check(b_to_a); !checked) return checked;
  const auto& from = attachments_[index_of(a)];
  const auto& to = attachments_[index_of(b)];
  if (a == b || from.realm != to.realm) return failure(SimErrc::bad_link);
  if (paths_.contains(path_key(a, b))) return failure(SimErrc::duplicate_name);
  paths_.emplace(path_key(a, b), add_link(a_to_b, from.name + " to " + to.name));
  paths_.emplace(path_key(b, a), add_link(b_to_a, to.name + " to " + from.name));
  attachments_[index_of(a)].has_paths = attachments_[index_of(b)].has_paths = true;
  return {};
}

std::optional<HostId> Network::find_host(std::string_view name) const {
  return find_name(host_names_, name);
}
std::optional<NatId> Network::find_nat(std::string_view name) const {
  return find_name(nat_names_, name);
}
std::optional<InterfaceId> Network::find_interface(std::string_view dotted_name) const {
  return find_name(interface_names_, dotted_name);
}
const std::string& Network::name_of(HostId host) const {
  return hosts_[index_of(host)].name;
}
const std::string& Network::name_of(AttachmentId attachment) const {
  return attachments_[index_of(attachment)].name;
}
const std::vector<InterfaceId>& Network::interfaces_of(HostId host) const {
  return hosts_[index_of(host)].interfaces;
}
HostId Network::host_of(InterfaceId interface) const {
  return interfaces_[index_of(interface)].host;
}
IpAddress Network::address_of(InterfaceId interface) const {
  return interfaces_[index_of(interface)].address;
}
InterfaceState Network::state_of(InterfaceId interface) const {
  return interfaces_[index_of(interface)].state;
}
std::optional<InterfaceId> Network::own_interface(HostId host, const IpAddress& address) const {
  for (const InterfaceId interface : interfaces_of(host)) {
    if (address_of(interface) == address) return interface;
  }
  return std::nullopt;
}
RealmId Network::inside(NatId nat) const {
  return nats_[index_of(nat)].inside;
}
AttachmentId Network::attachment_of(InterfaceId interface) const {
  return interfaces_[index_of(interface)].attachment;
}
AttachmentId Network::attachment_of(NatId nat) const {
  return nats_[index_of(nat)].attachment;
}
const Nat& Network::nat(NatId id) const {
  return nats_[index_of(id)].nat;
}
Network::Links Network::access_links(AttachmentId attachment) const {
  return attachments_[index_of(attachment)].access;
}
const Link& Network::link(LinkId id) const {
  return links_[index_of(id)];
}

std::optional<Network::Links> Network::path_links(AttachmentId a, AttachmentId b) const {
  const auto there = paths_.find(path_key(a, b));
  const auto back = paths_.find(path_key(b, a));
  if (there == paths_.end() || back == paths_.end()) return std::nullopt;
  return Links{there->second, back->second};
}

std::optional<AttachmentId> Network::find_address(RealmId realm, const IpAddress& address) const {
  const auto& addresses = realms_[index_of(realm)].addresses;
  const auto found = addresses.find(address);
  if (found == addresses.end()) return std::nullopt;
  return found->second;
}

void Network::set_interface_state(InterfaceId interface, InterfaceState state) {
  Interface& changed = interfaces_[index_of(interface)];
  if (changed.state == state) return;
  changed.state = state;
  changes_.push_back(interface);
}

Result<void> Network::change_address(InterfaceId interface, const IpAddress& address) {
  Interface& changed = interfaces_[index_of(interface)];
  if (changed.address == address) return {};
  const RealmId realm = attachments_[index_of(changed.attachment)].realm;
  if (find_address(realm, address)) return failure(SimErrc::address_in_use);
  auto& addresses = realms_[index_of(realm)].addresses;
  addresses.erase(changed.address);
  addresses.emplace(address, changed.attachment);
  changed.address = address;
  changes_.push_back(interface);
  return {};
}

Result<void> Network::set_link(Instant now, LinkId link, const LinkConfig& config) {
  if (auto checked = check(config); !checked) return checked;
  links_[index_of(link)].set_config(now, config);
  return {};
}

void Network::set_link_state(LinkId link, LinkState state) {
  links_[index_of(link)].set_state(state);
}

void Network::rebind_nat(NatId nat) {
  nats_[index_of(nat)].nat.rebind();
}

void Network::forward_port(NatId nat, const SocketAddress& external, const SocketAddress& inner) {
  nats_[index_of(nat)].nat.forward(external, inner);
}

Result<void> Network::renumber_nat(NatId nat, std::vector<IpAddress> addresses) {
  NatBox& box = nats_[index_of(nat)];
  if (auto checked = Nat::check(box.nat.config(), addresses); !checked) return checked;
  const RealmId outside = attachments_[index_of(box.attachment)].realm;
  for (const IpAddress& address : addresses) {
    if (const auto user = find_address(outside, address); user && *user != box.attachment) {
      return failure(SimErrc::address_in_use);
    }
  }
  auto& table = realms_[index_of(outside)].addresses;
  for (const IpAddress& address : box.nat.external_addresses())
    table.erase(address);
  for (const IpAddress& address : addresses)
    table.emplace(address, box.attachment);
  box.nat.renumber(std::move(addresses));
  return {};
}

void Network::partition(const std::vector<AttachmentId>& island, Cut cut) {
  for (Attachment& attachment : attachments_)
    attachment.on_island = false;
  for (const AttachmentId id : island)
    attachments_[index_of(id)].on_island = true;
  cut_ = cut;
}

void Network::heal() {
  cut_.reset();
  for (Link& link : links_)
    link.set_state(LinkState::carrying);
  for (std::size_t i = 0; i < interfaces_.size(); ++i) {
    set_interface_state(InterfaceId{static_cast<std::uint32_t>(i)}, InterfaceState::up);
  }
}

std::optional<InterfaceId> Network::poll_interface_change() {
  if (changes_.empty()) return std::nullopt;
  const InterfaceId oldest = changes_.front();
  changes_.pop_front();
  return oldest;
}

}  // namespace quicmesh::sim
