// A datagram's way through the realms; see network.hpp for the model.

#include "base/assert.hpp"
#include "sim/network.hpp"

namespace quicmesh::sim {
namespace {

// IPv4 20 or IPv6 40 bytes, UDP 8.
std::size_t packet_size(const Packet& packet) {
  return packet.payload.size() + (packet.destination.ip.family() == IpFamily::v4 ? 28 : 48);
}

DropCause cause_of(LinkDrop drop) {
  switch (drop) {
    case LinkDrop::blackhole:
      return DropCause::blackhole;
    case LinkDrop::too_big:
      return DropCause::too_big;
    case LinkDrop::loss:
      return DropCause::loss;
    case LinkDrop::queue_full:
      break;
  }
  return DropCause::queue_full;
}

DropCause cause_of(NatDrop drop) {
  switch (drop) {
    case NatDrop::unmapped:
      return DropCause::nat_unmapped;
    case NatDrop::filtered:
      return DropCause::nat_filtered;
    case NatDrop::hairpin_refused:
      break;
  }
  return DropCause::nat_hairpin;
}

void flip(Bytes& payload, std::uint64_t bit) {
  payload[bit / 8] = static_cast<std::uint8_t>(payload[bit / 8] ^ (1U << (bit % 8)));
}

}  // namespace

void Network::drop(Instant now, PacketHandle handle, DropCause cause) {
  const Packet& packet = pool_[handle];
  ++counters_.dropped[static_cast<std::size_t>(cause)];
  trace_.dropped(now, cause, packet.source, packet.destination, packet.payload.size());
  pool_.release(handle);
}

std::expected<InterfaceId, DropCause> Network::egress(HostId host, const IpAddress& source,
                                                      const IpAddress& destination) const {
  std::optional<InterfaceId> fallback;
  const auto& own = interfaces_of(host);
  for (const InterfaceId id : own) {
    const Interface& interface = interfaces_[index_of(id)];
    if (!source.is_unspecified()) {
      if (interface.address != source) continue;
      if (interface.state == InterfaceState::down)
        return std::unexpected(DropCause::interface_down);
      return id;
    }
    if (interface.state == InterfaceState::down) continue;
    if (interface.address.family() != destination.family()) continue;
    if (own.size() == 1) return id;
    const RealmId realm = attachments_[index_of(interface.attachment)].realm;
    if (find_address(realm, destination)) return id;
    if (!fallback) fallback = id;
  }
  if (!fallback) return std::unexpected(DropCause::bad_source);
  return *fallback;
}

void Network::send(Instant now, HostId host, SocketAddress source, const SocketAddress& destination,
                   Ecn ecn, ByteView payload) {
  ++counters_.sent;
  counters_.sent_bytes += payload.size();
  const PacketHandle handle = pool_.acquire();
  Packet& packet = pool_[handle];
  const auto interface = egress(host, source.ip, destination.ip);
  if (interface) source.ip = address_of(*interface);
  packet.source = source;
  packet.destination = destination;
  packet.ecn = ecn;
  packet.payload.assign(payload.begin(), payload.end());
  trace_.sent(now, source, destination, payload.size());
  if (!interface) return drop(now, handle, interface.error());
  if (source.ip.family() != destination.ip.family())
    return drop(now, handle, DropCause::bad_source);

  if (const auto own = own_interface(host, destination.ip)) {
    // To oneself: no link is crossed, but the datagram arrives in a turn of its own.
    queue_.push(now,
                {EventKind::packet_at_attachment, static_cast<std::uint32_t>(attachment_of(*own)),
                 static_cast<std::uint64_t>(handle)});
    return;
  }
  leave(now, attachment_of(*interface), handle);
}

bool Network::is_cut(AttachmentId from, AttachmentId to) const {
  if (!cut_ || from == no_attachment) return false;
  const bool from_island = attachments_[index_of(from)].on_island;
  const bool to_island = attachments_[index_of(to)].on_island;
  if (from_island == to_island) return false;
  return *cut_ == Cut::both_ways || (*cut_ == Cut::from_island) == from_island;
}

void Network::leave(Instant now, AttachmentId from, PacketHandle handle) {
  Packet& packet = pool_[handle];
  packet.origin = from;
  const Attachment& attachment = attachments_[index_of(from)];
  if (attachment.has_paths) {
    const auto to = find_address(attachment.realm, packet.destination.ip);
    const auto path = to ? paths_.find(path_key(from, *to)) : paths_.end();
    if (path != paths_.end()) {
      if (is_cut(from, *to)) return drop(now, handle, DropCause::partition);
      return cross(now, path->second, handle,
                   {EventKind::packet_at_attachment, static_cast<std::uint32_t>(*to), 0});
    }
  }
  cross(now, attachment.access.up, handle,
        {EventKind::packet_at_core, static_cast<std::uint32_t>(attachment.realm), 0});
}

void Network::cross(Instant now, LinkId link, PacketHandle handle, const Event& at_far_end) {
  Packet& packet = pool_[handle];
  const LinkVerdict verdict =
      links_[index_of(link)].enter(now, packet_size(packet), packet.payload.size());
  if (verdict.dropped) return drop(now, handle, cause_of(*verdict.dropped));
  Event arrival = at_far_end;
  arrival.data = static_cast<std::uint64_t>(handle);
  queue_.push(verdict.arrives, arrival);
  if (verdict.copy_arrives) {
    const PacketHandle copy = pool_.acquire();
    pool_[copy] = packet;
    arrival.data = static_cast<std::uint64_t>(copy);
    queue_.push(*verdict.copy_arrives, arrival);
  }
  if (verdict.flip_bit) flip(packet.payload, *verdict.flip_bit);
}

std::optional<Network::Delivery> Network::handle(Instant now, const Event& event) {
  const auto handle = static_cast<PacketHandle>(event.data);
  if (event.kind == EventKind::packet_at_core) {
    route(now, RealmId{event.target}, handle);
    return std::nullopt;
  }
  QM_ASSERT(event.kind == EventKind::packet_at_attachment);
  const Attachment& attachment = attachments_[event.target];
  if (attachment.nat) {
    route_in(now, *attachment.nat, handle);
    return std::nullopt;
  }
  const Interface& interface = interfaces_[index_of(*attachment.interface)];
  const Packet& packet = pool_[handle];
  if (interface.state == InterfaceState::down) {
    drop(now, handle, DropCause::interface_down);
    return std::nullopt;
  }
  if (interface.address != packet.destination.ip) {  // the address changed while it was under way
    drop(now, handle, DropCause::no_route);
    return std::nullopt;
  }
  ++counters_.delivered;
  counters_.delivered_bytes += packet.payload.size();
  trace_.delivered(now, packet.source, packet.destination, packet.payload.size());
  return Delivery{interface.host, handle};
}

void Network::route(Instant now, RealmId realm, PacketHandle handle) {
  const Packet& packet = pool_[handle];
  if (const auto to = find_address(realm, packet.destination.ip)) {
    if (is_cut(packet.origin, *to)) return drop(now, handle, DropCause::partition);
    return cross(now, attachments_[index_of(*to)].access.down, handle,
                 {EventKind::packet_at_attachment, static_cast<std::uint32_t>(*to), 0});
  }
  const auto gateway = realms_[index_of(realm)].gateway;
  if (!gateway) return drop(now, handle, DropCause::no_route);
  route_out(now, *gateway, handle);
}

void Network::route_out(Instant now, NatId id, PacketHandle handle) {
  NatBox& box = nats_[index_of(id)];
  Packet& packet = pool_[handle];
  // A NAT translates within one family; nothing else gets out.
  if (box.nat.external_addresses().front().family() != packet.source.ip.family()) {
    return drop(now, handle, DropCause::no_route);
  }
  if (box.nat.owns(packet.destination.ip)) {
    const auto turned = box.nat.hairpin(now, packet.source, packet.destination);
    if (!turned) return drop(now, handle, cause_of(turned.error()));
    packet.source = turned->source;
    packet.destination = turned->destination;
    // A mapping's inner host may have lost its address since: then nobody has it, and no second
    // way out may be tried.
    if (!find_address(box.inside, packet.destination.ip)) {
      return drop(now, handle, DropCause::no_route);
    }
    return route(now, box.inside, handle);
  }
  packet.source = box.nat.translate_outbound(now, packet.source, packet.destination);
  leave(now, box.attachment, handle);
}

void Network::route_in(Instant now, NatId id, PacketHandle handle) {
  NatBox& box = nats_[index_of(id)];
  Packet& packet = pool_[handle];
  const auto inner = box.nat.translate_inbound(now, packet.destination, packet.source);
  if (!inner) return drop(now, handle, cause_of(inner.error()));
  packet.destination = *inner;
  packet.origin = no_attachment;
  if (!find_address(box.inside, inner->ip)) return drop(now, handle, DropCause::no_route);
  route(now, box.inside, handle);
}

}  // namespace quicmesh::sim
