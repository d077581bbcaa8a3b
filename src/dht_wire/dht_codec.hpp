// dht::Message as bytes (schema/dht.capnp), and back.
//
// In the struct peers are handles of the node's book; on the wire each is its NodeId with its
// endpoint record, if we hold one that may be shown over the link. Reading enters ids and proved
// records in the book (identity/record_offer.hpp). Whatever is malformed in a list shows before the
// book learns of any of it; what a message has told before a forged record, the book may keep: ids
// until the next sweep, and records, which are proved one by one.
//
// To add a body: its struct in the schema and in dht/message.hpp, a `write` and a `read` here, a
// vector in vectors/dht, and a line in the tests' lists.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dht/message.hpp"
#include "identity/peer_book.hpp"
#include "identity/record_offer.hpp"
#include "quicmesh/bytes.hpp"
#include "quicmesh/result.hpp"

namespace quicmesh::dht {

/// The protocol's name, as streams are opened with it.
inline constexpr const char* protocol = "quicmesh/dht/1";

/// Forty contacts with the longest records, and the sender's.
inline constexpr std::size_t message_size_max = std::size_t{44} << 10;

/// What became of the endpoint records in messages; for the node's counters.
struct RecordCounts {
  std::uint64_t taken = 0;
  std::uint64_t not_newer = 0;
  std::uint64_t expired = 0;
  std::uint64_t ahead_of_clock = 0;
  std::uint64_t out_of_scope = 0;
  std::uint64_t of_later_version = 0;
  /// Peers left out of answers because the book is full.
  std::uint64_t no_room = 0;

  bool operator==(const RecordCounts&) const = default;
};

/// At most `message_size_max` bytes. `own_record` goes along if it may be shown over `link`; empty
/// if the peer has it already. Of lists too long the end is cut off.
[[nodiscard]] Bytes encode_message(const Message& message, const PeerBook& book,
                                   ByteView own_record, const RecordLink& link);

/// What a message is, before anything in it is read that costs.
struct MessageHead {
  std::uint32_t request = 0;
  bool answer = false;  // else a question, or a message of a later release
};
/// Errors: those of `read_schema`.
[[nodiscard]] Result<MessageHead> peek_message(ByteView bytes);

/// The message that `from`, a handle of `book`, sent over `link`. Errors: those of `read_schema`;
/// `unknown_body`, for a message of a later release, to be skipped; `list_too_long`,
/// `value_out_of_range`, and what is wrong with a record that no honest node would pass on
/// (`offer_record`): then `from` is at fault.
[[nodiscard]] Result<Message> decode_message(ByteView bytes, PeerBook& book, PeerHandle from,
                                             const RecordLink& link, RecordCounts& counts);

}  // namespace quicmesh::dht
