// The strict parser and the canonical printer of IP addresses and endpoints.
//
// Parsing accepts one spelling family only: dotted quads of decimal octets without leading zeros
// (inet_aton's octal, hexadecimal and short forms have fooled many address filters), and RFC 4291
// s2.2 text with at most one "::" that stands for at least one group. Printing follows RFC 5952:
// lower case, no leading zeros, the longest run of two or more zero groups (the first of equals) as
// "::". Departure from RFC 5952 s5: an embedded IPv4 address (NAT64) is printed in hexadecimal
// groups.
#include "quicmesh/socket_address.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <span>

#include "base/base_errc.hpp"
#include "base/hash.hpp"

namespace quicmesh {
namespace {

using Groups = std::array<std::uint16_t, 8>;

constexpr std::size_t longest_ip_text = 45;  // 8 groups of 4, the last two as a dotted quad

/// A decimal number without sign or leading zero, at most `limit`.
std::optional<std::uint32_t> parse_decimal(std::string_view text, std::uint32_t limit) {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  std::uint32_t value = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '9') return std::nullopt;
    value = value * 10 + static_cast<std::uint32_t>(digit - '0');
  }
  if (value > limit) return std::nullopt;
  return value;
}

std::optional<std::array<std::uint8_t, 4>> parse_quad(std::string_view text) {
  std::array<std::uint8_t, 4> bytes{};
  for (std::size_t i = 0; i < 4; ++i) {
    const std::size_t dot = text.find('.');
    if ((dot == std::string_view::npos) != (i == 3)) return std::nullopt;
    const auto octet = parse_decimal(text.substr(0, dot), 255);
    if (!octet) return std::nullopt;
    bytes[i] = static_cast<std::uint8_t>(*octet);
    if (i < 3) text.remove_prefix(dot + 1);
  }
  return bytes;
}

std::optional<std::uint16_t> parse_group(std::string_view text) {
  if (text.empty() || text.size() > 4) return std::nullopt;
  std::uint16_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

enum class QuadAtEnd : bool { refused, allowed };

/// Reads groups separated by ":" into `out`; the count, or nothing if the text is malformed or
/// longer.
std::optional<std::size_t> parse_groups(std::string_view text, QuadAtEnd quad,
                                        std::span<std::uint16_t> out) {
  if (text.empty()) return 0;
  std::size_t count = 0;
  while (true) {
    const std::size_t colon = text.find(':');
    const std::string_view part = text.substr(0, colon);
    if (colon == std::string_view::npos && part.find('.') != std::string_view::npos) {
      const auto bytes = parse_quad(part);
      if (quad == QuadAtEnd::refused || !bytes || count + 2 > out.size()) return std::nullopt;
      out[count++] = static_cast<std::uint16_t>((*bytes)[0] << 8 | (*bytes)[1]);
      out[count++] = static_cast<std::uint16_t>((*bytes)[2] << 8 | (*bytes)[3]);
      return count;
    }
    const auto group = parse_group(part);
    if (!group || count == out.size()) return std::nullopt;
    out[count++] = *group;
    if (colon == std::string_view::npos) return count;
    text.remove_prefix(colon + 1);
  }
}

std::optional<Groups> parse_v6(std::string_view text) {
  Groups groups{};
  const std::size_t gap = text.find("::");
  if (gap == std::string_view::npos) {
    const auto count = parse_groups(text, QuadAtEnd::allowed, groups);
    if (!count || *count != 8) return std::nullopt;
    return groups;
  }
  Groups tail{};
  // At most seven groups beside the gap: "::" stands for one group or more (RFC 4291 s2.2).
  const auto before = parse_groups(text.substr(0, gap), QuadAtEnd::refused, groups);
  const auto after = parse_groups(text.substr(gap + 2), QuadAtEnd::allowed, tail);
  if (!before || !after || *before + *after > 7) return std::nullopt;
  std::copy_n(tail.begin(), *after, groups.end() - static_cast<std::ptrdiff_t>(*after));
  return groups;
}

Groups groups_of(const std::array<std::uint8_t, 16>& bytes) {
  Groups groups{};
  for (std::size_t i = 0; i < 8; ++i) {
    groups[i] = static_cast<std::uint16_t>(bytes[2 * i] << 8 | bytes[2 * i + 1]);
  }
  return groups;
}

/// The run of zero groups that RFC 5952 s4.2 abbreviates: [begin, begin + size), size 0 if none.
struct ZeroRun {
  std::size_t begin = 0;
  std::size_t size = 0;
};

ZeroRun longest_zero_run(const Groups& groups) {
  ZeroRun best;
  for (std::size_t i = 0; i < 8;) {
    std::size_t end = i;
    while (end < 8 && groups[end] == 0)
      ++end;
    if (end - i > best.size) best = {i, end - i};
    i = end + 1;
  }
  return best.size >= 2 ? best : ZeroRun{};
}

std::string print_v6(const Groups& groups) {
  const ZeroRun run = longest_zero_run(groups);
  std::string text;
  for (std::size_t i = 0; i < 8; ++i) {
    if (run.size > 0 && i == run.begin) {
      text += "::";
      i += run.size - 1;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    std::array<char, 4> digits{};
    const auto written = std::to_chars(digits.begin(), digits.end(), groups[i], 16);
    text.append(digits.begin(), written.ptr);
  }
  return text;
}

}  // namespace

IpAddress IpAddress::v6(const std::array<std::uint8_t, 16>& bytes) {
  static constexpr std::array<std::uint8_t, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (std::equal(mapped.begin(), mapped.end(), bytes.begin())) {
    return v4({bytes[12], bytes[13], bytes[14], bytes[15]});
  }
  IpAddress address;
  address.family_ = IpFamily::v6;
  address.bytes_ = bytes;
  return address;
}

IpAddress IpAddress::any(IpFamily family) {
  return family == IpFamily::v4 ? IpAddress{} : v6({});
}

IpAddress IpAddress::loopback(IpFamily family) {
  if (family == IpFamily::v4) return v4({127, 0, 0, 1});
  return v6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
}

Result<IpAddress> IpAddress::parse(std::string_view text) {
  if (text.size() > longest_ip_text) return failure(BaseErrc::malformed_address);
  if (text.find(':') == std::string_view::npos) {
    const auto bytes = parse_quad(text);
    if (!bytes) return failure(BaseErrc::malformed_address);
    return v4(*bytes);
  }
  const auto groups = parse_v6(text);
  if (!groups) return failure(BaseErrc::malformed_address);
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[2 * i] = static_cast<std::uint8_t>((*groups)[i] >> 8);
    bytes[2 * i + 1] = static_cast<std::uint8_t>((*groups)[i]);
  }
  return v6(bytes);
}

bool IpAddress::is_unspecified() const {
  return std::ranges::all_of(bytes_, [](std::uint8_t byte) { return byte == 0; });
}

std::string IpAddress::to_string() const {
  if (family_ == IpFamily::v6) return print_v6(groups_of(bytes_));
  std::string text = std::to_string(bytes_[0]);
  for (std::size_t i = 1; i < 4; ++i)
    text.append(".").append(std::to_string(bytes_[i]));
  return text;
}

Result<SocketAddress> SocketAddress::parse(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return failure(BaseErrc::malformed_address);
  const auto port = parse_decimal(text.substr(colon + 1), 65'535);
  if (!port) return failure(BaseErrc::malformed_address);
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  // Without brackets "::1:5" could mean two things, and "[1.2.3.4]" is no address literal.
  if (bracketed != (host.find(':') != std::string_view::npos)) {
    return failure(BaseErrc::malformed_address);
  }
  const auto ip = IpAddress::parse(host);
  if (!ip) return failure(ip.error());
  return SocketAddress{*ip, static_cast<std::uint16_t>(*port)};
}

std::string SocketAddress::to_string() const {
  std::string text = ip.to_string();
  if (ip.family() == IpFamily::v6) text = "[" + text + "]";
  return text + ":" + std::to_string(port);
}

}  // namespace quicmesh

std::size_t std::hash<quicmesh::IpAddress>::operator()(
    const quicmesh::IpAddress& address) const noexcept {
  const std::uint64_t family = address.family() == quicmesh::IpFamily::v4 ? 4 : 6;
  return static_cast<std::size_t>(
      quicmesh::hash_combine(family, quicmesh::hash_bytes(address.bytes())));
}

std::size_t std::hash<quicmesh::SocketAddress>::operator()(
    const quicmesh::SocketAddress& address) const noexcept {
  return static_cast<std::size_t>(
      quicmesh::hash_combine(std::hash<quicmesh::IpAddress>{}(address.ip), address.port));
}
