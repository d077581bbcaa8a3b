// The clients that asked this node for their own ids: they stand in nobody's routing table, and are
// named to who looks for exactly that id (docs/protocols/dht.md, "Clients are found, too").
//
// Bound: `clients_max`. Beyond it one of the commonest diversity group goes, and of those the one
// farthest from us: keys near to ours are cheap, addresses are not.
#pragma once

#include <cstddef>
#include <vector>

#include "dht/dht_key.hpp"
#include "identity/peer_book.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh {

class AnnouncedClients {
 public:
  static constexpr std::size_t clients_max = 1024;
  static constexpr Duration remembered_for = 1h;

  /// `book` outlives this; `self` is this node.
  AnnouncedClients(const PeerBook& book, PeerHandle self) : book_(&book), self_(self) {}

  /// O(n log n) when there are `clients_max`, else O(n).
  void remember(Instant now, PeerHandle client);
  /// Who stands at `key`; `no_peer` if it is not known. O(n).
  [[nodiscard]] PeerHandle find(Instant now, const DhtKey& key) const;

  void mark(PeerBook::Sweep& sweep) const;
  [[nodiscard]] std::size_t size() const { return clients_.size(); }

 private:
  struct Client {
    PeerHandle peer = no_peer;
    Instant until{};
  };

  const PeerBook* book_;
  PeerHandle self_;
  std::vector<Client> clients_;
};

}  // namespace quicmesh
