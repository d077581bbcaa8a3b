// The texts of IdentityErrc.
#include "identity/identity_errc.hpp"

#include "base/error.hpp"

namespace quicmesh {
namespace {

constexpr int code_of(IdentityErrc code) {
  return static_cast<int>(code);
}

using enum IdentityErrc;

constexpr ErrorText texts[] = {
    {code_of(malformed_node_id), "not a node id",
     "a node id has 64 hexadecimal digits, or 58 letters and digits in its short form"},
    {code_of(node_id_checksum), "the node id has a typing error",
     "its checksum does not match: copy it again"},
    {code_of(malformed_host), "not an address of the form host:port",
     "write node.example.org:4242, 192.0.2.1:4242 or [2001:db8::1]:4242"},
    {code_of(malformed_node_address), "not a node address",
     "write NODEID or NODEID@host:port, further addresses after commas, at most 16"},
    {code_of(malformed_certificate), "not an X.509 certificate",
     "the peer does not speak our protocol, or its certificate is damaged"},
    {code_of(certificate_key_rsa), "the certificate has an RSA key",
     "nodes are identified by Ed25519 keys only"},
    {code_of(certificate_key_ecdsa), "the certificate has an ECDSA key",
     "nodes are identified by Ed25519 keys only"},
    {code_of(certificate_key_ed448), "the certificate has an Ed448 key",
     "nodes are identified by Ed25519 keys only"},
    {code_of(certificate_key_unsupported), "the certificate has a key of an unknown kind",
     "nodes are identified by Ed25519 keys only"},
    {code_of(certificate_key_invalid), "the certificate's Ed25519 key is not a valid point",
     "no honest key generation makes such a key: do not trust this peer"},
    {code_of(certificate_of_another_node), "the certificate belongs to another node id",
     "another node answers at this address: check the node id"},
    {code_of(certificate_not_made), "the certificate could not be made",
     "GnuTLS refused the key or has no memory"},
    {code_of(malformed_record), "not a signed record", "the sender or the store is damaged"},
    {code_of(record_signature), "the record's signature does not fit",
     "it was changed, or signed for another purpose: ask another node"},
    {code_of(record_too_long), "the record is too long", "split the payload"},
    {code_of(malformed_key_text), "not a key file of ours, or a damaged one",
     "restore the file from a backup; move it away to get a new identity"},
    {code_of(key_text_version), "the key file is of an unknown version or kind",
     "it was made by a newer release: use that one"},
    {code_of(key_text_mismatch), "the key file's public key does not belong to its secret",
     "the file is damaged: restore it from a backup"},
    {code_of(key_file_not_regular), "the key file is not a regular file",
     "links and devices are not followed: name the file itself"},
    {code_of(key_file_foreign_owner), "the key file or its directory belongs to another user",
     "run as the owner, or chown it"},
    {code_of(key_file_exposed), "the key file can be read or written by others",
     "if nobody has read it: chmod 600; else make a new identity"},
    {code_of(key_directory_exposed), "the key file's directory can be written by others",
     "chmod 700 the directory"},
    {code_of(key_file_backup_exists), "the name for the old key file is taken",
     "wait a second and try again"},
    {code_of(malformed_endpoint_record), "not an endpoint record",
     "the sender or the store is damaged"},
    {code_of(endpoint_record_version), "the endpoint record is of an unknown version",
     "it was made by a newer release: use that one"},
    {code_of(endpoint_record_bounds), "the endpoint record has too much of something",
     "at most 1 KiB, 16 candidates, 4 relays with 4 addresses each, and 2 hours to live"},
    {code_of(endpoint_record_scope), "the endpoint record names an address of a narrower scope",
     "a public record has public addresses only; sign another record for each narrower scope"},
    {code_of(endpoint_record_ahead), "the endpoint record is from the future",
     "its signer's clock, or this machine's, is wrong by more than 5 minutes: set it"},
    {code_of(endpoint_record_expired), "the endpoint record has expired",
     "ask again; if all records have, this machine's clock is ahead: set it"},
    {code_of(endpoint_record_of_another_node), "the endpoint record belongs to another node",
     "whoever sent it is damaged or lies: ask another node"},
};

constinit const HintedCategory category("quicmesh.identity", texts);

}  // namespace

std::error_code make_error_code(IdentityErrc code) {
  return {code_of(code), category};
}

}  // namespace quicmesh
