// See demo_network.hpp.
#include "demo_network.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "io/file_descriptor.hpp"

namespace quicmesh::cli {
namespace {

constexpr std::string_view internet = "internet";
constexpr std::string_view namespace_folder = "/run/netns";

// What comes from outside unasked is dropped. Were it delivered to the router itself, the router
// would answer, and its connection tracking would take the port from the home's own flow.
constexpr std::string_view filter_rules = R"(
table inet guard {
  chain input { type filter hook input priority 0; policy accept;
    iifname "wan" ct state established,related accept
    iifname "wan" drop
  }
  chain forward { type filter hook forward priority 0; policy drop;
    ct state established,related accept
    iifname "lan" accept
    ct status dnat accept
  }
})";

/// The kernel's masquerade keeps the port where it can, and lets in only whom the home has written
/// to: port-restricted. With `fully-random` each remote sees another port: symmetric. With all that
/// comes sent to the home it is a full cone.
std::string nat_rules(const DemoHost& host) {
  const std::string inward = host.nat == "full cone" ? fmt::format(R"(
  chain pre {{ type nat hook prerouting priority -100; policy accept;
    iifname "wan" meta l4proto udp dnat to {}
  }})",
                                                                   host.address)
                                                     : "";
  return fmt::format(R"({}
table ip nat {{{}
  chain post {{ type nat hook postrouting priority 100; policy accept;
    oifname "wan" masquerade{}
  }}
}}
)",
                     filter_rules, inward, host.nat == "symmetric" ? " fully-random" : "");
}

std::string nat_of(const DemoHost& host) {
  return fmt::format("{}-nat", host.name);
}

/// `ip` with many lines at once, which is much faster than one process a line.
NetworkCommand ip_lines(std::string_view host, const std::vector<std::string>& lines) {
  NetworkCommand command{.host = std::string(host), .words = {"ip", "-batch", "-"}, .input = {}};
  for (const std::string& line : lines)
    command.input += line + "\n";
  return command;
}

/// The port of the switch to which a host is plugged has its name.
std::string cable(std::string_view port, std::string_view interface, std::string_view host) {
  return fmt::format("link add {} netns {} type veth peer name {} netns {}", port, internet,
                     interface, host);
}

Failure refused(std::string message) {
  return {.code = "demo_network",
          .message = std::move(message),
          .hint =
              "run it as root, or where user namespaces are allowed: sysctl "
              "user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns"};
}

Failure refused(std::string_view what, int error_number) {
  // unshare(2) says this of a limit of namespaces, with nothing full on any device.
  const char* why = error_number == ENOSPC ? "their limit is reached" : std::strerror(error_number);
  return refused(fmt::format("{}: {}", what, why));
}

bool write_text(const char* path, const std::string& text) {
  const io::FileDescriptor file(::open(path, O_WRONLY | O_CLOEXEC));
  return file && ::write(file.get(), text.data(), text.size()) == std::ssize(text);
}

Outcome<void> enter_namespaces() {
  constexpr int own = CLONE_NEWNET | CLONE_NEWNS;
  const uid_t user = ::geteuid();
  const gid_t group = ::getegid();
  if (::unshare(CLONE_NEWUSER | own) == 0) {
    if (!write_text("/proc/self/setgroups", "deny") ||
        !write_text("/proc/self/uid_map", fmt::format("0 {} 1", user)) ||
        !write_text("/proc/self/gid_map", fmt::format("0 {} 1", group)))
      return std::unexpected(refused("a user namespace is refused", errno));
  } else if (const int error = errno; user != 0 || ::unshare(own) != 0) {
    return std::unexpected(refused("namespaces are refused", error));
  }
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") != 0 ||
      ::mkdir(namespace_folder.data(), 0755) != 0)
    return std::unexpected(refused("mounting in a namespace is refused", errno));
  return {};
}

/// A file in memory, for a program to read from or to write to.
io::FileDescriptor memory_file(std::string_view text) {
  io::FileDescriptor file(::memfd_create("demo", MFD_CLOEXEC));
  if (file && ::write(file.get(), text.data(), text.size()) != std::ssize(text)) return {};
  if (file) ::lseek(file.get(), 0, SEEK_SET);
  return file;
}

std::string first_line_of(const io::FileDescriptor& file) {
  std::array<char, 512> text{};
  const ssize_t size = ::pread(file.get(), text.data(), text.size(), 0);
  const std::string_view said(text.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  return std::string(said.substr(0, said.find('\n')));
}

/// In the child, between fork and exec: async-signal-safe calls only.
[[noreturn]] void become(const char* program, char* const* words, int network, int input,
                         int said) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::setpgid(0, 0);
  if (network >= 0 && ::setns(network, CLONE_NEWNET) != 0) ::_exit(127);
  ::dup2(input, STDIN_FILENO);
  ::dup2(said, STDOUT_FILENO);
  ::dup2(said, STDERR_FILENO);
  ::execv(program, words);
  ::_exit(127);
}

Outcome<void> run_command(NetworkCommand command) {
  const std::string name = command.words.front();
  const std::string program = find_program(name);
  std::vector<char*> words;
  for (std::string& word : command.words)
    words.push_back(word.data());
  words.push_back(nullptr);
  io::FileDescriptor network;
  if (!command.host.empty())
    network =
        io::FileDescriptor(::open(namespace_file(command.host).c_str(), O_RDONLY | O_CLOEXEC));
  const io::FileDescriptor input = memory_file(command.input);
  const io::FileDescriptor said = memory_file("");
  if (!input || !said || (!command.host.empty() && !network))
    return std::unexpected(refused("cannot run " + name, errno));
  const pid_t child = ::fork();
  if (child < 0) return std::unexpected(refused("cannot run " + name, errno));
  if (child == 0) become(program.c_str(), words.data(), network.get(), input.get(), said.get());
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR)
    continue;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return std::unexpected(refused(fmt::format("{} fails: {}", name, first_line_of(said))));
}

}  // namespace

std::vector<NetworkCommand> network_commands() {
  std::vector<std::string> made{fmt::format("netns add {}", internet),
                                fmt::format("netns add {}", demo_relay)};
  std::vector<std::string> switch_lines{"link set lo up", "link add switch type bridge",
                                        "link set switch up"};
  std::vector<NetworkCommand> inside;
  const auto plug = [&](std::string_view port, std::string_view interface, std::string_view host) {
    made.push_back(cable(port, interface, host));
    switch_lines.push_back(fmt::format("link set {} up master switch", port));
  };

  std::vector<std::string> relay_lines{"link set lo up", "link set eth0 up"};
  for (const std::string_view address : demo_relay_addresses)
    relay_lines.push_back(fmt::format("address add {}/24 dev eth0", address));
  plug(demo_relay, "eth0", demo_relay);
  inside.push_back(ip_lines(demo_relay, relay_lines));

  for (const DemoHost& host : demo_hosts) {
    made.push_back(fmt::format("netns add {}", host.name));
    std::vector<std::string> lines{"link set lo up", "link set eth0 up",
                                   fmt::format("address add {}/24 dev eth0", host.address)};
    if (host.nat == "none") {
      plug(host.name, "eth0", host.name);
    } else {
      const std::string nat = nat_of(host);
      made.push_back(fmt::format("netns add {}", nat));
      plug(host.name, "wan", nat);
      made.push_back(
          fmt::format("link add lan netns {} type veth peer name eth0 netns {}", nat, host.name));
      lines.emplace_back("route add default via 192.168.1.1");
      inside.push_back(ip_lines(nat, {"link set lo up", "link set wan up", "link set lan up",
                                      fmt::format("address add {}/24 dev wan", host.outside),
                                      "address add 192.168.1.1/24 dev lan"}));
      inside.push_back({nat, {"nft", "-f", "-"}, nat_rules(host)});
      inside.push_back({nat, {"sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"}, ""});
    }
    inside.push_back(ip_lines(host.name, lines));
  }

  std::vector<NetworkCommand> commands{ip_lines("", made), ip_lines(internet, switch_lines)};
  for (NetworkCommand& command : inside)
    commands.push_back(std::move(command));
  return commands;
}

Outcome<void> enter_demo_network(const std::string& folder) {
  std::error_code error;
  if (std::filesystem::canonical(folder, error).string().starts_with("/run/"))
    return std::unexpected(Failure{.code = "demo_network",
                                   .message = "the temporary folder is in /run, which is hidden",
                                   .hint = "set TMPDIR to /tmp"});
  for (const char* name : {"ip", "nft"}) {
    if (find_program(name).empty())
      return std::unexpected(Failure{.code = "demo_network",
                                     .message = fmt::format("`{}` is not installed", name),
                                     .hint = "apt install iproute2 nftables"});
  }
  if (auto entered = enter_namespaces(); !entered) return entered;
  for (NetworkCommand& command : network_commands()) {
    if (auto done = run_command(std::move(command)); !done) return done;
  }
  return {};
}

std::string namespace_file(std::string_view host) {
  return fmt::format("{}/{}", namespace_folder, host);
}

std::uint64_t received_bytes(std::string_view host) {
  const io::FileDescriptor own(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  const io::FileDescriptor there(::open(namespace_file(host).c_str(), O_RDONLY | O_CLOEXEC));
  if (!own || !there || ::setns(there.get(), CLONE_NEWNET) != 0) return 0;
  std::uint64_t bytes = 0;
  std::ifstream counters("/proc/self/net/dev");
  for (std::string line; std::getline(counters, line);) {
    const std::size_t colon = line.find(':');
    if (colon != std::string::npos) bytes += std::strtoull(line.c_str() + colon + 1, nullptr, 10);
  }
  if (::setns(own.get(), CLONE_NEWNET) != 0) std::abort();  // it was this one a moment ago
  return bytes;
}

std::string find_program(std::string_view name) {
  const char* set = std::getenv("PATH");
  const std::string path = fmt::format("{}:/usr/sbin:/sbin", set == nullptr ? "" : set);
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find(':', begin), path.size());
    const std::string file = fmt::format("{}/{}", path.substr(begin, end - begin), name);
    if (end > begin && ::access(file.c_str(), X_OK) == 0) return file;
    begin = end + 1;
  }
  return {};
}

}  // namespace quicmesh::cli
