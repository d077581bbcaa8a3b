// See default_gateway.hpp.
#include "io/default_gateway.hpp"

#include <sys/socket.h>

#include <array>
#include <charconv>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "io/file_descriptor.hpp"
#include "io/sockaddr.hpp"

namespace quicmesh::io {
namespace {

// Columns of /proc/net/route: addresses in hex, in the byte order of this machine.
constexpr std::size_t column_destination = 1;
constexpr std::size_t column_gateway = 2;
constexpr std::size_t column_flags = 3;
constexpr std::size_t column_metric = 6;
constexpr std::size_t column_mask = 7;
constexpr std::uint32_t flag_up = 1;
constexpr std::uint32_t flag_gateway = 2;

constexpr std::uint16_t any_port = 5351;  // nothing is sent to it

std::vector<std::string_view> words(std::string_view line) {
  std::vector<std::string_view> out;
  while (!line.empty()) {
    const std::size_t start = line.find_first_not_of(" \t");
    if (start == std::string_view::npos) break;
    line.remove_prefix(start);
    const std::size_t end = std::min(line.find_first_of(" \t"), line.size());
    out.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
  return out;
}

std::optional<std::uint32_t> number(std::string_view text, int base) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<IpAddress> parse_default_router(std::string_view route_table) {
  std::optional<IpAddress> router;
  std::uint32_t least = std::numeric_limits<std::uint32_t>::max();
  while (!route_table.empty()) {
    const std::size_t end = std::min(route_table.find('\n'), route_table.size());
    const auto columns = words(route_table.substr(0, end));
    route_table.remove_prefix(std::min(end + 1, route_table.size()));
    if (columns.size() <= column_mask) continue;
    const auto destination = number(columns[column_destination], 16);
    const auto mask = number(columns[column_mask], 16);
    const auto gateway = number(columns[column_gateway], 16);
    const auto flags = number(columns[column_flags], 16);
    const auto metric = number(columns[column_metric], 10);
    if (destination != 0u || mask != 0u || !gateway || !flags || !metric) continue;
    if ((*flags & (flag_up | flag_gateway)) != (flag_up | flag_gateway)) continue;
    if (router && *metric >= least) continue;
    in_addr address{};
    address.s_addr = *gateway;
    router = from_kernel(address);
    least = *metric;
  }
  return router;
}

std::optional<DefaultGateway> find_default_gateway() {
  std::ifstream file("/proc/net/route");
  const std::string table{std::istreambuf_iterator<char>(file), {}};
  const auto router = parse_default_router(table);
  if (!router) return std::nullopt;
  // Which of our addresses the kernel would send from; connecting a UDP socket sends nothing.
  const FileDescriptor probe(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const KernelAddress to = to_kernel({*router, any_port});
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  if (!probe || ::connect(probe.get(), to.data(), to.size) != 0 ||
      ::getsockname(probe.get(), reinterpret_cast<sockaddr*>(&own), &size) != 0) {
    return std::nullopt;
  }
  const auto self = from_kernel(reinterpret_cast<const sockaddr*>(&own));
  if (!self) return std::nullopt;
  return DefaultGateway{*router, self->ip};
}

}  // namespace quicmesh::io
