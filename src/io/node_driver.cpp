// See node_driver.hpp.
#include "io/node_driver.hpp"

#include <sys/prctl.h>

#include <algorithm>
#include <system_error>
#include <utility>

namespace quicmesh::io {
namespace {

// A tag of the event loop is a node and the number of its socket.
constexpr unsigned socket_bits = 16;

constexpr std::uint64_t network_tag = ~std::uint64_t{0} - 1;

std::uint64_t tag_of(HostedId id, SocketId socket) {
  return (std::to_underlying(id) << socket_bits) | std::to_underlying(socket);
}

}  // namespace

HostedId Mailbox::add(std::unique_ptr<HostedNode> node) {
  HostedId id{};
  {
    const std::scoped_lock lock(mutex_);
    id = HostedId{next_id_++};
  }
  post({Letter::Kind::add, id, std::move(node)});
  return id;
}

void Mailbox::wake(HostedId node) {
  post({Letter::Kind::wake, node, nullptr});
}

void Mailbox::remove(HostedId node) {
  post({Letter::Kind::remove, node, nullptr});
}

void Mailbox::stop() {
  stopping_.store(true);
  waiting_.store(true);
  loop_->wake();
}

void Mailbox::post(Letter letter) {
  {
    const std::scoped_lock lock(mutex_);
    letters_.push_back(std::move(letter));
    waiting_.store(true);
  }
  loop_->wake();
}

Result<std::unique_ptr<NodeDriver>> NodeDriver::start(Duration spin) {
  auto loop = EventLoop::create();
  if (!loop) return failure(loop.error());
  auto mailbox = std::make_shared<Mailbox>(std::move(*loop));
  auto driver = std::unique_ptr<NodeDriver>(new NodeDriver(std::move(mailbox), spin));
  driver->watch_network();
  try {
    NodeDriver& self = *driver;
    driver->thread_ = std::thread([&self] { self.run(); });
  } catch (const std::system_error& error) {
    return failure(error.code());
  }
  return driver;
}

NodeDriver::NodeDriver(std::shared_ptr<Mailbox> mailbox, Duration spin)
    : mailbox_(std::move(mailbox)),
      loop_(*mailbox_->loop_),
      spin_(spin),
      buffer_(std::max(transmit_buffer_size, HostedNode::buffer_size)) {}

NodeDriver::~NodeDriver() {
  mailbox_->stop();
  if (thread_.joinable()) thread_.join();
}

void NodeDriver::run() {
  // The kernel rounds sleeps up by 50 us to save power; pacing needs them exact.
  (void)::prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
  (void)::prctl(PR_SET_NAME, "quicmesh-net", 0UL, 0UL, 0UL);
  while (!mailbox_->stopping_.load()) {
    for (const Readiness& ready : wait(next_deadline()))
      on_ready(ready);
    open_letters();
    const Instant now = EventLoop::now();
    if (network_ && network_->deadline() <= now) tell_of_network(now);
    for (std::size_t i = 0; i < places_.size();) {
      Place& place = places_[i];
      if (!place.due && place.deadline > now) {
        ++i;
        continue;
      }
      settle(i);
      if (place.node->client().over()) {
        take_off(i);  // the last place moves here
      } else {
        ++i;
      }
    }
  }
  open_letters();
  while (!places_.empty()) {
    places_.back().node->say_goodbye(sending_buffer());
    take_off(places_.size() - 1);
  }
}

std::span<const Readiness> NodeDriver::wait(Instant deadline) {
  const auto has_work = [this] { return mailbox_->waiting_.load(); };
  if (spin_ > Duration{} && deadline != Instant{}) {
    const Instant until = std::min(deadline, EventLoop::now() + spin_);
    do {
      const auto ready = loop_.wait(Instant{}, has_work);
      if (!ready.empty() || has_work()) return ready;
    } while (EventLoop::now() < until);
  }
  return loop_.wait(deadline, has_work);
}

Instant NodeDriver::next_deadline() const {
  Instant earliest = network_ ? network_->deadline() : never;
  for (const Place& place : places_)
    earliest = std::min(earliest, place.deadline);
  return earliest;
}

void NodeDriver::open_letters() {
  if (!mailbox_->waiting_.load(std::memory_order_relaxed)) return;
  {
    const std::scoped_lock lock(mailbox_->mutex_);
    opened_.swap(mailbox_->letters_);
    mailbox_->waiting_.store(false);
  }
  for (Mailbox::Letter& letter : opened_) {
    if (letter.kind == Mailbox::Letter::Kind::add) {
      put(letter.id, std::move(letter.node));
      continue;
    }
    const auto found = index_of_.find(std::to_underlying(letter.id));
    if (found == index_of_.end()) continue;
    if (letter.kind == Mailbox::Letter::Kind::wake) {
      places_[found->second].due = true;
    } else {
      places_[found->second].node->say_goodbye(sending_buffer());
      take_off(found->second);
    }
  }
  opened_.clear();
}

void NodeDriver::put(HostedId id, std::unique_ptr<HostedNode> node) {
  watch_opened_sockets(id, *node);
  index_of_[std::to_underlying(id)] = places_.size();
  places_.push_back({id, std::move(node), never, true});
}

void NodeDriver::watch_opened_sockets(HostedId id, HostedNode& node) {
  for (const SocketId socket : node.sockets().take_opened()) {
    // Fails when the kernel is out of memory alone; the node then hears nothing on this socket.
    (void)loop_.add(node.sockets().find(socket)->descriptor(), tag_of(id, socket));
  }
  if (node.tunnels() != nullptr && !node.tunnels_watched) {
    node.tunnels_watched = true;
    (void)loop_.add(node.tunnels()->descriptor(), tag_of(id, all_tunnels));
  }
}

void NodeDriver::take_off(std::size_t index) {
  Place place = std::move(places_[index]);
  if (index + 1 != places_.size()) {
    places_[index] = std::move(places_.back());
    index_of_[std::to_underlying(places_[index].id)] = index;
  }
  places_.pop_back();
  index_of_.erase(std::to_underlying(place.id));
  for (const SocketId socket : place.node->sockets().ids())
    loop_.remove(place.node->sockets().find(socket)->descriptor());
  if (place.node->tunnels() != nullptr) loop_.remove(place.node->tunnels()->descriptor());
  const std::shared_ptr<NodeClient> client = place.node->share_client();
  place.node.reset();
  client->on_removed();
}

void NodeDriver::watch_network() {
  auto watch = NetworkWatch::open();
  if (!watch || !loop_.add((*watch)->descriptor(), network_tag)) return;
  network_ = std::move(*watch);
}

void NodeDriver::tell_of_network(Instant now) {
  if (!network_->poll(now)) return;
  for (Place& place : places_) {
    place.node->network_changed(now);
    place.due = true;
  }
}

void NodeDriver::on_ready(const Readiness& ready) {
  if (ready.tag == network_tag) return network_->receive(EventLoop::now());
  const auto found = index_of_.find(ready.tag >> socket_bits);
  if (found == index_of_.end()) return;
  Place& place = places_[found->second];
  if (ready.writable) place.node->on_writable();
  if (ready.readable) {
    const auto socket = static_cast<std::uint16_t>(ready.tag & ((1u << socket_bits) - 1));
    if (SocketId{socket} == all_tunnels) {
      place.node->receive_from_tunnels(buffer_);
    } else {
      place.node->receive(SocketId{socket}, buffer_);
    }
  }
  place.due = true;
}

void NodeDriver::settle(std::size_t index) {
  Place& place = places_[index];
  HostedNode& node = *place.node;
  place.due = false;
  node.settle(sending_buffer());
  place.deadline = node.deadline();
  watch_opened_sockets(place.id, node);
  const auto full = node.full_socket();
  if (full == node.watched_for_writing) return;
  const auto watch = [&](std::optional<SocketId> id, bool wanted) {
    const UdpSocket* socket = id ? node.sockets().find(*id) : nullptr;
    if (socket) loop_.watch_writable(socket->descriptor(), tag_of(place.id, *id), wanted);
  };
  watch(node.watched_for_writing, false);
  watch(full, true);
  node.watched_for_writing = full;
}

}  // namespace quicmesh::io
