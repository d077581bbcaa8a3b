#include "sim/lookup_figures.hpp"

#include <algorithm>

namespace quicmesh::sim {
namespace {

double ms(Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

}  // namespace

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  const auto index = static_cast<std::size_t>(share * static_cast<double>(values.size() - 1));
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(index);
  std::ranges::nth_element(values, at);
  return *at;
}

LookupFigures figures_of(std::span<const MeasuredLookup> lookups, Duration deadline) {
  LookupFigures figures;
  std::vector<double> ratios;
  std::vector<double> to_target;
  std::vector<double> times;
  std::vector<double> directs;
  double found = 0;
  for (const MeasuredLookup& lookup : lookups) {
    if (lookup.is_void) continue;
    const bool good = lookup.found && lookup.taken;
    const double taken = ms(good ? *lookup.taken : deadline);
    found += good ? 1 : 0;
    times.push_back(taken);
    directs.push_back(ms(lookup.direct));
    const bool by_other = good && lookup.to_answerer > Duration{};
    ratios.push_back(taken / std::max(0.01, ms(by_other ? lookup.to_answerer : lookup.direct)));
    to_target.push_back(taken / std::max(0.01, ms(lookup.direct)));
    figures.express_percent += lookup.by_express ? 100 : 0;
    figures.mean_ms += taken;
    figures.hops += lookup.cost.hops;
    figures.queries += lookup.cost.queries;
    figures.slow_queries += lookup.cost.slow_tier_queries;
    figures.failures += lookup.cost.failures;
  }
  figures.counted = times.size();
  if (times.empty()) return figures;
  const auto count = static_cast<double>(times.size());
  for (double* sum : {&figures.mean_ms, &figures.hops, &figures.queries, &figures.slow_queries,
                      &figures.failures, &figures.express_percent}) {
    *sum /= count;
  }
  figures.success_percent = 100 * found / count;
  figures.ratio_p50 = percentile(ratios, 0.5);
  figures.ratio_p95 = percentile(ratios, 0.95);
  figures.to_target_p50 = percentile(to_target, 0.5);
  figures.to_target_p95 = percentile(to_target, 0.95);
  figures.p50_ms = percentile(times, 0.5);
  figures.p95_ms = percentile(times, 0.95);
  figures.direct_p50_ms = percentile(directs, 0.5);
  return figures;
}

TrafficFigures traffic_of(const PeerFabricCounters& before, const PeerFabricCounters& after,
                          std::size_t lookups) {
  const double count = static_cast<double>(std::max<std::size_t>(1, lookups));
  const auto each = [&](std::uint64_t earlier, std::uint64_t later) {
    return static_cast<double>(later - earlier) / count;
  };
  return {each(before.messages, after.messages), each(before.handshakes, after.handshakes),
          each(before.message_bytes + before.handshake_bytes,
               after.message_bytes + after.handshake_bytes)};
}

}  // namespace quicmesh::sim
