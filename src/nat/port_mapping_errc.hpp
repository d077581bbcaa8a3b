// Why a gateway maps no port for us.
#pragma once

#include <system_error>

namespace quicmesh {

enum class PortMappingErrc {
  no_gateway = 1,
  no_answer,
  refused,
  not_authorized,
  out_of_resources,
  double_nat,
  useless_mapping,
  malformed_answer,
  answer_too_large,
  foreign_address,
  interrupted,
};

std::error_code make_error_code(PortMappingErrc code);

}  // namespace quicmesh

template <>
struct std::is_error_code_enum<quicmesh::PortMappingErrc> : std::true_type {};
