// See interrupts.hpp.
#include "interrupts.hpp"

#include <poll.h>
#include <unistd.h>

#include <array>

namespace quicmesh::cli {
namespace {

volatile std::sig_atomic_t noted = 0;

}  // namespace

void watch_for_interrupts() {
  struct sigaction action{};
  action.sa_handler = [](int) { noted = 1; };
  // Without SA_RESTART, so that a read that waits returns.
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

void release_interrupts() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

bool interrupted() {
  return noted != 0;
}

InterruptHold::InterruptHold() {
  sigset_t held;
  ::sigemptyset(&held);
  ::sigaddset(&held, SIGINT);
  ::sigaddset(&held, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &held, &before_);
}

InterruptHold::~InterruptHold() {
  ::sigprocmask(SIG_SETMASK, &before_, nullptr);
}

void InterruptHold::wait_readable(int descriptor) const {
  std::array watched{pollfd{.fd = descriptor, .events = POLLIN, .revents = 0},
                     pollfd{.fd = STDOUT_FILENO, .events = 0, .revents = 0}};
  const int ready = ::ppoll(watched.data(), watched.size(), nullptr, &before_);
  if (ready > 0 && (watched[1].revents & (POLLERR | POLLHUP)) != 0) noted = 1;
}

}  // namespace quicmesh::cli
