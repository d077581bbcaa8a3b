// See gateway.hpp.
#include "gateway.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/assert.hpp"
#include "base/hash.hpp"

namespace quicmesh::natlab {
namespace {

constexpr std::array<std::string_view, gateway_drops> drop_names = {
    "fragment", "time_to_live", "denied",   "udp_blocked",     "tcp_blocked", "unknown_protocol",
    "stray",    "unmapped",     "filtered", "hairpin_refused", "clashed"};

sim::NatConfig client_table(Duration lifetime, sim::PortAllocation ports) {
  sim::NatConfig config;
  config.ports = ports;
  config.lifetime = lifetime;
  config.refresh = sim::NatRefresh::both_ways;
  return config;
}

sim::NatConfig per_flow_table() {
  sim::NatConfig config = client_table(Gateway::clash_lifetime, sim::PortAllocation::random);
  config.mapping = sim::NatDependence::address_and_port_dependent;
  return config;
}

GatewayDrop cause_of(sim::NatDrop drop) {
  switch (drop) {
    case sim::NatDrop::unmapped:
      return GatewayDrop::unmapped;
    case sim::NatDrop::filtered:
      return GatewayDrop::filtered;
    case sim::NatDrop::hairpin_refused:
      break;
  }
  return GatewayDrop::hairpin_refused;
}

std::uint32_t number_of(const IpAddress& address) {
  const auto& bytes = address.bytes();
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 |
         std::uint32_t{bytes[2]} << 8 | bytes[3];
}

}  // namespace

std::string_view name_of(GatewayDrop cause) {
  return drop_names[static_cast<std::size_t>(cause)];
}

std::optional<Network> Network::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto address = IpAddress::parse(text.substr(0, slash));
  const std::string_view bits = text.substr(slash + 1);
  Network network;
  const auto [end, error] = std::from_chars(bits.data(), bits.data() + bits.size(), network.bits);
  if (!address || address->family() != IpFamily::v4 || error != std::errc{} ||
      end != bits.data() + bits.size() || network.bits > 32) {
    return std::nullopt;
  }
  network.address = *address;
  return network;
}

bool Network::contains(const IpAddress& other) const {
  if (other.family() != IpFamily::v4) return false;
  if (bits == 0) return true;
  return (number_of(address) ^ number_of(other)) >> (32 - bits) == 0;
}

std::size_t Gateway::PairHash::operator()(const Pair& pair) const noexcept {
  const std::hash<SocketAddress> hash;
  return hash_combine(hash(pair.external), hash(pair.remote));
}

Gateway::Gateway(GatewayConfig config, Rng rng) : config_(std::move(config)) {
  if (config_.external.empty()) return;
  const auto& external = config_.external;
  nats_.emplace(Nats{
      .udp = sim::Nat(config_.udp, external, rng.fork("udp")),
      .tcp = sim::Nat(client_table(2h, sim::PortAllocation::preserving), external, rng.fork("tcp")),
      .echo = sim::Nat(client_table(60s, sim::PortAllocation::random), external, rng.fork("echo")),
      .clashed = sim::Nat(per_flow_table(), external, rng.fork("clashed"))});
}

std::expected<Side, GatewayDrop> Gateway::pass(Instant now, Side from, IpPacket& packet) {
  const Verdict verdict = judge(now, from, packet);
  if (!verdict) ++dropped_[static_cast<std::size_t>(verdict.error())];
  return verdict;
}

Gateway::Verdict Gateway::judge(Instant now, Side from, IpPacket& packet) {
  if (const auto cause = forbidden(from, packet)) return std::unexpected(*cause);
  if (!packet.cross(1)) return std::unexpected(GatewayDrop::time_to_live);
  if (!nats_ || packet.family() == IpFamily::v6)
    return from == Side::inner ? Side::outer : Side::inner;
  if (packet.is_fragment()) return std::unexpected(GatewayDrop::fragment);
  return from == Side::inner ? outbound(now, packet) : inbound(now, packet);
}

std::optional<GatewayDrop> Gateway::forbidden(Side from, const IpPacket& packet) const {
  const SocketAddress remote = from == Side::inner ? packet.destination() : packet.source();
  if (std::find(denied_.begin(), denied_.end(), remote.ip) != denied_.end())
    return GatewayDrop::denied;
  if (packet.kind() == PacketKind::udp && config_.blocks_udp) return GatewayDrop::udp_blocked;
  if (packet.kind() == PacketKind::tcp && !config_.tcp_ports.empty() &&
      std::find(config_.tcp_ports.begin(), config_.tcp_ports.end(), remote.port) ==
          config_.tcp_ports.end()) {
    return GatewayDrop::tcp_blocked;
  }
  if (from == Side::inner && config_.inner && packet.family() == IpFamily::v4 &&
      (config_.inner->contains(remote.ip) || !config_.inner->contains(packet.source().ip))) {
    return GatewayDrop::stray;
  }
  return std::nullopt;
}

sim::Nat* Gateway::nat_of(PacketKind kind) {
  switch (kind) {
    case PacketKind::udp:
      return &nats_->udp;
    case PacketKind::tcp:
      return &nats_->tcp;
    case PacketKind::echo_request:
    case PacketKind::echo_reply:
      return &nats_->echo;
    case PacketKind::icmp_error:
    case PacketKind::other:
      break;
  }
  return nullptr;
}

Gateway::Verdict Gateway::outbound(Instant now, IpPacket& packet) {
  sim::Nat* const nat = nat_of(packet.kind());
  // A host behind a NAT answers no echo request from outside: none reaches it.
  if (nat == nullptr || packet.kind() == PacketKind::echo_reply)
    return std::unexpected(GatewayDrop::unknown_protocol);
  const SocketAddress remote = packet.destination();
  if (nat->owns(remote.ip)) return hairpin(now, *nat, packet);

  SocketAddress external = nat->translate_outbound(now, packet.source(), remote);
  if (config_.sloppy && packet.kind() == PacketKind::udp && clashes(now, {external, remote}))
    external = nats_->clashed.translate_outbound(now, packet.source(), remote);
  packet.set_source(external);
  return Side::outer;
}

Gateway::Verdict Gateway::hairpin(Instant now, sim::Nat& nat, IpPacket& packet) {
  if (packet.kind() == PacketKind::echo_request)
    return std::unexpected(GatewayDrop::hairpin_refused);
  const auto through = nat.hairpin(now, packet.source(), packet.destination());
  if (!through) return std::unexpected(cause_of(through.error()));
  packet.set_source(through->source);
  packet.set_destination(through->destination);
  return Side::inner;
}

Gateway::Verdict Gateway::inbound(Instant now, IpPacket& packet) {
  if (packet.kind() == PacketKind::icmp_error) return inbound_error(now, packet);
  sim::Nat* const nat = nat_of(packet.kind());
  if (nat == nullptr || packet.kind() == PacketKind::echo_request)
    return std::unexpected(GatewayDrop::unknown_protocol);
  const Pair pair{packet.destination(), packet.source()};
  const bool sloppy = config_.sloppy && packet.kind() == PacketKind::udp;
  if (sloppy && clashes(now, pair)) {
    note_clash(now, pair);
    return std::unexpected(GatewayDrop::clashed);
  }
  auto inner = nat->translate_inbound(now, pair.external, pair.remote);
  if (!inner && sloppy) {
    const auto of_flow = nats_->clashed.translate_inbound(now, pair.external, pair.remote);
    if (!of_flow) note_clash(now, pair);
    if (of_flow) inner = of_flow;
  }
  if (!inner) return std::unexpected(cause_of(inner.error()));
  packet.set_destination(*inner);
  return Side::inner;
}

Gateway::Verdict Gateway::inbound_error(Instant now, IpPacket& packet) {
  auto culprit = packet.culprit();
  sim::Nat* const nat = culprit ? nat_of(culprit->kind()) : nullptr;
  if (nat == nullptr) return std::unexpected(GatewayDrop::unknown_protocol);
  const auto inner = nat->translate_inbound(now, culprit->source(), culprit->destination());
  if (!inner) return std::unexpected(cause_of(inner.error()));
  culprit->set_source(*inner);
  packet.renew_icmp_checksum();
  packet.set_destination({inner->ip, 0});
  return Side::inner;
}

bool Gateway::clashes(Instant now, const Pair& pair) const {
  const auto found = clashes_.find(pair);
  return found != clashes_.end() && found->second > now;
}

void Gateway::note_clash(Instant now, const Pair& pair) {
  if (clashes_.size() >= clashes_max)
    std::erase_if(clashes_, [&](const auto& entry) { return entry.second <= now; });
  if (clashes_.size() < clashes_max || clashes_.contains(pair))
    clashes_[pair] = now + clash_lifetime;
}

void Gateway::rebind() {
  clashes_.clear();
  if (!nats_) return;
  for (sim::Nat* nat : {&nats_->udp, &nats_->tcp, &nats_->echo, &nats_->clashed})
    nat->rebind();
}

bool Gateway::deny(const IpAddress& remote) {
  if (std::find(denied_.begin(), denied_.end(), remote) != denied_.end()) return true;
  if (denied_.size() >= denied_max) return false;
  denied_.push_back(remote);
  return true;
}

void Gateway::allow(const IpAddress& remote) {
  std::erase(denied_, remote);
}

}  // namespace quicmesh::natlab
