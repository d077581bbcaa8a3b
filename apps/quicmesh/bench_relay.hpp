// `bench relay`, taken apart: what its parts share. Each part is a file bench_relay_<part>.cpp.
//
// The relay is a node in a process of its own (bench_relay_node.hpp), pinned to one core, and so is
// every yardstick while its turn lasts. This process is the load, with all
// clients, on the other core.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench_load.hpp"
#include "bench_process.hpp"
#include "bench_relay_client.hpp"

namespace quicmesh::cli {

/// Figures with their bars.
class RelayFigures {
 public:
  boost::json::object figures;

  /// Puts `value` as `key`, and says whether it is good enough.
  void at_least(const std::string& key, double value, double wanted);
  void at_most(const std::string& key, double value, double wanted);

  /// All figures, "bar", "met".
  [[nodiscard]] BenchReport report() &&;

 private:
  void judge(const std::string& key, double value, double wanted, bool met);

  boost::json::object bars_;
  boost::json::object met_;
  bool ok_ = true;
};

/// A relay in a process of its own.
class BenchRelay {
 public:
  /// Bytes a second for one client, and for all.
  struct Rates {
    std::uint64_t client = std::uint64_t{4} << 30;
    std::uint64_t total = std::uint64_t{4} << 30;
  };
  static Measured<BenchRelay> start(const BenchOptions& options, const Rates& rates);

  [[nodiscard]] const NodeAddress& address() const { return address_; }
  [[nodiscard]] pid_t pid() const { return process_->pid(); }
  [[nodiscard]] Measured<double> resident_kib() const;

 private:
  NodeAddress address_;
  std::unique_ptr<BenchProcess> process_;
};

/// Both directions between two clients of one relay: from whoever asked for the session, and back.
struct RelayedPair {
  LoadFlow there;
  LoadFlow back;
};
/// The flow over the session numbered `index` of those that `initiator` has.
Measured<RelayedPair> relayed_pair(const BenchRelayClients& clients, const ClientPair& pair);

/// Two sockets that know each other through the raw forwarder, in a process of its own.
class RawForwarder {
 public:
  static Measured<RawForwarder> start(const BenchOptions& options);
  [[nodiscard]] pid_t pid() const { return process_->pid(); }
  [[nodiscard]] RelayedPair pair() const;

 private:
  std::vector<io::UdpSocket> ends_;
  SocketAddress address_;
  std::unique_ptr<BenchProcess> process_;
};

struct RelayBench {
  BenchOptions options;
  BenchValues values;
  std::uint64_t runs = 1;
  double seconds = 1;  // of one measurement
  std::size_t datagram_bytes = 0;

  [[nodiscard]] LoadShape trains() const;
  [[nodiscard]] LoadShape singles() const;
};

// The parts. Each starts what it needs, and adds its figures.
Measured<void> measure_relay_goodput(const RelayBench& bench, RelayFigures& out);   // R1
Measured<void> measure_relay_coturn(const RelayBench& bench, RelayFigures& out);    // R2
Measured<void> measure_relay_latency(const RelayBench& bench, RelayFigures& out);   // R3
Measured<void> measure_relay_flows(const RelayBench& bench, RelayFigures& out);     // R4
Measured<void> measure_relay_fairness(const RelayBench& bench, RelayFigures& out);  // R5

}  // namespace quicmesh::cli
