// Comparing and erasing secrets.
#pragma once

#include "quicmesh/bytes.hpp"

namespace quicmesh {

/// Whether both are the same bytes, in a time that depends on their lengths only. Lengths are no
/// secret: different ones are unequal at once.
[[nodiscard]] bool constant_time_equal(ByteView a, ByteView b);

/// Overwrites `secret` with zeros, which the compiler may not leave out.
void secure_wipe(MutableByteView secret);

}  // namespace quicmesh
