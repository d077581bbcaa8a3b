// A stream of bytes from one node to another, every byte of which is checked at the far end.
//
// The bytes are a function of seed and offset, so a lost, doubled, moved or changed byte shows at
// once. The reader credits what it gets immediately; the gaps between arrivals are what a user of
// the stream feels when the path beneath it changes.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sim/mesh_node.hpp"

namespace quicmesh::sim {

class VerifiedTransfer {
 public:
  static constexpr const char* protocol = "sim/transfer/1";

  /// `from` is connected to `to`; both outlive the transfer. Starts at once.
  VerifiedTransfer(MeshNode& from, MeshNode& to, std::uint64_t size_bytes, std::uint64_t seed);

  [[nodiscard]] bool finished() const { return finished_; }
  [[nodiscard]] std::uint64_t received_bytes() const { return received_; }
  [[nodiscard]] std::uint64_t wrong_bytes() const { return wrong_; }
  [[nodiscard]] std::optional<Instant> finished_at() const { return finished_at_; }
  /// Why it cannot finish any more; empty if it can.
  [[nodiscard]] const std::string& trouble() const { return trouble_; }

  /// The longest time without an arrival that ended within (from, until].
  [[nodiscard]] Duration longest_gap(Instant from, Instant until) const;

 private:
  struct Gap {
    Instant end;
    Duration length;
  };

  void on_sender_event(Instant now, const NodeEvent& event);
  void on_receiver_event(Instant now, const NodeEvent& event);
  void write_more();

  MeshNode& from_;
  MeshNode& to_;
  std::uint64_t size_;
  std::uint64_t seed_;
  std::optional<StreamKey> outgoing_;
  std::optional<StreamKey> incoming_;
  std::uint64_t written_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t wrong_ = 0;
  bool finished_ = false;
  std::optional<Instant> finished_at_;
  std::optional<Instant> last_arrival_;
  std::vector<Gap> gaps_;
  std::string trouble_;
};

}  // namespace quicmesh::sim
