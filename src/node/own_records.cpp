#include "node/own_records.hpp"

#include <algorithm>
#include <utility>

#include "base/tunnel_path.hpp"
#include "base/turn_path.hpp"
#include "nat/nat_profile.hpp"

namespace quicmesh {
namespace {

constexpr std::uint16_t protocol_version = 1;

constexpr std::array scopes_of_records{AddressScope::loopback, AddressScope::link_local,
                                       AddressScope::private_realm, AddressScope::public_internet};

/// The relays that this node keeps a session with, where it found them.
std::vector<RelayEndpoint> relays_of(const NodeCore& node) {
  std::vector<RelayEndpoint> relays;
  for (const RelayReport& relay : node.relays().relays()) {
    const auto path = node.connectivity().current_path(relay.id);
    if (!relay.up || relay.of_peer || !path || is_relayed(*path) || is_tunnelled(*path)) continue;
    if (relays.size() < endpoint_relays_max) relays.push_back({relay.id, {path->remote}});
  }
  return relays;
}

EndpointRecord everything(const NodeCore& node) {
  EndpointRecord record;
  record.versions = {protocol_version};
  for (const Candidate& candidate : node.own_candidates().candidates) {
    if (candidate.address.port != 0) record.candidates.push_back(candidate.address);
  }
  record.relays = relays_of(node);
  if (const auto& nat = node.nat()) {
    const NatProfileBytes profile = encode_nat_profile(nat->profile);
    record.nat_profile.assign(profile.begin(), profile.end());
  }
  return record;
}

}  // namespace

void OwnRecords::on_reach_changed(Instant now) {
  const Instant soonest =
      signed_count_ == 0 ? now : std::max(now + settle_time, signed_at_ + pause);
  due_ = std::min(due_, soonest);
}

void OwnRecords::on_clock_stepped(Instant now) {
  told_.reset();
  due_ = now;
}

bool OwnRecords::handle_timeout(Instant now, const NodeCore& node) {
  if (due_ > now) return false;
  EndpointRecord record = everything(node);
  const bool old = now - signed_at_ >= life - renewed_before_end;
  due_ = signed_at_ + life - renewed_before_end;
  if (!old && told_ == record) return false;
  told_ = record;
  signed_at_ = now;
  due_ = now + life - renewed_before_end;
  const auto wall_s = std::to_underlying(node.wall_time(now));
  sequence_ = next_endpoint_sequence(sequence_, static_cast<std::uint64_t>(wall_s) * 1000);
  ++signed_count_;
  record.stamp.sequence = sequence_;
  record.stamp.lifetime = std::chrono::duration_cast<std::chrono::seconds>(life);
  for (std::size_t i = 0; i < scopes; ++i) {
    records_[i].clear();
    const EndpointRecord part = limited_to(scopes_of_records[i], record, node.address_rules());
    // A record of nowhere would take the place of a narrower one that is of use.
    if (part.candidates.empty() && part.relays.empty()) continue;
    auto bytes = sign_endpoint_record(node.identity(), part, node.address_rules());
    if (bytes) records_[i] = std::move(*bytes);
  }
  return true;
}

ByteView OwnRecords::widest_record() const {
  const auto widest = std::ranges::find_if(records_.rbegin(), records_.rend(),
                                           [](const Bytes& one) { return !one.empty(); });
  return widest == records_.rend() ? ByteView() : ByteView(*widest);
}

ByteView OwnRecords::record_for(AddressScope scope) const {
  const auto first = static_cast<std::size_t>(std::ranges::find(scopes_of_records, scope) -
                                              scopes_of_records.begin());
  for (std::size_t i = first; i < scopes; ++i) {
    if (!records_[i].empty()) return records_[i];
  }
  return {};
}

}  // namespace quicmesh
