// See socket_desk.hpp.
#include "node/socket_desk.hpp"

namespace quicmesh {

void SocketDesk::ask(Owner owner, const OpenSocket& wish) {
  const SocketRequestId id{++last_};
  open_[id] = {owner, wish.id};
  requests_.emplace_back(OpenSocket{id, wish.family});
}

std::optional<SocketRequest> SocketDesk::poll() {
  if (requests_.empty()) return std::nullopt;
  const SocketRequest request = requests_.front();
  requests_.pop_front();
  return request;
}

std::optional<SocketDesk::Wish> SocketDesk::take(SocketRequestId id) {
  const auto found = open_.find(id);
  if (found == open_.end()) return std::nullopt;
  const Wish wish = found->second;
  open_.erase(found);
  return wish;
}

}  // namespace quicmesh
