// See nat_watch.hpp.
#include "node/nat_watch.hpp"

#include <algorithm>
#include <utility>

namespace quicmesh {
namespace {

// A wish for a socket is numbered by its run and the run's own number.
constexpr unsigned index_bits = 3;
constexpr unsigned index_mask = (1u << index_bits) - 1;
constexpr unsigned runs_mask = 0xffffu >> index_bits;
static_assert(NatDiscovery::sockets_max <= index_mask + 1);

bool is_conclusive(const NatProfile& profile) {
  return profile.mapping != NatBehaviour::unknown && profile.filtering != NatBehaviour::unknown;
}

bool same_address(const DiscoveryServer& a, const DiscoveryServer& b) {
  return a.address == b.address;
}

}  // namespace

void NatWatch::set_local_addresses(std::vector<IpAddress> addresses) {
  local_addresses_ = std::move(addresses);
}

void NatWatch::set_gateway(std::optional<IpAddress> external, PortMappingProtocols protocols) {
  gateway_external_ = external;
  port_mapping_ = protocols;
  if (result_) add_gateway(*result_);
}

// It may answer long after the servers did. What they show of a carrier's NAT is better evidence.
void NatWatch::add_gateway(NatDiscovered& found) const {
  NatProfile& profile = found.profile;
  profile.port_mapping = port_mapping_;
  const auto external = report_of(found).external;
  if (!gateway_external_ || !external || profile.translated != Finding::yes) return;
  if (profile.cgnat != Finding::unknown) return;
  profile.cgnat = *gateway_external_ == external->ip ? Finding::no : Finding::yes;
}

void NatWatch::set_servers(Instant now, std::vector<DiscoveryServer> servers) {
  const bool more = std::ranges::any_of(servers, [this](const DiscoveryServer& server) {
    return std::ranges::none_of(
        servers_, [&](const DiscoveryServer& known) { return same_address(known, server); });
  });
  servers_ = std::move(servers);
  if (!more) return;
  if (!result_ || !is_conclusive(result_->profile)) due_ = std::min(due_, now + settle);
}

void NatWatch::restart(Instant now) {
  drop_run();
  result_.reset();
  due_ = servers_.empty() ? never : now + settle;
}

std::optional<SocketRequestId> NatWatch::own_number(SocketRequestId id) const {
  const unsigned number = std::to_underlying(id);
  if (!run_ || number >> index_bits != run_number_) return std::nullopt;
  return SocketRequestId{static_cast<std::uint16_t>(number & index_mask)};
}

void NatWatch::handle_socket_opened(Instant now, SocketRequestId id, SocketId socket,
                                    const SocketAddress& local) {
  const auto own = own_number(id);
  if (!own) {
    dropped_.emplace_back(CloseSocket{socket});
    return;
  }
  sockets_.push_back(socket);
  run_->handle_socket_opened(now, *own, socket, local);
}

void NatWatch::handle_socket_failed(Instant now, SocketRequestId id) {
  if (const auto own = own_number(id)) run_->handle_socket_failed(now, *own);
}

void NatWatch::handle_stand_in_answer(Instant now, const StandInAnswer& answer) {
  if (run_) run_->handle_stand_in_answer(now, answer);
}

bool NatWatch::handle_datagram(Instant now, const NetworkPath& path, Ecn ecn, ByteView datagram) {
  return run_ && run_->handle_datagram(now, path, ecn, datagram);
}

void NatWatch::handle_timeout(Instant now) {
  if (run_) run_->handle_timeout(now);
  if (due_ <= now) begin(now);
}

std::optional<Transmit> NatWatch::poll_transmit(Instant now, MutableByteView buffer) {
  return run_ ? run_->poll_transmit(now, buffer) : std::nullopt;
}

std::optional<NatDiscoveryEvent> NatWatch::poll_event() {
  if (!dropped_.empty()) {
    NatDiscoveryEvent event = std::move(dropped_.front());
    dropped_.pop_front();
    return event;
  }
  auto event = run_ ? run_->poll_event() : std::nullopt;
  if (!event) return std::nullopt;
  if (auto* open = std::get_if<OpenSocket>(&*event)) {
    const unsigned number = run_number_ << index_bits | std::to_underlying(open->id);
    open->id = SocketRequestId{static_cast<std::uint16_t>(number)};
  } else if (const auto* close = std::get_if<CloseSocket>(&*event)) {
    std::erase(sockets_, close->socket);
  } else if (auto* found = std::get_if<NatDiscovered>(&*event)) {
    add_gateway(*found);
    result_ = *found;
    run_.reset();  // its sockets were given back before
    if (is_conclusive(result_->profile)) {
      due_ = begun_ + again_after;
      retry_ = retry_first;
    } else {
      due_ = begun_ + retry_;
      retry_ = std::min<Duration>(2 * retry_, again_after);
    }
  }
  return event;
}

Instant NatWatch::poll_timeout() const {
  return run_ ? std::min(due_, run_->poll_timeout()) : due_;
}

void NatWatch::begin(Instant now) {
  due_ = never;
  drop_run();
  NatDiscoveryConfig config;
  config.servers = servers_;
  const auto is_v4 = [](const IpAddress& ip) { return ip.family() == IpFamily::v4; };
  const bool v4 =
      std::ranges::any_of(
          servers_, [&](const DiscoveryServer& server) { return is_v4(server.address.ip); }) &&
      (local_addresses_.empty() || std::ranges::any_of(local_addresses_, is_v4));
  config.family = v4 ? IpFamily::v4 : IpFamily::v6;
  std::erase_if(config.servers, [&](const DiscoveryServer& server) {
    return server.address.ip.family() != config.family;
  });
  if (config.servers.size() > NatDiscovery::servers_max) {
    config.servers.resize(NatDiscovery::servers_max);
  }
  config.local_addresses = local_addresses_;
  config.gateway_external = gateway_external_;
  config.port_mapping = port_mapping_;
  run_number_ = (run_number_ + 1) & runs_mask;
  begun_ = now;
  run_.emplace(rng_);
  if (!run_->start(now, config)) run_.reset();
}

void NatWatch::drop_run() {
  if (!run_) return;
  run_.reset();
  for (const SocketId socket : sockets_)
    dropped_.emplace_back(CloseSocket{socket});
  sockets_.clear();
}

}  // namespace quicmesh
