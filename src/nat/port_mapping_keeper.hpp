// PortMappingKeeper: decides when to ask a gateway for port mappings, when to renew them and when
// to give up, as a core. One keeper holds what one protocol (NAT-PMP or UPnP-IGD) is told by one
// gateway; io/port_mapper.hpp carries its steps out.
//
// The gateway is asked for its state (external address, epoch) first and then every
// `check_interval`. While the address is public, each port is mapped, and renewed at half of its
// lifetime (RFC 6886 s3.3), with jitter. All are made anew when the address changes, when the epoch
// runs behind seven eighths of our own clock (RFC 6886 s3.6: the gateway has lost its mappings), or
// when the gateway says it no longer has one.
//
// An address that is not public means a second NAT behind the gateway (carrier-grade, or a router
// behind a router): a mapping there leads nowhere. That is a verdict, `double_nat`, and nothing is
// asked for.
//
// A gateway is not believed more than needed: lifetimes are cut to `lifetime_wanted`, renewals come
// no closer than `renew_min`, system ports are refused (peers do not probe them). After
// `failures_max` unanswered checks all mappings count as lost; retries back off from `retry_first`
// to `retry_max`.
#pragma once

#include <cstdint>
#include <optional>
#include <system_error>
#include <variant>
#include <vector>

#include "base/laboratory_address.hpp"
#include "base/rng.hpp"
#include "quicmesh/result.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh {

/// What a gateway says of itself.
struct GatewayStatus {
  IpAddress external;
  std::optional<std::uint32_t> epoch_s;  // seconds since it has had its mappings
  bool mappings_lost = false;            // it does not know one that is held
};

struct GrantedMapping {
  std::uint16_t external_port = 0;
  Duration lifetime{};
};

struct HeldMapping {
  std::uint16_t internal_port = 0;
  std::uint16_t external_port = 0;
  Duration lifetime{};
  Instant until{};
};

class PortMappingKeeper {
 public:
  static constexpr Duration lifetime_wanted = 1h;
  static constexpr Duration check_interval = 30s;
  static constexpr Duration renew_min = 30s;
  static constexpr Duration retry_first = 5s;
  static constexpr Duration retry_max = 10min;
  static constexpr int failures_max = 3;
  static constexpr std::size_t ports_max = 16;
  static constexpr std::uint16_t external_port_min = 1024;

  struct AskStatus {};
  struct AskMapping {
    std::uint16_t internal_port = 0;
    std::uint16_t external_port = 0;  // wanted: the one held before, else the internal one
  };
  struct Wait {
    Instant until{};
  };
  using Step = std::variant<AskStatus, AskMapping, Wait>;

  /// At most `ports_max` of `ports` are mapped.
  PortMappingKeeper(std::vector<std::uint16_t> ports, AddressRules rules, Rng rng);

  [[nodiscard]] Step next(Instant now) const;
  void on_status(Instant now, const Result<GatewayStatus>& status);
  void on_mapping(Instant now, std::uint16_t internal_port, const Result<GrantedMapping>& mapping);
  /// The gateway may have changed: it is asked at once.
  void check_now(Instant now);
  /// It announced itself, as it does after a restart (RFC 6886 s3.2.1): all is made anew, whatever
  /// its epoch. Between two answers a short absence does not show in that.
  void on_announcement(Instant now);

  /// Empty unless `external` is public.
  [[nodiscard]] std::vector<HeldMapping> held() const;
  /// As the gateway last said; nothing if it does not answer.
  [[nodiscard]] std::optional<IpAddress> external() const { return external_; }
  /// Why there is no mapping; empty while there is one or nothing is known yet.
  [[nodiscard]] std::error_code verdict() const { return verdict_; }

 private:
  struct Port {
    std::uint16_t internal = 0;
    std::optional<HeldMapping> held;
    Instant due{};
    int failures = 0;
  };

  void on_silence(Instant now, std::error_code error);
  [[nodiscard]] bool has_restarted(Instant now, const GatewayStatus& status) const;
  [[nodiscard]] bool is_usable() const;
  Duration backoff(int failures);

  std::vector<Port> ports_;
  AddressRules rules_;
  Rng rng_;
  std::optional<IpAddress> external_;
  Instant status_due_{};
  int status_failures_ = 0;
  struct Epoch {
    std::uint32_t seconds = 0;
    Instant heard{};
  };
  std::optional<Epoch> epoch_;
  std::error_code verdict_;
};

}  // namespace quicmesh
