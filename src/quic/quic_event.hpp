// What the QUIC core reports. Plain values; a handle stays unique for the life of the endpoint.
#pragma once

#include <cstdint>
#include <string>
#include <system_error>
#include <variant>

#include "quic/path_label.hpp"
#include "quicmesh/bytes.hpp"
#include "quicmesh/node_id.hpp"

namespace quicmesh {

/// Slot number in the low half, generation in the high half: never reused.
enum class ConnectionHandle : std::uint64_t {};

/// RFC 9000 s2.1: the low bits tell who opened it (0x1) and whether it is unidirectional (0x2).
enum class StreamId : std::int64_t {};

/// Dialling side only: the peer is proved, and what is sent now arrives with the last flight of the
/// handshake. It may still refuse our certificate.
struct HandshakeCompleted {
  ConnectionHandle connection;
};

/// Both sides have judged each other's certificate; `peer` is proved. On the dialling side this
/// is `handshake_confirmed` (RFC 9001 s4.1.2), not `handshake_completed`.
struct ConnectionConfirmed {
  ConnectionHandle connection;
  NodeId peer;
};

/// The connection is gone; the handle is invalid from here on. `reason` is the peer's text, or
/// ours.
struct ConnectionClosed {
  ConnectionHandle connection;
  std::error_code error;
  std::string reason;
  bool confirmed = false;  // whether it had been confirmed before
  Bytes last_packet;  // its CONNECTION_CLOSE, to be sent on `label`; empty if the peer ended it
  PathLabel label;
};

struct StreamOpened {  // by the peer
  ConnectionHandle connection;
  StreamId stream;
};

/// There is something to `read`, or the end. Not repeated until the stream was read to empty.
struct StreamReadable {
  ConnectionHandle connection;
  StreamId stream;
};

/// After a `would_block`: there is room again.
struct StreamWritable {
  ConnectionHandle connection;
  StreamId stream;
};

/// After a `stream_limit`: the peer allows more streams.
struct StreamsAvailable {
  ConnectionHandle connection;
};

/// The peer will send no more: RESET_STREAM. Bytes not read yet are dropped.
struct StreamReset {
  ConnectionHandle connection;
  StreamId stream;
  std::uint64_t code;
};

/// The peer does not want what we send: STOP_SENDING. Noticed at the next write, for ngtcp2 tells
/// it nobody before; its code is not told either.
struct StreamStopped {
  ConnectionHandle connection;
  StreamId stream;
};

/// Both directions are over and everything we sent was acknowledged; the id is gone.
struct StreamFinished {
  ConnectionHandle connection;
  StreamId stream;
};

struct DatagramReceived {
  ConnectionHandle connection;
  Bytes data;
};

/// The connection now sends on another path.
struct PathSwitched {
  ConnectionHandle connection;
  PathLabel from;
  PathLabel to;
};

/// A migration that was asked for ended without a switch.
struct PathValidationFailed {
  ConnectionHandle connection;
  PathLabel label;
};

using QuicEvent =
    std::variant<HandshakeCompleted, ConnectionConfirmed, ConnectionClosed, StreamOpened,
                 StreamReadable, StreamWritable, StreamsAvailable, StreamReset, StreamStopped,
                 StreamFinished, DatagramReceived, PathSwitched, PathValidationFailed>;

}  // namespace quicmesh
