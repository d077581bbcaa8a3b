// Parsing of `NODEID@host:port,...`; the rules of names are those of RFC 1123 s2.1.
#include "quicmesh/node_address.hpp"

#include <algorithm>

#include "identity/identity_errc.hpp"

namespace quicmesh {
namespace {

constexpr std::size_t name_size_max = 253;  // RFC 1035 s2.3.4, as text without the final dot
constexpr std::size_t label_size_max = 63;

bool is_digit(char character) {
  return character >= '0' && character <= '9';
}
bool is_letter(char character) {
  return character >= 'a' && character <= 'z';
}

char lower(char character) {
  return character >= 'A' && character <= 'Z' ? static_cast<char>(character - 'A' + 'a')
                                              : character;
}

bool is_label(std::string_view label) {
  return !label.empty() && label.size() <= label_size_max && label.front() != '-' &&
         label.back() != '-' && std::ranges::all_of(label, [](char character) {
           return is_letter(character) || is_digit(character) || character == '-';
         });
}

/// What a resolver may take for a number, and the whole name for an IPv4 address: `7`, `0x7f`.
bool is_number(std::string_view label) {
  return std::ranges::all_of(label, is_digit) || label.starts_with("0x");
}

/// `name` in lower case.
bool is_name(std::string_view name) {
  if (name.size() > name_size_max) return false;
  while (true) {
    const std::size_t dot = name.find('.');
    const std::string_view label = name.substr(0, dot);
    if (!is_label(label)) return false;
    if (dot == std::string_view::npos) return !is_number(label);
    name.remove_prefix(dot + 1);
  }
}

}  // namespace

Result<HostPort> HostPort::parse(std::string_view text) {
  if (const auto address = SocketAddress::parse(text)) {
    if (address->port == 0) return failure(IdentityErrc::malformed_host);
    return HostPort{address->ip.to_string(), address->port};
  }
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return failure(IdentityErrc::malformed_host);
  std::string name(text.substr(0, colon));
  std::ranges::transform(name, name.begin(), lower);
  // The port is read as that of an IP address: one parser, one idea of what a port is.
  const auto port = SocketAddress::parse("0.0.0.0" + std::string(text.substr(colon)));
  if (!is_name(name) || !port || port->port == 0) return failure(IdentityErrc::malformed_host);
  return HostPort{std::move(name), port->port};
}

std::optional<SocketAddress> HostPort::literal() const {
  const auto ip = IpAddress::parse(host);
  if (!ip) return std::nullopt;
  return SocketAddress{*ip, port};
}

std::string HostPort::to_string() const {
  if (const auto address = literal()) return address->to_string();
  return host + ":" + std::to_string(port);
}

Result<NodeAddress> NodeAddress::parse(std::string_view text) {
  const std::size_t at = text.find('@');
  const auto id = NodeId::parse(text.substr(0, at));
  if (!id) return failure(id.error());
  NodeAddress address{*id, {}};
  for (std::size_t separator = at; separator != std::string_view::npos;) {
    text.remove_prefix(separator + 1);
    separator = text.find(',');
    if (address.addresses.size() == addresses_max) {
      return failure(IdentityErrc::malformed_node_address);
    }
    const auto host = HostPort::parse(text.substr(0, separator));
    if (!host) return failure(host.error());
    address.addresses.push_back(*host);
  }
  return address;
}

std::string NodeAddress::to_string() const {
  std::string text = id.to_short_string();
  char separator = '@';
  for (const HostPort& host : addresses) {
    text.append(1, separator).append(host.to_string());
    separator = ',';
  }
  return text;
}

}  // namespace quicmesh
