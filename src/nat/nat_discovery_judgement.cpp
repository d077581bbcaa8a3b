#include "nat/nat_discovery_judgement.hpp"

#include <algorithm>
#include <array>

namespace quicmesh {
namespace {

constexpr std::size_t port_samples_min = 3;
constexpr int gap_max = 2048;
constexpr int small_gap_max = 64;

std::uint8_t percent(std::size_t part, std::size_t whole) {
  return static_cast<std::uint8_t>(100 * part / whole);
}

// What the pairs of destinations say: of the same address with different ports, and of different
// addresses.
struct Pairs {
  bool across_addresses = false;
  bool differ_across_addresses = false;
  bool across_ports = false;
  bool differ_across_ports = false;
};

Pairs compare_pairs(std::span<const MappingSample> samples) {
  Pairs pairs;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    for (std::size_t j = i + 1; j < samples.size(); ++j) {
      const MappingSample& a = samples[i];
      const MappingSample& b = samples[j];
      if (a.destination == b.destination) continue;
      const bool differ = a.external != b.external;
      if (a.destination.ip == b.destination.ip) {
        pairs.across_ports = true;
        pairs.differ_across_ports |= differ;
      } else {
        pairs.across_addresses = true;
        pairs.differ_across_addresses |= differ;
      }
    }
  }
  return pairs;
}

}  // namespace

NatBehaviour judge_mapping(std::span<const MappingSample> samples) {
  const Pairs pairs = compare_pairs(samples);
  if (pairs.differ_across_ports) return NatBehaviour::address_and_port_dependent;
  if (!pairs.across_addresses) return NatBehaviour::unknown;
  if (!pairs.differ_across_addresses) return NatBehaviour::endpoint_independent;
  return pairs.across_ports ? NatBehaviour::address_dependent
                            : NatBehaviour::address_and_port_dependent;
}

bool is_mapping_settled(std::span<const MappingSample> samples) {
  const Pairs pairs = compare_pairs(samples);
  if (pairs.differ_across_ports) return true;
  return pairs.across_addresses && (!pairs.differ_across_addresses || pairs.across_ports);
}

PortJudgement judge_ports(std::span<const PortSample> samples) {
  if (samples.size() < port_samples_min) return {};
  const auto preserved = static_cast<std::size_t>(std::ranges::count_if(
      samples, [](const PortSample& s) { return s.external.port == s.inner; }));
  if (4 * preserved >= 3 * samples.size()) {
    return {PortAllocation::preserved, 0, percent(preserved, samples.size())};
  }

  // Relative to the first, so that ports on both sides of 65535 stay neighbours.
  std::vector<int> ports;
  int rising = 0;
  for (const PortSample& sample : samples) {
    const auto offset = static_cast<std::int16_t>(
        static_cast<std::uint16_t>(sample.external.port - samples[0].external.port));
    if (!ports.empty()) rising += offset > ports.back() ? 1 : -1;
    ports.push_back(offset);
  }
  std::ranges::sort(ports);
  std::vector<int> gaps;
  for (std::size_t i = 1; i < ports.size(); ++i)
    gaps.push_back(ports[i] - ports[i - 1]);

  const int largest = std::ranges::max(gaps);
  int delta = 0;
  std::ptrdiff_t fitting = 0;
  for (const int gap : gaps) {
    const std::ptrdiff_t count = std::ranges::count(gaps, gap);
    if (count > fitting || (count == fitting && gap < delta)) {
      delta = gap;
      fitting = count;
    }
  }
  const bool regular = fitting >= 2 && largest <= gap_max;
  if (delta == 0 || (!regular && largest > small_gap_max)) {
    return {PortAllocation::random, 0, 100};
  }
  return {PortAllocation::sequential, static_cast<std::int16_t>(rising < 0 ? -delta : delta),
          percent(static_cast<std::size_t>(fitting), gaps.size())};
}

bool is_carrier_grade(const IpAddress& address) {
  const auto& bytes = address.bytes();
  return address.family() == IpFamily::v4 && bytes[0] == 100 && (bytes[1] & 0xc0) == 64;
}

NatProfile merge_families(const NatProfile& v4, const NatProfile& v6) {
  NatProfile merged = v4;
  merged.ipv6 = v6.ipv6;
  merged.ipv6_filtering = v6.ipv6_filtering;
  return merged;
}

}  // namespace quicmesh
