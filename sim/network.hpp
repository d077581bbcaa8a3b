// Who is connected to whom: hosts with interfaces, NATs, realms, and the links between them.
//
// A *realm* is an address space: the internet, and the inside of each NAT. Interfaces and the
// outsides of NATs are attached to a realm, each by two access links, up (towards the realm's core)
// and down. The core itself is instant and lossless. So a datagram from a to b crosses a.up and
// b.down, or, where an explicit path between two attachments is set, that path's one link instead
// of the two. In a realm with an unknown destination it goes out by the realm's NAT, if it has one:
//
//     laptop --up--> (home realm) --> NAT --up--> (internet) --down--> server
//
// A CGNAT is a NAT whose outside is attached to the inside of another. Two homes may use the same
// private addresses; a datagram then reaches the machine of its own realm, as in life.
//
// Each crossing is one event, because a link's queue and loss chain must see datagrams in the order
// in which they arrive at it. Nothing here calls back: `handle` returns what reached a host.
// Faults act at once on what enters a link later; what is inside a link arrives as decided.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/hash.hpp"
#include "base/network_path.hpp"
#include "base/rng.hpp"
#include "sim/event.hpp"
#include "sim/ids.hpp"
#include "sim/link.hpp"
#include "sim/nat.hpp"
#include "sim/packet_pool.hpp"
#include "sim/trace.hpp"

namespace quicmesh::sim {

/// The two directions of an attachment, as its owner sees them.
struct AccessConfig {
  LinkConfig up;
  LinkConfig down;
};

struct InterfaceConfig {
  std::string name;  // unique in the host; the whole is "host.interface"
  RealmId realm = internet;
  IpAddress address;
  AccessConfig access;
};

struct NatPlacement {
  std::string name;  // unique among hosts and NATs
  RealmId outside = internet;
  std::vector<IpAddress> addresses;
  NatConfig behaviour;
  AccessConfig access;
};

enum class InterfaceState : std::uint8_t { up, down };

/// Which way a partition stops datagrams.
enum class Cut : std::uint8_t { both_ways, from_island, to_island };

struct NetworkCounters {
  std::uint64_t sent = 0;  // by hosts
  std::uint64_t sent_bytes = 0;
  std::uint64_t delivered = 0;  // to interfaces
  std::uint64_t delivered_bytes = 0;
  std::array<std::uint64_t, drop_cause_count> dropped{};

  [[nodiscard]] std::uint64_t dropped_for(DropCause cause) const {
    return dropped[static_cast<std::size_t>(cause)];
  }
};

class Network {
 public:
  /// What reached a host's interface. The caller gives `packet` back with `release`.
  struct Delivery {
    HostId host;
    PacketHandle packet;
  };

  Network(SimulationQueue& queue, Trace& trace, Rng rng);

  // Building. Each link and NAT draws from a generator forked by its name.

  Result<HostId> add_host(std::string name);
  Result<InterfaceId> add_interface(HostId host, const InterfaceConfig& config);
  Result<NatId> add_nat(const NatPlacement& placement);

  /// Datagrams between `a` and `b`, of one realm, take these links and not their access links.
  Result<void> set_path(AttachmentId a, AttachmentId b, const LinkConfig& a_to_b,
                        const LinkConfig& b_to_a);

  // Names and places.

  [[nodiscard]] std::optional<HostId> find_host(std::string_view name) const;
  [[nodiscard]] std::optional<NatId> find_nat(std::string_view name) const;
  [[nodiscard]] std::optional<InterfaceId> find_interface(std::string_view dotted_name) const;

  [[nodiscard]] std::size_t host_count() const { return hosts_.size(); }
  [[nodiscard]] std::size_t nat_count() const { return nats_.size(); }
  [[nodiscard]] const std::string& name_of(HostId host) const;
  [[nodiscard]] const std::string& name_of(AttachmentId attachment) const;
  [[nodiscard]] const std::vector<InterfaceId>& interfaces_of(HostId host) const;
  [[nodiscard]] HostId host_of(InterfaceId interface) const;
  [[nodiscard]] IpAddress address_of(InterfaceId interface) const;
  [[nodiscard]] InterfaceState state_of(InterfaceId interface) const;
  /// The interface of `host` that has `address`.
  [[nodiscard]] std::optional<InterfaceId> own_interface(HostId host,
                                                         const IpAddress& address) const;
  [[nodiscard]] RealmId inside(NatId nat) const;
  [[nodiscard]] AttachmentId attachment_of(InterfaceId interface) const;
  [[nodiscard]] AttachmentId attachment_of(NatId nat) const;
  [[nodiscard]] const Nat& nat(NatId id) const;

  struct Links {
    LinkId up;    // of a path: from the first to the second
    LinkId down;  // of a path: from the second to the first
  };
  [[nodiscard]] Links access_links(AttachmentId attachment) const;
  [[nodiscard]] std::optional<Links> path_links(AttachmentId a, AttachmentId b) const;
  [[nodiscard]] const Link& link(LinkId id) const;

  // Faults. They are not traced here; the simulation writes what it was told to do.

  void set_interface_state(InterfaceId interface, InterfaceState state);
  Result<void> change_address(InterfaceId interface, const IpAddress& address);
  Result<void> set_link(Instant now, LinkId link, const LinkConfig& config);
  void set_link_state(LinkId link, LinkState state);
  void rebind_nat(NatId nat);
  /// See Nat::forward.
  void forward_port(NatId nat, const SocketAddress& external, const SocketAddress& inner);
  /// The NAT gets other external addresses and forgets its mappings, as after a new DHCP lease.
  Result<void> renumber_nat(NatId nat, std::vector<IpAddress> addresses);

  /// Cuts `island` off from every attachment outside it, in each realm; replaces an earlier cut.
  /// What stands behind a NAT is cut off by naming the NAT.
  void partition(const std::vector<AttachmentId>& island, Cut cut);

  /// Ends the partition, raises all interfaces, opens all blackholes; link figures stay.
  void heal();

  /// Interfaces that went up or down or changed address since the last call, oldest first.
  std::optional<InterfaceId> poll_interface_change();

  // Traffic.

  /// Sends a datagram from `host`. An unspecified `source.ip` lets the network choose: the first
  /// raised interface of the right family in a realm that knows the destination, else the first.
  void send(Instant now, HostId host, SocketAddress source, const SocketAddress& destination,
            Ecn ecn, ByteView payload);

  /// Moves the packet of a `packet_*` event one step; what reached a host comes back.
  std::optional<Delivery> handle(Instant now, const Event& event);

  Packet& packet(PacketHandle handle) { return pool_[handle]; }
  void release(PacketHandle handle) { pool_.release(handle); }
  void drop(Instant now, PacketHandle handle, DropCause cause);

  [[nodiscard]] const NetworkCounters& counters() const { return counters_; }
  [[nodiscard]] std::size_t packets_under_way() const { return pool_.held(); }

 private:
  /// Looked up for every datagram, hence quicker than std::hash's byte by byte.
  struct AddressHash {
    std::size_t operator()(const IpAddress& address) const noexcept {
      std::array<std::uint64_t, 2> words;
      static_assert(sizeof words == sizeof address.bytes());
      std::memcpy(words.data(), address.bytes().data(), sizeof words);
      return hash_combine(words[0], words[1]);
    }
  };
  struct Realm {
    // Looked up only, never iterated.
    std::unordered_map<IpAddress, AttachmentId, AddressHash> addresses;
    std::optional<NatId> gateway;
  };
  struct Attachment {
    std::string name;
    RealmId realm;
    Links access;
    std::optional<InterfaceId> interface;  // else the outside of `nat`
    std::optional<NatId> nat;
    bool has_paths = false;
    bool on_island = false;
  };
  struct Interface {
    HostId host;
    AttachmentId attachment;
    IpAddress address;
    InterfaceState state = InterfaceState::up;
  };
  struct Host {
    std::string name;
    std::vector<InterfaceId> interfaces;
  };
  struct NatBox {
    Nat nat;
    AttachmentId attachment;
    RealmId inside;
  };

  LinkId add_link(const LinkConfig& config, const std::string& name);
  Result<AttachmentId> attach(const std::string& name, RealmId realm,
                              const std::vector<IpAddress>& addresses, const AccessConfig& access);
  [[nodiscard]] static std::uint64_t path_key(AttachmentId from, AttachmentId to);
  [[nodiscard]] std::optional<AttachmentId> find_address(RealmId realm,
                                                         const IpAddress& address) const;
  [[nodiscard]] std::expected<InterfaceId, DropCause> egress(HostId host, const IpAddress& source,
                                                             const IpAddress& destination) const;
  [[nodiscard]] bool is_cut(AttachmentId from, AttachmentId to) const;
  void leave(Instant now, AttachmentId from, PacketHandle handle);
  void cross(Instant now, LinkId link, PacketHandle handle, const Event& at_far_end);
  void route(Instant now, RealmId realm, PacketHandle handle);
  void route_out(Instant now, NatId nat, PacketHandle handle);
  void route_in(Instant now, NatId nat, PacketHandle handle);

  SimulationQueue& queue_;
  Trace& trace_;
  Rng rng_;
  std::vector<Realm> realms_;
  std::vector<Attachment> attachments_;
  std::vector<Interface> interfaces_;
  std::vector<Host> hosts_;
  std::vector<NatBox> nats_;
  std::vector<Link> links_;
  std::unordered_map<std::uint64_t, LinkId> paths_;  // looked up only, never iterated
  std::map<std::string, HostId, std::less<>> host_names_;
  std::map<std::string, NatId, std::less<>> nat_names_;
  std::map<std::string, InterfaceId, std::less<>> interface_names_;
  std::deque<InterfaceId> changes_;
  std::optional<Cut> cut_;
  PacketPool pool_;
  NetworkCounters counters_;
};

}  // namespace quicmesh::sim
