// See nat.hpp for the behaviours and their sources.
#include "sim/nat.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "base/hash.hpp"
#include "sim/sim_errc.hpp"

namespace quicmesh::sim {
namespace {

std::uint16_t wrapped_port(std::uint64_t steps_from_first) {
  return static_cast<std::uint16_t>(Nat::first_port + steps_from_first % Nat::ports_per_address);
}

}  // namespace

std::string_view classic_name(NatDependence mapping, NatDependence filtering) {
  if (mapping != NatDependence::endpoint_independent) return "symmetric";
  switch (filtering) {
    case NatDependence::endpoint_independent:
      return "full cone";
    case NatDependence::address_dependent:
      return "restricted cone";
    case NatDependence::address_and_port_dependent:
      break;
  }
  return "port-restricted cone";
}

std::size_t Nat::MappingKeyHash::operator()(const MappingKey& key) const noexcept {
  const std::hash<SocketAddress> hash;
  return hash_combine(hash(key.inner), hash(key.destination));
}

Result<void> Nat::check(const NatConfig& config, const std::vector<IpAddress>& external_addresses) {
  if (external_addresses.empty() || config.lifetime <= 0ns || config.lifetime > 24h ||
      config.mappings_max == 0 || config.port_delta == 0) {
    return failure(SimErrc::bad_nat);
  }
  // All hosts may be paired with one address: half its ports keeps the search for a free one short.
  if (config.mappings_max > ports_per_address / 2) return failure(SimErrc::bad_nat);
  return {};
}

Nat::Nat(const NatConfig& config, std::vector<IpAddress> external_addresses, Rng rng)
    : config_(config),
      external_(std::move(external_addresses)),
      rng_(rng),
      last_port_(wrapped_port(rng_.next())) {
  QM_ASSERT(check(config_, external_).has_value());
}

bool Nat::owns(const IpAddress& address) const {
  return std::find(external_.begin(), external_.end(), address) != external_.end();
}

SocketAddress Nat::as_seen(NatDependence dependence, const SocketAddress& remote) {
  switch (dependence) {
    case NatDependence::endpoint_independent:
      return {};
    case NatDependence::address_dependent:
      return {remote.ip, 0};
    case NatDependence::address_and_port_dependent:
      break;
  }
  return remote;
}

SocketAddress Nat::translate_outbound(Instant now, const SocketAddress& inner,
                                      const SocketAddress& destination) {
  expire(now);
  const auto came_by = answered_by_.find({inner, destination});
  if (came_by != answered_by_.end()) return came_by->second;
  const std::uint32_t index = find_or_make(now, inner, destination);
  refresh(now, index);
  permit(now, mappings_[index], destination);
  return mappings_[index].external;
}

std::expected<SocketAddress, NatDrop> Nat::translate_inbound(Instant now,
                                                             const SocketAddress& external,
                                                             const SocketAddress& source) {
  expire(now);
  if (const auto forward = forwarded_.find(external); forward != forwarded_.end()) {
    if (answered_by_.size() < config_.mappings_max) {
      answered_by_.try_emplace({forward->second, source}, external);
    }
    return forward->second;
  }
  const auto found = by_external_.find(external);
  if (found == by_external_.end()) {
    ++counters_.unmapped;
    return std::unexpected(NatDrop::unmapped);
  }
  const std::uint32_t index = found->second;
  if (!permits(now, mappings_[index], source)) {
    ++counters_.filtered;
    return std::unexpected(NatDrop::filtered);
  }
  if (config_.refresh == NatRefresh::both_ways) {
    refresh(now, index);
    permit(now, mappings_[index], source);
  }
  return mappings_[index].key.inner;
}

std::expected<Nat::Hairpinned, NatDrop> Nat::hairpin(Instant now, const SocketAddress& inner,
                                                     const SocketAddress& external) {
  if (config_.hairpin == Hairpin::off) {
    ++counters_.hairpin_refused;
    return std::unexpected(NatDrop::hairpin_refused);
  }
  const SocketAddress source = translate_outbound(now, inner, external);
  const auto destination = translate_inbound(now, external, source);
  if (!destination) return std::unexpected(destination.error());
  return Hairpinned{source, *destination};
}

void Nat::forward(const SocketAddress& external, const SocketAddress& inner) {
  forwarded_[external] = inner;
}

void Nat::rebind() {
  forwarded_.clear();
  answered_by_.clear();
  mappings_.clear();
  free_.clear();
  by_key_.clear();
  by_external_.clear();
  first_to_expire_ = last_to_expire_ = no_mapping;
  last_port_ = wrapped_port(rng_.next());
}

void Nat::renumber(std::vector<IpAddress> external_addresses) {
  external_ = std::move(external_addresses);
  QM_ASSERT(check(config_, external_).has_value());
  rebind();
}

std::uint32_t Nat::find_or_make(Instant now, const SocketAddress& inner,
                                const SocketAddress& destination) {
  const MappingKey key{inner, as_seen(config_.mapping, destination)};
  if (const auto found = by_key_.find(key); found != by_key_.end()) return found->second;

  if (by_key_.size() >= config_.mappings_max) {
    ++counters_.mappings_evicted;
    forget(first_to_expire_);
  }
  std::uint32_t index = static_cast<std::uint32_t>(mappings_.size());
  if (free_.empty()) {
    mappings_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  const SocketAddress external = allocate(inner);
  Mapping& mapping = mappings_[index];
  mapping.key = key;
  mapping.external = external;
  mapping.expires = now + config_.lifetime;
  mapping.permissions.clear();
  by_key_.emplace(key, index);
  by_external_.emplace(external, index);
  link_last(index);
  ++counters_.mappings_made;
  return index;
}

SocketAddress Nat::allocate(const SocketAddress& inner) {
  // Paired pooling: the choice depends on the inner address alone.
  const std::size_t pool_index = hash_bytes(inner.ip.bytes()) % external_.size();
  SocketAddress external{external_[pool_index], 0};
  std::uint64_t step = 0;
  switch (config_.ports) {
    case PortAllocation::preserving:
      step = inner.port >= first_port ? inner.port - first_port : inner.port;
      break;
    case PortAllocation::sequential:
      step = std::uint64_t{last_port_} - first_port + config_.port_delta;
      break;
    case PortAllocation::random:
      step = rng_.below(ports_per_address);
      break;
  }
  // At most half of the ports are taken, so this ends (`check`).
  external.port = wrapped_port(step);
  while (by_external_.contains(external) || forwarded_.contains(external))
    external.port = wrapped_port(++step);
  last_port_ = external.port;
  return external;
}

void Nat::expire(Instant now) {
  while (first_to_expire_ != no_mapping && mappings_[first_to_expire_].expires <= now) {
    ++counters_.mappings_expired;
    forget(first_to_expire_);
  }
}

void Nat::refresh(Instant now, std::uint32_t index) {
  mappings_[index].expires = now + config_.lifetime;
  unlink(index);
  link_last(index);
}

void Nat::permit(Instant now, Mapping& mapping, const SocketAddress& destination) {
  if (config_.filtering == NatDependence::endpoint_independent) return;
  const Permission permission{as_seen(config_.filtering, destination), now + config_.lifetime};
  auto& permissions = mapping.permissions;
  const auto same = std::find_if(permissions.begin(), permissions.end(), [&](const Permission& p) {
    return p.remote == permission.remote;
  });
  if (same != permissions.end()) {
    same->expires = permission.expires;
  } else if (permissions.size() < permissions_max) {
    permissions.push_back(permission);
  } else {
    const auto oldest = std::min_element(
        permissions.begin(), permissions.end(),
        [](const Permission& a, const Permission& b) { return a.expires < b.expires; });
    counters_.permissions_evicted += oldest->expires > now;
    *oldest = permission;
  }
}

bool Nat::permits(Instant now, const Mapping& mapping, const SocketAddress& source) const {
  if (config_.filtering == NatDependence::endpoint_independent) return true;
  const SocketAddress remote = as_seen(config_.filtering, source);
  return std::any_of(mapping.permissions.begin(), mapping.permissions.end(),
                     [&](const Permission& p) { return p.remote == remote && p.expires > now; });
}

void Nat::link_last(std::uint32_t index) {
  Mapping& mapping = mappings_[index];
  mapping.earlier = last_to_expire_;
  mapping.later = no_mapping;
  (last_to_expire_ == no_mapping ? first_to_expire_ : mappings_[last_to_expire_].later) = index;
  last_to_expire_ = index;
}

void Nat::unlink(std::uint32_t index) {
  const Mapping& mapping = mappings_[index];
  (mapping.earlier == no_mapping ? first_to_expire_ : mappings_[mapping.earlier].later) =
      mapping.later;
  (mapping.later == no_mapping ? last_to_expire_ : mappings_[mapping.later].earlier) =
      mapping.earlier;
}

void Nat::forget(std::uint32_t index) {
  unlink(index);
  by_key_.erase(mappings_[index].key);
  by_external_.erase(mappings_[index].external);
  mappings_[index].permissions.clear();
  free_.push_back(index);
}

}  // namespace quicmesh::sim
