// The operation recv: opens an inbox, and keeps it open until it has what it is there for, or is
// cancelled.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>
#include <boost/json/array.hpp>

#include "file_inbox.hpp"
#include "operation.hpp"

namespace quicmesh::cli {
namespace {

/// 0, or why no file can be made in `folder`; permissions alone would not tell.
int try_to_write(const std::string& folder) {
  const io::FileDescriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened) return errno;
  const std::string name = fmt::format(".quicmesh-{}", ::getpid());
  const io::FileDescriptor file(
      ::openat(opened.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file) return errno;
  return ::unlinkat(opened.get(), name.c_str(), 0) == 0 ? 0 : errno;
}

Outcome<InboxOptions> parse_request(const boost::json::object& request) {
  InboxOptions options{.folder = text_of(request, "out"), .once = flag_of(request, "once")};
  if (const auto* senders = request.if_contains("from");
      senders != nullptr && senders->is_array()) {
    for (const auto& sender : senders->get_array()) {
      auto node = node_of({{"node", sender}}, "node");
      if (!node) return std::unexpected(node.error());
      options.senders.push_back(node->id);
    }
  }
  const int unwritable = try_to_write(options.folder);
  if (unwritable == 0) return options;
  Failure failure = make_failure(fmt::format("cannot receive into {}", options.folder),
                                 {unwritable, std::generic_category()});
  failure.hint = "make the folder, or choose one that you may write with --out";
  return std::unexpected(std::move(failure));
}

/// Closes the inbox however the operation ends, by cancellation too.
struct InboxGuard {
  NodeHost& host;
  std::shared_ptr<FileInbox> inbox;

  ~InboxGuard() {
    inbox->close();
    host.receiving_files = false;
  }
};

}  // namespace

asio::awaitable<int> recv_operation(Operation operation) {
  auto options = parse_request(operation.request);
  if (!options) co_return operation.fail(options.error());
  if (operation.host.receiving_files)
    co_return operation.fail(Failure{.code = "busy",
                                     .message = "this node receives files already",
                                     .hint = "one `quicmesh recv` a node; end the other one"});
  const auto executor = co_await asio::this_coro::executor;
  auto inbox =
      std::make_shared<FileInbox>(operation.host, std::move(*options), operation.emit, executor);
  if (const auto opened = inbox->open(); !opened)
    co_return operation.fail(make_failure("cannot receive files", opened.error()));
  operation.host.receiving_files = true;
  const InboxGuard guard{.host = operation.host, .inbox = inbox};
  operation.emit(operation.host.ready());
  auto waiting = inbox->finished();
  co_return co_await std::move(waiting);
}

}  // namespace quicmesh::cli
