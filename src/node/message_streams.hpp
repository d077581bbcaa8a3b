// MessageStreams: the messages of one protocol between this node and its peers.
//
// What a PeerCore (base/peer_core.hpp) sends is whole and from a proved sender. Here it goes over
// unidirectional streams that its sender opens under the protocol's name:
//
//     0..3  length of the message, 1..message_max (big endian)      4..  message      ...
//
// A message costs no stream of its own: one serves for ten seconds. Then it is ended and the next
// message opens another, so that a connection which is to be left for a better one
// (connectivity.hpp) is not held open by a stream that never ends.
//
// A peer that sends something else has its stream stopped, and so has one whose stream does not
// end. One that reads slowly gets no more than `backlog_max` bytes on each of two streams: what is
// beyond is dropped, which the core above takes for a loss. Of messages that have come in part all
// peers together hold `partial_max` bytes; where there is most, it is dropped with its stream.
//
// Timers: the end of the oldest stream of ours; the oldest of a peer's may be overdue.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "path/connectivity.hpp"

namespace quicmesh {

class MessageStreams {
 public:
  static constexpr std::size_t backlog_max = std::size_t{128} << 10;
  static constexpr std::size_t partial_max = std::size_t{8} << 20;
  static constexpr Duration stream_life = 10s;
  static constexpr Duration incoming_life = 60s;  // peers end theirs after `stream_life`
  /// Of one connection, from the peer: an old one that is not read to its end, and the next.
  static constexpr std::size_t incoming_max = 4;

  struct Arrived {
    NodeId from;
    Bytes message;
  };
  struct Counters {
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    std::uint64_t dropped_backlog = 0;    // the peer does not read
    std::uint64_t dropped_no_stream = 0;  // no connection, or one that takes no streams now
    std::uint64_t malformed = 0;          // lengths out of bounds, or the end within a message
    std::uint64_t streams_refused = 0;    // more than `incoming_max`, or of the wrong kind
    std::uint64_t streams_stopped = 0;    // older than `incoming_life`, or beyond `partial_max`
  };

  /// What an event was.
  enum class Event : std::uint8_t {
    not_ours,
    taken,
    refused,  // the peer does not want such streams
  };

  /// `message_max`: of one message, in bytes, at most 2^20.
  MessageStreams(std::string protocol, std::size_t message_max)
      : protocol_(std::move(protocol)), message_max_(message_max) {}

  /// Sends a message of 1 to `message_max` bytes to a peer that is connected, or proved
  /// (path_event.hpp); false if it is dropped.
  bool send(Instant now, Connectivity& connectivity, const NodeId& peer, ByteView message);
  /// The next message that came; to be drained after each event.
  std::optional<Arrived> poll_arrived();

  Event on_opened(Instant now, Connectivity& connectivity, const PeerStreamOpened& opened);
  Event on_data(Connectivity& connectivity, const PeerStreamData& data);
  /// The peer stopped a stream of ours, or reset one of its own; `peer` is whose it was.
  Event on_broken(Connectivity& connectivity, const StreamKey& stream, NodeId& peer);
  /// Finished, or lost with its connection.
  Event on_over(const StreamKey& stream);
  [[nodiscard]] bool owns(const StreamKey& stream) const;

  void handle_timeout(Instant now, Connectivity& connectivity);
  [[nodiscard]] Instant poll_timeout() const;
  /// Ends everything, whatever of it has arrived; what peers open from now on is stopped.
  void reset_all(Connectivity& connectivity);

  [[nodiscard]] const std::string& protocol() const { return protocol_; }
  [[nodiscard]] const Counters& counters() const { return counters_; }

 private:
  struct Incoming {
    NodeId from;
    Bytes inbox;  // an unfinished message; at most what one message and one read take
    Instant ends_at{};
    bool broken = false;
  };
  struct Outgoing {
    NodeId to;
    Instant ends_at{};
    bool ended = false;  // what was written may still be on its way
  };

  void end(Connectivity& connectivity, const StreamKey& stream);
  void give_up_older(Connectivity& connectivity, const NodeId& peer);
  void stop_overdue(Instant now, Connectivity& connectivity);
  void stop(Connectivity& connectivity, const StreamKey& stream, Incoming& incoming);
  void bound_partial(Connectivity& connectivity);

  std::string protocol_;
  std::size_t message_max_;
  std::map<NodeId, StreamKey> current_;
  std::map<StreamKey, Outgoing> outgoing_;
  std::map<StreamKey, Incoming> incoming_;
  std::deque<StreamKey> by_age_;  // of those in `outgoing_`, also some that are over
  Instant check_incoming_at_ = never;
  std::size_t partial_bytes_ = 0;  // in all inboxes
  bool closed_ = false;
  std::deque<Arrived> arrived_;
  Counters counters_;
};

}  // namespace quicmesh
