// What can be wrong with a simulation's description; a program that builds one by hand meets the
// same codes as a scenario file does.
#pragma once

#include <system_error>

namespace quicmesh::sim {

enum class SimErrc {
  duplicate_name = 1,
  unknown_name,
  address_in_use,
  bad_link,
  bad_nat,
  port_in_use,
  too_many_sockets,
  address_not_local,
  scenario_syntax,
  scenario_value,
  scenario_not_found,
};

std::error_code make_error_code(SimErrc code);

}  // namespace quicmesh::sim

template <>
struct std::is_error_code_enum<quicmesh::sim::SimErrc> : std::true_type {};
