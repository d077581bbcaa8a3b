// The run of a discovery: sockets, tests, and which follows which.
#include "nat/nat_discovery.hpp"

#include <algorithm>

#include "nat/nat_errc.hpp"
#include "stun/stun_errc.hpp"
#include "stun/stun_writer.hpp"

namespace quicmesh {
namespace {

constexpr std::size_t request_max = 64;

// With it and the FINGERPRINT a request has 40 bytes, three times of which is room for all that a
// server has to say about IPv6 addresses.
constexpr std::string_view software = "quicmesh";

SocketAddress with_port(const SocketAddress& address, std::uint16_t port) {
  return {address.ip, port};
}

// A port of the same address at which nobody is expected.
std::uint16_t neighbour_port(std::uint16_t port) {
  return static_cast<std::uint16_t>(port == 0xffff ? port - 1 : port + 1);
}

}  // namespace

Result<void> NatDiscovery::start(Instant now, const NatDiscoveryConfig& config) {
  config_ = config;
  std::erase_if(config_.servers, [&](const DiscoveryServer& server) {
    return server.address.ip.family() != config.family;
  });
  if (config_.servers.empty()) return failure(NatErrc::no_servers);
  if (config_.servers.size() > servers_max) return failure(NatErrc::too_many_servers);
  stage_ = Stage::running;
  deadline_ = now + config_.deadline;
  for (std::size_t i = 0; i < sockets_.size(); ++i) {
    sockets_[i].asked = true;
    events_.emplace_back(OpenSocket{static_cast<SocketRequestId>(i), config_.family});
  }
  return {};
}

void NatDiscovery::handle_socket_opened(Instant now, SocketRequestId id, SocketId socket,
                                        const SocketAddress& local) {
  const auto index = static_cast<std::size_t>(id);
  if (stage_ != Stage::running || index >= sockets_.size() || sockets_[index].id) {
    events_.emplace_back(CloseSocket{socket});
    return;
  }
  sockets_[index].id = socket;
  sockets_[index].local = local;
  step(now);
}

void NatDiscovery::handle_socket_failed(Instant now, SocketRequestId id) {
  const auto index = static_cast<std::size_t>(id);
  if (index < sockets_.size()) sockets_[index].asked = false;
  step(now);
}

void NatDiscovery::handle_stand_in_answer(Instant now, const StandInAnswer& answer) {
  stand_in_.handle_answer(answer);
  step(now);
}

std::optional<std::size_t> NatDiscovery::socket_index(SocketId id) const {
  const auto found = std::ranges::find(sockets_, id, &Socket::id);
  if (found == sockets_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - sockets_.begin());
}

bool NatDiscovery::sockets_ready() const {
  return std::ranges::none_of(sockets_, [](const Socket& s) { return s.asked && !s.id; });
}

bool NatDiscovery::handle_datagram(Instant now, const NetworkPath& path, Ecn ecn,
                                   ByteView datagram) {
  const auto index = socket_index(path.socket);
  if (!index) return false;
  if (stage_ != Stage::running) return true;
  if (client_.handle_datagram(now, path, ecn, datagram)) {
    drain_client(now);
  } else if (const auto id = read_stand_in_packet(datagram)) {
    on_stand_in_packet(*index, path.remote, *id);
  } else if (const auto message = StunMessage::parse(datagram);
             message && message->message_class() == StunClass::request) {
    on_binding_request(message->transaction_id());
  }
  step(now);
  return true;
}

void NatDiscovery::handle_timeout(Instant now) {
  if (stage_ != Stage::running) return;
  client_.handle_timeout(now);
  drain_client(now);
  if (now >= deadline_) {
    evidence_.deadline_reached = true;
    return finish(now);
  }
  step(now);
}

std::optional<Transmit> NatDiscovery::poll_transmit(Instant now, MutableByteView buffer) {
  return client_.poll_transmit(now, buffer);
}

std::optional<NatDiscoveryEvent> NatDiscovery::poll_event() {
  if (events_.empty()) return std::nullopt;
  NatDiscoveryEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

Instant NatDiscovery::poll_timeout() const {
  if (stage_ != Stage::running) return never;
  return std::min(
      {deadline_, other_address_until_, client_.poll_timeout(), stand_in_.poll_timeout()});
}

std::optional<TransactionId> NatDiscovery::ask(Instant now, const Question& question) {
  const Socket& socket = sockets_[question.socket];
  ++asked_[static_cast<std::size_t>(question.test)];
  if (!socket.id) return std::nullopt;
  StunRequest request;
  request.id = client_.new_id();
  request.path = {*socket.id, socket.local.ip, question.destination};
  request.schedule = question.test == Test::mapping ? Retransmission::first_contact()
                                                    : Retransmission::discovery(round_trip_);
  request.schedule.sends = question.sends.value_or(request.schedule.sends);
  request.expected_source = question.expected_source;
  std::array<std::uint8_t, request_max> buffer{};
  StunWriter writer(buffer, StunClass::request, StunMethod::binding, request.id);
  if (question.change != ChangeRequest{}) writer.add_change_request(question.change);
  writer.add_text(StunAttribute::software, software);
  writer.add_fingerprint();
  request.message = to_bytes(writer.written());
  const TransactionId id = request.id;
  if (!client_.start(now, std::move(request))) return std::nullopt;
  running_.push_back({id, question.test, question.socket, question.destination});
  return id;
}

bool NatDiscovery::is_running(Test test) const {
  return std::ranges::find(running_, test, &Running::test) != running_.end();
}

void NatDiscovery::cancel(Test test) {
  std::erase_if(running_, [&](const Running& running) {
    if (running.test == test) client_.cancel(running.id);
    return running.test == test;
  });
}

void NatDiscovery::step(Instant now) {
  if (stage_ != Stage::running || !sockets_ready()) return;
  if (now >= other_address_until_) other_address_until_ = never;
  if (!sockets_[mapping_socket].id) return finish(now);
  step_mapping(now);
  step_filtering(now);
  step_hairpin(now);
  if (is_complete(now)) finish(now);
}

void NatDiscovery::step_mapping(Instant now) {
  if (asked(Test::mapping) == 0) {
    for (const DiscoveryServer& server : config_.servers)
      (void)ask(now, {Test::mapping, mapping_socket, server.address});
  }
  if (first_server_ && asked(Test::port) == 0) {
    for (std::size_t i = first_port_socket; i < sockets_.size(); ++i)
      (void)ask(now, {Test::port, i, *first_server_});
  }
  if (!behaviour_server_) return;
  const auto& [server, other] = *behaviour_server_;
  if (asked(Test::mapping_named) == 0) {
    // RFC 5780 s4.3, tests II and III; then the port that only filtering needs.
    for (const SocketAddress& destination :
         {with_port(other, server.port), other, with_port(server, other.port)}) {
      (void)ask(now, {.test = Test::mapping_named,
                      .socket = mapping_socket,
                      .destination = destination,
                      .sends = sends_to_named_max});
    }
  }
  if (asked(Test::control) == 0 && answered_directly(other)) {
    (void)ask(now, {Test::control, mapping_socket, server, {true, true}, other});
  }
}

void NatDiscovery::step_filtering(Instant now) {
  if (!sockets_[filtering_socket].id) return;
  // A server that tells of its second address too late is not changed to.
  const bool standing_in = evidence_.filtering_method == NatEvidence::FilteringMethod::stand_in;
  if (!behaviour_server_ || standing_in) {
    if (other_address_until_ == never) step_stand_in(now);
    return;
  }
  if (asked(Test::filtering_first) == 0) {
    // RFC 5780 s4.4, tests I to III. They go to one address, so none opens the way for another.
    const auto& [server, other] = *behaviour_server_;
    evidence_.filtering_method = NatEvidence::FilteringMethod::change_request;
    (void)ask(now, {Test::filtering_first, filtering_socket, server});
    (void)ask(now, {Test::change_both, filtering_socket, server, {true, true}, other});
    (void)ask(now, {Test::change_port,
                    filtering_socket,
                    server,
                    {false, true},
                    with_port(server, other.port)});
  }
  if (heard(Test::change_both) == Finding::yes) {
    cancel(Test::change_port);
    cancel(Test::control);
  }
}

void NatDiscovery::step_stand_in(Instant now) {
  const auto answered = [&](const SocketAddress& address) {
    return std::ranges::find(answered_servers_, address) != answered_servers_.end();
  };
  const auto node = std::ranges::find_if(config_.servers, [&](const DiscoveryServer& server) {
    return server.stands_in && answered(server.address);
  });
  if (node == config_.servers.end()) return;
  const auto other = std::ranges::find_if(answered_servers_, [&](const SocketAddress& address) {
    return address.ip != node->address.ip;
  });
  if (other == answered_servers_.end()) return;
  if (asked(Test::filtering_first) == 0) {
    evidence_.filtering_method = NatEvidence::FilteringMethod::stand_in;
    (void)ask(now, {Test::filtering_first, filtering_socket, *other});
  }
  if (!external_[filtering_socket]) return;
  if (!stand_in_.started()) {
    const auto sample =
        std::ranges::find(evidence_.mapping, node->address, &MappingSample::destination);
    stand_in_.start(now, {node->address, sample->external.port, external_[filtering_socket]->port,
                          round_trip_ * 3 / 2 + 50ms});
  }
  ask_stand_in(now);
  const bool ask_further = stand_in_.is_settled(now) && !stand_in_.neighbour_started() &&
                           stand_in_.stranger() == Finding::no &&
                           judge_mapping(evidence_.mapping) == NatBehaviour::endpoint_independent;
  if (ask_further) {
    const SocketAddress neighbour =
        with_port(stand_in_.node(), neighbour_port(stand_in_.node().port));
    (void)ask(now, {.test = Test::open_address,
                    .socket = filtering_socket,
                    .destination = neighbour,
                    .sends = 3});
    stand_in_.start_neighbour(now);
    ask_stand_in(now);
  }
}

void NatDiscovery::ask_stand_in(Instant now) {
  while (const auto request = stand_in_.poll_request(now))
    events_.emplace_back(AskStandIn{stand_in_.node(), *request});
}

void NatDiscovery::step_hairpin(Instant now) {
  if (asked(Test::hairpin) > 0 || asked(Test::port) == 0 || is_running(Test::port)) return;
  if (judge_translated() != Finding::yes) return;
  constexpr std::size_t a = first_port_socket;
  constexpr std::size_t b = first_port_socket + 1;
  if (!external_[a] || !external_[b]) return;
  if (!may_be_outside(*external_[a]) || !may_be_outside(*external_[b])) return;
  // Each also opens its own side for the other.
  (void)ask(now, {.test = Test::hairpin, .socket = a, .destination = *external_[b], .sends = 5});
  (void)ask(now, {.test = Test::hairpin, .socket = b, .destination = *external_[a], .sends = 5});
}

// The server alone says where our outside is; it could mean somebody whom it wants to hurt.
bool NatDiscovery::may_be_outside(const SocketAddress& address) const {
  return address.port != 0 && address.ip.scope() == first_server_->ip.scope() &&
         (!behaviour_server_ || address.ip != behaviour_server_->other.ip);
}

bool NatDiscovery::is_filtering_running(Instant now) const {
  if (is_running(Test::filtering_first) || is_running(Test::change_both) ||
      is_running(Test::change_port) || is_running(Test::control)) {
    return true;
  }
  if (!behaviour_server_ && other_address_until_ != never) return true;
  return stand_in_.started() && !stand_in_.is_settled(now);
}

bool NatDiscovery::is_complete(Instant now) const {
  const bool mapping_done = !is_running(Test::mapping) ||
                            (is_mapping_settled(evidence_.mapping) &&
                             (behaviour_server_ || other_address_until_ == never) && first_server_);
  return mapping_done && !is_running(Test::mapping_named) && !is_running(Test::port) &&
         !is_running(Test::hairpin) && !is_filtering_running(now);
}

void NatDiscovery::drain_client(Instant now) {
  while (const auto event = client_.poll_event()) {
    const TransactionId id = std::visit([](const auto& each) { return each.id; }, *event);
    const auto found = std::ranges::find(running_, id, &Running::id);
    if (found == running_.end()) continue;
    const Running running = *found;
    running_.erase(found);
    if (const auto* answered = std::get_if<StunAnswered>(&*event)) {
      on_answered(now, running, *answered);
      continue;
    }
    // A server that refuses a change of address, or answers from the one asked, leaves it unknown.
    const auto* failed = std::get_if<StunFailed>(&*event);
    Finding& finding = heard_[static_cast<std::size_t>(running.test)];
    if (failed != nullptr && failed->error == StunErrc::no_answer && finding == Finding::unknown) {
      finding = Finding::no;
    }
  }
}

void NatDiscovery::on_answered(Instant now, const Running& running, const StunAnswered& answered) {
  const auto message = StunMessage::parse(answered.message);
  const auto external = message->mapped_address();
  if (!external || external->ip.family() != config_.family) return;
  heard_[static_cast<std::size_t>(running.test)] = Finding::yes;
  if (!external_[running.socket]) external_[running.socket] = external;
  switch (running.test) {
    case Test::mapping:
      if (!first_server_) {
        first_server_ = running.destination;
        evidence_.rtt = answered.rtt;
        // A retransmission may have been answered: then this is too much, which does no harm.
        round_trip_ = answered.elapsed;
        other_address_until_ = now + 2 * round_trip_ + 50ms;
      }
      answered_servers_.push_back(running.destination);
      evidence_.mapping.push_back({running.destination, *external});
      note_other_address(running.destination, *message);
      break;
    case Test::mapping_named:
      evidence_.mapping.push_back({running.destination, *external});
      break;
    default:
      break;
  }
}

void NatDiscovery::note_other_address(const SocketAddress& server, const StunMessage& message) {
  const auto other = message.address(StunAttribute::other_address);
  if (behaviour_server_ || !other) return;
  // Whoever runs a STUN server could otherwise make us send into our own network.
  const bool usable =
      other->ip.family() == config_.family && other->ip != server.ip &&
      other->port != server.port && other->port != 0 && other->ip.scope() == server.ip.scope() &&
      std::ranges::none_of(
          external_, [&](const auto& external) { return external && external->ip == other->ip; });
  if (usable) behaviour_server_ = BehaviourServer{server, *other};
}

void NatDiscovery::on_binding_request(const TransactionId& id) {
  const auto found = std::ranges::find(running_, id, &Running::id);
  if (found == running_.end() || found->test != Test::hairpin) return;
  heard_[static_cast<std::size_t>(Test::hairpin)] = Finding::yes;
  cancel(Test::hairpin);
}

void NatDiscovery::on_stand_in_packet(std::size_t socket, const SocketAddress& from,
                                      const TransactionId& id) {
  if (socket != filtering_socket && socket != mapping_socket) return;
  (void)stand_in_.handle_packet(from, id);
}

void NatDiscovery::finish(Instant) {
  const NatProfile profile = judge();
  for (const Running& running : running_)
    client_.cancel(running.id);
  running_.clear();
  stage_ = Stage::over;
  for (const Socket& socket : sockets_) {
    if (socket.id) events_.emplace_back(CloseSocket{*socket.id});
  }
  events_.emplace_back(NatDiscovered{profile, evidence_});
}

}  // namespace quicmesh
