// Where the cores of a node ask for sockets: one numbering of wishes for all of them.
#pragma once

#include <deque>
#include <map>
#include <optional>

#include "nat/socket_request.hpp"

namespace quicmesh {

class SocketDesk {
 public:
  enum class Owner : std::uint8_t { nat_watch, puncher };

  /// A wish of `owner`, who numbers its own.
  void ask(Owner owner, const OpenSocket& wish);
  void give_back(const CloseSocket& socket) { requests_.emplace_back(socket); }

  /// For the driver; the numbers are this desk's.
  std::optional<SocketRequest> poll();

  struct Wish {
    Owner owner{};
    SocketRequestId id{};  // the owner's
  };
  /// Whose wish the driver has answered; nothing if there was no such wish.
  std::optional<Wish> take(SocketRequestId id);

 private:
  std::deque<SocketRequest> requests_;  // as many as the cores' own bounds allow
  std::map<SocketRequestId, Wish> open_;
  std::uint16_t last_ = 0;
};

}  // namespace quicmesh
