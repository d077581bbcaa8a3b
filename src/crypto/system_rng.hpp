// SecureRng of a real process: every byte comes straight from getrandom(2).
//
// Nothing is buffered in the process, so a forked child cannot repeat its parent's bytes.
#pragma once

#include "base/rng.hpp"

namespace quicmesh {

class SystemRng final : public SecureRng {
 public:
  /// Waits for the kernel's pool at boot; ends the process if there is no getrandom at all.
  void fill(MutableByteView out) override;
};

}  // namespace quicmesh
