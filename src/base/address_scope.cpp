// IpAddress::scope(): who can be expected to reach an address.
//
// Two tables of prefixes, most specific first within an overlap, taken from the IANA
// special-purpose address registries (RFC 6890 and its updates); whatever is special and not listed
// as reachable by someone is unusable. An IPv6 address that carries IPv4 addresses (NAT64, 6to4,
// Teredo) is public only if they are: otherwise a peer could name a host of our own network by a
// second spelling.
//
// Choices of ours: benchmarking ranges (198.18/15, 2001:2::/48) and the host side of 464XLAT
// (192.0.0.0/29) are routed, but in one realm only, hence private_realm; documentation ranges are
// unusable like every address that no host should have; unallocated IPv6 space (outside 2000::/3)
// likewise.
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "quicmesh/socket_address.hpp"

namespace quicmesh {
namespace {

using AddressBytes = std::array<std::uint8_t, 16>;

struct ScopeRule {
  AddressBytes prefix;
  unsigned bits;
  AddressScope scope;
};

bool matches(const ScopeRule& rule, const AddressBytes& address) {
  const std::size_t whole = rule.bits / 8;
  for (std::size_t i = 0; i < whole; ++i) {
    if (rule.prefix[i] != address[i]) return false;
  }
  const unsigned rest = rule.bits % 8;
  return rest == 0 || ((rule.prefix[whole] ^ address[whole]) >> (8 - rest)) == 0;
}

AddressScope look_up(std::span<const ScopeRule> rules, const AddressBytes& address,
                     AddressScope otherwise) {
  for (const ScopeRule& rule : rules) {
    if (matches(rule, address)) return rule.scope;
  }
  return otherwise;
}

using enum AddressScope;

constexpr std::array<ScopeRule, 15> v4_rules{{
    {{0}, 8, unusable},                // RFC 1122 s3.2.1.3: "this network", 0.0.0.0 among it
    {{10}, 8, private_realm},          // RFC 1918
    {{100, 64}, 10, private_realm},    // RFC 6598: carrier-grade NAT
    {{127}, 8, loopback},              // RFC 1122 s3.2.1.3
    {{169, 254}, 16, link_local},      // RFC 3927
    {{172, 16}, 12, private_realm},    // RFC 1918
    {{192, 0, 0}, 29, private_realm},  // RFC 7335: the host side of DS-Lite and 464XLAT
    {{192, 0, 0}, 24, unusable},       // RFC 6890: protocol assignments
    {{192, 0, 2}, 24, unusable},       // RFC 5737: documentation
    {{192, 88, 99}, 24, unusable},     // RFC 7526: the former 6to4 relay anycast
    {{192, 168}, 16, private_realm},   // RFC 1918
    {{198, 18}, 15, private_realm},    // RFC 2544: benchmarking
    {{198, 51, 100}, 24, unusable},    // RFC 5737: documentation
    {{203, 0, 113}, 24, unusable},     // RFC 5737: documentation
    {{224}, 3, unusable},              // RFC 5771 multicast, RFC 1112 reserved, broadcast
}};

constexpr std::array<ScopeRule, 8> v6_rules{{
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 128, loopback},
    {{0x20, 0x01, 0x00, 0x02, 0, 0}, 48, private_realm},  // RFC 5180: benchmarking
    {{0x20, 0x01, 0x00}, 23, unusable},                   // RFC 2928: protocol assignments, ORCHID
    {{0x20, 0x01, 0x0d, 0xb8}, 32, unusable},             // RFC 3849: documentation
    {{0x3f, 0xff, 0x00}, 20, unusable},                   // RFC 9637: documentation
    {{0x20}, 3, public_internet},                         // RFC 4291: global unicast
    {{0xfc}, 7, private_realm},                           // RFC 4193: unique local
    {{0xfe, 0x80}, 10, link_local},                       // RFC 4291 s2.5.6
    // The rest is unusable: ff00::/8 (multicast), fec0::/10 (RFC 3879), ::/96 (IPv4-compatible),
    // 100::/64 (RFC 6666), 64:ff9b:1::/48 (RFC 8215, a translator of somebody's own), unallocated
    // space.
}};

constexpr ScopeRule nat64{{0x00, 0x64, 0xff, 0x9b}, 96, public_internet};   // RFC 6052 s2.1
constexpr ScopeRule six_to_four{{0x20, 0x02}, 16, public_internet};         // RFC 3056 s2
constexpr ScopeRule teredo{{0x20, 0x01, 0x00, 0x00}, 32, public_internet};  // RFC 4380 s4

bool public_v4_at(const AddressBytes& address, std::size_t offset, std::uint8_t flip = 0) {
  AddressBytes embedded{};
  for (std::size_t i = 0; i < 4; ++i) {
    embedded[i] = static_cast<std::uint8_t>(address[offset + i] ^ flip);
  }
  return look_up(v4_rules, embedded, public_internet) == public_internet;
}

AddressScope public_if(bool condition) {
  return condition ? public_internet : unusable;
}

}  // namespace

AddressScope IpAddress::scope() const {
  if (family_ == IpFamily::v4) return look_up(v4_rules, bytes_, public_internet);
  if (matches(nat64, bytes_)) return public_if(public_v4_at(bytes_, 12));
  if (matches(six_to_four, bytes_)) return public_if(public_v4_at(bytes_, 2));
  if (matches(teredo, bytes_)) {
    // RFC 4380 s4: the server's address in clear, the client's with every bit flipped.
    return public_if(public_v4_at(bytes_, 4) && public_v4_at(bytes_, 12, 0xff));
  }
  return look_up(v6_rules, bytes_, unusable);
}

}  // namespace quicmesh
