// FileInbox: takes the files that peers send under quicmesh/file/1 into one folder.
//
// Several arrive at once, each in a coroutine of its own. A peer that offers a file again that is
// still arriving from it has lost its connection: the newer transfer takes over. The same file from
// another peer is another transfer: nobody touches what somebody else has sent.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "file_transfer.hpp"
#include "node_host.hpp"
#include "part_file.hpp"

namespace quicmesh::cli {

struct InboxOptions {
  std::string folder;
  /// End with the first file, or with a failure of this machine. That of a sender counts only if it
  /// was named: anybody may send what is wrong.
  bool once = false;
  std::vector<NodeId> senders;  // who may send; everybody if empty
};

class FileInbox : public std::enable_shared_from_this<FileInbox> {
 public:
  static constexpr std::size_t transfers_max = 16;  // one more is refused as busy
  /// Of one peer, so that it does not hold the whole inbox; one more is refused as busy.
  static constexpr std::size_t transfers_per_peer_max = 4;

  FileInbox(NodeHost& host, InboxOptions options, EventSink emit, asio::any_io_executor executor);

  /// Takes files from now on.
  Result<void> open();
  /// Waits until the inbox has what it was opened for: with `once`, for the first file.
  asio::awaitable<int> finished();
  /// Ends all transfers; what has arrived is kept.
  void close();

 private:
  struct Transfer {
    Stream* stream = nullptr;
    NodeId peer;
    Blake3Digest hash{};
    bool replaced = false;
  };
  using TransferPlace = std::list<Transfer>::iterator;

  /// A transfer among `transfers_` while its coroutine lives: the stream is in that one's frame,
  /// and so is this, so that no end of the frame leaves a pointer behind.
  class Entry {
   public:
    Entry(std::shared_ptr<FileInbox> inbox, Transfer transfer);
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    ~Entry();

    [[nodiscard]] TransferPlace place() const { return place_; }

   private:
    std::shared_ptr<FileInbox> inbox_;  // shared with the coroutines of other transfers
    TransferPlace place_;
  };

  /// How a transfer ended, in the receiver's own terms.
  struct Ending {
    int exit_code = exit_failed;
    bool counts = true;  // for `once`
  };

  static asio::awaitable<void> serve(std::shared_ptr<FileInbox> inbox, Stream stream);
  asio::awaitable<Ending> receive(Stream& stream, const FileOffer& offer, TransferPlace place);
  asio::awaitable<Ending> receive_rest(Stream& stream, const FileOffer& offer, PartFile& part,
                                       TransferPlace place);
  asio::awaitable<FileResult<PartFile>> open_part(const FileOffer& offer, NodeId peer);
  asio::awaitable<FileResult<std::string>> complete(PartFile& part, TransferPlace place);
  asio::awaitable<FileResult<void>> hash_part(PartFile& part, TransferPlace place);
  asio::awaitable<void> refuse(Stream& stream, FileTrouble trouble);
  asio::awaitable<void> conclude(Stream& stream, Bytes message);
  Ending tell(const FileOffer& offer, const Transfer& transfer, Failure failure, bool ours = false);
  /// Whether `peer` has as many transfers as it may, besides one of `hash` that it replaces.
  [[nodiscard]] bool is_full_for(NodeId peer, const Blake3Digest& hash) const;
  void replace_older(NodeId peer, const Blake3Digest& hash);
  void on_ended(Ending ending);

  NodeHost& host_;
  InboxOptions options_;
  EventSink emit_;
  std::list<Transfer> transfers_;
  asio::steady_timer ended_;  // never expires; cancelled when the inbox is done
  int exit_code_ = exit_done;
  bool done_ = false;
  bool closed_ = false;
};

}  // namespace quicmesh::cli
