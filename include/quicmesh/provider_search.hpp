// ProviderSearch: the providers of a key, one by one as the DHT finds them.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "quicmesh/dht.hpp"
#include "quicmesh/task.hpp"

namespace quicmesh {

namespace io {
struct ProviderSearchState;
}

/// A cheap handle; its copies share what comes. When the last is dropped, what still comes goes.
class ProviderSearch {
 public:
  /// An empty handle: `next` fails with IoErrc::empty_handle.
  ProviderSearch() = default;

  /// The next provider, each node once; nothing when the search is over. Safe to cancel.
  Task<std::optional<FoundProvider>> next();
  /// What it came to, once `next` has given nothing.
  [[nodiscard]] std::optional<ProvidersSummary> summary() const;

  /// For the library itself.
  explicit ProviderSearch(std::shared_ptr<io::ProviderSearchState> state)
      : state_(std::move(state)) {}

 private:
  std::shared_ptr<io::ProviderSearchState> state_;  // shared with the network thread
};

}  // namespace quicmesh
