// TurnCredentials: the long-term credential mechanism (RFC 8489 s9.2) of a client.
//
// The server tells realm and nonce in a 401; from then on requests carry them and an integrity
// attribute. A stale nonce (438) is replaced. If the server offers password algorithms, SHA-256 is
// taken before MD5, and the list is sent back as it came, so that the server sees whether somebody
// has shortened it. A nonce that says there is such a list, without the list, is an attempt to make
// us use MD5 (s9.2.4) and fails.
#pragma once

#include <optional>
#include <string>

#include "quicmesh/result.hpp"
#include "stun/stun_credentials.hpp"
#include "stun/stun_message.hpp"
#include "stun/stun_writer.hpp"

namespace quicmesh {

class TurnCredentials {
 public:
  static constexpr std::size_t text_max = 763;  // bytes of realm and nonce (RFC 8489 s14.9, s14.10)

  TurnCredentials(std::string username, std::string password)
      : username_(std::move(username)), password_(std::move(password)) {}

  /// Takes realm and nonce out of a 401 or 438. Fails with TurnErrc::malformed_answer, bid_down,
  /// StunErrc::forbidden_digest.
  Result<void> take_challenge(const StunMessage& error);
  void forget();

  /// Realm and nonce are known.
  [[nodiscard]] bool is_challenged() const { return !key_.empty(); }
  [[nodiscard]] const std::string& nonce() const { return nonce_; }
  /// With which the server's answers are checked; empty before the first challenge.
  [[nodiscard]] const Bytes& key() const { return key_; }

  /// Appends what authenticates a request; nothing before the first challenge.
  void sign(StunWriter& writer) const;

 private:
  std::string username_;
  std::string password_;
  std::string realm_;
  std::string nonce_;
  Bytes algorithms_;  // PASSWORD-ALGORITHMS as it came; empty without
  StunPasswordAlgorithm algorithm_ = StunPasswordAlgorithm::md5;
  Bytes key_;
};

}  // namespace quicmesh
