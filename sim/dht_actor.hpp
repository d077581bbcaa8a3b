// DhtActor: a node of a simulated DHT. Mostly the real core and nothing else; in attacks somebody
// has changed it.
//
// A hostile node takes part like any other: it joins, looks up, answers pings, so that it stands in
// tables. What others ask of it about nodes and values it treats by its `Hostility`; all hostile
// nodes of a world work together.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "dht/dht_core.hpp"
#include "identity/peer_book.hpp"

namespace quicmesh::sim {

enum class Hostility : std::uint8_t {
  none,         // as the others, though it is theirs: for negative controls
  silent,       // answers pings alone
  lying,        // names accomplices, has no value, swears to have stored one; no express answer
  forging,      // as lying, and gives false values and providers, and false express answers
  always_full,  // has no room for providers, and knows none
  serving_old,  // keeps the first value that it is given, whatever comes later
  withholding_express,  // answers no express query, and everything else as the others
  forging_express,      // answers express queries falsely, and everything else as the others
};

/// What hostile nodes know of each other.
struct Conspiracy {
  Hostility hostility{};
  /// Whom liars name, in the order of their ids (`sort`).
  std::vector<PeerHandle> named;

  void sort(const PeerBook& book);
  /// About the `count` nearest to `target` of `named`, the nearest first.
  [[nodiscard]] std::vector<PeerHandle> nearest(const PeerBook& book, const DhtKey& target,
                                                std::size_t count) const;
};

class DhtActor {
 public:
  using Message = dht::Message;
  using Event = dht::Event;
  using Input = peer::Input<Message>;
  using Output = peer::Output<Message>;

  /// All outlive the actor; it is hostile if there is a conspiracy.
  DhtActor(Instant now, const dht::Config& config, PeerBook& book, PeerHandle self, Rng rng,
           const Conspiracy* conspiracy);

  void handle(Instant now, Input input);
  void handle_timeout(Instant now) { core_.handle_timeout(now); }
  std::optional<Output> poll_output();
  std::optional<Event> poll_event() { return core_.poll_event(); }
  [[nodiscard]] Instant poll_timeout() const { return core_.poll_timeout(); }

  [[nodiscard]] dht::DhtCore& dht() { return core_; }
  [[nodiscard]] const dht::DhtCore& dht() const { return core_; }
  [[nodiscard]] bool is_hostile() const { return hostile_ != nullptr; }

 private:
  struct Hostile {
    const Conspiracy* conspiracy;
    const PeerBook* book;
    std::vector<Output> outputs;
    std::vector<dht::Put> first_values;  // that it was given, of each key
  };

  [[nodiscard]] bool takes_over(const peer::Received<Message>& received);
  void answer(const peer::Received<Message>& received, dht::Body body);
  [[nodiscard]] dht::Found old_value(const dht::Get& get) const;

  dht::DhtCore core_;
  std::unique_ptr<Hostile> hostile_;
};

static_assert(PeerCore<DhtActor>);

}  // namespace quicmesh::sim
