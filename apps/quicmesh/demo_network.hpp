// The network that the demo plays in: homes behind NATs of different kinds, a host without a NAT
// and a relay, on one switch that stands for the internet.
//
//   relay 203.0.113.1 and .2 --+
//   emil  203.0.113.3 ---------+-- switch --+-- anna's NAT 203.0.113.10 -- anna 192.168.1.2
//                                           +-- ben's  NAT 203.0.113.11 -- ben  192.168.1.2
//                                           +-- ...
//
// Every host and every NAT is a network namespace. A user namespace of its own lets anybody make
// them, and a mount namespace with an empty /run hides them from all other processes: `ip netns`
// keeps its names there. Nothing of the host's network can be seen from inside, let alone changed;
// and since only processes hold the namespaces, all of it goes with the last of them, however that
// ends. The NATs are those of the kernel (nftables); docs/guide/lab.md has the same in Python.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "failure.hpp"

namespace quicmesh::cli {

struct DemoHost {
  std::string_view name;
  std::string_view nat;      // as a node names it (`nat` event): none, full cone, ...
  std::string_view address;  // its own
  std::string_view outside;  // what the others see
};

inline constexpr std::array demo_hosts{
    DemoHost{"anna", "full cone", "192.168.1.2", "203.0.113.10"},
    DemoHost{"ben", "port-restricted cone", "192.168.1.2", "203.0.113.11"},
    DemoHost{"cleo", "port-restricted cone", "192.168.1.2", "203.0.113.12"},
    DemoHost{"dora", "symmetric", "192.168.1.2", "203.0.113.13"},
    DemoHost{"emil", "none", "203.0.113.3", "203.0.113.3"},
};
inline constexpr std::string_view demo_relay = "relay";
/// Two, for only then can it tell others what their NATs do (RFC 5780).
inline constexpr std::array<std::string_view, 2> demo_relay_addresses{"203.0.113.1", "203.0.113.2"};

/// A program to run, with what it reads on stdin.
struct NetworkCommand {
  std::string host;  // in whose namespace; empty for that of the caller
  std::vector<std::string> words;
  std::string input;
};

/// What makes the network, in this order, in namespaces that are empty before.
[[nodiscard]] std::vector<NetworkCommand> network_commands();

/// Takes this process, which must have one thread only, into namespaces of its own and makes the
/// network there; `folder` must still be seen from there. After a failure the process may be in
/// either place: it can only end. The failure says what is missing or refused, and what would help.
Outcome<void> enter_demo_network(const std::string& folder);

/// The file that stands for a host's namespace, for setns(2).
[[nodiscard]] std::string namespace_file(std::string_view host);
/// Bytes that a host's interfaces have received, by the kernel's count; 0 if that cannot be read.
[[nodiscard]] std::uint64_t received_bytes(std::string_view host);

/// The path of a program: in PATH, or where the system's own are, which is not in everybody's PATH.
/// Empty if there is none.
[[nodiscard]] std::string find_program(std::string_view name);

}  // namespace quicmesh::cli
