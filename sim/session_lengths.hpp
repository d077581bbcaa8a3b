// How long peers stay: the churn of the peer-level simulation.
//
// Sessions are drawn from one of three distributions of a given mean. Measured ones are
// heavy-tailed: Weibull with a shape of 0.34 to 0.59, or log-normal, and not exponential (Stutzbach
// & Rejaie 2006, "Understanding churn in peer-to-peer networks", s5.1); exponential is the
// memoryless case in which "x % a minute" means the same at every age, and age says nothing about
// who stays.
//
// Who is there when a simulation begins has been met in the middle of a session, and long sessions
// are met more often: `residual` draws such a one (by importance among thirty-two draws) and takes
// a uniform part of it. Without that, heavy-tailed churn would begin with a storm of departures.
//
// Floating point, rounded to milliseconds: runs replay on machines whose logarithms agree to within
// that.
#pragma once

#include <cstdint>

#include "base/rng.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh::sim {

enum class SessionShape : std::uint8_t {
  exponential,
  weibull,     // of shape 0.5
  log_normal,  // of sigma 1.5
};

class SessionLengths {
 public:
  /// `mean` > 0.
  SessionLengths(SessionShape shape, Duration mean) : shape_(shape), mean_(mean) {}

  /// The whole session of a peer that comes now; at least a millisecond, at most a year.
  [[nodiscard]] Duration draw(Rng& rng) const;

  /// What is left of the session of a peer that is there already.
  [[nodiscard]] Duration residual(Rng& rng) const;

 private:
  SessionShape shape_;
  Duration mean_;
};

}  // namespace quicmesh::sim
