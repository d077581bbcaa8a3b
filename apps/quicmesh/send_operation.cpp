// The operation send: one file to one node under quicmesh/file/1 (docs/protocols/file.md).
//
// The file is hashed, offered, and sent from where the receiver has it already. One coroutine
// listens for the receiver's verdict from the first byte to the last, since it may refuse in the
// middle; it is never started anew, so that no byte of the verdict falls between two readers.
#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "base/hex.hpp"
#include "file_source.hpp"
#include "file_transfer.hpp"
#include "operation.hpp"
#include "quic/quic_errc.hpp"
#include "text.hpp"

namespace quicmesh::cli {
namespace {

using namespace asio::experimental::awaitable_operators;

constexpr std::size_t piece_size = 256 * 1024;
constexpr int pieces_per_second = 50;
constexpr Duration connect_limit = 30s;
/// For the verdict of a receiver that takes no more data.
constexpr Duration last_word_limit = 2s;

/// Everything about one sending; it lives in the frame of the operation.
struct Sending {
  Operation& operation;
  NodeAddress peer;
  FileSource source;
  FileOffer offer;
  std::uint64_t rate = 0;  // bytes a second; 0 for no limit
};

Failure refusal(const Sending& sending, FileStatus status, const std::string& text) {
  Failure failure{.code = "file." + std::string(name_of(status))};
  failure.message = fmt::format("{} refused \"{}\": {}", sending.peer.id.prefix(),
                                sending.offer.name, text.empty() ? name_of(status) : text);
  switch (status) {
    case FileStatus::busy:
      failure.hint = "try again in a moment";
      break;
    case FileStatus::not_wanted:
      failure.hint = "the receiver has to allow this node with `recv --from`";
      break;
    case FileStatus::no_space:
    case FileStatus::cannot_write:
      failure.hint = "the receiver's disk or folder is the reason";
      break;
    default:
      failure.hint = "send it again";
  }
  return failure;
}

/// The stream broke: the receiver's doing, or the connection's.
Failure broken(const Sending& sending, std::error_code error) {
  const std::string what = fmt::format("sending to {}", sending.peer.id.prefix());
  Failure failure =
      make_failure(what, error, sending.operation.host.node()->last_reason(sending.peer.id));
  if (error == make_error_code(QuicErrc::stream_refused)) {
    failure.message = what + ": the node receives no files now";
    failure.hint = "start `quicmesh recv` there";
  } else {
    failure.hint = "what has arrived is kept: send it again and it goes on from there";
  }
  return failure;
}

Failure too_early(const Sending& sending) {
  return {.code = "file.bad_message",
          .message = fmt::format("{} says that it has \"{}\", which was not sent whole",
                                 sending.peer.id.prefix(), sending.offer.name),
          .hint = "its program does not keep to the protocol"};
}

/// Both directions of a transfer.
struct Dialogue {
  Outcome<void> sent;
  bool all_written = false;  // nothing is missing but what waits in the stream
  std::optional<Result<FileVerdict>> verdict;
};

asio::awaitable<Outcome<void>> send_data(Sending& sending, Stream& stream, std::uint64_t start,
                                         Progress& progress, Dialogue& dialogue) {
  const std::size_t piece =
      sending.rate == 0 ? piece_size
                        : std::clamp<std::size_t>(sending.rate / pieces_per_second, 1, piece_size);
  dialogue.all_written = start >= sending.offer.size;
  for (std::uint64_t at = start; at < sending.offer.size;) {
    const auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>(piece, sending.offer.size - at));
    auto data = sending.source.read(at, size);
    if (!data) co_return std::unexpected(data.error());
    dialogue.all_written = at + size == sending.offer.size;
    auto writing = stream.write(std::move(*data));
    if (const auto written = co_await std::move(writing); !written)
      co_return std::unexpected(broken(sending, written.error()));
    at += size;
    progress.show(at);
    if (sending.rate == 0) continue;
    const double due = static_cast<double>(at - start) / static_cast<double>(sending.rate);
    if (const double early = due - progress.seconds(); early > 0) {
      auto resting = pause_for(Duration(static_cast<Duration::rep>(early * 1e9)));
      co_await std::move(resting);
    }
  }
  co_return Outcome<void>();
}

/// Sends the data, and lets the receiver have its last word.
asio::awaitable<void> speak(Sending& sending, Stream& stream, std::uint64_t start,
                            Progress& progress, Dialogue& dialogue) {
  auto sending_data = send_data(sending, stream, start, progress, dialogue);
  auto sent = co_await std::move(sending_data);
  if (dialogue.verdict && *dialogue.verdict) co_return;  // it ended the sending
  dialogue.sent = std::move(sent);
  if (dialogue.sent) {
    auto finishing = stream.finish();
    (void)co_await std::move(finishing);  // the verdict tells
  }
  // A receiver that gave up says why before it stops reading.
  auto patience = pause_for(dialogue.sent ? disk_limit(sending.offer.size) : last_word_limit);
  co_await std::move(patience);
}

asio::awaitable<void> listen(Stream& stream, Dialogue& dialogue) {
  auto reading = read_frame(stream);
  const auto frame = co_await std::move(reading);
  dialogue.verdict = decoded(frame, decode_verdict);
}

/// Whether a receiver that says that it has all can have it: it cannot have what was not sent, nor
/// what it never acknowledges.
asio::awaitable<bool> has_all(Stream& stream, const Dialogue& dialogue) {
  if (!dialogue.all_written) co_return false;
  auto flushing = stream.flushed();
  auto limited = within(message_limit, std::move(flushing));
  const auto flushed = co_await std::move(limited);
  // One that ends right after its last word acknowledges nothing more.
  co_return flushed || flushed.error() != std::make_error_code(std::errc::timed_out);
}

/// Sends the data, and listens for a verdict meanwhile and afterwards.
asio::awaitable<Outcome<FileVerdict>> transfer(Sending& sending, Stream& stream,
                                               std::uint64_t start, Progress& progress) {
  Dialogue dialogue;
  auto speaking = speak(sending, stream, start, progress, dialogue);
  auto listening = listen(stream, dialogue);
  auto race = std::move(speaking) || std::move(listening);
  (void)co_await std::move(race);
  const auto& verdict = dialogue.verdict;
  const bool said = verdict && *verdict;
  if (said && (*verdict)->status != FileStatus::good) co_return **verdict;
  if (said && dialogue.sent) {
    auto arriving = has_all(stream, dialogue);
    const bool arrived = co_await std::move(arriving);
    if (arrived) co_return **verdict;
    co_return std::unexpected(too_early(sending));
  }
  if (!dialogue.sent) co_return std::unexpected(dialogue.sent.error());
  const auto silence = std::make_error_code(std::errc::timed_out);
  co_return std::unexpected(broken(sending, verdict ? verdict->error() : silence));
}

/// The BLAKE3 of the first `size` bytes. Cancelled, it ends after the stretch that is being hashed.
asio::awaitable<Outcome<Blake3Digest>> hash_beginning(Sending& sending, std::uint64_t size) {
  Blake3 hash;
  for (std::uint64_t at = 0; at < size;) {
    const std::uint64_t stretch = std::min(hash_stretch, size - at);
    auto add = [&] { return sending.source.add_to(hash, at, stretch); };
    auto adding = blocking(sending.operation.host.pool(), add);
    const auto added = co_await std::move(adding);
    if (!added) co_return std::unexpected(added.error());
    at += stretch;
  }
  co_return hash.digest();
}

/// From where to go on: what the receiver holds, if it is the beginning of this file.
asio::awaitable<Outcome<std::uint64_t>> agree_on_start(Sending& sending, Stream& stream) {
  auto offering = stream.write(encode(sending.offer));
  if (const auto written = co_await std::move(offering); !written)
    co_return std::unexpected(broken(sending, written.error()));
  auto reading = read_frame(stream);
  auto limited = within(disk_limit(sending.offer.size), std::move(reading));
  const auto frame = co_await std::move(limited);
  const auto answer = decoded(frame, decode_answer);
  if (!answer) co_return std::unexpected(broken(sending, answer.error()));
  if (answer->status != FileStatus::good)
    co_return std::unexpected(refusal(sending, answer->status, answer->text));
  FileBegin begin;
  if (answer->held > 0 && answer->held <= sending.offer.size) {
    auto hashing = hash_beginning(sending, answer->held);
    const auto digest = co_await std::move(hashing);
    if (!digest) co_return std::unexpected(digest.error());
    if (*digest == answer->held_hash) begin.start = answer->held;
  }
  auto beginning = stream.write(encode(begin));
  if (const auto written = co_await std::move(beginning); !written)
    co_return std::unexpected(broken(sending, written.error()));
  co_return begin.start;
}

asio::awaitable<Outcome<void>> send_file(Sending& sending) {
  NodeHost& host = sending.operation.host;
  auto hashing = hash_beginning(sending, sending.source.size());
  const auto digest = co_await std::move(hashing);
  if (!digest) co_return std::unexpected(digest.error());
  sending.offer.hash = *digest;

  auto connecting = connect_to(host, sending.peer, file_protocol, connect_limit);
  auto connection = co_await std::move(connecting);
  if (!connection) co_return std::unexpected(connection.error());
  const PathChangeCount path_changes(host, sending.peer.id);
  auto opening = connection->open_stream();
  auto limited = within(message_limit, std::move(opening));
  auto stream = co_await std::move(limited);
  if (!stream) co_return std::unexpected(broken(sending, stream.error()));
  auto agreeing = agree_on_start(sending, *stream);
  const auto start = co_await std::move(agreeing);
  if (!start) co_return std::unexpected(start.error());

  Progress progress(
      sending.operation.emit,
      {.name = valid_utf8(sending.offer.name), .total = sending.offer.size, .start = *start});
  auto transferring = transfer(sending, *stream, *start, progress);
  const auto verdict = co_await std::move(transferring);
  if (!verdict) co_return std::unexpected(verdict.error());
  if (verdict->status == FileStatus::hash_mismatch && sending.source.changed())
    co_return std::unexpected(sending.source.changed_failure());
  if (verdict->status != FileStatus::good)
    co_return std::unexpected(refusal(sending, verdict->status, verdict->text));
  sending.operation.emit({{"event", "done"},
                          {"bytes", sending.offer.size},
                          {"seconds", progress.seconds()},
                          {"blake3", to_hex(sending.offer.hash)},
                          {"path_changes", path_changes.count()},
                          {"moved", sending.offer.size - *start},
                          {"resumed_from", *start}});
  co_return Outcome<void>();
}

}  // namespace

asio::awaitable<int> send_operation(Operation operation) {
  auto peer = node_of(operation.request, "node");
  if (!peer) co_return operation.fail(peer.error());
  auto source = FileSource::open(text_of(operation.request, "file"));
  if (!source) co_return operation.fail(source.error());
  const std::string other_name = text_of(operation.request, "name");
  Sending sending{.operation = operation, .peer = std::move(*peer), .source = std::move(*source)};
  sending.offer.size = sending.source.size();
  sending.offer.name = other_name.empty() ? sending.source.name() : other_name;
  sending.rate =
      static_cast<std::uint64_t>(std::max<std::int64_t>(0, integer_of(operation.request, "rate")));
  auto sent = send_file(sending);
  const auto done = co_await std::move(sent);
  if (!done) co_return operation.fail(done.error());
  co_return exit_done;
}

}  // namespace quicmesh::cli
