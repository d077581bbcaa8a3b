// The requests whose answers are awaited, and those that wait for a connection to go out.
//
// A request is *late* once its peer has had as long as it usually takes; then others are asked in
// its stead, and its answer still counts. It is *given up* some times later.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/peer_core.hpp"
#include "dht/message.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh::dht {

/// A command that was given and whose answer is an event; unique within a DhtCore.
enum class QueryId : std::uint32_t {};
/// Of the node's own requests: no query.
inline constexpr QueryId no_query{0};

struct OpenRequest {
  PeerHandle peer = no_peer;
  std::uint32_t number = 0;
  QueryId query = no_query;     // for which lookup; `no_query`: to see whether the peer is there
  bool storing = false;         // of the query's second part: a Put
  std::optional<Body> waiting;  // not sent yet: the connection is being opened
  Instant sent_at{};            // or asked for
  Instant late_at = never;      // `never` once it is late
  Instant given_up_at = never;
};

class OpenRequests {
 public:
  /// The number of the next request.
  std::uint32_t next_number() { return ++last_number_; }
  void add(OpenRequest request) { requests_.push_back(std::move(request)); }

  /// The request that `from` answers; it is open no more.
  std::optional<OpenRequest> take(PeerHandle from, std::uint32_t number);
  /// The next request that is late at `now`, told once; valid until the next change.
  const OpenRequest* next_late(Instant now);
  /// The next request given up at `now`; it is open no more.
  std::optional<OpenRequest> take_given_up(Instant now);
  /// The requests to `peer`; they are open no more.
  std::vector<OpenRequest> take_all_of(PeerHandle peer);

  /// Those that wait for a connection to `peer`, to be sent.
  template <class Send>
  void send_waiting(PeerHandle peer, Send send) {
    for (OpenRequest& request : requests_) {
      if (request.peer == peer && request.waiting) send(request);
    }
  }

  template <class Visit>
  void for_each(Visit visit) const {
    for (const OpenRequest& request : requests_)
      visit(request);
  }

  [[nodiscard]] bool any_to(PeerHandle peer) const;
  /// Requests of no query.
  [[nodiscard]] std::size_t checks() const;
  [[nodiscard]] std::size_t size() const { return requests_.size(); }
  [[nodiscard]] std::size_t memory() const { return requests_.capacity() * sizeof(OpenRequest); }
  /// When the next one is late or given up. O(size).
  [[nodiscard]] Instant earliest() const;

 private:
  OpenRequest take_at(std::size_t index);

  std::vector<OpenRequest> requests_;
  std::uint32_t last_number_ = 0;
};

}  // namespace quicmesh::dht
