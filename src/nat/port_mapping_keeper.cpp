#include "nat/port_mapping_keeper.hpp"

#include <algorithm>

#include "nat/port_mapping_errc.hpp"

namespace quicmesh {
namespace {

constexpr Duration epoch_slack = 2s;  // RFC 6886 s3.6

}  // namespace

PortMappingKeeper::PortMappingKeeper(std::vector<std::uint16_t> ports, AddressRules rules, Rng rng)
    : rules_(rules), rng_(rng) {
  ports.resize(std::min(ports.size(), ports_max));
  for (const std::uint16_t port : ports)
    ports_.push_back({.internal = port});
}

bool PortMappingKeeper::is_usable() const {
  return external_ && scope_of(*external_, rules_) == AddressScope::public_internet;
}

PortMappingKeeper::Step PortMappingKeeper::next(Instant now) const {
  if (status_due_ <= now) return AskStatus{};
  Instant until = status_due_;
  if (!is_usable()) return Wait{until};
  for (const Port& port : ports_) {
    if (port.due <= now) {
      return AskMapping{port.internal, port.held ? port.held->external_port : port.internal};
    }
    until = std::min(until, port.due);
  }
  return Wait{until};
}

Duration PortMappingKeeper::backoff(int failures) {
  const int doublings = std::clamp(failures - 1, 0, 10);
  const Duration wait = std::min(retry_first * (std::int64_t{1} << doublings), retry_max);
  return rng_.between(wait * 3 / 4, wait * 5 / 4);
}

void PortMappingKeeper::on_silence(Instant now, std::error_code error) {
  ++status_failures_;
  status_due_ = now + backoff(status_failures_);
  if (external_ && status_failures_ < failures_max) return;
  verdict_ = error;
  external_.reset();
  epoch_.reset();
  for (Port& port : ports_)
    port = {.internal = port.internal};
}

bool PortMappingKeeper::has_restarted(Instant now, const GatewayStatus& status) const {
  if (!epoch_ || !status.epoch_s) return false;
  const Duration expected = std::chrono::seconds(epoch_->seconds) + (now - epoch_->heard) * 7 / 8;
  return std::chrono::seconds(*status.epoch_s) + epoch_slack < expected;
}

void PortMappingKeeper::on_status(Instant now, const Result<GatewayStatus>& status) {
  if (!status) return on_silence(now, status.error());
  status_failures_ = 0;
  status_due_ = now + rng_.between(check_interval * 3 / 4, check_interval * 5 / 4);
  const bool anew =
      status->mappings_lost || has_restarted(now, *status) || external_ != status->external;
  if (external_ != status->external) {
    for (Port& port : ports_)
      port.held.reset();  // what was told of the old address is wrong
  }
  external_ = status->external;
  epoch_.reset();
  if (status->epoch_s) epoch_ = Epoch{*status->epoch_s, now};
  if (!is_usable()) {
    verdict_ = PortMappingErrc::double_nat;
    return;
  }
  if (verdict_ == PortMappingErrc::double_nat) verdict_.clear();
  if (!anew) return;
  for (Port& port : ports_) {
    port.due = now;
    port.failures = 0;
  }
}

void PortMappingKeeper::on_mapping(Instant now, std::uint16_t internal_port,
                                   const Result<GrantedMapping>& mapping) {
  const auto port = std::ranges::find(ports_, internal_port, &Port::internal);
  if (port == ports_.end()) return;
  const bool good =
      mapping && mapping->external_port >= external_port_min && mapping->lifetime > Duration{};
  if (!good) {
    ++port->failures;
    port->due = now + backoff(port->failures);
    // What is held may still stand: it was asked for at half of its lifetime.
    if (port->held && port->held->until <= now) port->held.reset();
    if (port->held) port->due = std::min(port->due, port->held->until);
    const bool holds = std::ranges::any_of(ports_, [](const Port& one) { return bool(one.held); });
    if (holds) return;
    verdict_ = mapping ? make_error_code(PortMappingErrc::useless_mapping) : mapping.error();
    return;
  }
  const Duration lifetime = std::min(mapping->lifetime, lifetime_wanted);
  port->failures = 0;
  port->held = HeldMapping{internal_port, mapping->external_port, lifetime, now + lifetime};
  port->due = now + std::max(renew_min, rng_.between(lifetime * 7 / 16, lifetime / 2));
  verdict_.clear();
}

void PortMappingKeeper::check_now(Instant now) {
  status_due_ = std::min(status_due_, now);
}

void PortMappingKeeper::on_announcement(Instant now) {
  check_now(now);
  for (Port& port : ports_)
    port.due = std::min(port.due, now);
}

std::vector<HeldMapping> PortMappingKeeper::held() const {
  std::vector<HeldMapping> held;
  if (!is_usable()) return held;
  for (const Port& port : ports_) {
    if (port.held) held.push_back(*port.held);
  }
  return held;
}

}  // namespace quicmesh
