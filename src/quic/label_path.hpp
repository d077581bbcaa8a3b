// A PathLabel in the form that ngtcp2 takes: two synthetic IPv6 addresses (see path_label.hpp).
#pragma once

#include <netinet/in.h>
#include <ngtcp2/ngtcp2.h>

#include "quic/path_label.hpp"

namespace quicmesh {

/// Owns the addresses an `ngtcp2_path` points to; neither copied nor moved.
class LabelPath {
 public:
  explicit LabelPath(PathLabel label);
  LabelPath(const LabelPath&) = delete;
  LabelPath& operator=(const LabelPath&) = delete;

  [[nodiscard]] const ngtcp2_path* get() const { return &path_; }

 private:
  sockaddr_in6 local_{};
  sockaddr_in6 remote_{};
  ngtcp2_path path_{};
};

/// The label whose form `path` is; `path` came from a LabelPath through ngtcp2.
PathLabel label_of(const ngtcp2_path& path);

}  // namespace quicmesh
