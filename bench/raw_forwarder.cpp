// raw_forwarder: what forwarding costs without a protocol, the yardstick of `quicmesh bench relay`.
//
// The first two addresses from which a datagram comes are the two ends. From then on a train from
// the one goes to the other as it is: one recvmsg, one sendmsg with UDP_SEGMENT, and no look at
// what is in it. It prints its port as a line of JSON and runs until it is killed, or for
// --seconds.
//
//   raw_forwarder [--cpu N] [--seconds N] [--no-gso] [--no-gro]
#include <optional>
#include <vector>

#include "common/arguments.hpp"
#include "common/child.hpp"
#include "common/json_line.hpp"
#include "common/measure.hpp"
#include "common/udp_socket.hpp"

namespace {

using namespace bench;

constexpr std::size_t receive_buffer_bytes = 1 << 16;
constexpr int wait_ms = 1'000;

bool same(const sockaddr_in& a, const sockaddr_in& b) {
  return a.sin_port == b.sin_port && a.sin_addr.s_addr == b.sin_addr.s_addr;
}

/// The two ends, in the order in which they showed themselves.
class Ends {
 public:
  /// Where a train from `from` goes; nothing while there is but one end.
  const sockaddr_in* across(const sockaddr_in& from) {
    if (!one_ || same(*one_, from)) {
      if (!one_) one_ = from;
      return other_ ? &*other_ : nullptr;
    }
    if (!other_) other_ = from;
    return same(*other_, from) ? &*one_ : nullptr;
  }

 private:
  std::optional<sockaddr_in> one_;
  std::optional<sockaddr_in> other_;
};

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments(argc, argv);
  pin_to_cpu(static_cast<int>(arguments.number("cpu", 1)));
  limit_run_time(static_cast<unsigned>(arguments.number("seconds", 600)));
  SocketOptions options;
  options.gso = !arguments.flag("no-gso");
  options.gro = !arguments.flag("no-gro");
  options.buffer_bytes = 8 << 20;
  arguments.reject_unknown();
  UdpSocket socket(options);
  JsonLine line;
  line.integer("port", socket.port()).print();
  std::vector<std::uint8_t> buffer(receive_buffer_bytes);
  Ends ends;
  for (;;) {
    if (!socket.wait_readable(wait_ms)) continue;
    while (const auto train = socket.receive(buffer)) {
      const sockaddr_in* to = ends.across(train->from);
      if (to != nullptr) socket.send(*to, {buffer.data(), train->bytes}, train->segment);
    }
  }
}
