#include "turn/turn_credentials.hpp"

#include <array>
#include <string_view>
#include <utility>

#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"
#include "turn/turn_errc.hpp"

namespace quicmesh {
namespace {

// RFC 8489 s9.2: a nonce that begins so goes on with 24 bits of features in Base64.
constexpr std::string_view nonce_cookie = "obMatJos2";
constexpr std::size_t algorithms_max = 64;  // bytes of the list that is sent back

/// The first of the four characters of the features: its highest bit says that there is a list of
/// password algorithms (s18.1). Base64 digits of 32 and above have it.
bool announces_algorithms(std::string_view nonce) {
  constexpr std::string_view with_highest_bit = "ghijklmnopqrstuvwxyz0123456789+/";
  return nonce.starts_with(nonce_cookie) && nonce.size() > nonce_cookie.size() &&
         with_highest_bit.find(nonce[nonce_cookie.size()]) != std::string_view::npos;
}

/// The best of a PASSWORD-ALGORITHMS list that we know; nothing if it has none, or is malformed.
std::optional<StunPasswordAlgorithm> choose(ByteView list) {
  std::optional<StunPasswordAlgorithm> best;
  ByteReader reader(list);
  while (!reader.at_end() && reader.ok()) {
    const StunPasswordAlgorithm algorithm{reader.u16()};
    const std::size_t size = reader.u16();
    reader.skip((size + 3) / 4 * 4);
    if (size != 0) continue;  // neither has parameters
    if (algorithm == StunPasswordAlgorithm::sha256) best = algorithm;
    if (algorithm == StunPasswordAlgorithm::md5 && !best) best = algorithm;
  }
  return reader.ok() ? best : std::nullopt;
}

}  // namespace

Result<void> TurnCredentials::take_challenge(const StunMessage& error) {
  const auto realm = error.text(StunAttribute::realm);
  const auto nonce = error.text(StunAttribute::nonce);
  // A 438 may leave the realm out; it stays what it was.
  const std::string new_realm(realm.value_or(realm_));
  if (!nonce || nonce->empty() || nonce->size() > text_max || new_realm.empty() ||
      new_realm.size() > text_max) {
    return failure(TurnErrc::malformed_answer);
  }
  const auto list = error.find(StunAttribute::password_algorithms);
  if (!list && announces_algorithms(*nonce)) return failure(TurnErrc::bid_down);
  StunPasswordAlgorithm algorithm = StunPasswordAlgorithm::md5;
  if (list) {
    const auto best = choose(*list);
    if (!best || list->size() > algorithms_max) return failure(TurnErrc::malformed_answer);
    algorithm = *best;
  }
  auto key = stun_long_term_key({username_, new_realm, password_}, algorithm);
  if (!key) return failure(key.error());
  key_ = std::move(*key);
  realm_ = new_realm;
  nonce_ = std::string(*nonce);
  algorithm_ = algorithm;
  algorithms_ = list ? to_bytes(*list) : Bytes();
  return {};
}

void TurnCredentials::forget() {
  realm_.clear();
  nonce_.clear();
  algorithms_.clear();
  key_.clear();
}

void TurnCredentials::sign(StunWriter& writer) const {
  if (!is_challenged()) return;
  writer.add_text(StunAttribute::username, username_);
  writer.add_text(StunAttribute::nonce, nonce_);
  writer.add_text(StunAttribute::realm, realm_);
  if (algorithms_.empty()) return writer.add_integrity(key_);
  writer.add(StunAttribute::password_algorithms, algorithms_);
  std::array<std::uint8_t, 4> chosen{};
  ByteWriter(MutableByteView(chosen)).u16(std::to_underlying(algorithm_));
  writer.add(StunAttribute::password_algorithm, chosen);
  writer.add_integrity_sha256(key_);
}

}  // namespace quicmesh
