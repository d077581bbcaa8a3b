// See file_inbox.hpp.
#include "file_inbox.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <boost/asio/as_tuple.hpp>

#include "base/hex.hpp"
#include "file_name.hpp"
#include "operation.hpp"
#include "quicmesh/io_errc.hpp"
#include "text.hpp"

namespace quicmesh::cli {
namespace {

using namespace asio::experimental::awaitable_operators;

/// Bytes are written and hashed in pieces of this size: BLAKE3's vector lanes want 64 KiB and more.
constexpr std::size_t piece_size = 256 * 1024;
constexpr int take_over_tries = 100;
constexpr Duration take_over_pause = 20ms;

Failure failure_of(const FileTrouble& trouble) {
  Failure failure{.code = "file." + std::string(name_of(trouble.status)), .message = trouble.text};
  switch (trouble.status) {
    case FileStatus::no_space:
      failure.hint = "make room, or choose another folder with --out";
      break;
    case FileStatus::cannot_write:
      failure.hint = "choose a folder with --out that you may write, and nobody else does";
      break;
    case FileStatus::hash_mismatch:
      failure.hint = "the sender's file changed meanwhile, or its disk is bad: let it send again";
      break;
    default:
      break;
  }
  return failure;
}

/// Appends what arrives to `part` until nothing is missing.
asio::awaitable<std::expected<FileResult<void>, std::error_code>> read_data(Stream& stream,
                                                                            PartFile& part,
                                                                            std::uint64_t size,
                                                                            Progress& progress) {
  Bytes piece;
  while (part.held() < size) {
    auto reading = stream.read();
    auto data = co_await std::move(reading);
    const bool ended = !data || data->empty();
    if (data) piece.insert(piece.end(), data->begin(), data->end());
    const bool complete = part.held() + piece.size() >= size;
    if (part.held() + piece.size() > size)
      co_return FileResult<void>(std::unexpected(FileTrouble{
          .status = FileStatus::bad_message, .text = "more bytes came than were offered"}));
    // What arrived before the end is worth keeping.
    if (complete || ended || piece.size() >= piece_size) {
      if (auto written = part.append(piece); !written)
        co_return FileResult<void>(std::unexpected(written.error()));
      piece.clear();
    }
    progress.show(part.held() + piece.size());
    if (!data) co_return std::unexpected(data.error());
    if (ended && !complete) co_return std::unexpected(make_error_code(IoErrc::ended_early));
  }
  co_return FileResult<void>();
}

}  // namespace

FileInbox::FileInbox(NodeHost& host, InboxOptions options, EventSink emit,
                     asio::any_io_executor executor)
    : host_(host),
      options_(std::move(options)),
      emit_(std::move(emit)),
      ended_(executor, asio::steady_timer::time_point::max()) {}

FileInbox::Entry::Entry(std::shared_ptr<FileInbox> inbox, Transfer transfer)
    : inbox_(std::move(inbox)),
      place_(inbox_->transfers_.insert(inbox_->transfers_.end(), transfer)) {}

FileInbox::Entry::~Entry() {
  inbox_->transfers_.erase(place_);
}

Result<void> FileInbox::open() {
  return host_.node()->handle(file_protocol, [inbox = shared_from_this()](Stream stream) {
    return serve(inbox, std::move(stream));
  });
}

void FileInbox::close() {
  closed_ = true;
  host_.files_cut_short += transfers_.size();
  host_.node()->remove_handler(file_protocol);
  for (Transfer& transfer : transfers_)
    transfer.stream->reset();
}

asio::awaitable<int> FileInbox::finished() {
  while (!done_) {
    auto waiting = ended_.async_wait(asio::as_tuple(asio::use_awaitable));
    (void)co_await std::move(waiting);  // the timer only ever ends by being cancelled
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return exit_interrupted;
  }
  co_return exit_code_;
}

void FileInbox::on_ended(Ending ending) {
  if (!options_.once || !ending.counts || done_) return;
  done_ = true;
  exit_code_ = ending.exit_code;
  ended_.cancel();
}

FileInbox::Ending FileInbox::tell(const FileOffer& offer, const Transfer& transfer, Failure failure,
                                  bool ours) {
  const NodeId peer = transfer.peer;
  if (transfer.replaced) failure.message = "the sender sent it anew";
  failure.message = fmt::format("receiving \"{}\" from {}: {}", printable(offer.name),
                                peer.prefix(), failure.message);
  auto event = to_json(failure);
  event["peer"] = peer.to_hex();
  event["name"] = valid_utf8(offer.name);
  emit_(event);
  return {.exit_code = failure.exit_code, .counts = ours || !options_.senders.empty()};
}

asio::awaitable<void> FileInbox::conclude(Stream& stream, Bytes message) {
  auto writing = stream.write(std::move(message));
  (void)co_await std::move(writing);  // a sender that has gone is told nothing
  auto finishing = stream.finish();
  (void)co_await std::move(finishing);
  auto flushing = stream.flushed();
  auto limited = within(message_limit, std::move(flushing));
  (void)co_await std::move(limited);
}

asio::awaitable<void> FileInbox::refuse(Stream& stream, FileTrouble trouble) {
  const FileAnswer answer{.status = trouble.status, .text = trouble.text};
  auto concluding = conclude(stream, encode(answer));
  co_await std::move(concluding);
}

asio::awaitable<void> FileInbox::serve(std::shared_ptr<FileInbox> inbox, Stream stream) {
  auto reading = read_frame(stream);
  auto limited = within(message_limit, std::move(reading));
  const auto frame = co_await std::move(limited);
  if (!frame) co_return;  // who offers nothing is not worth a line
  const auto offer = decode_offer(*frame);
  const NodeId peer = stream.peer();
  const auto& senders = inbox->options_.senders;
  FileTrouble trouble{.status = FileStatus::good};
  if (!offer) {
    trouble = {.status = FileStatus::bad_message, .text = "the offer is malformed"};
  } else if (!senders.empty() && std::ranges::find(senders, peer) == senders.end()) {
    trouble = {.status = FileStatus::not_wanted, .text = "files of this node are not taken"};
  } else if (inbox->closed_ || inbox->done_) {
    trouble = {.status = FileStatus::busy, .text = "the receiver is ending"};
  } else if (inbox->transfers_.size() >= transfers_max) {
    trouble = {.status = FileStatus::busy, .text = "too many files are arriving at once"};
  } else if (inbox->is_full_for(peer, offer->hash)) {
    trouble = {.status = FileStatus::busy, .text = "too many files of this node are arriving"};
  }
  if (trouble.status != FileStatus::good) {
    auto refusing = inbox->refuse(stream, std::move(trouble));
    co_await std::move(refusing);
    co_return;
  }
  inbox->replace_older(peer, offer->hash);
  Ending ending;
  {
    const Entry entry(inbox, {.stream = &stream, .peer = peer, .hash = offer->hash});
    auto receiving = inbox->receive(stream, *offer, entry.place());
    ending = co_await std::move(receiving);
    if (entry.place()->replaced || inbox->closed_) ending.counts = false;
  }
  inbox->on_ended(ending);
}

bool FileInbox::is_full_for(NodeId peer, const Blake3Digest& hash) const {
  const auto of_peer = std::ranges::count_if(transfers_, [&](const Transfer& transfer) {
    return transfer.peer == peer && transfer.hash != hash && !transfer.replaced;
  });
  return static_cast<std::size_t>(of_peer) >= transfers_per_peer_max;
}

void FileInbox::replace_older(NodeId peer, const Blake3Digest& hash) {
  for (Transfer& transfer : transfers_) {
    if (transfer.peer != peer || transfer.hash != hash) continue;
    transfer.replaced = true;
    transfer.stream->reset();
  }
}

asio::awaitable<FileResult<PartFile>> FileInbox::open_part(const FileOffer& offer, NodeId peer) {
  auto open = [this, &offer, peer] { return PartFile::open(options_.folder, offer, peer); };
  for (int tries = 1;; ++tries) {
    auto opening = blocking(host_.pool(), open);
    auto part = co_await std::move(opening);
    const bool busy = !part && part.error().status == FileStatus::busy;
    // A transfer that was just replaced still has the lock for a moment.
    if (!busy || tries >= take_over_tries) co_return part;
    const bool ours = std::ranges::any_of(transfers_, [&](const Transfer& transfer) {
      return transfer.replaced && transfer.peer == peer && transfer.hash == offer.hash;
    });
    if (!ours && tries > 5) co_return part;
    auto resting = pause_for(take_over_pause);
    co_await std::move(resting);
  }
}

/// Hashes what `part` holds, unless it is no longer wanted.
asio::awaitable<FileResult<void>> FileInbox::hash_part(PartFile& part, TransferPlace place) {
  while (!part.hashed()) {
    if (closed_ || place->replaced)
      co_return std::unexpected(
          FileTrouble{.status = FileStatus::busy, .text = "the receiver is ending"});
    auto hash = [&part] { return part.hash_held(hash_stretch); };
    auto hashing = blocking(host_.pool(), hash);
    const auto hashed = co_await std::move(hashing);
    if (!hashed) co_return std::unexpected(hashed.error());
  }
  co_return FileResult<void>();
}

asio::awaitable<FileInbox::Ending> FileInbox::receive(Stream& stream, const FileOffer& offer,
                                                      TransferPlace place) {
  emit_({{"event", "offer"},
         {"peer", place->peer.to_hex()},
         {"name", valid_utf8(offer.name)},
         {"bytes", offer.size},
         {"blake3", to_hex(offer.hash)}});
  auto opening = open_part(offer, place->peer);
  auto part = co_await std::move(opening);
  if (part) {
    auto hashing = hash_part(*part, place);
    const auto hashed = co_await std::move(hashing);
    if (!hashed) part = std::unexpected(hashed.error());
  }
  if (!part) {
    // The folder's path is the receiver's own business.
    auto refusing = refuse(stream, part.error());
    co_await std::move(refusing);
    Ending ending = tell(offer, *place, failure_of(part.error()), part.error().ours);
    if (part.error().status == FileStatus::busy) ending.counts = false;
    co_return ending;
  }
  auto receiving = receive_rest(stream, offer, *part, place);
  const Ending ending = co_await std::move(receiving);
  if (ending.exit_code != exit_done) part->tidy_up();
  co_return ending;
}

/// Hashes what is on the disk, and gives it its name.
asio::awaitable<FileResult<std::string>> FileInbox::complete(PartFile& part, TransferPlace place) {
  part.hash_again();
  auto hashing = hash_part(part, place);
  const auto hashed = co_await std::move(hashing);
  if (!hashed) co_return std::unexpected(hashed.error());
  auto complete = [&part] { return part.complete(); };
  auto completing = blocking(host_.pool(), complete);
  co_return co_await std::move(completing);
}

asio::awaitable<FileInbox::Ending> FileInbox::receive_rest(Stream& stream, const FileOffer& offer,
                                                           PartFile& part, TransferPlace place) {
  const NodeId peer = place->peer;
  const FileAnswer answer{.held = part.held(), .held_hash = part.digest()};
  auto answering = stream.write(encode(answer));
  (void)co_await std::move(answering);  // the next read tells
  auto reading = read_frame(stream);
  auto limited = within(disk_limit(part.held()), std::move(reading));
  const auto frame = co_await std::move(limited);
  const auto begin = decoded(frame, decode_begin);
  if (!begin) co_return tell(offer, *place, make_failure("no data came", begin.error()));
  FileResult<void> stored;
  if (begin->start == 0) {
    stored = part.start_over();
  } else if (begin->start != part.held()) {
    stored = std::unexpected(FileTrouble{.status = FileStatus::bad_message,
                                         .text = "the sender goes on at another byte"});
  }
  const PathChangeCount path_changes(host_, peer);
  Progress progress(emit_,
                    {.name = valid_utf8(offer.name), .total = offer.size, .start = part.held()});
  if (stored) {
    auto receiving = read_data(stream, part, offer.size, progress);
    auto stalling = until_stalled(progress);
    auto race = std::move(receiving) || std::move(stalling);
    auto outcome = co_await std::move(race);
    if (outcome.index() == 1)
      co_return tell(
          offer, *place,
          make_failure("the sender is silent", std::make_error_code(std::errc::timed_out)));
    auto& data = std::get<0>(outcome);
    if (!data) {
      Failure lost = make_failure(fmt::format("the transfer broke off at {} of {}",
                                              human_bytes(part.held()), human_bytes(offer.size)),
                                  data.error(), host_.node()->last_reason(peer));
      lost.hint = "what has arrived is kept: send it again and it goes on from there";
      co_return tell(offer, *place, std::move(lost));
    }
    stored = *data;
  }
  FileResult<std::string> path = std::unexpected(FileTrouble{});
  if (stored) {
    auto completing = complete(part, place);
    path = co_await std::move(completing);
    if (!path) stored = std::unexpected(path.error());
  }
  const FileVerdict verdict =
      stored ? FileVerdict{}
             : FileVerdict{.status = stored.error().status, .text = stored.error().text};
  const double seconds = progress.seconds();
  auto concluding = conclude(stream, encode(verdict));
  co_await std::move(concluding);
  if (!stored) co_return tell(offer, *place, failure_of(stored.error()), stored.error().ours);
  emit_({{"event", "done"},
         {"bytes", offer.size},
         {"seconds", seconds},
         {"blake3", to_hex(offer.hash)},
         {"path_changes", path_changes.count()},
         {"moved", offer.size - progress.extent().start},
         {"resumed_from", progress.extent().start},
         {"peer", peer.to_hex()},
         {"path", valid_utf8(*path)}});
  co_return Ending{.exit_code = exit_done};
}

}  // namespace quicmesh::cli
