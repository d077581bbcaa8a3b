// Every code has a message and a hint.
#include "quicmesh/io_errc.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <string>

#include "io/system_error.hpp"
#include "quicmesh/result.hpp"

namespace quicmesh::io {
namespace {

TEST(IoErrc, every_code_has_its_own_message_and_a_hint) {
  std::set<std::string> messages;
  int codes = 0;
  for (int code = 1; code <= static_cast<int>(IoErrc::tcp_no_such_address); ++code) {
    const std::error_code error = static_cast<IoErrc>(code);
    messages.insert(error.message());
    EXPECT_FALSE(hint(error).empty()) << error.message();
    ++codes;
  }
  EXPECT_EQ(messages.size(), static_cast<std::size_t>(codes));
}

TEST(IoErrc, errors_of_sockets_are_named) {
  EXPECT_EQ(socket_error(EADDRINUSE), IoErrc::address_in_use);
  EXPECT_EQ(socket_error(EACCES), IoErrc::permission_denied);
  EXPECT_EQ(socket_error(EADDRNOTAVAIL), IoErrc::no_such_address);
  EXPECT_EQ(socket_error(EAFNOSUPPORT), IoErrc::family_not_supported);
  EXPECT_EQ(socket_error(EMFILE), IoErrc::too_many_sockets);
  EXPECT_EQ(socket_error(ENOMEM), std::errc::not_enough_memory);
}

}  // namespace
}  // namespace quicmesh::io
