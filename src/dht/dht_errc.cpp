#include "dht/dht_errc.hpp"

#include "base/error.hpp"

namespace quicmesh {
namespace {

constexpr ErrorText texts[] = {
    {int(DhtErrc::too_many_queries), "too many DHT queries are under way",
     "wait for some of their answers"},
};

constinit const HintedCategory category("quicmesh.dht", texts);

}  // namespace

std::error_code make_error_code(DhtErrc code) {
  return {static_cast<int>(code), category};
}

}  // namespace quicmesh
