// Why the DHT refused a command or a value.
#pragma once

#include <system_error>

namespace quicmesh {

enum class DhtErrc {
  too_many_queries = 1,
  value_too_long,
  malformed_value,
  wrong_key,
  value_expired,
  value_from_the_future,
  no_wall_time,
  malformed_provider,
  provider_expired,
  provider_from_the_future,
  not_the_provider,
  too_many_provided,
};

std::error_code make_error_code(DhtErrc code);

}  // namespace quicmesh

template <>
struct std::is_error_code_enum<quicmesh::DhtErrc> : std::true_type {};
