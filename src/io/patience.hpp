// How long a blocking exchange on a worker thread may take, and what ends it before.
#pragma once

#include "quicmesh/time.hpp"

namespace quicmesh::io {

struct Patience {
  Instant until{};
  int interrupt = -1;  // a descriptor that becomes readable when the exchange must end; -1 without

  [[nodiscard]] Patience at_most(Duration time) const;
};

enum class Waited : unsigned char { ready, late, interrupted };

/// Until `events` (of poll(2)) happen on `descriptor`, an error there included. With -1 it only
/// waits.
Waited wait_for(int descriptor, short events, const Patience& patience);

}  // namespace quicmesh::io
