// Peers and datagrams of a TURN client; its requests are in turn_client_requests.cpp.
#include "turn/turn_client.hpp"

#include <algorithm>
#include <utility>

#include "stun/stun_writer.hpp"
#include "turn/turn_errc.hpp"

namespace quicmesh {
namespace {

constexpr std::uint16_t channels_max =
    std::to_underlying(turn_channel_last) - std::to_underlying(turn_channel_first) + 1;

}  // namespace

TurnClient::TurnClient(TurnConfig config, SecureRng& rng)
    : config_(std::move(config)),
      rng_(rng),
      client_(rng),
      credentials_(config_.username, config_.password) {}

void TurnClient::start(Instant now) {
  if (state_ != State::idle) return;
  state_ = State::allocating;
  ask(now, Purpose::allocate);
}

void TurnClient::stop(Instant now) {
  for (const Request& request : requests_)
    client_.cancel(request.id);
  requests_.clear();
  if (state_ == State::up) ask(now, Purpose::give_back);
  state_ = State::stopped;
  relayed_.reset();
  permissions_.clear();
  channels_.clear();
}

void TurnClient::check(Instant now) {
  if (state_ == State::up) refresh_due_ = std::min(refresh_due_, now);
}

void TurnClient::network_changed(Instant now) {
  check(now);
  if (state_ == State::resting) retry_at_ = std::min(retry_at_, now);
}

Result<void> TurnClient::permit(Instant now, const IpAddress& peer) {
  auto found = permissions_.find(peer);
  if (found == permissions_.end()) {
    forget_unused(now);
    if (permissions_.size() >= peers_max) {
      ++counters_.permissions_refused;
      return failure(TurnErrc::too_many_peers);
    }
    found = permissions_.emplace(peer, Permission{.due = now}).first;
  }
  found->second.used = now;
  renew_peers(now);
  return {};
}

// Traffic makes it used again.
void TurnClient::release(const IpAddress& peer) {
  if (const auto found = permissions_.find(peer); found != permissions_.end()) {
    found->second.used = Instant{};
  }
}

bool TurnClient::wrap(Instant now, const SocketAddress& peer, Transmit& train,
                      MutableByteView buffer) {
  const std::size_t count = (train.size + train.segment_size - 1) / train.segment_size;
  if (state_ != State::up || !permit(now, peer.ip) || permissions_.at(peer.ip).refused) {
    counters_.dropped_no_permission += count;
    return false;
  }
  auto channel = channels_.find(peer);
  if (channel == channels_.end() && channels_.size() < peers_max && channels_made_ < channels_max) {
    const auto number =
        static_cast<std::uint16_t>(std::to_underlying(turn_channel_first) + channels_made_++);
    channel = channels_.emplace(peer, Channel{.number = TurnChannel{number}, .due = now}).first;
    renew_peers(now);
  }
  if (channel != channels_.end()) channel->second.used = now;
  if (channel != channels_.end() && channel->second.bound) {
    if (!wrap_in_channel_data(channel->second.number, train, buffer)) {
      counters_.dropped_too_large += count;
      return false;
    }
    counters_.sent_by_channel += count;
  } else {
    const auto permission = permissions_.find(peer.ip);
    if (permission == permissions_.end() || !permission->second.granted) {
      counters_.dropped_no_permission += count;
      return false;
    }
    if (!wrap_in_indications(peer, train, buffer)) return false;
  }
  train.path = config_.server;
  train.ecn = Ecn::not_ect;  // a mark of one leg would be lost on the other
  return true;
}

// RFC 8656 s11.1: no answer is expected, and no credentials are sent.
bool TurnClient::wrap_in_indications(const SocketAddress& peer, Transmit& train,
                                     MutableByteView buffer) {
  const Bytes datagrams(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(train.size));
  std::size_t written = 0;
  std::size_t segment = 0;
  for (std::size_t at = 0; at < datagrams.size(); at += train.segment_size) {
    const ByteView payload =
        ByteView(datagrams).subspan(at, std::min(train.segment_size, datagrams.size() - at));
    const MutableByteView room = buffer.subspan(written);
    if (room.size() < stun_header_size + indication_overhead_max + payload.size()) {
      ++counters_.dropped_too_large;
      continue;
    }
    StunWriter writer(room, StunClass::indication, StunMethod::send, client_.new_id());
    writer.add_xor_address(StunAttribute::xor_peer_address, peer);
    writer.add(StunAttribute::data, payload);
    if (!writer.ok()) {
      ++counters_.dropped_too_large;
      continue;
    }
    ++counters_.sent_by_indication;
    if (segment == 0) segment = writer.written().size();
    written += writer.written().size();
  }
  if (written == 0) return false;
  train.size = written;
  train.segment_size = segment;
  return true;
}

std::optional<TurnClient::Arrival> TurnClient::handle_datagram(Instant now, const NetworkPath& path,
                                                               ByteView datagram) {
  if (looks_like_stun(datagram)) {
    const auto message = StunMessage::parse(datagram);
    if (message && message->message_class() == StunClass::indication) {
      return on_data_indication(now, *message, datagram);
    }
    (void)client_.handle_datagram(now, path, Ecn::not_ect, datagram);
    drain(now);
    return std::nullopt;
  }
  const auto data = decode_channel_data(datagram);
  if (!data) {
    ++counters_.dropped_malformed;
    return std::nullopt;
  }
  const auto channel = std::ranges::find_if(
      channels_, [&](const auto& one) { return one.second.number == data->channel; });
  // A channel that was asked for may be used before the answer comes (RFC 8656 s12.2).
  if (state_ != State::up || channel == channels_.end()) {
    ++counters_.dropped_unknown;
    return std::nullopt;
  }
  ++counters_.received;
  note_use(now, channel->first);
  return Arrival{channel->first, channel_data_header_size, data->payload.size()};
}

// RFC 8656 s11.4: only of peers for which there is a permission.
std::optional<TurnClient::Arrival> TurnClient::on_data_indication(Instant now,
                                                                  const StunMessage& message,
                                                                  ByteView datagram) {
  if (message.method() != StunMethod::data) return std::nullopt;
  const auto peer = message.xor_address(StunAttribute::xor_peer_address);
  const auto data = message.find(StunAttribute::data);
  if (!peer || !data) {
    ++counters_.dropped_malformed;
    return std::nullopt;
  }
  if (state_ != State::up || !permissions_.contains(peer->ip)) {
    ++counters_.dropped_unknown;
    return std::nullopt;
  }
  ++counters_.received;
  note_use(now, *peer);
  return Arrival{*peer, static_cast<std::size_t>(data->data() - datagram.data()), data->size()};
}

void TurnClient::note_use(Instant now, const SocketAddress& peer) {
  if (const auto found = permissions_.find(peer.ip); found != permissions_.end()) {
    found->second.used = now;
  }
  if (const auto found = channels_.find(peer); found != channels_.end()) found->second.used = now;
}

bool TurnClient::is_channel_bound(const SocketAddress& peer) const {
  const auto found = channels_.find(peer);
  return found != channels_.end() && found->second.bound;
}

void TurnClient::forget_unused(Instant now) {
  std::erase_if(permissions_, [&](const auto& one) {
    return !one.second.asking && one.second.used + peer_keep <= now;
  });
  // Its number stays used up: `channels_made_` only grows.
  std::erase_if(channels_, [&](const auto& one) {
    return !one.second.asking && one.second.used + peer_keep <= now;
  });
}

void TurnClient::renew_peers(Instant now) {
  if (state_ != State::up) return;
  for (auto& [ip, permission] : permissions_) {
    if (permission.asking || permission.due > now) continue;
    permission.asking = true;
    ask(now, Purpose::permission, {ip, 0});
  }
  for (auto& [peer, channel] : channels_) {
    if (channel.asking || channel.due > now) continue;
    channel.asking = true;
    ask(now, Purpose::channel, peer);
  }
}

void TurnClient::handle_timeout(Instant now) {
  client_.handle_timeout(now);
  drain(now);
  if (state_ == State::resting && retry_at_ <= now) {
    state_ = State::allocating;
    ask(now, Purpose::allocate);
  }
  if (state_ != State::up) return;
  forget_unused(now);
  renew_peers(now);
  if (refresh_due_ <= now) {
    refresh_due_ = never;  // until the answer
    ask(now, Purpose::refresh);
  }
}

Instant TurnClient::poll_timeout() const {
  Instant next = client_.poll_timeout();
  if (state_ == State::resting) next = std::min(next, retry_at_);
  if (state_ != State::up) return next;
  next = std::min(next, refresh_due_);
  for (const auto& [ip, permission] : permissions_) {
    if (!permission.asking) next = std::min(next, permission.due);
  }
  for (const auto& [peer, channel] : channels_) {
    if (!channel.asking) next = std::min(next, channel.due);
  }
  return next;
}

}  // namespace quicmesh
