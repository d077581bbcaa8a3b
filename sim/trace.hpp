// The record of a run: a 64-bit hash over everything that happened, and optionally a line of text
// for each record.
//
// Hashed are time, what happened, the path, the datagram's size, drop causes, decoded core events
// and faults; never payload, because GnuTLS has randomness of its own and ciphertext differs
// between two runs that are the same in every decision. Two runs of one seed have equal hashes; a
// different hash means that some decision differed. The mixing is the 64 x 64 -> 128 bit multiply
// and fold of wyhash (Wang Yi 2019), two words a step: it need only be fast and sensitive to order,
// not secure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "quicmesh/socket_address.hpp"
#include "quicmesh/time.hpp"
#include "sim/ids.hpp"

namespace quicmesh::sim {

/// Why a datagram did not arrive.
enum class DropCause : std::uint8_t {
  blackhole,       // a link that silently swallows
  too_big,         // larger than a link's MTU
  loss,            // Gilbert-Elliott
  queue_full,      // drop-tail
  partition,       // the two sides are cut apart
  interface_down,  // at the sender or the receiver
  no_route,        // nobody in the realm has that address, and there is no way out
  bad_source,      // the sender has no such address (any more), or no interface fits
  nat_unmapped,
  nat_filtered,
  nat_hairpin,
  no_socket,   // nobody listens on the port
  no_program,  // the host is stopped
};
inline constexpr std::size_t drop_cause_count = 13;

[[nodiscard]] std::string_view name_of(DropCause cause);

enum class TraceKind : std::uint8_t { sent, delivered, dropped, core_event, fault };

/// Which records become text; the hash always covers all of them.
struct TraceFilter {
  std::string contains;  // a part of the line: a name, an address, "dropped loss"; empty: all
  Instant from{};
  Instant until = never;
};

class Trace {
 public:
  /// Text records show times relative to `origin`.
  explicit Trace(Instant origin) : origin_(origin) {}

  /// Lines without a newline go to `sink`, which must outlive the trace; an empty one ends it.
  void set_text_sink(std::function<void(std::string_view)> sink, TraceFilter filter = {});

  void sent(Instant now, const SocketAddress& source, const SocketAddress& destination,
            std::size_t size);
  void delivered(Instant now, const SocketAddress& source, const SocketAddress& destination,
                 std::size_t size);
  void dropped(Instant now, DropCause cause, const SocketAddress& source,
               const SocketAddress& destination, std::size_t size);
  void core_event(Instant now, HostId host, std::string_view host_name, std::string_view text);
  void fault(Instant now, std::string_view text);

  [[nodiscard]] std::uint64_t hash() const { return state_; }
  [[nodiscard]] std::uint64_t records() const { return records_; }

  /// The hash as reports print it: sixteen hex digits.
  [[nodiscard]] std::string hash_text() const;

 private:
  void packet(Instant now, TraceKind kind, std::uint8_t cause, const SocketAddress& source,
              const SocketAddress& destination, std::size_t size);
  void fold(std::uint64_t a, std::uint64_t b);
  void fold_text(std::string_view text);
  void write(Instant now, std::string line);

  Instant origin_;
  std::uint64_t state_ = 0x51C1'77EB'0F1A'33D5U;
  std::uint64_t records_ = 0;
  std::function<void(std::string_view)> sink_;
  TraceFilter filter_;
};

}  // namespace quicmesh::sim
