// See trace.hpp for what is hashed and why.
#include "sim/trace.hpp"

#include <cstdio>
#include <cstring>

#include "base/hash.hpp"

namespace quicmesh::sim {
namespace {

__extension__ using Uint128 = unsigned __int128;

constexpr std::array<std::string_view, drop_cause_count> cause_names = {
    "blackhole",      "too_big",   "loss",       "queue_full",   "partition",
    "interface_down", "no_route",  "bad_source", "nat_unmapped", "nat_filtered",
    "nat_hairpin",    "no_socket", "no_program"};

std::uint64_t word_at(const std::array<std::uint8_t, 16>& bytes, std::size_t offset) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes.data() + offset, sizeof word);
  return word;
}

std::string seconds_text(Duration since_origin) {
  char text[40];
  std::snprintf(text, sizeof text, "%.9f", static_cast<double>(since_origin.count()) / 1e9);
  return text;
}

}  // namespace

std::string_view name_of(DropCause cause) {
  return cause_names[static_cast<std::size_t>(cause)];
}

void Trace::set_text_sink(std::function<void(std::string_view)> sink, TraceFilter filter) {
  sink_ = std::move(sink);
  filter_ = std::move(filter);
}

void Trace::fold(std::uint64_t a, std::uint64_t b) {
  // The constants are wyhash's; they keep a zero word from wiping out the state.
  const Uint128 product = Uint128{a ^ state_ ^ 0xa0761d6478bd642fU} * (b ^ 0xe7037ed1a0b428dbU);
  state_ = static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64) ^
           (state_ * 0x8ebc6af09c88c6e3U);
}

void Trace::fold_text(std::string_view text) {
  fold(text.size(), hash_bytes(as_bytes(text)));
}

void Trace::packet(Instant now, TraceKind kind, std::uint8_t cause, const SocketAddress& source,
                   const SocketAddress& destination, std::size_t size) {
  ++records_;
  fold(static_cast<std::uint64_t>(now.time_since_epoch().count()),
       std::uint64_t{size} << 16 | std::uint64_t{static_cast<std::uint8_t>(kind)} << 8 | cause);
  const std::uint64_t ports = std::uint64_t{source.port} << 32 | destination.port;
  fold(word_at(source.ip.bytes(), 0), word_at(destination.ip.bytes(), 0) + ports);
  if (source.ip.family() == IpFamily::v6) {
    fold(word_at(source.ip.bytes(), 8), word_at(destination.ip.bytes(), 8));
  }
}

void Trace::sent(Instant now, const SocketAddress& source, const SocketAddress& destination,
                 std::size_t size) {
  packet(now, TraceKind::sent, 0, source, destination, size);
  if (sink_) {
    write(now, "sent " + source.to_string() + " > " + destination.to_string() + " " +
                   std::to_string(size));
  }
}

void Trace::delivered(Instant now, const SocketAddress& source, const SocketAddress& destination,
                      std::size_t size) {
  packet(now, TraceKind::delivered, 0, source, destination, size);
  if (sink_) {
    write(now, "delivered " + source.to_string() + " > " + destination.to_string() + " " +
                   std::to_string(size));
  }
}

void Trace::dropped(Instant now, DropCause cause, const SocketAddress& source,
                    const SocketAddress& destination, std::size_t size) {
  packet(now, TraceKind::dropped, static_cast<std::uint8_t>(cause), source, destination, size);
  if (sink_) {
    write(now, "dropped " + std::string(name_of(cause)) + " " + source.to_string() + " > " +
                   destination.to_string() + " " + std::to_string(size));
  }
}

void Trace::core_event(Instant now, HostId host, std::string_view host_name,
                       std::string_view text) {
  ++records_;
  fold(static_cast<std::uint64_t>(now.time_since_epoch().count()),
       std::uint64_t{index_of(host)} << 8 | static_cast<std::uint64_t>(TraceKind::core_event));
  fold_text(text);
  if (sink_) write(now, "event " + std::string(host_name) + " " + std::string(text));
}

void Trace::fault(Instant now, std::string_view text) {
  ++records_;
  fold(static_cast<std::uint64_t>(now.time_since_epoch().count()),
       static_cast<std::uint64_t>(TraceKind::fault));
  fold_text(text);
  if (sink_) write(now, "fault " + std::string(text));
}

void Trace::write(Instant now, std::string line) {
  if (now < filter_.from || now > filter_.until) return;
  line = seconds_text(now - origin_) + " " + line;
  if (line.find(filter_.contains) != std::string::npos) sink_(line);
}

std::string Trace::hash_text() const {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(state_));
  return text;
}

}  // namespace quicmesh::sim
