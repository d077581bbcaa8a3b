// Any DatagramCore behind one interface, so that hosts of different kinds share a network.
//
// An event of the core goes to the trace as text, then to the scenario's sink. The text comes from
// the first of these that exists for the event type:
//   - a free function `trace_text(const Event&) -> std::string`, found by its namespace;
//   - the index of the alternative, for a std::variant;
//   - the word "event".
// Give events a `trace_text` that names what was decided (peer, path, stream), not what is secret
// or random: it is part of the trace hash.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "base/core.hpp"
#include "nat/socket_request.hpp"

namespace quicmesh::sim {

template <DatagramCore Core>
using EventOf = std::decay_t<decltype(*std::declval<Core&>().poll_event())>;

template <class T>
concept HasTraceText = requires(const T& event) {
  { trace_text(event) } -> std::convertible_to<std::string>;
};
template <class T>
concept IsVariant = requires { std::variant_size<T>::value; };

/// A core that asks for sockets while it runs.
template <class Core>
concept AsksForSockets = requires(Core core) {
  { core.poll_socket_request() } -> std::same_as<std::optional<SocketRequest>>;
};

template <class T>
std::string describe_for_trace(const T& event) {
  if constexpr (HasTraceText<T>) {
    return trace_text(event);
  } else if constexpr (IsVariant<T>) {
    return "event " + std::to_string(event.index());
  } else {
    return "event";
  }
}

/// What a simulated host runs.
class Program {
 public:
  virtual ~Program() = default;
  virtual void handle_datagram(Instant now, const NetworkPath& path, Ecn ecn,
                               MutableByteView datagram) = 0;
  virtual void handle_timeout(Instant now) = 0;
  virtual std::optional<Transmit> poll_transmit(Instant now, MutableByteView buffer) = 0;
  virtual Instant poll_timeout() = 0;

  virtual std::optional<SocketRequest> poll_socket_request() = 0;
  virtual void handle_socket_opened(Instant now, SocketRequestId id, SocketId socket,
                                    const SocketAddress& local) = 0;
  virtual void handle_socket_failed(Instant now, SocketRequestId id) = 0;

  /// Takes one event out of the core: `record` gets its text, then the sink gets the event itself.
  /// False if there was none.
  virtual bool pass_on_event(Instant now, const std::function<void(std::string_view)>& record) = 0;
};

template <DatagramCore Core>
class CoreProgram final : public Program {
 public:
  using Sink = std::function<void(Instant, const EventOf<Core>&)>;

  CoreProgram(std::unique_ptr<Core> core, Sink sink)
      : core_(std::move(core)), sink_(std::move(sink)) {}

  void handle_datagram(Instant now, const NetworkPath& path, Ecn ecn,
                       MutableByteView datagram) override {
    core_->handle_datagram(now, path, ecn, datagram);
  }
  void handle_timeout(Instant now) override { core_->handle_timeout(now); }
  std::optional<Transmit> poll_transmit(Instant now, MutableByteView buffer) override {
    return core_->poll_transmit(now, buffer);
  }
  Instant poll_timeout() override { return core_->poll_timeout(); }

  std::optional<SocketRequest> poll_socket_request() override {
    if constexpr (AsksForSockets<Core>) return core_->poll_socket_request();
    return std::nullopt;
  }
  void handle_socket_opened(Instant now, SocketRequestId id, SocketId socket,
                            const SocketAddress& local) override {
    if constexpr (AsksForSockets<Core>) core_->handle_socket_opened(now, id, socket, local);
  }
  void handle_socket_failed(Instant now, SocketRequestId id) override {
    if constexpr (AsksForSockets<Core>) core_->handle_socket_failed(now, id);
  }

  bool pass_on_event(Instant now, const std::function<void(std::string_view)>& record) override {
    const auto event = core_->poll_event();
    if (!event) return false;
    record(describe_for_trace(*event));
    if (sink_) sink_(now, *event);
    return true;
  }

  Core& core() { return *core_; }

 private:
  std::unique_ptr<Core> core_;
  Sink sink_;
};

}  // namespace quicmesh::sim
