#include "io/tunnel_admission.hpp"

#include <algorithm>
#include <array>

#include "base/assert.hpp"

namespace quicmesh::io {
namespace {

IpAddress source_of(const IpAddress& ip) {
  if (ip.family() == IpFamily::v4) return ip;
  std::array<std::uint8_t, 16> bytes = ip.bytes();
  std::fill(bytes.begin() + 8, bytes.end(), std::uint8_t{0});
  return IpAddress::v6(bytes);
}

}  // namespace

TunnelAdmission::Verdict TunnelAdmission::admit(Instant now, const IpAddress& ip) {
  const IpAddress key = source_of(ip);
  const auto found = sources_.find(key);
  if (found != sources_.end() && (found->second.half_open >= limits_.half_open_of_a_source ||
                                  found->second.tunnels >= limits_.tunnels_of_a_source)) {
    ++counters_.refused_source;
    return Verdict::refused;
  }
  const bool evicts = half_open_ >= limits_.half_open;
  if (!evicts && tunnels_ >= limits_.tunnels) {
    ++counters_.refused_tunnels;
    return Verdict::refused;
  }
  if (!handshakes_.take(now, ip)) {
    ++counters_.refused_rate;
    return Verdict::refused;
  }
  Source& source = sources_[key];
  ++source.half_open;
  ++source.tunnels;
  ++half_open_;
  ++tunnels_;
  if (!evicts) return Verdict::admitted;
  ++counters_.evicted;
  return Verdict::admitted_for_oldest;
}

void TunnelAdmission::on_open(const IpAddress& ip) {
  const auto found = sources_.find(source_of(ip));
  QM_ASSERT(found != sources_.end() && found->second.half_open > 0);
  --found->second.half_open;
  --half_open_;
}

void TunnelAdmission::on_closed(const IpAddress& ip, bool was_open) {
  if (!was_open) on_open(ip);
  const auto found = sources_.find(source_of(ip));
  QM_ASSERT(found != sources_.end() && found->second.tunnels > 0);
  --tunnels_;
  if (--found->second.tunnels == 0) sources_.erase(found);
}

}  // namespace quicmesh::io
