// The handle of a peer and protocol; see quicmesh/connection.hpp.
#include "quicmesh/connection.hpp"

#include <utility>

#include "io/node_hub.hpp"
#include "io/occupied.hpp"
#include "quic/quic_errc.hpp"
#include "quicmesh/io_errc.hpp"

namespace quicmesh {
namespace {

using StatePointer = std::shared_ptr<io::ConnectionState>;

Task<Stream> open_on(StatePointer state) {
  if (!state) co_return failure(IoErrc::empty_handle);
  auto opening = state->hub->open_stream(state->peer, state->protocol);
  co_return co_await std::move(opening);
}

Task<std::size_t> datagram_size_of(StatePointer state) {
  if (!state) co_return failure(IoErrc::empty_handle);
  auto reply = std::make_shared<io::Reply>();
  auto size = std::make_shared<std::size_t>(0);  // written by the network thread
  io::NodeHub& hub = *state->hub;
  io::Command look = [&hub, reply, size, peer = state->peer](Instant, io::HostedNode& node) {
    *size = node.core().connectivity().max_datagram_size(peer);
    hub.answer(*reply);
  };
  auto asking = hub.ask(reply, std::move(look));
  const std::error_code error = co_await std::move(asking);
  if (error) co_return failure(error);
  co_return *size;
}

Task<void> send_on(StatePointer state, Bytes data) {
  if (!state) co_return failure(IoErrc::empty_handle);
  // What fits every path needs no question; larger ones ask for the size of this path.
  constexpr std::size_t always_fits = 1100;
  if (data.empty()) co_return failure(QuicErrc::datagram_too_large);
  if (data.size() > always_fits) {
    auto asking = datagram_size_of(state);
    const auto size = co_await std::move(asking);
    if (!size) co_return failure(size.error());
    if (data.size() > *size) co_return failure(QuicErrc::datagram_too_large);
  }
  const auto flow = state->hub->flow_of(*state);
  co_return state->hub->send_datagram(flow, std::move(data));
}

Task<Bytes> receive_on(StatePointer state) {
  if (!state) co_return failure(IoErrc::empty_handle);
  const auto flow = state->hub->flow_of(*state);
  const io::Occupied busy(flow->reader_busy);
  if (!busy) co_return failure(IoErrc::already_waiting);
  if (flow->reads.too_long()) {
    auto resting = io::let_others_run(flow->reads);
    if (!co_await std::move(resting))
      co_return failure(std::make_error_code(std::errc::operation_canceled));
  }
  for (;;) {
    auto data = state->hub->take_datagram(*flow);
    if (!data) co_return failure(data.error());
    if (*data) {
      flow->reads.add((*data)->size());
      co_return std::move(**data);
    }
    auto waiting = state->hub->wait(std::shared_ptr<io::WaitSlot>(flow, &flow->reader));
    const std::error_code error = co_await std::move(waiting);
    flow->reads.end();
    if (error && error != IoErrc::node_closed) co_return failure(error);
  }
}

Task<void> close_on(StatePointer state, std::string reason) {
  if (!state) co_return failure(IoErrc::empty_handle);
  auto reply = std::make_shared<io::Reply>();
  io::NodeHub& hub = *state->hub;
  io::Command close = [&hub, reply, reason, peer = state->peer](Instant now, io::HostedNode& node) {
    node.core().disconnect(now, peer, reason);
    hub.answer(*reply);
  };
  auto asking = hub.ask(reply, std::move(close));
  const std::error_code error = co_await std::move(asking);
  if (error) co_return failure(error);
  co_return Result<void>();
}

}  // namespace

Connection::Connection(std::shared_ptr<io::ConnectionState> state) : state_(std::move(state)) {}

Task<Stream> Connection::open_stream() {
  return open_on(state_);
}

Task<void> Connection::send_datagram(ByteView data) {
  return send_on(state_, to_bytes(data));
}

Task<Bytes> Connection::receive_datagram() {
  return receive_on(state_);
}

Task<std::size_t> Connection::max_datagram_size() {
  return datagram_size_of(state_);
}

Task<void> Connection::close(std::string reason) {
  return close_on(state_, std::move(reason));
}

NodeId Connection::peer() const {
  return state_ ? state_->peer : NodeId();
}

std::string Connection::protocol() const {
  return state_ ? state_->protocol : std::string();
}

}  // namespace quicmesh
