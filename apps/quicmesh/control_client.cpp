// See control_client.hpp.
#include "control_client.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include <fmt/format.h>

#include "control_protocol.hpp"
#include "interrupts.hpp"

namespace quicmesh::cli {
namespace {

// A node that starts has the lock a moment before its socket is there.
constexpr auto connect_patience = std::chrono::seconds(3);

Failure not_running(const DataFolder& folder) {
  return {.code = "not_running",
          .message = fmt::format("no node runs with the data folder {}", folder.path()),
          .hint = "start one with `quicmesh up`, or give its folder with --data"};
}

Failure not_answering(const DataFolder& folder, int error_number) {
  return {.code = "not_answering",
          .message = fmt::format("process {} has the data folder {} but does not answer: {}",
                                 folder.lock_owner(), folder.path(), std::strerror(error_number)),
          .hint = error_number == ENOENT ? "its control socket was removed: start it again"
                                         : "wait until it has ended, or stop it"};
}

Outcome<io::FileDescriptor> connect_to_node(const DataFolder& folder) {
  io::FileDescriptor holder;
  const std::string path = control_socket_path(folder, holder);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const auto give_up = std::chrono::steady_clock::now() + connect_patience;
  while (true) {
    io::FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
      return socket;
    const int error = errno;
    if (!folder.locked()) return std::unexpected(not_running(folder));
    if (interrupted() || std::chrono::steady_clock::now() > give_up)
      return std::unexpected(not_answering(folder, error));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

bool send_all(int socket, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

/// Whether `socket` can be read, and not an interrupt has come.
bool wait_readable(int socket) {
  const InterruptHold hold;
  if (!interrupted()) hold.wait_readable(socket);
  return !interrupted();
}

Failure lost_node() {
  return {.code = "node_gone",
          .message = "the running node ended before the command did",
          .hint = "start it again with `quicmesh up`"};
}

Outcome<int> ask_node(const DataFolder& folder, const boost::json::object& request,
                      const EventSink& sink) {
  const auto socket = connect_to_node(folder);
  if (!socket) return std::unexpected(socket.error());
  if (!send_all(socket->get(), to_text(request) + "\n")) return std::unexpected(lost_node());
  std::string rest;
  std::array<char, 16'384> buffer{};
  while (true) {
    if (!wait_readable(socket->get())) return exit_interrupted;
    const ssize_t size = ::recv(socket->get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (size <= 0) return std::unexpected(lost_node());
    rest.append(buffer.data(), static_cast<std::size_t>(size));
    std::size_t begin = 0;
    for (std::size_t end = rest.find('\n'); end != std::string::npos;
         end = rest.find('\n', begin)) {
      boost::json::object event;
      if (!parse_object(std::string_view(rest).substr(begin, end - begin), event))
        return std::unexpected(lost_node());
      begin = end + 1;
      if (text_of(event, "event") == "exit")
        return static_cast<int>(integer_of(event, "code", exit_failed));
      sink(event);
    }
    rest.erase(0, begin);
    if (rest.size() > control_line_max) return std::unexpected(lost_node());
  }
}

}  // namespace

Outcome<int> ask_running_node(const DataFolder& folder, const boost::json::object& request,
                              const EventSink& sink, int interrupted_code) {
  watch_for_interrupts();
  auto code = ask_node(folder, request, sink);
  release_interrupts();  // a node of our own, if there is no running one, has its own way
  if (interrupted()) return interrupted_code;
  return code;
}

}  // namespace quicmesh::cli
