// Errors of keys, ids, certificates, signed records, endpoint records and key files.
#pragma once

#include <system_error>

namespace quicmesh {

enum class IdentityErrc {
  malformed_node_id = 1,
  node_id_checksum,
  malformed_host,
  malformed_node_address,
  malformed_certificate,
  certificate_key_rsa,
  certificate_key_ecdsa,
  certificate_key_ed448,
  certificate_key_unsupported,
  certificate_key_invalid,
  certificate_of_another_node,
  certificate_not_made,
  malformed_record,
  record_signature,
  record_too_long,
  malformed_key_text,
  key_text_version,
  key_text_mismatch,
  key_file_not_regular,
  key_file_foreign_owner,
  key_file_exposed,
  key_directory_exposed,
  key_file_backup_exists,
  malformed_endpoint_record,
  endpoint_record_version,
  endpoint_record_bounds,
  endpoint_record_scope,
  endpoint_record_ahead,
  endpoint_record_expired,
  endpoint_record_of_another_node,
};

std::error_code make_error_code(IdentityErrc code);

}  // namespace quicmesh

template <>
struct std::is_error_code_enum<quicmesh::IdentityErrc> : std::true_type {};
