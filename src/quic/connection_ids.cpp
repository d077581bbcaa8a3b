#include "quic/connection_ids.hpp"

#include <bit>
#include <cstring>
#include <utility>

#include "base/assert.hpp"

namespace quicmesh {

ConnectionId connection_id_from(ByteView bytes) {
  QM_ASSERT(bytes.size() >= connection_id_size);
  std::uint64_t value = 0;
  std::memcpy(&value, bytes.data(), sizeof value);
  return ConnectionId{value};
}

bool ClosingReply::should_answer() {
  return !packet.empty() && std::has_single_bit(++asked);
}

std::size_t ConnectionIds::IdHash::operator()(ConnectionId id) const noexcept {
  return static_cast<std::size_t>(id) * 0x9e3779b97f4a7c15u;
}

std::size_t ConnectionIds::TokenHash::operator()(const ResetToken& token) const noexcept {
  std::uint64_t value = 0;
  std::memcpy(&value, token.data(), sizeof value);
  return value;
}

bool ConnectionIds::add(ConnectionId id, std::uint32_t slot) {
  if (dead_.contains(id)) return false;
  return live_.emplace(id, slot).second;
}

void ConnectionIds::retire(ConnectionId id, Instant now, std::shared_ptr<ClosingReply> reply,
                           Origin origin) {
  if (live_.erase(id) == 0) return;
  std::deque<Tombstone>& order = dead_order_[std::to_underlying(origin)];
  const std::size_t most = origin == Origin::junk ? junk_tombstones_max : tombstones_max;
  if (order.size() >= most) {
    dead_.erase(order.front().id);
    order.pop_front();
  }
  dead_.emplace(id, std::move(reply));
  order.push_back({id, now + tombstone_lifetime});
}

void ConnectionIds::add_reset_token(const ResetToken& token, std::uint32_t slot) {
  tokens_.emplace(token, slot);
}

void ConnectionIds::remove_reset_token(const ResetToken& token, std::uint32_t slot) {
  const auto found = tokens_.find(token);
  if (found != tokens_.end() && found->second == slot) tokens_.erase(found);
}

std::optional<std::uint32_t> ConnectionIds::find(ConnectionId id) const {
  const auto found = live_.find(id);
  if (found == live_.end()) return std::nullopt;
  return found->second;
}

std::optional<std::uint32_t> ConnectionIds::find_by_reset_token(ByteView datagram) const {
  // RFC 9000 s10.3: a stateless reset is at least 21 bytes long and looks like a short header.
  constexpr std::size_t reset_size_min = 21;
  if (datagram.size() < reset_size_min || (datagram[0] & 0x80) != 0) return std::nullopt;
  ResetToken token;
  std::memcpy(token.data(), datagram.data() + datagram.size() - token.size(), token.size());
  const auto found = tokens_.find(token);
  if (found == tokens_.end()) return std::nullopt;
  return found->second;
}

bool ConnectionIds::is_tombstone(ConnectionId id) const {
  return dead_.contains(id);
}

ClosingReply* ConnectionIds::closing_reply(ConnectionId id) {
  const auto found = dead_.find(id);
  if (found == dead_.end() || found->second == nullptr) return nullptr;
  return found->second->should_answer() ? found->second.get() : nullptr;
}

void ConnectionIds::forget_expired(Instant now) {
  for (std::deque<Tombstone>& order : dead_order_) {
    while (!order.empty() && order.front().expires <= now) {
      dead_.erase(order.front().id);
      order.pop_front();
    }
  }
}

}  // namespace quicmesh
