// `quicmesh bench relay`: a real relay between clients with sessions (goals R1 to R5), beside a
// forwarder that only receives and sends, and beside coturn if that is installed.
//
//   --set part=goodput|coturn|latency|flows|fairness   one of them alone
//   --set runs=N (5)  --set size=N   bytes of a datagram (1400)
//   --set flows=N (10000)  --set reservations=N (1000)
//   --set gso=off      negative control of goodput: the relay sends and receives one by one
//   --set flood=same   negative control of fairness: the flood is the client's own
//
// Two cores: the relay, or what it is compared with, has one to itself; this process, which is the
// load with all its clients, has the other. All rates are also given for each second of the
// forwarding process's own CPU time.
#include "bench_relay.hpp"

#include <algorithm>

#include "bench_relay_node.hpp"
#include "output.hpp"

namespace quicmesh::cli {
namespace {

constexpr std::size_t train_bytes_max = 65'000;
constexpr std::size_t segments_max = 64;
constexpr std::size_t trains_window = 8;
constexpr std::size_t singles_window = 24;  // what the 64 KiB of coturn's receive buffers hold
constexpr std::uint64_t datagram_bytes_default = 1400;
constexpr std::uint64_t datagram_bytes_max = 1452;
constexpr std::size_t datagram_bytes_min = 64;
constexpr Duration start_limit = 20s;

struct Part {
  std::string_view name;
  Measured<void> (*measure)(const RelayBench& bench, RelayFigures& out);
};
constexpr Part parts[] = {
    {"goodput", measure_relay_goodput},   {"coturn", measure_relay_coturn},
    {"latency", measure_relay_latency},   {"flows", measure_relay_flows},
    {"fairness", measure_relay_fairness},
};

LoadFlow relayed_flow(const BenchRelayClient& from, const BenchRelayClient& to,
                      const BenchRelayClient::Session& session) {
  LoadFlow flow{.from = from.descriptor(), .to = from.relay_address(), .at = to.descriptor()};
  const auto header = encode_relay_header({session.role, session.id});
  flow.header.assign(header.begin(), header.end());
  flow.mark = header[0];
  return flow;
}

}  // namespace

void RelayFigures::judge(const std::string& key, double value, double wanted, bool met) {
  figures[key] = rounded(value);
  bars_[key] = wanted;
  met_[key] = met;
  ok_ = ok_ && met;
}

void RelayFigures::at_least(const std::string& key, double value, double wanted) {
  judge(key, value, wanted, value >= wanted);
}

void RelayFigures::at_most(const std::string& key, double value, double wanted) {
  judge(key, value, wanted, value <= wanted);
}

BenchReport RelayFigures::report() && {
  figures["bar"] = std::move(bars_);
  figures["met"] = std::move(met_);
  return finished_report(std::move(figures), ok_);
}

Measured<BenchRelay> BenchRelay::start(const BenchOptions& options, const Rates& rates) {
  const auto gso = options.values.find("gso");
  auto process = start_end(
      options, "relay", "relay",
      {"client_rate=" + std::to_string(rates.client), "total_rate=" + std::to_string(rates.total),
       "gso=" + (gso == options.values.end() ? "on" : gso->second)});
  if (!process) return std::unexpected(process.error());
  const auto ready = (*process)->next(start_limit);
  if (!ready) return std::unexpected(ready.error());
  const auto address = NodeAddress::parse(text_of(*ready, "address"));
  if (!address) return std::unexpected(describe(address.error()));
  BenchRelay relay;
  relay.address_ = *address;
  relay.process_ = std::move(*process);
  return relay;
}

Measured<double> BenchRelay::resident_kib() const {
  const auto figures = process_->ask("figures", start_limit);
  if (!figures) return std::unexpected(figures.error());
  return figure_in(*figures, "resident_kib");
}

Measured<RelayedPair> relayed_pair(const BenchRelayClients& clients, const ClientPair& pair) {
  const BenchRelayClient& one = *clients[pair.initiator];
  const BenchRelayClient& other = *clients[pair.responder];
  for (const BenchRelayClient::Session& session : one.sessions()) {
    if (session.peer != other.id()) continue;
    BenchRelayClient::Session reverse = session;
    reverse.role = other_end(session.role);
    return RelayedPair{relayed_flow(one, other, session), relayed_flow(other, one, reverse)};
  }
  return std::unexpected("the relay gave no session");
}

Measured<RawForwarder> RawForwarder::start(const BenchOptions& options) {
  RawForwarder forwarder;
  for (int i = 0; i < 2; ++i) {
    auto socket = io::UdpSocket::open({IpAddress::loopback(IpFamily::v4), 0});
    if (!socket) return std::unexpected(describe(socket.error()));
    forwarder.ends_.push_back(std::move(*socket));
  }
  std::vector<std::string> words = {options.binary_folder + "/raw_forwarder", "--cpu",
                                    std::to_string(server_cpu)};
  const auto gso = options.values.find("gso");
  if (gso != options.values.end() && gso->second == "off") {
    words.insert(words.end(), {"--no-gso", "--no-gro"});
  }
  auto process = BenchProcess::start(words);
  if (!process) return std::unexpected(process.error());
  forwarder.process_ = std::move(*process);
  const auto ready = forwarder.process_->next(start_limit);
  if (!ready) return std::unexpected(ready.error());
  forwarder.address_ = {IpAddress::loopback(IpFamily::v4),
                        static_cast<std::uint16_t>(figure_in(*ready, "port"))};
  // The one whose datagram comes first is the one end.
  const RelayedPair pair = forwarder.pair();
  for (const LoadFlow* flow : {&pair.there, &pair.back}) {
    if (!LoadTrain(*flow, {.datagram_bytes = datagram_bytes_min}).send())
      return std::unexpected("the forwarder cannot be reached");
  }
  return forwarder;
}

RelayedPair RawForwarder::pair() const {
  const int one = ends_[0].descriptor();
  const int other = ends_[1].descriptor();
  return {{.from = one, .to = address_, .at = other}, {.from = other, .to = address_, .at = one}};
}

LoadShape RelayBench::trains() const {
  LoadShape shape{.datagram_bytes = datagram_bytes};
  shape.segments = std::min(segments_max, train_bytes_max / datagram_bytes);
  shape.window = trains_window;
  return shape;
}

LoadShape RelayBench::singles() const {
  return {.datagram_bytes = datagram_bytes, .segments = 1, .window = singles_window};
}

BenchReport bench_relay(const BenchOptions& options) {
  if (options.values.contains("role")) return run_relay_node(options);
  const auto values =
      BenchValues::read(options, {"part", "runs", "size", "flows", "reservations", "gso", "flood"});
  if (!values) return failed_report(values.error(), 2);
  const std::string wanted = values->text("part", "");
  if (!wanted.empty() && std::ranges::find(parts, wanted, &Part::name) == std::end(parts)) {
    return failed_report("--set part=" + wanted + ": there is no such part", 2);
  }
  if (const auto pinned = pin_to_cpu(client_cpu); !pinned) return failed_report(pinned.error());
  RelayBench bench{options, *values};
  bench.runs = values->count("runs", bench_runs, bench_runs_max);
  bench.seconds = options.seconds / static_cast<double>(bench.runs);
  bench.datagram_bytes = std::max<std::size_t>(
      datagram_bytes_min, values->count("size", datagram_bytes_default, datagram_bytes_max));
  RelayFigures out;
  out.figures["datagram_bytes"] = bench.datagram_bytes;
  for (const Part& part : parts) {
    if (!wanted.empty() && part.name != wanted) continue;
    const auto measured = part.measure(bench, out);
    if (!measured) return failed_report(std::string(part.name) + ": " + measured.error());
  }
  return std::move(out).report();
}

}  // namespace quicmesh::cli
