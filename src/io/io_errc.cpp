// The texts of IoErrc.
#include "quicmesh/io_errc.hpp"

#include <array>

#include "base/error.hpp"

namespace quicmesh {
namespace {

constexpr int code_of(IoErrc code) {
  return static_cast<int>(code);
}

constexpr std::array<ErrorText, 21> texts{{
    {code_of(IoErrc::address_in_use), "the address is in use by another socket",
     "choose another port, or 0 for any free one; `ss -ulpn` shows who has it"},
    {code_of(IoErrc::permission_denied), "the system does not permit this address or socket",
     "ports below 1024 need CAP_NET_BIND_SERVICE; look at the sandbox or firewall otherwise"},
    {code_of(IoErrc::no_such_address), "the machine has no such address",
     "`ip address` lists those it has; 0.0.0.0 and [::] mean all of them"},
    {code_of(IoErrc::family_not_supported), "the machine does not speak this IP version",
     "listen on an address of the other one"},
    {code_of(IoErrc::too_many_sockets), "the process or the system has too many open files",
     "raise `ulimit -n`, or let nodes share sockets"},
    {code_of(IoErrc::no_address_of_family), "none of the peer's addresses can be reached from here",
     "listen on an address of the same IP version as the peer's"},
    {code_of(IoErrc::name_not_found), "the name has no address", "check the spelling of the name"},
    {code_of(IoErrc::name_service_failed), "no name server answered",
     "give an IP address, or look at /etc/resolv.conf"},
    {code_of(IoErrc::node_closed), "the node is closed", "start another one"},
    {code_of(IoErrc::empty_handle), "the handle is empty: it was moved from, or never opened",
     "use the handle that `connect`, `open_stream` or `accept` returned"},
    {code_of(IoErrc::already_waiting), "another coroutine waits for the same thing",
     "let one coroutine read and one write"},
    {code_of(IoErrc::stream_finished), "the stream was finished by this side",
     "write before `finish`, or open another stream"},
    {code_of(IoErrc::ended_early), "the stream ended before all the bytes came",
     "the peer sent less than was asked for"},
    {code_of(IoErrc::already_handled), "the protocol has a handler already",
     "remove it first, or use another name"},
    {code_of(IoErrc::flush_timeout), "a peer did not acknowledge everything in time",
     "what it had not acknowledged may be lost; wait for Stream::flushed before closing"},
    {code_of(IoErrc::handler_failed), "a handler of this program threw",
     "its stream was reset and the node goes on; catch what it may throw"},
    {code_of(IoErrc::tcp_address_in_use), "the TCP address for relay clients is in use",
     "choose another port, or 0 for any free one; `ss -tlpn` shows who has it"},
    {code_of(IoErrc::tcp_permission_denied),
     "the system does not permit this TCP address for relay clients",
     "ports below 1024 need CAP_NET_BIND_SERVICE; look at the sandbox or firewall otherwise"},
    {code_of(IoErrc::tcp_no_such_address), "the machine has no such TCP address for relay clients",
     "`ip address` lists those it has; 0.0.0.0 and [::] mean all of them"},
    {code_of(IoErrc::dht_off), "this node takes no part in the DHT",
     "start it with a bootstrap node (--bootstrap), or as a server (DhtRole::server)"},
    {code_of(IoErrc::node_not_found), "the DHT knows no address of the node",
     "say where it is: NODEID@host:port; or begin with a node of its mesh (--bootstrap)"},
}};

constinit const HintedCategory category("quicmesh.io", texts);

}  // namespace

std::error_code make_error_code(IoErrc code) {
  return {code_of(code), category};
}

}  // namespace quicmesh
