// What the kernel's notices about the network mean, and when to act on them: the part of
// network_watch.hpp without a socket.
//
// rtnetlink (RFC 3549; linux/rtnetlink.h) tells of every change of a link, an address or a route.
// Much of that is no news to a node: routers renew an address every few minutes, containers come
// and go on bridges, wireless links tell of their signal. So a notice about a link or an address,
// or about a route that the kernel or a router advertisement made, is only a reason to look again
// (`doubtful`); a route that a person or a daemon has set is news by itself, and so is a lost
// notice (ENOBUFS): what was in it nobody knows, so everything is read again.
//
// One change comes as a dozen notices. They are acted upon when none has come for 100 ms, but
// within a second of the first, and at most once a second.
#pragma once

#include <optional>

#include "quicmesh/bytes.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh::io {

class NetlinkNews {
 public:
  static constexpr Duration settle = 100ms;
  static constexpr Duration settle_max = 1s;
  static constexpr Duration interval_min = 1s;

  enum class Verdict : unsigned char { nothing, doubtful, changed };

  /// One datagram of the netlink socket: any number of messages.
  void handle_messages(Instant now, ByteView messages);
  /// The socket has lost notices.
  void handle_overflow(Instant now) { note(now, Verdict::changed); }

  /// What has come of it, once it is time; then the news are over.
  std::optional<Verdict> poll(Instant now);
  [[nodiscard]] Instant deadline() const;

 private:
  void note(Instant now, Verdict verdict);

  Verdict verdict_ = Verdict::nothing;
  Instant first_{};
  Instant last_{};
  std::optional<Instant> polled_;
};

}  // namespace quicmesh::io
