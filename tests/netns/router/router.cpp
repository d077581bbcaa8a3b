// See router.hpp.
#include "router.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace quicmesh::natlab {
namespace {

constexpr std::size_t spare_max = 1024;

std::string line_json(const sim::LinkCounters& counters) {
  return fmt::format(R"({{"packets":{},"bytes":{},"lost":{},"too_big":{},"queue_full":{}}})",
                     counters.accepted, counters.accepted_bytes,
                     counters.dropped_for(sim::LinkDrop::loss),
                     counters.dropped_for(sim::LinkDrop::too_big),
                     counters.dropped_for(sim::LinkDrop::queue_full));
}

std::string remote_json(const RemoteCounters& c) {
  return fmt::format(
      R"({{"packets_out":{},"bytes_out":{},"packets_in":{},"bytes_in":{},"packets_passed_in":{},)"
      R"("bytes_passed_in":{},"largest_out":{}}})",
      c.packets_out, c.bytes_out, c.packets_in, c.bytes_in, c.packets_passed_in, c.bytes_passed_in,
      c.largest_out);
}

/// Whether routers forward between these ends: neither multicast nor of one link only.
bool is_routable(const IpAddress& address) {
  const auto& bytes = address.bytes();
  if (address.family() == IpFamily::v4)
    return bytes[0] != 0 && bytes[0] < 224 && !(bytes[0] == 169 && bytes[1] == 254);
  return !address.is_unspecified() && bytes[0] != 0xff &&
         !(bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80);
}

}  // namespace

Router::Router(const RouterConfig& config, Rng rng)
    : gateway_(config.gateway, rng.fork("gateway")),
      up_(config.up, rng.fork("up")),
      down_(config.down, rng.fork("down")),
      hops_(config.hops) {}

void Router::handle_packet(Instant now, Side from, ByteView bytes) {
  Bytes buffer = buffer_of(bytes);
  auto packet = IpPacket::parse(buffer);
  if (!packet) {
    ++malformed_;
    return recycle(std::move(buffer));
  }
  if (!is_routable(packet->source().ip) || !is_routable(packet->destination().ip)) {
    ++of_one_link_;
    return recycle(std::move(buffer));
  }
  if (from == Side::inner) {
    const auto to = gateway_.pass(now, Side::inner, *packet);
    if (!to) return recycle(std::move(buffer));
    if (*to == Side::inner) {
      ready_.push_back({Side::inner, std::move(buffer)});
      return;
    }
    RemoteCounters& counters = counters_of(packet->destination().ip);
    ++counters.packets_out;
    counters.bytes_out += packet->size();
    counters.largest_out = std::max<std::uint64_t>(counters.largest_out, packet->size());
    if (packet->cross(hops_)) return enter_line(now, Side::outer, *packet, std::move(buffer));
  } else {
    RemoteCounters& counters = counters_of(packet->source().ip);
    ++counters.packets_in;
    counters.bytes_in += packet->size();
    if (packet->cross(hops_)) return enter_line(now, Side::inner, *packet, std::move(buffer));
  }
  ++died_on_line_;
  recycle(std::move(buffer));
}

void Router::enter_line(Instant now, Side to, const IpPacket& packet, Bytes buffer) {
  sim::Link& line = to == Side::outer ? up_ : down_;
  const std::size_t payload = packet.payload_size();
  const sim::LinkVerdict verdict = line.enter(now, packet.size(), payload);
  if (verdict.dropped) return recycle(std::move(buffer));
  if (verdict.copy_arrives) queue(*verdict.copy_arrives, to, buffer_of(buffer));
  if (verdict.flip_bit) {
    const std::size_t at = packet.size() - payload + *verdict.flip_bit / 8;
    buffer[at] = static_cast<std::uint8_t>(buffer[at] ^ 1U << *verdict.flip_bit % 8);
  }
  queue(verdict.arrives, to, std::move(buffer));
}

void Router::queue(Instant when, Side to, Bytes buffer) {
  if (waiting_.size() >= waiting_max) {
    ++waiting_overflow_;
    return recycle(std::move(buffer));
  }
  waiting_.emplace(when, Waiting{to, std::move(buffer)});
}

void Router::leave_line_inbound(Instant now, Bytes buffer) {
  auto packet = IpPacket::parse(buffer);
  if (!packet) {
    ++malformed_;
    return recycle(std::move(buffer));
  }
  const IpAddress remote = packet->source().ip;
  const auto to = gateway_.pass(now, Side::outer, *packet);
  if (!to) return recycle(std::move(buffer));
  RemoteCounters& counters = counters_of(remote);
  ++counters.packets_passed_in;
  counters.bytes_passed_in += packet->size();
  ready_.push_back({*to, std::move(buffer)});
}

std::optional<Router::Outgoing> Router::poll_packet(Instant now) {
  while (ready_.empty() && !waiting_.empty() && waiting_.begin()->first <= now) {
    auto node = waiting_.extract(waiting_.begin());
    Waiting& due = node.mapped();
    if (due.to == Side::outer) return Outgoing{Side::outer, std::move(due.packet)};
    leave_line_inbound(now, std::move(due.packet));
  }
  if (ready_.empty()) return std::nullopt;
  Outgoing next = std::move(ready_.front());
  ready_.pop_front();
  return next;
}

Instant Router::poll_timeout() const {
  if (!ready_.empty()) return Instant{};
  return waiting_.empty() ? never : waiting_.begin()->first;
}

void Router::set_lines(Instant now, const sim::LinkConfig& up, const sim::LinkConfig& down) {
  up_.set_config(now, up);
  down_.set_config(now, down);
}

Bytes Router::buffer_of(ByteView packet) {
  if (spare_.empty()) return to_bytes(packet);
  Bytes buffer = std::move(spare_.back());
  spare_.pop_back();
  buffer.assign(packet.begin(), packet.end());
  return buffer;
}

void Router::recycle(Bytes buffer) {
  if (spare_.size() < spare_max) spare_.push_back(std::move(buffer));
}

RemoteCounters& Router::counters_of(const IpAddress& remote) {
  const auto found = remotes_.find(remote);
  if (found != remotes_.end()) return found->second;
  return remotes_[remotes_.size() < remotes_max ? remote : IpAddress{}];
}

std::string Router::counters_json() const {
  std::string drops;
  for (std::size_t i = 0; i < gateway_drops; ++i) {
    const auto cause = static_cast<GatewayDrop>(i);
    drops += fmt::format(R"("{}":{},)", name_of(cause), gateway_.dropped(cause));
  }
  std::string remotes;
  for (const auto& [address, counters] : remotes_) {
    if (!remotes.empty()) remotes += ',';
    remotes += fmt::format(R"("{}":{})", address.to_string(), remote_json(counters));
  }
  return fmt::format(
      R"({{"up":{},"down":{},"drops":{{{}"unparsed":{},"of_one_link":{},"died_on_line":{},"waiting_overflow":{}}},)"
      R"("udp_mappings":{},"remotes":{{{}}}}})",
      line_json(up_.counters()), line_json(down_.counters()), drops, malformed_, of_one_link_,
      died_on_line_, waiting_overflow_, gateway_.udp_mappings(), remotes);
}

}  // namespace quicmesh::natlab
