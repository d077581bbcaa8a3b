#include "stun/stun_client.hpp"

#include <algorithm>

#include "stun/stun_errc.hpp"

namespace quicmesh {

TransactionId StunClient::new_id() {
  TransactionId id;
  rng_.fill(id.bytes);
  return id;
}

std::vector<StunClient::Transaction>::iterator StunClient::find(const TransactionId& id) {
  return std::ranges::find_if(transactions_,
                              [&](const Transaction& t) { return t.request.id == id; });
}

Result<void> StunClient::start(Instant now, StunRequest request) {
  if (transactions_.size() >= transactions_max) return failure(StunErrc::too_many_transactions);
  if (request.message.size() > message_max) return failure(StunErrc::message_too_long);
  transactions_.push_back(
      {.request = std::move(request), .sends = 0, .first_sent = now, .due = now});
  return {};
}

void StunClient::cancel(const TransactionId& id) {
  if (const auto found = find(id); found != transactions_.end()) transactions_.erase(found);
}

bool StunClient::handle_datagram(Instant now, const NetworkPath& path, Ecn, ByteView datagram) {
  if (!looks_like_stun(datagram)) return false;
  const auto message = StunMessage::parse(datagram);
  if (!message || datagram.size() > message_max) {
    ++counters_.malformed;
    return true;
  }
  const StunClass kind = message->message_class();
  if (kind != StunClass::success && kind != StunClass::error) return false;
  on_response(now, path, *message);
  return true;
}

void StunClient::on_response(Instant now, const NetworkPath& path, const StunMessage& message) {
  const auto found = find(message.transaction_id());
  if (found == transactions_.end() || found->sends == 0) {
    ++counters_.unknown_id;
    return;
  }
  const StunRequest& request = found->request;
  const SocketAddress& expected = request.expected_source.value_or(request.path.remote);
  const bool from_asked = path.remote == request.path.remote;
  if (path.socket != request.path.socket || (path.remote != expected && !from_asked)) {
    ++counters_.wrong_source;
    return;
  }
  if (!integrity_counts(*found, message)) {
    ++counters_.wrong_integrity;
    return;
  }
  const TransactionId id = request.id;
  if (message.message_class() == StunClass::error) {
    const auto error = message.error_code();
    (void)events_.push(StunRefused{id, error ? error->code : 0, to_bytes(message.bytes())});
  } else if (path.remote != expected) {
    (void)events_.push(
        StunFailed{id, make_error_code(StunErrc::change_request_ignored), found->sends});
  } else {
    std::optional<Duration> rtt;
    const Duration elapsed = now - found->first_sent;
    if (found->sends == 1) rtt = elapsed;
    (void)events_.push(
        StunAnswered{id, path, to_bytes(message.bytes()), rtt, elapsed, found->sends});
  }
  transactions_.erase(found);
}

bool StunClient::integrity_counts(const Transaction& transaction, const StunMessage& message) {
  const auto& key = transaction.request.integrity_key;
  if (!key) return true;
  if (message.has(StunAttribute::message_integrity_sha256)) {
    return message.has_integrity_sha256(*key);
  }
  if (message.has(StunAttribute::message_integrity)) return message.has_integrity(*key);
  // RFC 8489 s9.2.5: these two come without, because the server cannot know the key.
  if (message.message_class() != StunClass::error) return false;
  const auto error = message.error_code();
  return error && (error->code == 401 || error->code == 438);
}

void StunClient::handle_timeout(Instant now) {
  std::erase_if(transactions_, [&](const Transaction& transaction) {
    const bool over =
        transaction.due <= now && transaction.sends >= transaction.request.schedule.sends;
    if (over) {
      (void)events_.push(StunFailed{transaction.request.id, make_error_code(StunErrc::no_answer),
                                    transaction.sends});
    }
    return over;
  });
}

std::optional<Transmit> StunClient::poll_transmit(Instant now, MutableByteView buffer) {
  const auto found = std::ranges::find_if(transactions_, [&](const Transaction& t) {
    return t.due <= now && t.sends < t.request.schedule.sends;
  });
  if (found == transactions_.end()) return std::nullopt;
  const StunRequest& request = found->request;
  if (found->sends == 0) found->first_sent = now;
  ++found->sends;
  found->due = now + request.schedule.wait_after(found->sends);
  std::ranges::copy(request.message, buffer.begin());
  ++counters_.sent;
  return Transmit{request.path, request.message.size(), request.message.size()};
}

Instant StunClient::poll_timeout() const {
  Instant earliest = never;
  for (const Transaction& transaction : transactions_)
    earliest = std::min(earliest, transaction.due);
  return earliest;
}

std::optional<StunClient::Progress> StunClient::progress(const TransactionId& id) const {
  const auto found = const_cast<StunClient*>(this)->find(id);
  if (found == transactions_.end()) return std::nullopt;
  return Progress{found->sends, found->first_sent};
}

}  // namespace quicmesh
