#include "wire/wire_errc.hpp"

#include "base/error.hpp"

namespace quicmesh {
namespace {

constexpr int code_of(WireErrc code) {
  return static_cast<int>(code);
}

using enum WireErrc;

constexpr ErrorText texts[] = {
    {code_of(malformed_message), "not a message of its schema",
     "the sender is damaged or speaks another protocol"},
    {code_of(message_too_long), "the message is too long",
     "no honest node makes one: the sender is damaged"},
    {code_of(unknown_body), "the message is of an unknown kind, and was skipped",
     "the sender has a newer release"},
    {code_of(list_too_long), "a list in the message is too long",
     "no honest node makes one: the sender is damaged"},
    {code_of(value_out_of_range), "a value in the message is out of range",
     "no honest node makes one: the sender is damaged"},
};

constinit const HintedCategory category("quicmesh.wire", texts);

}  // namespace

std::error_code make_error_code(WireErrc code) {
  return {code_of(code), category};
}

}  // namespace quicmesh
