// The texts of BaseErrc.
#include "base/base_errc.hpp"

#include <array>

#include "base/error.hpp"

namespace quicmesh {
namespace {

constexpr int code_of(BaseErrc code) {
  return static_cast<int>(code);
}

constexpr std::array<ErrorText, 8> texts{{
    {code_of(BaseErrc::malformed_address), "not an IP address or address:port",
     "write 192.0.2.1:443 or [2001:db8::1]:443, without leading zeros or a zone"},
    {code_of(BaseErrc::malformed_hex), "not a hexadecimal byte string",
     "use pairs of the digits 0-9 and a-f"},
    {code_of(BaseErrc::malformed_base32), "not a base32 byte string",
     "use the letters a-z and the digits 2-7, without padding"},
    {code_of(BaseErrc::checksum_mismatch), "the checksum does not match",
     "a character is wrong, missing or out of place: copy the text again"},
    {code_of(BaseErrc::truncated), "the input ends too early", "the sender or the file is damaged"},
    {code_of(BaseErrc::trailing_bytes), "the input goes on after its end",
     "the sender or the file is damaged"},
    {code_of(BaseErrc::too_long), "a length exceeds its limit",
     "send less at once, or raise the limit if it is yours"},
    {code_of(BaseErrc::out_of_range), "a number is out of range",
     "see the documentation of the field for its range"},
}};

constinit const HintedCategory category("quicmesh.base", texts);

}  // namespace

std::error_code make_error_code(BaseErrc code) {
  return {code_of(code), category};
}

}  // namespace quicmesh
