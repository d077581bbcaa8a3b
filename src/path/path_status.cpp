// The words of quicmesh/path_status.hpp.
#include "quicmesh/path_status.hpp"

namespace quicmesh {

std::string_view to_string(PathState state) {
  switch (state) {
    case PathState::current:
      return "current";
    case PathState::standby:
      return "standby";
    case PathState::held_down:
      return "held";
    case PathState::probing:
      return "probing";
    case PathState::silent:
      break;
  }
  return "dead";
}

std::string_view to_string(PathKind kind) {
  switch (kind) {
    case PathKind::host:
      return "host";
    case PathKind::server_reflexive:
      return "srflx";
    case PathKind::peer_reflexive:
      return "prflx";
    case PathKind::mapped:
      return "mapped";
    case PathKind::given:
      return "given";
    case PathKind::turn:
      return "turn";
    case PathKind::relay:
      break;
  }
  return "relay";
}

}  // namespace quicmesh
