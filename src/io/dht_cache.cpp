#include "io/dht_cache.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "io/file_descriptor.hpp"
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

std::string text_of(const DhtCache& cache) {
  std::string text(first_line);
  text.append("\n").append(sequence_key).append(std::to_string(cache.sequence)).append("\n");
  for (const DhtContact& contact : cache.contacts) {
    NodeAddress address{contact.id, {}};
    for (const SocketAddress& one : contact.addresses) {
      if (address.addresses.size() >= NodeAddress::addresses_max) break;
      address.addresses.push_back({one.ip.to_string(), one.port});
    }
    text.append(address.to_string()).append("\n");
  }
  return text;
}

std::error_code last_error() {
  return {errno, std::generic_category()};
}

/// For its owner alone: it tells with whom he speaks. Not waiting for the disk: it is a hint, and
/// the network's thread writes it.
Result<void> write_whole(const std::string& path, std::string_view text) {
  constexpr int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  const FileDescriptor file(::open(path.c_str(), flags, 0600));
  if (!file || ::fchmod(file.get(), 0600) != 0) return failure(last_error());
  while (!text.empty()) {
    const ssize_t count = ::write(file.get(), text.data(), text.size());
    if (count < 0 && errno != EINTR) return failure(last_error());
    if (count > 0) text.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
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
  if (const auto written = write_whole(fresh, text_of(cache)); !written) return written;
  std::error_code error;
  std::filesystem::rename(fresh, path, error);
  if (error) return failure(error);
  return {};
}

}  // namespace quicmesh::io
