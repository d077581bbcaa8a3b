// Requests of a TURN client and what their answers do; see turn_client.hpp.
#include <algorithm>
#include <array>
#include <utility>

#include "stun/stun_writer.hpp"
#include "turn/turn_client.hpp"
#include "turn/turn_errc.hpp"

namespace quicmesh {
namespace {

constexpr std::uint8_t transport_udp = 17;
constexpr std::size_t request_max = 4096;  // realm and nonce are at most 763 bytes each

// RFC 8489 s14.8 and RFC 8656 s19.
constexpr unsigned try_alternate = 300;
constexpr unsigned unauthenticated = 401;
constexpr unsigned forbidden = 403;
constexpr unsigned allocation_mismatch = 437;
constexpr unsigned stale_nonce = 438;
constexpr unsigned wrong_credentials = 441;
constexpr unsigned peer_family_mismatch = 443;
constexpr unsigned quota_reached = 486;
constexpr unsigned insufficient_capacity = 508;

/// Half a second, then twice as long: an answer within 7.5 s, or the server is gone.
constexpr Retransmission schedule{.rto = 500ms, .sends = 5, .interval_max = 2s, .final_wait = 2s};

std::error_code error_of(unsigned code) {
  switch (code) {
    case try_alternate:
      return TurnErrc::redirected;
    case unauthenticated:
    case wrong_credentials:
      return TurnErrc::wrong_credentials;
    case forbidden:
    case peer_family_mismatch:
      return TurnErrc::forbidden_peer;
    case allocation_mismatch:
      return TurnErrc::allocation_lost;
    case quota_reached:
      return TurnErrc::quota_reached;
    case insufficient_capacity:
      return TurnErrc::no_capacity;
    default:
      return TurnErrc::refused;
  }
}

}  // namespace

StunMethod TurnClient::method_of(Purpose purpose) {
  switch (purpose) {
    case Purpose::allocate:
      return StunMethod::allocate;
    case Purpose::refresh:
    case Purpose::give_back:
      return StunMethod::refresh;
    case Purpose::permission:
      return StunMethod::create_permission;
    case Purpose::channel:
      break;
  }
  return StunMethod::channel_bind;
}

Bytes TurnClient::message_of(Purpose purpose, const SocketAddress& peer,
                             const TransactionId& id) const {
  std::array<std::uint8_t, request_max> buffer{};
  StunWriter writer(buffer, StunClass::request, method_of(purpose), id);
  if (purpose == Purpose::allocate)
    writer.add_u8(StunAttribute::requested_transport, transport_udp);
  // RFC 8656 s7.1: IPv4 is what is given without it.
  if (purpose == Purpose::allocate && config_.server.remote.ip.family() == IpFamily::v6) {
    constexpr std::uint8_t family_v6 = 2;
    writer.add_u8(StunAttribute::requested_address_family, family_v6);
  }
  if (purpose == Purpose::give_back) writer.add_u32(StunAttribute::lifetime, 0);
  if (purpose == Purpose::channel) {
    writer.add_u16(StunAttribute::channel_number,
                   std::to_underlying(channels_.find(peer)->second.number));
  }
  if (purpose == Purpose::channel || purpose == Purpose::permission) {
    writer.add_xor_address(StunAttribute::xor_peer_address, peer);
  }
  credentials_.sign(writer);
  return to_bytes(writer.written());
}

void TurnClient::ask(Instant now, Purpose purpose, const SocketAddress& peer, unsigned nonces) {
  StunRequest request;
  request.id = client_.new_id();
  request.path = config_.server;
  request.message = message_of(purpose, peer, request.id);
  request.schedule = schedule;
  const bool authenticated = credentials_.is_challenged();
  if (authenticated) request.integrity_key = credentials_.key();
  const Request entry{request.id, purpose, peer, authenticated, nonces};
  // Without room, which a server that answers nothing may bring about, it is asked again when due.
  if (client_.start(now, std::move(request))) requests_.push_back(entry);
}

void TurnClient::drain(Instant now) {
  while (const auto event = client_.poll_event()) {
    const TransactionId id = std::visit([](const auto& any) { return any.id; }, *event);
    const auto found = std::ranges::find(requests_, id, &Request::id);
    if (found == requests_.end()) continue;
    const Request request = *found;
    requests_.erase(found);
    if (std::holds_alternative<StunFailed>(*event)) {
      on_failed(now, request, TurnErrc::no_answer);
      continue;
    }
    const auto* answered = std::get_if<StunAnswered>(&*event);
    const auto* refused = std::get_if<StunRefused>(&*event);
    const auto message = StunMessage::parse(answered ? answered->message : refused->message);
    if (!message) continue;  // it was parsed before
    if (answered) {
      on_success(now, request, *message);
    } else {
      on_error(now, request, refused->code, *message);
    }
  }
}

void TurnClient::on_success(Instant now, const Request& request, const StunMessage& answer) {
  switch (request.purpose) {
    case Purpose::allocate:
      return on_allocated(now, answer);
    case Purpose::refresh:
      if (state_ == State::up) refresh_due_ = now + refresh_interval;
      return;
    case Purpose::give_back:
      // Asked for after a 437: now there is room for an allocation.
      if (state_ == State::allocating) ask(now, Purpose::allocate);
      return;
    case Purpose::permission:
      if (const auto found = permissions_.find(request.peer.ip); found != permissions_.end()) {
        found->second.granted = true;
        found->second.refused = false;
        found->second.asking = false;
        found->second.due = now + permission_interval;
      }
      return;
    case Purpose::channel:
      if (const auto found = channels_.find(request.peer); found != channels_.end()) {
        found->second.bound = true;
        found->second.asking = false;
        found->second.due = now + channel_interval;
      }
      // RFC 8656 s12.2: binding a channel installs a permission as well.
      if (const auto found = permissions_.find(request.peer.ip); found != permissions_.end()) {
        found->second.granted = true;
      }
      return;
  }
}

void TurnClient::on_allocated(Instant now, const StunMessage& answer) {
  if (state_ != State::allocating) return;
  const auto relayed = answer.xor_address(StunAttribute::xor_relayed_address);
  const auto lifetime = answer.u32(StunAttribute::lifetime);
  if (!relayed || relayed->port == 0 || relayed->ip.is_unspecified() || !lifetime ||
      std::chrono::seconds(*lifetime) < lifetime_min) {
    return go_down(now, TurnErrc::malformed_answer);
  }
  state_ = State::up;
  failures_ = 0;
  relayed_ = relayed;
  refresh_due_ = now + refresh_interval;
  channels_made_ = 0;
  channels_.clear();
  for (auto& [ip, permission] : permissions_)
    permission = {.due = now, .used = permission.used};
  (void)events_.push(TurnUp{*relayed, answer.xor_address(StunAttribute::xor_mapped_address)});
  renew_peers(now);
}

bool TurnClient::on_challenge(Instant now, const Request& request, unsigned code,
                              const StunMessage& answer) {
  // 401 to an authenticated request is a verdict on the password, but for a server that has
  // forgotten the nonce and says so by a 401 with another one.
  const std::string before = credentials_.nonce();
  if (request.nonces >= nonces_max) return false;
  if (const auto taken = credentials_.take_challenge(answer); !taken) {
    on_failed(now, request, taken.error());
    return true;
  }
  if (code == unauthenticated && request.authenticated &&
      (credentials_.nonce() == before || request.nonces > 0)) {
    return false;
  }
  const bool gone = request.purpose == Purpose::channel && !channels_.contains(request.peer);
  if (!gone) ask(now, request.purpose, request.peer, request.nonces + 1);
  return true;
}

void TurnClient::on_error(Instant now, const Request& request, unsigned code,
                          const StunMessage& answer) {
  if (code == unauthenticated || code == stale_nonce) {
    if (on_challenge(now, request, code, answer)) return;
    return on_failed(
        now, request,
        code == stale_nonce ? TurnErrc::malformed_answer : TurnErrc::wrong_credentials);
  }
  if (code == allocation_mismatch && request.purpose == Purpose::allocate && failures_ == 0) {
    ++failures_;
    return ask(now, Purpose::give_back);
  }
  on_failed(now, request, error_of(code));
}

void TurnClient::on_failed(Instant now, const Request& request, std::error_code error) {
  if (state_ == State::stopped) return;
  const bool of_peer =
      request.purpose == Purpose::permission || request.purpose == Purpose::channel;
  // A quota or a lack of room too: the allocation itself was granted, and serves others.
  const bool peer_only = error == TurnErrc::forbidden_peer || error == TurnErrc::refused ||
                         error == TurnErrc::quota_reached || error == TurnErrc::no_capacity;
  if (of_peer && peer_only) return refuse_peer(now, request.peer, error);
  go_down(now, error);
}

void TurnClient::refuse_peer(Instant now, const SocketAddress& peer, std::error_code error) {
  std::erase_if(channels_, [&](const auto& one) { return one.first.ip == peer.ip; });
  if (const auto found = permissions_.find(peer.ip); found != permissions_.end()) {
    found->second = {.refused = true, .due = now + refused_rest, .used = found->second.used};
  }
  // What is under way for it would be answered for channels that are no more.
  std::erase_if(requests_, [&](const Request& request) {
    const bool of_peer =
        (request.purpose == Purpose::permission || request.purpose == Purpose::channel) &&
        request.peer.ip == peer.ip;
    if (of_peer) client_.cancel(request.id);
    return of_peer;
  });
  (void)events_.push(TurnPeerRefused{peer.ip, error});
}

void TurnClient::go_down(Instant now, std::error_code error) {
  if (state_ != State::up && state_ != State::allocating) return;
  const bool was_up = state_ == State::up;
  for (const Request& request : requests_)
    client_.cancel(request.id);
  requests_.clear();
  relayed_.reset();
  channels_.clear();
  for (auto& [ip, permission] : permissions_)
    permission = {.due = now, .used = permission.used};
  Duration wait{};  // at once, if there was an allocation until now
  if (!was_up) {
    const unsigned doublings = std::min(failures_, 12u);
    wait = std::min<Duration>(retry_first * (std::int64_t{1} << doublings), retry_max);
    // The password does not become right by being repeated.
    if (error == TurnErrc::wrong_credentials) wait = retry_max;
    wait += Duration(rng_.next_u64() % static_cast<std::uint64_t>((wait / 4).count() + 1));
    ++failures_;
  }
  if (error == TurnErrc::wrong_credentials || error == TurnErrc::no_answer) credentials_.forget();
  state_ = State::resting;
  retry_at_ = now + wait;
  (void)events_.push(TurnDown{error, wait});
}

}  // namespace quicmesh
