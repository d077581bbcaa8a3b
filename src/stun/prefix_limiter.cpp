#include "stun/prefix_limiter.hpp"

#include <algorithm>
#include <optional>
#include <span>

#include "base/address_prefix.hpp"
#include "base/assert.hpp"
#include "base/hash.hpp"

namespace quicmesh {
namespace {

// When a bucket that is full at `full_at` is full again after `tokens` are taken; nothing if it
// holds fewer.
std::optional<Instant> after_taking(Instant now, Instant full_at, unsigned tokens,
                                    unsigned per_second, unsigned burst) {
  const Duration interval = Duration(1s) / per_second;
  const Instant next = std::max(now, full_at) + tokens * interval;
  if (next - now > burst * interval) return std::nullopt;
  return next;
}

}  // namespace

PrefixLimiter::PrefixLimiter(const PrefixLimits& limits, SecureRng& rng)
    : limits_(limits), secret_(rng.next_u64()) {
  QM_ASSERT(limits.per_second > 0 && limits.total_per_second > 0);
  QM_ASSERT(limits.prefixes_max >= ways && limits.prefixes_max % ways == 0);
}

PrefixLimiter::Bucket& PrefixLimiter::bucket_of(Instant now, const IpAddress& address) {
  if (buckets_.empty()) buckets_.resize(limits_.prefixes_max);
  const IpAddress prefix = network_of(address);
  const std::size_t sets = buckets_.size() / ways;
  const std::size_t first = hash_combine(secret_, std::hash<IpAddress>{}(prefix)) % sets * ways;
  const std::span<Bucket> set = std::span(buckets_).subspan(first, ways);
  const auto known = std::ranges::find_if(
      set, [&](const Bucket& bucket) { return bucket.used && bucket.prefix == prefix; });
  if (known != set.end()) return *known;
  // An unused bucket has been full since the beginning of time.
  Bucket& victim = *std::ranges::min_element(set, {}, &Bucket::full_at);
  counters_.evicted += victim.used && victim.full_at > now;
  victim = {prefix, now, true};
  return victim;
}

bool PrefixLimiter::take(Instant now, const IpAddress& address, unsigned tokens) {
  const auto total =
      after_taking(now, total_.full_at, tokens, limits_.total_per_second, limits_.total_burst);
  if (!total) {
    ++counters_.refused_total;
    return false;
  }
  Bucket& bucket = bucket_of(now, address);
  const auto next = after_taking(now, bucket.full_at, tokens, limits_.per_second, limits_.burst);
  if (!next) {
    ++counters_.refused_prefix;
    return false;
  }
  bucket.full_at = *next;
  total_.full_at = *total;
  return true;
}

}  // namespace quicmesh
