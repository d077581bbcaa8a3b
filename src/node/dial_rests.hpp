// How often an IP address that has not answered is dialled for the DHT.
//
// A record is its owner's word, and every address in it gets the packets of a handshake: so whoever
// makes up nodes could have a victim dialled without end. Four dials a minute are all that such an
// address gets, over all records that name it; one from which a connection came about is free, and
// so is loopback. What an application dials is its own affair and not counted.
//
// Bound: when `addresses_max` are known, those that have not answered are forgotten. Whoever wants
// that names a thousand addresses for each packet more at the victim. All O(log n).
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>

#include "quicmesh/socket_address.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh {

class DialRests {
 public:
  static constexpr unsigned dials_max = 4;
  static constexpr Duration interval = 1min;
  static constexpr std::size_t addresses_max = 4'096;

  [[nodiscard]] bool rests(Instant now, const IpAddress& ip) const {
    const auto found = tries_.find(ip);
    if (found == tries_.end() || found->second.answered) return false;
    return found->second.dials >= dials_max && now - found->second.since < interval;
  }
  void dialled(Instant now, const IpAddress& ip) {
    if (ip.scope() == AddressScope::loopback) return;
    make_room();
    Tries& tries = tries_[ip];
    if (now - tries.since >= interval)
      tries = {.since = now, .dials = 0, .answered = tries.answered};
    ++tries.dials;
  }
  void answered(const IpAddress& ip) {
    make_room();
    tries_[ip].answered = true;
  }
  [[nodiscard]] std::size_t size() const { return tries_.size(); }

 private:
  struct Tries {
    Instant since{};
    unsigned dials = 0;
    bool answered = false;
  };

  void make_room() {
    if (tries_.size() < addresses_max) return;
    std::erase_if(tries_, [](const auto& one) { return !one.second.answered; });
    if (tries_.size() >= addresses_max) tries_.clear();
  }

  std::map<IpAddress, Tries> tries_;
};

}  // namespace quicmesh
