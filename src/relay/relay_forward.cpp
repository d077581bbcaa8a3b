// The data path of RelayServer: trains in, runs out; challenges and their answers.
#include <algorithm>
#include <cstring>

#include "relay/relay_server.hpp"

namespace quicmesh {
namespace {

// Type and session id: what all segments of a run have in common.
constexpr std::size_t run_key_size = 9;

bool continues_run(ByteView first, ByteView next) {
  return next.size() > relay_header_size &&
         std::memcmp(first.data(), next.data(), run_key_size) == 0;
}

ByteView segment_at(ByteView train, std::size_t offset, std::size_t segment_size) {
  return train.subspan(offset, std::min(segment_size, train.size() - offset));
}

}  // namespace

RelayTrain RelayServer::forward_train(Instant now, const NetworkPath& source, ByteView train,
                                      std::size_t segment_size, std::span<RelayRun> runs) {
  if (segment_size == 0) segment_size = train.size();
  RelayTrain result;
  while (result.consumed < train.size() && result.runs < runs.size()) {
    const std::size_t begin = result.consumed;
    const ByteView first = segment_at(train, begin, segment_size);
    result.consumed += first.size();
    const auto header = decode_relay_header(first);
    if (!header) {
      handle_answer(now, source, first);
      continue;
    }
    while (result.consumed < train.size()) {
      const ByteView next = segment_at(train, result.consumed, segment_size);
      if (!continues_run(first, next)) break;
      result.consumed += next.size();
    }
    const Claim claim{header->session, header->sender, result.consumed - begin, first.size()};
    const Admission admission = admit(now, source, claim);
    if (admission.destination == nullptr) continue;
    runs[result.runs++] = {*admission.destination, begin, admission.bytes};
  }
  return result;
}

RelayRoute RelayServer::route(Instant now, const NetworkPath& source, const RelayHeader& header,
                              std::size_t size) {
  const Admission admission = admit(now, source, {header.session, header.sender, size, size});
  if (admission.destination == nullptr) return {std::nullopt, admission.drop};
  return {*admission.destination, {}};
}

RelayServer::Admission RelayServer::dropped_as(RelayDrop reason, std::size_t datagrams) {
  drops_[static_cast<std::size_t>(reason)] += datagrams;
  return {nullptr, 0, reason};
}

RelayServer::Admission RelayServer::admit(Instant now, const NetworkPath& source,
                                          const Claim& claim) {
  const std::size_t datagrams = (claim.bytes + claim.segment_size - 1) / claim.segment_size;
  const auto found = by_session_.find(claim.session);
  if (found == by_session_.end()) return dropped_as(RelayDrop::unknown_session, datagrams);
  Session& session = sessions_[found->second];
  const auto end = static_cast<std::size_t>(claim.sender);
  Client& sender = clients_[session.ends[end]];
  if (sender.path != source) {
    challenge(now, source, claim, sender);
    return dropped_as(RelayDrop::unbound_source, datagrams);
  }
  const std::uint64_t rate = fair_share_.share(now);
  const std::uint64_t burst =
      std::max<std::uint64_t>(rate / static_cast<std::uint64_t>(1s / RelayRules::client_burst),
                              RelayRules::client_burst_min_bytes);
  const std::uint64_t room = sender.bytes.room(now, rate, burst);
  std::size_t bytes = claim.bytes;
  if (room < bytes) {
    // Whole segments from the front; the short one at the end is not among them.
    bytes = static_cast<std::size_t>(room) / claim.segment_size * claim.segment_size;
    (void)dropped_as(RelayDrop::over_rate, datagrams - bytes / claim.segment_size);
  }
  fair_share_.count(bytes, claim.bytes - bytes);
  session.used = now;
  session.sent[end] = true;
  if (bytes == 0) return {nullptr, 0, RelayDrop::over_rate};
  sender.bytes.take(now, bytes, rate);
  counters_.forwarded += (bytes + claim.segment_size - 1) / claim.segment_size;
  return {&clients_[session.ends[1 - end]].path, bytes, {}};
}

void RelayServer::challenge(Instant now, const NetworkPath& source, const Claim& claim,
                            const Client& client) {
  if (claim.segment_size < challenge_frame_size || !challenge_limit_.allow(now, source.remote.ip)) {
    ++counters_.challenges_dropped;
    return;
  }
  ChallengeFrame frame{RelayFrameType::challenge, claim.sender, claim.session, 0};
  frame.nonce = nonces_.make(now, {claim.session, claim.sender, source, client.bindings});
  if (challenges_.push({source, encode_challenge_frame(frame, client.key)})) {
    ++counters_.challenges;
  } else {
    ++counters_.challenges_dropped;
  }
}

void RelayServer::handle_answer(Instant now, const NetworkPath& source, ByteView frame) {
  const auto answer = peek_challenge_frame(frame);
  if (!answer || answer->type != RelayFrameType::answer) {
    (void)dropped_as(RelayDrop::malformed, 1);
    return;
  }
  const auto found = by_session_.find(answer->session);
  if (found == by_session_.end()) {
    (void)dropped_as(RelayDrop::unknown_session, 1);
    return;
  }
  const Session& session = sessions_[found->second];
  Client& client = clients_[session.ends[static_cast<std::size_t>(answer->role)]];
  const ChallengeNonces::Claim claim{answer->session, answer->role, source, client.bindings};
  if (!verify_challenge_frame(frame, client.key) || !nonces_.verify(now, claim, answer->nonce)) {
    ++counters_.answers_refused;
    return;
  }
  ++counters_.rebindings;
  bind(client, source);
}

// The one place where a client's path changes.
void RelayServer::bind(Client& client, const NetworkPath& path) {
  if (client.registered) quota_.move(client.path.remote.ip, path.remote.ip);
  client.path = path;
  ++client.bindings;
}

std::optional<Transmit> RelayServer::poll_transmit(MutableByteView buffer) {
  const auto write = [&](const auto& packet) -> std::optional<Transmit> {
    if (!packet || buffer.size() < packet->bytes.size()) return std::nullopt;
    std::ranges::copy(packet->bytes, buffer.begin());
    return Transmit{packet->to, packet->bytes.size(), packet->bytes.size(), Ecn::not_ect};
  };
  if (auto challenge = write(challenges_.pop())) return challenge;
  return write(stand_ins_.pop());
}

}  // namespace quicmesh
