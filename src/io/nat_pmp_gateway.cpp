// NAT-PMP (RFC 6886) by libnatpmp, whose calls do not block: it sends, repeats (250 ms, then twice
// as long each time) and reads; this file waits. PCP (RFC 6887) is not spoken by that library, so a
// gateway that speaks PCP alone looks like none.
//
// The library takes only datagrams of the gateway's address, but does not compare an answer with
// what was asked for: that is done here.
#include <natpmp.h>
#include <poll.h>
#include <sys/time.h>

#include <algorithm>
#include <utility>

#include "io/gateway_protocol.hpp"
#include "io/sockaddr.hpp"
#include "nat/port_mapping_errc.hpp"

namespace quicmesh::io {
namespace {

constexpr Duration answer_patience = 2s;  // four transmissions
constexpr int strange_answers_max = 8;    // to one request

/// The library's socket to one gateway.
class Session {
 public:
  explicit Session(const IpAddress& router) {
    const KernelAddress to = to_kernel({router, NATPMP_PORT});
    const auto& address = reinterpret_cast<const sockaddr_in&>(to.storage);
    open_ = initnatpmp(&session_, 1, address.sin_addr.s_addr) == 0;
  }
  ~Session() {
    if (open_) (void)closenatpmp(&session_);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  [[nodiscard]] bool is_open() const { return open_; }
  [[nodiscard]] natpmp_t& get() { return session_; }

 private:
  natpmp_t session_{};
  bool open_ = false;
};

std::error_code error_of(int code) {
  switch (code) {
    case NATPMP_ERR_NOTAUTHORIZED:
      return PortMappingErrc::not_authorized;
    case NATPMP_ERR_OUTOFRESOURCES:
      return PortMappingErrc::out_of_resources;
    case NATPMP_ERR_NETWORKFAILURE:
    case NATPMP_ERR_UNDEFINEDERROR:
      return PortMappingErrc::refused;
    case NATPMP_ERR_UNSUPPORTEDVERSION:
    case NATPMP_ERR_UNSUPPORTEDOPCODE:
      return PortMappingErrc::malformed_answer;
    default:
      return PortMappingErrc::no_answer;
  }
}

/// Waits for what `expected` accepts. The library repeats the request meanwhile.
template <class Expected>
Result<natpmpresp_t> await_answer(natpmp_t& session, Expected expected, const Patience& patience) {
  const Patience until = patience.at_most(answer_patience);
  int strange = 0;
  for (;;) {
    timeval wait{};
    if (getnatpmprequesttimeout(&session, &wait) != 0) return failure(PortMappingErrc::no_answer);
    const Duration repeat =
        std::chrono::seconds(wait.tv_sec) + std::chrono::microseconds(wait.tv_usec);
    const Patience next = until.at_most(std::max<Duration>(repeat, 1ms));
    const Waited waited = wait_for(session.s, POLLIN, next);
    if (waited == Waited::interrupted) return failure(PortMappingErrc::interrupted);
    if (waited == Waited::late && next.until == until.until) {
      return failure(PortMappingErrc::no_answer);
    }
    natpmpresp_t answer{};
    const int code = readnatpmpresponseorretry(&session, &answer);
    if (code == NATPMP_TRYAGAIN || code == NATPMP_ERR_WRONGPACKETSOURCE) continue;
    if (code != 0) return failure(error_of(code));
    if (expected(answer)) return answer;
    if (++strange >= strange_answers_max) return failure(PortMappingErrc::malformed_answer);
    session.has_pending_request = 1;  // it was not answered yet
  }
}

class NatPmpGateway final : public GatewayProtocol {
 public:
  explicit NatPmpGateway(const DefaultGateway& gateway) : gateway_(gateway) {}

  Result<GatewayStatus> status(std::span<const HeldMapping> held,
                               const Patience& patience) override {
    (void)held;  // the epoch tells whether they are lost
    Session session(gateway_.router);
    if (!session.is_open() || sendpublicaddressrequest(&session.get()) < 0) {
      return failure(PortMappingErrc::no_answer);
    }
    const auto is_address = [](const natpmpresp_t& one) {
      return one.type == NATPMP_RESPTYPE_PUBLICADDRESS;
    };
    const auto answer = await_answer(session.get(), is_address, patience);
    if (!answer) return failure(answer.error());
    return GatewayStatus{from_kernel(answer->pnu.publicaddress.addr), answer->epoch, false};
  }

  Result<GrantedMapping> map(const PortMappingKeeper::AskMapping& wanted,
                             const Patience& patience) override {
    return ask(wanted.internal_port, wanted.external_port, PortMappingKeeper::lifetime_wanted,
               patience);
  }

  void unmap(const HeldMapping& mapping, const Patience& patience) override {
    // RFC 6886 s3.4: a lifetime and an external port of zero.
    (void)ask(mapping.internal_port, 0, Duration{}, patience);  // it ends by itself otherwise
  }

 private:
  Result<GrantedMapping> ask(std::uint16_t internal_port, std::uint16_t external_port,
                             Duration lifetime, const Patience& patience) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(lifetime).count();
    Session session(gateway_.router);
    if (!session.is_open() ||
        sendnewportmappingrequest(&session.get(), NATPMP_PROTOCOL_UDP, internal_port, external_port,
                                  static_cast<std::uint32_t>(seconds)) < 0) {
      return failure(PortMappingErrc::no_answer);
    }
    const auto is_mapping = [internal_port](const natpmpresp_t& one) {
      return one.type == NATPMP_RESPTYPE_UDPPORTMAPPING &&
             one.pnu.newportmapping.privateport == internal_port;
    };
    const auto answer = await_answer(session.get(), is_mapping, patience);
    if (!answer) return failure(answer.error());
    const auto& mapping = answer->pnu.newportmapping;
    return GrantedMapping{mapping.mappedpublicport, std::chrono::seconds(mapping.lifetime)};
  }

  DefaultGateway gateway_;
};

}  // namespace

std::unique_ptr<GatewayProtocol> make_nat_pmp(const DefaultGateway& gateway) {
  return std::make_unique<NatPmpGateway>(gateway);
}

}  // namespace quicmesh::io
