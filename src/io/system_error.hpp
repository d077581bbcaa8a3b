// errno as an error of ours where we have something to say about it.
#pragma once

#include <system_error>

namespace quicmesh::io {

/// Of socket(2), bind(2) and their like.
std::error_code socket_error(int error_number);

/// As the system calls it.
std::error_code system_error(int error_number);

}  // namespace quicmesh::io
