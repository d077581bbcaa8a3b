// The load of `bench relay`: datagrams of one size through something that forwards them, in trains
// or one by one, and what came out at the other end.
//
// One thread sends and receives, and never sleeps: the forwarder has the other core for itself. It
// receives no more than the first bytes of each train (MSG_TRUNC), so that it costs less than the
// forwarder, which has to copy all of them. A window keeps the forwarder's receive buffer from
// overflowing: then what is measured is the rate at which it forwards, not how fast it drops.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "bench_process.hpp"
#include "io/sockaddr.hpp"
#include "quicmesh/bytes.hpp"

namespace quicmesh::cli {

/// One direction through a forwarder.
struct LoadFlow {
  int from = -1;              // the socket that sends
  SocketAddress to;           // the forwarder
  Bytes header;               // in front of each datagram
  int at = -1;                // the socket to which the forwarder brings it
  std::uint8_t mark = 0;      // the first byte there; other datagrams are not counted
  std::size_t taken_off = 0;  // bytes of the header that do not arrive
};

struct LoadShape {
  std::size_t datagram_bytes = 1400;  // as sent, with the header
  std::size_t segments = 1;           // of a train; 1 sends singly
  std::size_t window = 1;             // trains under way
  double datagrams_per_s = 0;         // 0: as fast as the window allows
};

/// Filling behind a header, as a train to send again and again.
class LoadTrain {
 public:
  LoadTrain(const LoadFlow& flow, const LoadShape& shape);
  /// False if the socket is full.
  bool send() const;

 private:
  int descriptor_;
  io::KernelAddress to_;
  std::size_t segment_;
  Bytes bytes_;
};

/// Bytes that wait at `descriptor`, of datagrams that begin with `mark`; 0 if there are none.
std::size_t take_train(int descriptor, std::uint8_t mark);

struct LoadResult {
  std::uint64_t sent = 0;      // datagrams
  std::uint64_t received = 0;  // datagrams
  double seconds = 0;
  double forwarder_cpu_s = 0;
};

/// User and system time of the process `pid`, in seconds.
[[nodiscard]] double cpu_seconds_of(pid_t pid);

/// Sends over `flows` in turn for `seconds`; `forwarder` is the process whose time is counted. All
/// flows have the mark of the first.
[[nodiscard]] LoadResult carry(std::span<const LoadFlow> flows, const LoadShape& shape,
                               double seconds, pid_t forwarder);

/// Datagrams of a paced flow beside something else that is measured: `advance` is called often.
class PacedLoad {
 public:
  PacedLoad(const LoadFlow& flow, const LoadShape& shape);
  void advance(double now_s);
  [[nodiscard]] const LoadResult& result() const { return result_; }

 private:
  LoadTrain train_;
  LoadShape shape_;
  int at_;
  std::uint8_t mark_;
  std::size_t arriving_bytes_;
  double begun_s_ = -1;
  LoadResult result_;
};

/// One datagram there and one back, again and again for `seconds`; microseconds of each round trip.
/// Those lost are not among them. `beside` is called while waiting.
[[nodiscard]] Figure ping_pong(const LoadFlow& there, const LoadFlow& back,
                               std::size_t datagram_bytes, double seconds,
                               const std::function<void(double now_s)>& beside = {});

[[nodiscard]] double monotonic_seconds();

}  // namespace quicmesh::cli
