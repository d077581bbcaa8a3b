// Collects the bytes of a control stream between a client and its relay into messages.
#pragma once

#include <optional>

#include "quicmesh/bytes.hpp"
#include "relay/relay_message.hpp"

namespace quicmesh {

class RelayInbox {
 public:
  void append(ByteView data) { bytes_.insert(bytes_.end(), data.begin(), data.end()); }

  /// The next complete message of a known type; nothing if more bytes are needed, or `broken`.
  std::optional<RelayMessage> next();

  /// What came is no message: the stream is useless.
  [[nodiscard]] bool broken() const { return broken_; }

 private:
  Bytes bytes_;
  std::size_t taken_ = 0;  // of them
  bool broken_ = false;
};

}  // namespace quicmesh
