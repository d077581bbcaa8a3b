// The texts of SimErrc.
#include "sim/sim_errc.hpp"

#include <array>

#include "base/error.hpp"

namespace quicmesh::sim {
namespace {

constexpr std::array<ErrorText, 11> texts{{
    {static_cast<int>(SimErrc::duplicate_name), "the name is taken already",
     "give each host, interface and NAT of one simulation a name of its own"},
    {static_cast<int>(SimErrc::unknown_name), "nothing of that name exists",
     "compare it with the names of hosts, interfaces (host.interface), NATs and links"},
    {static_cast<int>(SimErrc::address_in_use), "the address is taken in that realm",
     "give each interface of a realm an address of its own"},
    {static_cast<int>(SimErrc::bad_link), "the link's figures are out of range",
     "probabilities lie in [0, 1]; a loss rate r needs a mean burst of at least r / (1 - r) and of "
     "1"},
    {static_cast<int>(SimErrc::bad_nat), "the NAT's figures are out of range",
     "it needs an external address, a lifetime, and at most half its ports as mappings"},
    {static_cast<int>(SimErrc::port_in_use), "another socket of the host has that address and port",
     "close it first, or bind port 0"},
    {static_cast<int>(SimErrc::too_many_sockets), "the host has as many sockets as it may",
     "close some; the bound is Host::sockets_max"},
    {static_cast<int>(SimErrc::address_not_local), "no interface of the host has that address",
     "bind to the unspecified address or to an interface's own"},
    {static_cast<int>(SimErrc::scenario_syntax), "the scenario is not valid TOML",
     "see the line named; sim/scenarios has examples"},
    {static_cast<int>(SimErrc::scenario_value), "the scenario has a wrong key or value",
     "see the line named; sim/scenario_file.hpp describes every key"},
    {static_cast<int>(SimErrc::scenario_not_found), "there is no such scenario",
     "`quicmesh sim list` names the built-in ones; a path ends in .toml"},
}};

constinit const HintedCategory category("quicmesh.sim", texts);

}  // namespace

std::error_code make_error_code(SimErrc code) {
  return {static_cast<int>(code), category};
}

}  // namespace quicmesh::sim
