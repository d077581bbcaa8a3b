// k and alpha that follow the evidence (S1.17-S1.22).
//
// Evidence is what our own requests met: an answer in time, an answer that was late, Busy, or
// silence. It is judged every ten seconds, if there were at least eight requests, and moves each
// parameter by one step at most (TD11):
//
//     k      +4  a tenth or more of the contacts asked are silent: the table dies under us
//            -4  at most 3 % are, and k is above where it began
//     alpha  +1  a tenth or more of all who were asked are silent
//            -1  at most 3 % are, and alpha is above where it began
//     both    a step down, below where they began if need be, while a tenth of the answers is Busy;
//            no step up while a quarter is late. Back up to where they began once that is over.
//
// The state of a network shows in every single lookup, too, and at once: for each silent one that
// it has met a lookup asks two more at a time, up to the bound of alpha, unless answers are late or
// Busy. That is most of what there is to gain where nodes come and go
// (docs/guide/dht-simulator.md): whoever has just joined has no evidence yet, and needs its lookups
// most.
//
// Late answers are what an overload looks like, silence is not: whoever answers late would be made
// later by more questions. One peer counts once in ten seconds, however often it is silent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/peer_core.hpp"
#include "dht/dht_config.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh::dht {

class Adaptation {
 public:
  static constexpr Duration interval = 10s;
  static constexpr std::uint32_t evidence_min = 8;
  static constexpr std::uint8_t k_step = 4;
  static constexpr std::uint8_t alpha_step = 1;
  /// Peers told apart between two judgements. More count no more, and the answers beside them do
  /// not make a calm of it.
  static constexpr std::size_t silent_max = 512;
  static constexpr std::size_t busy_max = 512;

  /// `config` outlives it.
  explicit Adaptation(const Config& config)
      : config_(&config), k_(config.k), alpha_(config.alpha) {}

  [[nodiscard]] std::uint8_t k() const { return k_; }
  [[nodiscard]] std::uint8_t alpha() const { return alpha_; }
  /// Requests at a time of a lookup in which so many were late or silent.
  [[nodiscard]] std::uint8_t alpha(Instant now, std::size_t silent) const;

  /// `contact`: who was asked stands in our table.
  struct Asked {
    PeerHandle peer = no_peer;
    bool contact = false;
  };
  void on_answer(Instant now, Asked asked, bool late);
  void on_busy(Instant now, PeerHandle peer);
  void on_silence(Instant now, Asked asked);

  /// Judges, if it is time. True if k or alpha has changed.
  bool handle_timeout(Instant now);
  [[nodiscard]] Instant poll_timeout() const { return judge_at_; }

 private:
  void begin(Instant now);
  /// Answers come, but late.
  [[nodiscard]] bool are_late() const { return answers_ > 0 && late_ * 4 >= answers_; }
  [[nodiscard]] bool are_busy() const { return !busy_.empty() && busy_.size() * 10 >= answers_; }
  [[nodiscard]] bool is_overload() const {
    return answers_ >= evidence_min && (are_late() || are_busy());
  }
  struct Parameter {
    std::uint8_t value;
    std::uint8_t start;
    std::uint8_t step;
    std::uint8_t max;
  };
  [[nodiscard]] static std::uint8_t moved(const Parameter& parameter, bool up, bool calm);

  const Config* config_;
  std::uint8_t k_;
  std::uint8_t alpha_;
  Instant judge_at_ = never;
  std::uint32_t answers_ = 0;
  std::uint32_t contact_answers_ = 0;
  std::uint32_t late_ = 0;
  std::uint32_t contacts_silent_ = 0;
  Instant overload_until_{};
  std::vector<PeerHandle> silent_;
  std::vector<PeerHandle> busy_;
};

}  // namespace quicmesh::dht
