#include "io/tunnel_admission.hpp"

#include "base/address_prefix.hpp"
#include "base/assert.hpp"

namespace quicmesh::io {

TunnelAdmission::Verdict TunnelAdmission::admit(const IpAddress& ip) {
  const auto source = sources_.find(host_of(ip));
  const auto network = networks_.find(network_of(ip));
  const bool source_full =
      source != sources_.end() && (source->second.half_open >= limits_.half_open_of_a_source ||
                                   source->second.tunnels >= limits_.tunnels_of_a_source);
  if (source_full ||
      (network != networks_.end() && network->second.tunnels >= limits_.tunnels_of_a_network)) {
    ++counters_.refused_source;
    return Verdict::refused;
  }
  if (half_open_ >= limits_.half_open) return Verdict::half_open_full;
  if (tunnels_ >= limits_.tunnels) return Verdict::full;
  for (Count* count : {&sources_[host_of(ip)], &networks_[network_of(ip)]}) {
    ++count->half_open;
    ++count->tunnels;
  }
  ++half_open_;
  ++tunnels_;
  return Verdict::admitted;
}

bool TunnelAdmission::begin_handshake(Instant now, const IpAddress& ip) {
  if (handshakes_.take(now, ip)) return true;
  ++counters_.refused_rate;
  return false;
}

void TunnelAdmission::open_one(Counts& counts, const IpAddress& key) {
  const auto found = counts.find(key);
  QM_ASSERT(found != counts.end() && found->second.half_open > 0);
  --found->second.half_open;
}

void TunnelAdmission::close_one(Counts& counts, const IpAddress& key) {
  const auto found = counts.find(key);
  QM_ASSERT(found != counts.end() && found->second.tunnels > 0);
  if (--found->second.tunnels == 0) counts.erase(found);
}

void TunnelAdmission::on_open(const IpAddress& ip) {
  open_one(sources_, host_of(ip));
  open_one(networks_, network_of(ip));
  --half_open_;
}

void TunnelAdmission::on_closed(const IpAddress& ip, bool was_open) {
  if (!was_open) on_open(ip);
  close_one(sources_, host_of(ip));
  close_one(networks_, network_of(ip));
  --tunnels_;
}

std::size_t TunnelAdmission::half_open_of_network(const IpAddress& ip) const {
  const auto found = networks_.find(network_of(ip));
  return found == networks_.end() ? 0 : found->second.half_open;
}

}  // namespace quicmesh::io
