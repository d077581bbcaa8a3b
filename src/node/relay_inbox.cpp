#include "node/relay_inbox.hpp"

#include "base/base_errc.hpp"

namespace quicmesh {

std::optional<RelayMessage> RelayInbox::next() {
  while (!broken_) {
    auto decoded = decode_relay_message(bytes_);
    if (!decoded) {
      broken_ = decoded.error() != BaseErrc::truncated;
      return std::nullopt;
    }
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(decoded->size));
    if (decoded->message) return std::move(decoded->message);
  }
  return std::nullopt;
}

}  // namespace quicmesh
