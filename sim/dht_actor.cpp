#include "sim/dht_actor.hpp"

#include <algorithm>
#include <utility>

#include "dht/provider_record.hpp"

namespace quicmesh::sim {

namespace {

/// All of it is as it should be but the signature, for the worlds of simulations.
Bytes forged_provider(const DhtKey& key) {
  static const Keypair nobody = Keypair::from_seed({0x66});
  constexpr WallTime soon{1'790'000'000 + 12 * 3600};
  auto record = dht::make_provider_record(nobody, {.key = key, .sequence = 1, .expiry = soon});
  record[signed_record_overhead - 1] ^= 1;
  return to_bytes(record);
}

}  // namespace

void Conspiracy::sort(const PeerBook& book) {
  std::ranges::sort(named, {}, [&](PeerHandle peer) { return book.id(peer).bytes; });
}

std::vector<PeerHandle> Conspiracy::nearest(const PeerBook& book, const DhtKey& target,
                                            std::size_t count) const {
  // Whoever shares most bits stands around the target in the order of ids.
  const auto at = std::ranges::lower_bound(named, target.bytes, {},
                                           [&](PeerHandle peer) { return book.id(peer).bytes; });
  const auto before = std::min<std::ptrdiff_t>(at - named.begin(), std::ptrdiff_t(2 * count));
  const auto after = std::min<std::ptrdiff_t>(named.end() - at, std::ptrdiff_t(2 * count));
  std::vector<PeerHandle> chosen(at - before, at + after);
  std::ranges::sort(chosen, {},
                    [&](PeerHandle peer) { return distance(target, DhtKey::of(book.id(peer))); });
  chosen.resize(std::min(chosen.size(), count));
  return chosen;
}

DhtActor::DhtActor(Instant now, const dht::Config& config, PeerBook& book, PeerHandle self, Rng rng,
                   const Conspiracy* conspiracy)
    : core_(now, config, book, self, rng) {
  if (conspiracy != nullptr) {
    hostile_ = std::make_unique<Hostile>();
    hostile_->conspiracy = conspiracy;
    hostile_->book = &book;
  }
}

void DhtActor::handle(Instant now, Input input) {
  if (hostile_ != nullptr) {
    const auto* received = std::get_if<peer::Received<Message>>(&input);
    if (received != nullptr && takes_over(*received)) return;
  }
  core_.handle(now, std::move(input));
}

std::optional<DhtActor::Output> DhtActor::poll_output() {
  if (hostile_ == nullptr || hostile_->outputs.empty()) return core_.poll_output();
  Output first = std::move(hostile_->outputs.front());
  hostile_->outputs.erase(hostile_->outputs.begin());
  return first;
}

void DhtActor::answer(const peer::Received<Message>& received, dht::Body body) {
  hostile_->outputs.emplace_back(
      peer::Send<Message>{received.from, {received.message.request, true, std::move(body)}});
}

dht::Found DhtActor::old_value(const dht::Get& get) const {
  dht::Found found;
  for (const dht::Put& put : hostile_->first_values)
    if (put.key == get.key) found.bytes = put.bytes;
  return found;
}

/// True if the core must not hear of it.
bool DhtActor::takes_over(const peer::Received<Message>& received) {
  const dht::Body& body = received.message.body;
  if (!dht::is_request(body) || std::holds_alternative<dht::Ping>(body)) return false;
  const Conspiracy& conspiracy = *hostile_->conspiracy;
  const auto* find = std::get_if<dht::FindNode>(&body);
  const auto* get = std::get_if<dht::Get>(&body);
  const auto* put = std::get_if<dht::Put>(&body);
  const auto* express = std::get_if<dht::Express>(&body);
  const bool provide = std::holds_alternative<dht::Provide>(body);
  const auto* get_providers = std::get_if<dht::GetProviders>(&body);
  if (conspiracy.hostility == Hostility::none) return false;
  if (conspiracy.hostility == Hostility::silent) return true;
  const bool express_alone = conspiracy.hostility == Hostility::withholding_express ||
                             conspiracy.hostility == Hostility::forging_express;
  if (express_alone && express == nullptr) return false;
  if (conspiracy.hostility == Hostility::withholding_express) return true;
  if (conspiracy.hostility == Hostility::always_full) {
    if (provide) answer(received, dht::PutAnswer{dht::PutStatus::full});
    if (get_providers != nullptr) answer(received, dht::Providers{.full = true});
    return provide || get_providers != nullptr;
  }
  if (conspiracy.hostility == Hostility::serving_old) {
    if (put != nullptr) {
      if (std::ranges::none_of(hostile_->first_values,
                               [&](const dht::Put& held) { return held.key == put->key; })) {
        hostile_->first_values.push_back(*put);
      }
      answer(received, dht::PutAnswer{dht::PutStatus::stored});
      return true;
    }
    if (get == nullptr) return false;
    dht::Found found = old_value(*get);
    if (!found.bytes) return false;
    answer(received, std::move(found));
    return true;
  }
  if (put != nullptr || provide) {
    answer(received, dht::PutAnswer{dht::PutStatus::stored});
  } else if (get_providers != nullptr) {
    dht::Providers told{.nodes = conspiracy.nearest(*hostile_->book, get_providers->key,
                                                    dht::contacts_with_providers_max / 2)};
    if (conspiracy.hostility == Hostility::forging) {
      told.records.assign(dht::providers_per_answer, forged_provider(get_providers->key));
    }
    answer(received, std::move(told));
  } else if (find != nullptr) {
    answer(received,
           dht::Nodes{conspiracy.nearest(*hostile_->book, find->target, dht::contacts_max / 2)});
  } else if (get != nullptr) {
    dht::Found found{.nodes = conspiracy.nearest(*hostile_->book, get->key, dht::contacts_max / 2)};
    if (conspiracy.hostility == Hostility::forging) found.bytes = Bytes(64, std::uint8_t{0x5a});
    answer(received, std::move(found));
  } else if (express != nullptr && (conspiracy.hostility == Hostility::forging || express_alone)) {
    dht::ExpressAnswer false_answer;
    if (express->want == dht::ExpressWant::value) {
      false_answer.bytes = Bytes(64, std::uint8_t{0x5a});
    } else {
      false_answer.node = conspiracy.nearest(*hostile_->book, express->target, 1).front();
    }
    answer(received, std::move(false_answer));
  }
  return true;
}

}  // namespace quicmesh::sim
