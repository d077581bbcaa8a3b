#include "identity/record_offer.hpp"

#include <algorithm>

#include "identity/endpoint_record.hpp"
#include "identity/identity_errc.hpp"

namespace quicmesh {
namespace {

bool newer_than_held(const PeerBook& book, PeerHandle peer, const EndpointStamp& stamp) {
  const ByteView held = book.record(peer);
  if (held.empty()) return true;
  const auto held_stamp = peek_endpoint_stamp(held);
  return !held_stamp || supersedes(stamp, *held_stamp);
}

}  // namespace

Result<RecordFate> offer_record(PeerBook& book, PeerHandle peer, ByteView record,
                                const RecordLink& link) {
  if (std::ranges::equal(record, book.record(peer))) return RecordFate::not_newer;
  const auto stamp = peek_endpoint_stamp(record);
  if (!stamp && stamp.error() == IdentityErrc::endpoint_record_version) {
    return RecordFate::of_later_version;
  }
  if (!stamp) return failure(stamp.error());
  if (stamp->scope < link.scope) return RecordFate::out_of_scope;
  if (const auto timely = check_clock(*stamp, link.now); !timely) {
    return timely.error() == IdentityErrc::endpoint_record_ahead ? RecordFate::ahead_of_clock
                                                                 : RecordFate::expired;
  }
  if (!newer_than_held(book, peer, *stamp)) return RecordFate::not_newer;
  const auto proved = verify_endpoint_record(record, book.id(peer), link.now, link.rules);
  if (!proved) return failure(proved.error());
  book.set_record(peer, Bytes(record.begin(), record.end()));
  return RecordFate::taken;
}

bool may_show(ByteView record, const RecordLink& link) {
  const auto stamp = peek_endpoint_stamp(record);
  return stamp && stamp->scope >= link.scope && check_clock(*stamp, link.now).has_value();
}

}  // namespace quicmesh
