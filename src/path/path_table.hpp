// The real paths of one connection and the labels under which QUIC knows them.
//
// Rules (why there are labels: ARCHITECTURE.md, "Path labels"):
// - One label for one real path.
// - The acceptor meets new paths in packets. Same socket and IP but another port is a NAT
//   rebinding: same label but for the remote port, so that QUIC keeps its congestion state. Any
//   other new path gets a new label and QUIC validates it, with its 3 x limit.
// - The dialler takes packets only from paths it has chosen itself.
// - Coming back to a path takes a new epoch and so a new label: for a while after a switch the
//   acceptor would not follow to the old one. The epoch travels in probe frames. The entry of
//   the former epoch stays, for what QUIC still has to say under its label.
// - At most 8 entries; the one unused for longest goes, never the current one: spoofed sources
//   fill nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/network_path.hpp"
#include "quic/path_label.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh {

/// Leaves the source address of a path to the kernel if it is none of `own`. True if it was so.
bool unpin_source(NetworkPath& path, std::span<const IpAddress> own);

class PathTable {
 public:
  static constexpr std::size_t paths_max = 8;

  /// Bytes of QUIC's datagrams.
  struct Traffic {
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
  };

  struct Entry {
    NetworkPath path;
    PathLabel label;
    std::uint16_t epoch = 0;
    Instant last_used{};
    Traffic traffic{};
  };

  /// The label of a path that this side chose, made if need be.
  PathLabel label_for(Instant now, const NetworkPath& path);

  /// A new label for `path` with the next epoch, which is returned in the entry.
  const Entry& renew(Instant now, const NetworkPath& path);

  /// The acceptor's view of an arriving packet: known, rebound, or new.
  PathLabel label_of_arrival(Instant now, const NetworkPath& path);

  /// The dialler's view: nothing if it never chose that path.
  std::optional<PathLabel> known_arrival(Instant now, const NetworkPath& path);

  /// A frame of the dialler said that it comes to `path` for the `epoch`th time: a later epoch
  /// than known makes the next packet on it arrive under a new label.
  void note_epoch(Instant now, const NetworkPath& path, std::uint16_t epoch);

  /// The far end of `from` now sends from `to` (same IP, other port), and has proved it.
  void repoint(const NetworkPath& from, const NetworkPath& to);

  /// Paths whose source address is none of `own` leave from now on by whichever the kernel takes.
  void unpin(std::span<const IpAddress> own);

  /// QUIC refused `label`: of a path that was to begin anew the former label is valid again. Never
  /// the current one.
  void forget(PathLabel label);

  void count_received(PathLabel label, std::size_t bytes);
  /// Since the path was last unknown here; of all its epochs.
  [[nodiscard]] Traffic traffic_on(const NetworkPath& path) const;

  Entry* find(PathLabel label);
  [[nodiscard]] const Entry* find(PathLabel label) const;
  [[nodiscard]] const Entry* find(const NetworkPath& path) const;
  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }

  /// Never evicted; follow every switch.
  void set_current(PathLabel label) { current_ = label; }

 private:
  Entry* match(const NetworkPath& path);
  void hand_down(const Entry& gone);
  Entry& insert(Instant now, const NetworkPath& path, PathLabel label);

  std::vector<Entry> entries_;  // of several for one path the last is the valid one
  PathLabel current_;
  std::uint32_t last_path_ = 0;
};

}  // namespace quicmesh
