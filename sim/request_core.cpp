// See request_core.hpp. Datagram: type, number (4 bytes each), checksum (8), filling.
#include "sim/request_core.hpp"

#include <algorithm>
#include <cstring>

#include "base/assert.hpp"
#include "base/hash.hpp"

namespace quicmesh::sim {
namespace {

constexpr std::uint32_t type_request = 1;
constexpr std::uint32_t type_answer = 2;

struct Header {
  std::uint32_t type;
  std::uint32_t number;
  std::uint64_t checksum;
};
static_assert(sizeof(Header) == RequestCore::header_bytes);

std::uint64_t checksum_of(const Header& header, ByteView filling) {
  // A sum of words sees every single flipped bit, and costs next to nothing in the benchmark.
  std::uint64_t sum = 0;
  std::size_t offset = 0;
  for (; offset + sizeof sum <= filling.size(); offset += sizeof sum) {
    std::uint64_t word = 0;
    std::memcpy(&word, filling.data() + offset, sizeof word);
    sum += word;
  }
  for (; offset < filling.size(); ++offset)
    sum += filling[offset];
  return hash_combine(hash_combine(header.type, header.number), sum);
}

}  // namespace

std::string trace_text(const RequestAnswered& event) {
  return "answered " + std::to_string(event.number) + " tries " + std::to_string(event.tries);
}

RequestCore::RequestCore(const RequestCoreConfig& config, Rng rng) : config_(config), rng_(rng) {
  QM_ASSERT(config_.datagram_bytes >= header_bytes);
}

void RequestCore::begin(Instant now) {
  QM_ASSERT(config_.server.has_value());
  fill_window(now);
}

void RequestCore::fill_window(Instant now) {
  while (open_.size() < config_.window && next_number_ < config_.requests) {
    open_.push_back({.number = next_number_++, .next_try = now});
  }
}

Transmit RequestCore::write(MutableByteView buffer, const NetworkPath& path, std::uint32_t type,
                            std::uint32_t number) const {
  const MutableByteView filling =
      buffer.subspan(header_bytes, config_.datagram_bytes - header_bytes);
  std::memset(filling.data(), static_cast<std::uint8_t>(number), filling.size());
  Header header{type, number, 0};
  header.checksum = checksum_of(header, filling);
  std::memcpy(buffer.data(), &header, sizeof header);
  return {.path = path,
          .size = config_.datagram_bytes,
          .segment_size = config_.datagram_bytes,
          .ecn = Ecn::ect0};
}

void RequestCore::handle_datagram(Instant now, const NetworkPath& path, Ecn,
                                  MutableByteView datagram) {
  if (datagram.size() < header_bytes) {
    ++damaged_;
    return;
  }
  Header header;
  std::memcpy(&header, datagram.data(), sizeof header);
  if (header.checksum != checksum_of(header, datagram.subspan(header_bytes))) {
    ++damaged_;
    return;
  }
  if (header.type == type_request) {
    if (answers_.size() == answers_max) {
      ++answers_refused_;
      return;
    }
    answers_.push_back({path, header.number});
    return;
  }
  const auto open = std::find_if(open_.begin(), open_.end(),
                                 [&](const Open& o) { return o.number == header.number; });
  if (open == open_.end()) return;  // answered before
  events_.push_back({open->number, open->tries});
  open_.erase(open);
  ++answered_;
  fill_window(now);
}

void RequestCore::handle_timeout(Instant) {}  // `poll_transmit` compares the times itself

std::optional<Transmit> RequestCore::poll_transmit(Instant now, MutableByteView buffer) {
  if (!answers_.empty()) {
    const Answer answer = answers_.front();
    answers_.pop_front();
    return write(buffer, answer.path, type_answer, answer.number);
  }
  for (Open& open : open_) {
    if (open.next_try > now) continue;
    const Duration wait = config_.retry * (1 << std::min(open.tries, 3u));
    ++open.tries;
    open.next_try = now + wait + rng_.between(0ns, wait / 4);
    return write(buffer, {.socket = config_.socket, .local = {}, .remote = *config_.server},
                 type_request, open.number);
  }
  return std::nullopt;
}

std::optional<RequestAnswered> RequestCore::poll_event() {
  if (events_.empty()) return std::nullopt;
  const RequestAnswered event = events_.front();
  events_.pop_front();
  return event;
}

Instant RequestCore::poll_timeout() const {
  Instant earliest = never;
  for (const Open& open : open_)
    earliest = std::min(earliest, open.next_try);
  return earliest;
}

}  // namespace quicmesh::sim
