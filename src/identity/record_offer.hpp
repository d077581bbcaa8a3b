// What becomes of an endpoint record that a peer shows us, and which of those that we hold we show
// to whom.
//
// A record travels only over links of its own scope or a narrower one: to somebody who reached us
// by the internet a private address means another host, or tells what is none of his business.
//
// Only proved records enter the book, so an honest node never passes on a forged one: whoever shows
// a record that is malformed, forged or another node's is at fault. Not so with one that is old,
// late, of a wrong clock or of a later version, which is only left out. A record that is not newer
// than the one held is left out before its signature is looked at; so is the same one again, which
// is the usual case.
#pragma once

#include <cstdint>

#include "base/laboratory_address.hpp"
#include "base/peer_core.hpp"
#include "identity/peer_book.hpp"
#include "quicmesh/bytes.hpp"
#include "quicmesh/result.hpp"
#include "quicmesh/socket_address.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh {

/// The link over which records come and go, and the time.
struct RecordLink {
  AddressScope scope = AddressScope::public_internet;  // of the addresses in use
  WallTime now{};
  AddressRules rules = AddressRules::internet;
};

enum class RecordFate : std::uint8_t {
  taken,
  not_newer,
  expired,
  ahead_of_clock,
  out_of_scope,
  of_later_version,
};

/// Takes `record` into `book` as that of `peer` if it is proved and newer than what is held.
/// Errors: what makes it the fault of who showed it (`verify_endpoint_record`).
[[nodiscard]] Result<RecordFate> offer_record(PeerBook& book, PeerHandle peer, ByteView record,
                                              const RecordLink& link);

/// Whether `record`, one of ours or of the book, may be shown over `link`: of its scope or a wider
/// one, and not expired. An empty one is not.
[[nodiscard]] bool may_show(ByteView record, const RecordLink& link);

}  // namespace quicmesh
