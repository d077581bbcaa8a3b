// See system_error.hpp.
#include "io/system_error.hpp"

#include <cerrno>

#include "quicmesh/io_errc.hpp"

namespace quicmesh::io {

std::error_code socket_error(int error_number) {
  switch (error_number) {
    case EADDRINUSE:
      return IoErrc::address_in_use;
    case EACCES:
    case EPERM:
      return IoErrc::permission_denied;
    case EADDRNOTAVAIL:
      return IoErrc::no_such_address;
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
      return IoErrc::family_not_supported;
    case EMFILE:
    case ENFILE:
      return IoErrc::too_many_sockets;
    default:
      return system_error(error_number);
  }
}

std::error_code system_error(int error_number) {
  return {error_number, std::generic_category()};
}

}  // namespace quicmesh::io
