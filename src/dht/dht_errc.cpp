#include "dht/dht_errc.hpp"

#include "base/error.hpp"

namespace quicmesh {
namespace {

constexpr ErrorText texts[] = {
    {int(DhtErrc::too_many_queries), "too many DHT queries are under way",
     "wait for some of their answers"},
    {int(DhtErrc::value_too_long), "a value has at most 1024 bytes, its name 32",
     "store the hash of something that is kept elsewhere"},
    {int(DhtErrc::malformed_value), "the signed value is cut short or not a value",
     "make it with make_signed_value"},
    {int(DhtErrc::wrong_key), "the value does not belong under this key",
     "take the key from immutable_key or signed_key"},
    {int(DhtErrc::value_expired), "the signed value has expired",
     "sign it anew; if it is new, check the clocks of owner and reader"},
    {int(DhtErrc::value_from_the_future),
     "the signed value's sequence number or expiry is too far in the future",
     "check the owner's clock: numbers are times in milliseconds, expiry is at most two hours "
     "ahead"},
    {int(DhtErrc::no_wall_time), "the node does not know the time of day",
     "set the clock; signed values and provider records cannot be judged without it"},
    {int(DhtErrc::malformed_provider), "the provider record is none, or of a later release",
     "make it with make_provider_record"},
    {int(DhtErrc::provider_expired), "the provider record has expired",
     "sign it anew; if it is new, check the clocks of provider and reader"},
    {int(DhtErrc::provider_from_the_future),
     "the provider record's sequence number or expiry is too far in the future",
     "check the provider's clock: numbers are times in milliseconds, expiry is at most a day "
     "ahead"},
    {int(DhtErrc::not_the_provider), "a node can say of itself alone what it provides",
     "sign the record with the node's own key"},
    {int(DhtErrc::too_many_provided), "the node provides as many keys as it can",
     "stop providing some of them, or provide the key of a list of others"},
};

constinit const HintedCategory category("quicmesh.dht", texts);

}  // namespace

std::error_code make_error_code(DhtErrc code) {
  return {static_cast<int>(code), category};
}

}  // namespace quicmesh
