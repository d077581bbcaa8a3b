// UPnP-IGD (UPnP Forum, WANIPConnection:1 and :2; Device Architecture 1.1) with libminiupnpc's XML
// parsers and our own bounded sockets (docs/decisions/0009): the library's network code reads
// answers of any size for as long as they drip, and believes any machine that answers its search.
//
// Search: by multicast on the gateway's interface, and to the gateway itself; only answers that
// come from the gateway's address, and name a URL at it, count. Then its description is read, then
// SOAP goes to the control URL in it, at the same address. If the gateway stops answering there it
// is searched again: a restarted one often listens on another port.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <utility>

#include "crypto/system_rng.hpp"
#include "io/event_loop.hpp"
#include "io/file_descriptor.hpp"
#include "io/gateway_protocol.hpp"
#include "io/http_exchange.hpp"
#include "io/sockaddr.hpp"
#include "io/upnp_message.hpp"
#include "nat/port_mapping_errc.hpp"

namespace quicmesh::io {
namespace {

constexpr std::uint16_t ssdp_port = 1900;
constexpr Duration search_patience = 1500ms;  // MX is 1 s
constexpr Duration search_again = 500ms;
constexpr int search_answers_max = 64;  // datagrams looked at, of anybody
constexpr Duration exchange_patience = 3s;
constexpr int ports_tried_max = 4;

// WANIPConnection:1 s2.4.16.
constexpr int error_no_such_entry = 714;
constexpr int error_conflict = 718;
constexpr int error_same_port_only = 724;
constexpr int error_permanent_only = 725;
constexpr int error_not_authorized = 606;

struct SoapReply {
  std::map<std::string, std::string> values;
  int error = 0;  // of UPnP; 0 for success
};

int number(std::string_view text) {
  int value = 0;
  (void)std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

class UpnpGateway final : public GatewayProtocol {
 public:
  explicit UpnpGateway(const DefaultGateway& gateway) : gateway_(gateway) {}

  Result<GatewayStatus> status(std::span<const HeldMapping> held,
                               const Patience& patience) override {
    auto external = external_address(patience);
    if (!external && services_known_before_) {
      services_.clear();
      external = external_address(patience);
    }
    if (!external) return failure(external.error());
    GatewayStatus status{*external, std::nullopt, false};
    for (const HeldMapping& mapping : held)
      status.mappings_lost |= is_lost(mapping, patience);
    return status;
  }

  Result<GrantedMapping> map(const PortMappingKeeper::AskMapping& wanted,
                             const Patience& patience) override {
    std::uint16_t port = wanted.external_port;
    Duration lifetime = PortMappingKeeper::lifetime_wanted;
    for (int i = 0; i < ports_tried_max; ++i) {
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(lifetime).count();
      const SoapArguments arguments{{"NewRemoteHost", ""},
                                    {"NewExternalPort", std::to_string(port)},
                                    {"NewProtocol", "UDP"},
                                    {"NewInternalPort", std::to_string(wanted.internal_port)},
                                    {"NewInternalClient", gateway_.self.to_string()},
                                    {"NewEnabled", "1"},
                                    {"NewPortMappingDescription", "quicmesh"},
                                    {"NewLeaseDuration", std::to_string(seconds)}};
      const auto reply = call("AddPortMapping", arguments, patience);
      if (!reply) return failure(reply.error());
      switch (reply->error) {
        case 0:
          return GrantedMapping{port, PortMappingKeeper::lifetime_wanted};
        case error_permanent_only:
          lifetime = {};  // held like any other, and deleted at the end
          break;
        case error_conflict:
          port = random_port();
          break;
        case error_same_port_only:
          port = wanted.internal_port;
          break;
        case error_not_authorized:
          return failure(PortMappingErrc::not_authorized);
        default:
          return failure(PortMappingErrc::refused);
      }
    }
    return failure(PortMappingErrc::refused);
  }

  void unmap(const HeldMapping& mapping, const Patience& patience) override {
    (void)call("DeletePortMapping", key_of(mapping), patience);  // it ends by itself otherwise
  }

 private:
  static SoapArguments key_of(const HeldMapping& mapping) {
    return {{"NewRemoteHost", ""},
            {"NewExternalPort", std::to_string(mapping.external_port)},
            {"NewProtocol", "UDP"}};
  }

  std::uint16_t random_port() {
    constexpr std::uint16_t first = 20'000;
    constexpr std::uint16_t count = 40'000;
    return static_cast<std::uint16_t>(first + rng_.next_u64() % count);
  }

  Result<IpAddress> external_address(const Patience& patience) {
    services_known_before_ = !services_.empty();
    if (services_.empty()) {
      auto found = find_services(patience);
      if (!found) return failure(found.error());
      services_ = std::move(*found);
    }
    // A router with two kinds of WAN connection has an address on the one in use.
    std::error_code error = PortMappingErrc::malformed_answer;
    for (std::size_t i = 0; i < services_.size(); ++i) {
      const auto reply = call("GetExternalIPAddress", {}, patience);
      if (reply && reply->error == 0) {
        const auto found = reply->values.find("NewExternalIPAddress");
        const auto ip = IpAddress::parse(found == reply->values.end() ? "" : found->second);
        if (ip && ip->family() == IpFamily::v4) return *ip;
      }
      if (!reply) error = reply.error();
      std::ranges::rotate(services_, services_.begin() + 1);
    }
    return failure(error);
  }

  bool is_lost(const HeldMapping& mapping, const Patience& patience) {
    const auto reply = call("GetSpecificPortMappingEntry", key_of(mapping), patience);
    if (!reply) return false;  // not known; the next check tells
    if (reply->error == error_no_such_entry) return true;
    const auto client = reply->values.find("NewInternalClient");
    return reply->error == 0 && client != reply->values.end() &&
           client->second != gateway_.self.to_string();
  }

  Result<SoapReply> call(std::string_view action, const SoapArguments& arguments,
                         const Patience& patience) {
    if (services_.empty()) return failure(PortMappingErrc::no_answer);
    const UpnpService& service = services_.front();
    const auto answer =
        http_exchange(service.control.server, soap_request(service, action, arguments),
                      patience.at_most(exchange_patience));
    if (!answer) return failure(answer.error());
    SoapReply reply{parse_soap_answer(answer->body), 0};
    if (answer->status == 200) return reply;
    const auto code = reply.values.find("errorCode");
    reply.error = code == reply.values.end() ? 0 : number(code->second);
    if (reply.error == 0) return failure(PortMappingErrc::malformed_answer);
    return reply;
  }

  Result<std::vector<UpnpService>> find_services(const Patience& patience) {
    const auto location = search(patience.at_most(search_patience));
    if (!location) return failure(location.error());
    const auto description =
        http_exchange(location->server, http_get(*location), patience.at_most(exchange_patience));
    if (!description) return failure(description.error());
    if (description->status != 200) return failure(PortMappingErrc::malformed_answer);
    return parse_description(description->body, *location);
  }

  Result<HttpUrl> search(const Patience& patience) {
    const FileDescriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const KernelAddress own = to_kernel({gateway_.self, 0});
    if (!socket || ::bind(socket.get(), own.data(), own.size) != 0) {
      return failure(PortMappingErrc::no_answer);
    }
    const auto& own_v4 = reinterpret_cast<const sockaddr_in&>(own.storage);
    (void)::setsockopt(socket.get(), IPPROTO_IP, IP_MULTICAST_IF, &own_v4.sin_addr,
                       sizeof own_v4.sin_addr);  // without it the unicast search remains
    const std::array to{SocketAddress{IpAddress::v4({239, 255, 255, 250}), ssdp_port},
                        SocketAddress{gateway_.router, ssdp_port}};
    const std::string request = ssdp_search();
    Instant ask_at{};
    bool foreign = false;
    for (int looked_at = 0; looked_at < search_answers_max;) {
      if (const Instant now = EventLoop::now(); ask_at <= now) {
        ask_at = now + search_again;
        for (const SocketAddress& address : to) {
          const KernelAddress kernel = to_kernel(address);
          (void)::sendto(socket.get(), request.data(), request.size(), 0, kernel.data(),
                         kernel.size);  // the other one may arrive
        }
      }
      const Patience next{std::min(patience.until, ask_at), patience.interrupt};
      const Waited waited = wait_for(socket.get(), POLLIN, next);
      if (waited == Waited::interrupted) return failure(PortMappingErrc::interrupted);
      if (waited == Waited::late) {
        if (next.until == patience.until) break;
        continue;
      }
      ++looked_at;
      std::array<char, 2048> buffer;
      sockaddr_storage from{};
      socklen_t size = sizeof from;
      const ssize_t got = ::recvfrom(socket.get(), buffer.data(), buffer.size(), 0,
                                     reinterpret_cast<sockaddr*>(&from), &size);
      const auto source = from_kernel(reinterpret_cast<const sockaddr*>(&from));
      if (got <= 0 || !source || source->ip != gateway_.router) continue;
      const auto location = parse_ssdp_answer({buffer.data(), static_cast<std::size_t>(got)});
      if (!location) continue;
      if (location->server.ip == gateway_.router) return *location;
      foreign = true;
    }
    return failure(foreign ? PortMappingErrc::foreign_address : PortMappingErrc::no_answer);
  }

  DefaultGateway gateway_;
  SystemRng rng_;
  std::vector<UpnpService> services_;  // the one in use first
  bool services_known_before_ = false;
};

}  // namespace

std::unique_ptr<GatewayProtocol> make_upnp_igd(const DefaultGateway& gateway) {
  return std::make_unique<UpnpGateway>(gateway);
}

}  // namespace quicmesh::io
