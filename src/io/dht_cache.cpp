#include "io/dht_cache.hpp"

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "quicmesh/node_address.hpp"

namespace quicmesh::io {
namespace {

constexpr std::string_view first_line = "quicmesh-dht-cache 1";
constexpr std::string_view sequence_key = "sequence ";

std::optional<DhtContact> contact_of(const std::string& line) {
  const auto address = NodeAddress::parse(line);
  if (!address) return std::nullopt;
  DhtContact contact{address->id, {}};
  for (const HostPort& host : address->addresses) {
    const auto literal = host.literal();
    if (literal && may_dial(*literal)) contact.addresses.push_back(*literal);
  }
  if (contact.addresses.empty()) return std::nullopt;
  return contact;
}

}  // namespace

DhtCache load_dht_cache(const std::string& path) {
  DhtCache cache;
  std::error_code error;
  if (std::filesystem::file_size(path, error) > dht_cache_size_max || error) return cache;
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line) || line != first_line) return cache;
  while (std::getline(file, line)) {
    if (line.starts_with(sequence_key)) {
      const char* const end = line.data() + line.size();
      (void)std::from_chars(line.data() + sequence_key.size(), end, cache.sequence);  // or 0
    } else if (auto contact = contact_of(line); contact) {
      if (cache.contacts.size() < dht_cache_nodes_max) cache.contacts.push_back(*contact);
    }
  }
  return cache;
}

Result<void> save_dht_cache(const std::string& path, const DhtCache& cache) {
  const std::string fresh = path + ".new";
  {
    std::ofstream file(fresh, std::ios::trunc);
    file << first_line << '\n' << sequence_key << cache.sequence << '\n';
    for (const DhtContact& contact : cache.contacts) {
      NodeAddress address{contact.id, {}};
      for (const SocketAddress& one : contact.addresses) {
        if (address.addresses.size() >= NodeAddress::addresses_max) break;
        address.addresses.push_back({one.ip.to_string(), one.port});
      }
      file << address.to_string() << '\n';
    }
    file.close();
    if (!file) return failure(std::error_code(errno, std::generic_category()));
  }
  std::error_code error;
  std::filesystem::rename(fresh, path, error);
  if (error) return failure(error);
  return {};
}

}  // namespace quicmesh::io
