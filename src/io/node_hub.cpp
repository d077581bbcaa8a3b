// Life and death of a hub, waiting and resuming; see node_hub.hpp.
#include "io/node_hub.hpp"

#include <utility>

#include <boost/asio/append.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "io/context_watch.hpp"
#include "quicmesh/io_errc.hpp"
#include "quicmesh/runtime.hpp"

namespace quicmesh::io {
namespace asio = boost::asio;

namespace {

std::error_code cancelled() {
  return std::make_error_code(std::errc::operation_canceled);
}

Executor tracked(const Executor& executor) {
  return asio::prefer(executor, asio::execution::outstanding_work.tracked);
}

void resume(Waiter waiter) {
  if (!waiter.elsewhere) return std::move(waiter.handler)(waiter.error);
  const Executor executor = std::move(*waiter.elsewhere);
  asio::dispatch(executor, asio::append(std::move(waiter.handler), waiter.error));
}

}  // namespace

NodeHub::NodeHub(Executor executor, NodeId id, std::vector<SocketInfo> sockets,
                 std::shared_ptr<Runtime> runtime)
    : id_(id),
      sockets_(std::move(sockets)),
      mailbox_(runtime->driver().mailbox()),
      runtime_(std::move(runtime)),
      executor_(executor),
      work_(tracked(executor)) {}

NodeHub::~NodeHub() = default;

void NodeHub::start(std::unique_ptr<HostedNode> node) {
  ContextWatch::of(*executor_).add(weak_from_this());
  node->set_client(shared_from_this());
  hosted_ = mailbox_->add(std::move(node));
}

std::shared_ptr<Runtime> NodeHub::shut_down() {
  std::shared_ptr<PortMapper> port_mapper;
  {
    const std::scoped_lock lock(mutex_);
    port_mapper = std::move(port_mapper_);
  }
  port_mapper.reset();  // waits a moment for the gateway to take its mappings back
  mailbox_->remove(hosted_);
  Batch batch;
  std::shared_ptr<Runtime> runtime;
  {
    const std::scoped_lock turn(turn_mutex_);
    {
      const std::scoped_lock lock(mutex_);
      phase_ = Phase::closed;
      end_waits(batch);
      runtime = std::move(runtime_);
    }
    post(std::move(batch));
    const std::scoped_lock lock(mutex_);
    work_.reset();
  }
  return runtime;
}

void NodeHub::abandon() {
  stop_mapping();
  std::vector<Waiter> orphans;  // destroyed when no lock is held: their frames hold our handles
  std::shared_ptr<Runtime> runtime;
  {
    const std::scoped_lock turn(turn_mutex_);
    const std::scoped_lock lock(mutex_);
    phase_ = Phase::closed;
    for (WaitSlot& slot : armed_) {
      orphans.push_back(std::move(*slot.waiter));
      slot.waiter.reset();
    }
    armed_.clear();
    protocols_.clear();
    executor_.reset();
    work_.reset();
    runtime = std::move(runtime_);
  }
  // Ends the network thread before `runtime` may: a node must be off it, or have a place there.
  mailbox_->remove(hosted_);
  orphans.clear();
}

Executor NodeHub::executor() const {
  const std::scoped_lock lock(mutex_);
  return executor_ ? *executor_ : Executor();
}

template <class Handler>
void NodeHub::arm(std::shared_ptr<WaitSlot> slot, Handler handler) {
  Waiter waiter;
  const Executor executor = asio::get_associated_executor(handler);
  const bool cancellable = asio::get_associated_cancellation_slot(handler).is_connected();
  std::uint64_t ticket = 0;
  {
    const std::scoped_lock lock(mutex_);
    ticket = ++tickets_;
    if (executor != executor_) waiter.elsewhere = tracked(executor);
  }
  waiter.handler = std::move(handler);
  if (cancellable) {
    // The erased handler has taken the slot over and offers one of its own.
    auto cancellation = asio::get_associated_cancellation_slot(waiter.handler);
    std::weak_ptr<NodeHub> hub = weak_from_this();
    std::weak_ptr<WaitSlot> weak_slot = slot;
    cancellation.assign([hub, weak_slot, ticket](asio::cancellation_type) {
      const auto strong_hub = hub.lock();
      const auto strong_slot = weak_slot.lock();
      if (strong_hub && strong_slot) strong_hub->cancel(*strong_slot, ticket);
    });
  }
  {
    const std::scoped_lock lock(mutex_);
    if (phase_ == Phase::closed) {
      waiter.error = IoErrc::node_closed;
    } else if (slot->waiter) {
      waiter.error = IoErrc::already_waiting;
    } else if (!slot->signalled) {
      slot->ticket = ticket;
      slot->waiter = std::move(waiter);
      armed_.push_back(*slot);
      return;
    }
    slot->signalled = false;
  }
  waiter.elsewhere.reset();
  const std::error_code error = waiter.error;
  asio::post(executor, asio::append(std::move(waiter.handler), error));
}

asio::awaitable<std::error_code> NodeHub::wait(std::shared_ptr<WaitSlot> slot) {
  const auto hub = shared_from_this();
  auto initiate = [hub, slot](auto handler) { hub->arm(slot, std::move(handler)); };
  constexpr auto token = asio::as_tuple(asio::use_awaitable);
  auto waiting =
      asio::async_initiate<decltype(token), void(std::error_code)>(std::move(initiate), token);
  const auto [error] = co_await std::move(waiting);
  co_return error;
}

asio::awaitable<std::error_code> NodeHub::ask(std::shared_ptr<Reply> reply, Command command) {
  this->command(std::move(command));
  for (;;) {
    {
      const std::scoped_lock lock(mutex_);
      if (reply->done) co_return reply->error;
    }
    auto waiting = wait(std::shared_ptr<WaitSlot>(reply, &reply->slot));
    const std::error_code error = co_await std::move(waiting);
    const std::scoped_lock lock(mutex_);
    if (reply->done) co_return reply->error;
    if (error) {
      reply->cancelled = true;
      co_return error;
    }
  }
}

void NodeHub::command(Command command) {
  bool must_wake = false;
  {
    const std::scoped_lock lock(mutex_);
    commands_.push_back(std::move(command));
    must_wake = knock();
  }
  if (must_wake) wake();
}

void NodeHub::cancel(WaitSlot& slot, std::uint64_t ticket) {
  Batch batch;
  const std::scoped_lock turn(turn_mutex_);
  {
    const std::scoped_lock lock(mutex_);
    if (!slot.waiter || slot.ticket != ticket) return;
    signal(slot, cancelled(), batch);
  }
  post(std::move(batch));
}

void NodeHub::signal(WaitSlot& slot, std::error_code error, Batch& batch) {
  if (!slot.waiter) {
    slot.signalled = true;
    return;
  }
  slot.waiter->error = error;
  batch.ready.push_back(std::move(*slot.waiter));
  slot.waiter.reset();
  slot.unlink();
}

void NodeHub::signal_one(WaitQueue& queue, Batch& batch) {
  if (queue.slots.empty()) return;
  const std::shared_ptr<WaitSlot> slot = std::move(queue.slots.front());
  queue.slots.pop_front();
  signal(*slot, {}, batch);
}

void NodeHub::answer(Reply& reply) {
  const std::scoped_lock lock(mutex_);
  answer(reply, {}, batch_);
}

void NodeHub::answer(Reply& reply, std::error_code error, Batch& batch) {
  reply.done = true;
  reply.error = error;
  signal(reply.slot, {}, batch);
}

void NodeHub::end_waits(Batch& batch) {
  while (!armed_.empty())
    signal(armed_.front(), IoErrc::node_closed, batch);
}

void NodeHub::post(Batch batch) {
  if (batch.empty()) return;
  std::optional<Executor> executor;
  {
    const std::scoped_lock lock(mutex_);
    executor = executor_;
  }
  if (!executor) return;
  asio::post(*executor, [batch = std::move(batch)]() mutable {
    for (auto& spawn : batch.spawns)
      spawn();
    for (Waiter& waiter : batch.ready)
      resume(std::move(waiter));
  });
}

bool NodeHub::knock() {
  return !std::exchange(knocked_, true);
}

void NodeHub::wake() {
  mailbox_->wake(hosted_);
}

void NodeHub::on_removed() {
  std::vector<Command> unheard;  // destroyed without the lock
  Batch batch;
  const std::scoped_lock turn(turn_mutex_);
  {
    const std::scoped_lock lock(mutex_);
    phase_ = Phase::closed;
    unheard.swap(commands_);
    for (auto& [key, stream] : streams_)
      stream->over = true;
    end_waits(batch);
    dirty_streams_.clear();
    dirty_flows_.clear();
    peers_.clear();
    // Handlers may own the last handle of this node, which must not go on this thread.
    batch.spawns.push_back([protocols = std::move(protocols_)] {});
    protocols_.clear();
  }
  post(std::move(batch));
  streams_.clear();
  flows_.clear();
  flushing_.clear();
  unready_flows_.clear();
  const std::scoped_lock lock(mutex_);
  work_.reset();
}

}  // namespace quicmesh::io
