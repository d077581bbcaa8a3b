#include "io/tunnel_admission.hpp"

#include <algorithm>
#include <array>

#include "base/assert.hpp"

namespace quicmesh::io {
namespace {

constexpr std::size_t v6_source_bytes = 8;
constexpr std::size_t v6_network_bytes = 6;
constexpr std::size_t v4_network_bytes = 3;

IpAddress v6_prefix(const IpAddress& ip, std::size_t size) {
  std::array<std::uint8_t, 16> bytes = ip.bytes();
  std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(size), bytes.end(), std::uint8_t{0});
  return IpAddress::v6(bytes);
}

IpAddress source_of(const IpAddress& ip) {
  return ip.family() == IpFamily::v4 ? ip : v6_prefix(ip, v6_source_bytes);
}

IpAddress network_of(const IpAddress& ip) {
  if (ip.family() != IpFamily::v4) return v6_prefix(ip, v6_network_bytes);
  std::array<std::uint8_t, 4> bytes{};
  std::copy_n(ip.bytes().begin(), v4_network_bytes, bytes.begin());
  return IpAddress::v4(bytes);
}

}  // namespace

TunnelAdmission::Verdict TunnelAdmission::admit(const IpAddress& ip) {
  const auto source = sources_.find(source_of(ip));
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
  for (Count* count : {&sources_[source_of(ip)], &networks_[network_of(ip)]}) {
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
  open_one(sources_, source_of(ip));
  open_one(networks_, network_of(ip));
  --half_open_;
}

void TunnelAdmission::on_closed(const IpAddress& ip, bool was_open) {
  if (!was_open) on_open(ip);
  close_one(sources_, source_of(ip));
  close_one(networks_, network_of(ip));
  --tunnels_;
}

std::size_t TunnelAdmission::half_open_of_network(const IpAddress& ip) const {
  const auto found = networks_.find(network_of(ip));
  return found == networks_.end() ? 0 : found->second.half_open;
}

}  // namespace quicmesh::io
