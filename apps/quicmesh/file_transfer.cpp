// See file_transfer.hpp.
#include "file_transfer.hpp"

#include <algorithm>

namespace quicmesh::cli {
namespace {

constexpr auto show_every = std::chrono::milliseconds(100);
constexpr Duration look_every = 1s;
constexpr Duration least_disk_limit = 300s;
constexpr std::uint64_t slow_disk_rate = 50'000'000;  // bytes a second
constexpr std::uint64_t disk_seconds_max = 7 * 86'400;

}  // namespace

Duration disk_limit(std::uint64_t bytes) {
  return least_disk_limit +
         std::chrono::seconds(std::min(bytes / slow_disk_rate, disk_seconds_max));
}

Task<Bytes> read_frame(Stream& stream) {
  auto reading_header = stream.read_exactly(frame_header_size);
  const auto header = co_await std::move(reading_header);
  if (!header) co_return failure(header.error());
  const auto size = decode_frame_size(*header);
  if (!size) co_return failure(size.error());
  auto reading = stream.read_exactly(*size);
  co_return co_await std::move(reading);
}

Progress::Progress(EventSink emit, Extent extent)
    : emit_(std::move(emit)),
      extent_(std::move(extent)),
      bytes_(extent_.start),
      started_(std::chrono::steady_clock::now()),
      moved_at_(started_),
      shown_at_(started_) {}

void Progress::show(std::uint64_t bytes) {
  const auto now = std::chrono::steady_clock::now();
  if (bytes > bytes_) moved_at_ = now;
  bytes_ = bytes;
  if (now - shown_at_ < show_every) return;
  shown_at_ = now;
  emit_({{"event", "progress"},
         {"name", extent_.name},
         {"bytes", bytes},
         {"total", extent_.total},
         {"moved", bytes - extent_.start},
         {"seconds", seconds()}});
}

asio::awaitable<void> until_stalled(const Progress& progress) {
  while (seconds_since(progress.moved_at()) < std::chrono::duration<double>(stall_limit).count()) {
    auto resting = pause_for(look_every);
    co_await std::move(resting);
  }
}

}  // namespace quicmesh::cli
