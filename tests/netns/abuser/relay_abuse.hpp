// What a client of a relay may try so that the relay sends to an address that is not its own.
#pragma once

#include <vector>

#include "abusive_peer.hpp"

namespace quicmesh::abuser {

struct RelayAbuse {
  IpAddress local;
  NodeAddress relay;
  std::vector<SocketAddress> victims;  // IPv4
};

/// Sessions with nobody, messages that only relays send, with the victims' addresses in them, STUN
/// requests that ask for answers elsewhere. The number of things tried.
std::size_t abuse_by_requests(const RelayAbuse& abuse);

struct SpoofReport {
  std::uint64_t packets = 0;  // sent as if by the victims
  std::uint64_t bytes = 0;    // of payload
  /// Datagrams that arrived over the session afterwards, of `sent_after`: it is where it was.
  std::uint64_t arrived_after = 0;
  std::uint64_t sent_after = 0;
  /// Datagrams of the spoofed ones that the relay forwarded.
  std::uint64_t forwarded = 0;
};
/// Frames of a live session and answers to challenges, as if from the victims.
SpoofReport abuse_by_spoofing(const RelayAbuse& abuse);

}  // namespace quicmesh::abuser
