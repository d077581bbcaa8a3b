#include "node/relay_inbox.hpp"

#include "base/base_errc.hpp"

namespace quicmesh {

std::optional<RelayMessage> RelayInbox::next() {
  while (!broken_) {
    auto decoded = decode_relay_message(ByteView(bytes_).subspan(taken_));
    if (!decoded) {
      broken_ = decoded.error() != BaseErrc::truncated;
      bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(taken_));
      taken_ = 0;
      return std::nullopt;
    }
    taken_ += decoded->size;
    if (decoded->message) return std::move(decoded->message);
  }
  return std::nullopt;
}

}  // namespace quicmesh
