// PortMapper: has the UDP ports of a node mapped by the gateway of its network, by NAT-PMP and by
// UPnP-IGD at once, each on a thread of its own, because both block (gateway_protocol.hpp). When to
// ask, renew and give up is decided by a PortMappingKeeper each.
//
// Nothing is asked for if this machine has no gateway, or has a public address itself. Another
// gateway or another own address starts everything anew; both are looked at before every step.
// A gateway's own announcement (RFC 6886 s3.2.1) makes its keeper check at once, and so does
// `check_now`.
//
// `news` is called on a worker thread, one call at a time, whenever something has changed. If both
// protocols grant a mapping, NAT-PMP's is told: it notices a restart of the gateway sooner.
//
// The end: `stop` interrupts whatever is waited for, mappings are deleted for at most
// `farewell_patience`, and the destructor waits for that.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

#include "base/laboratory_address.hpp"
#include "io/file_descriptor.hpp"
#include "io/gateway_protocol.hpp"
#include "nat/nat_profile.hpp"
#include "nat/port_mapping_keeper.hpp"
#include "quicmesh/event.hpp"

namespace quicmesh::io {

struct PortMapping {
  PortMappingProtocol protocol{};
  std::uint16_t internal_port = 0;
  SocketAddress external;
  Duration lifetime{};

  auto operator<=>(const PortMapping&) const = default;
};

struct PortMappingNews {
  std::vector<PortMapping> mappings;  // one for each port
  PortMappingProtocols protocols;     // that the gateway answers to
  std::optional<IpAddress> gateway_external;
  /// Why there is no mapping at all, once both protocols have come to an end.
  std::error_code verdict;

  bool operator==(const PortMappingNews&) const = default;
};

class PortMapper {
 public:
  static constexpr Duration farewell_patience = 1s;
  static constexpr Duration step_patience = 20s;      // for one question, with all its retries
  static constexpr Duration gateway_interval = 30s;   // while there is none to ask
  static constexpr Duration announcement_pause = 5s;  // more often nobody is listened to

  using News = std::move_only_function<void(const PortMappingNews&)>;

  struct Options {
    std::vector<SocketAddress> sockets;  // bound; those of IPv4 count
    AddressRules rules = AddressRules::internet;
  };

  /// Nothing if port mapping was left out of this build, or the system has no descriptors left.
  static std::unique_ptr<PortMapper> start(Options options, News news);
  ~PortMapper();
  PortMapper(const PortMapper&) = delete;
  PortMapper& operator=(const PortMapper&) = delete;

  /// The network may have changed.
  void check_now();
  /// Does not wait; nothing is told from now on.
  void stop();

 private:
  using Make = std::unique_ptr<GatewayProtocol> (*)(const DefaultGateway&);

  struct Worker {
    PortMappingProtocol protocol{};
    Make make = nullptr;
    FileDescriptor poked;  // eventfd
    FileDescriptor announcements;
    std::thread thread;
    // Of this thread alone.
    std::optional<DefaultGateway> gateway;
    std::unique_ptr<GatewayProtocol> talk;
    std::unique_ptr<PortMappingKeeper> keeper;
    Instant announced{};
  };
  /// What one worker has come to; guarded by `mutex_`.
  struct Outcome {
    std::vector<PortMapping> mappings;
    std::optional<IpAddress> external;
    std::error_code verdict;
  };

  PortMapper(Options options, News news);

  bool prepare();
  void run(Worker& worker);
  /// Waits; false when it is time to stop.
  bool rest(Worker& worker, Instant until);
  /// False if there is no gateway to be asked.
  bool follow_gateway(Worker& worker);
  void take_step(Worker& worker);
  void say_farewell(Worker& worker);
  void report(const Worker& worker, std::error_code without_gateway = {});
  [[nodiscard]] std::vector<std::uint16_t> ports_of(const DefaultGateway& gateway) const;
  [[nodiscard]] PortMappingNews merged() const;

  const Options options_;
  News news_;
  FileDescriptor stopping_;  // eventfd: readable from `stop` on
  std::array<Worker, 2> workers_;
  std::mutex mutex_;
  std::array<Outcome, 2> outcomes_;
  PortMappingNews told_;
  bool stopped_ = false;
};

}  // namespace quicmesh::io
