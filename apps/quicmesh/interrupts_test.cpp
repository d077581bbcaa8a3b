// Tests of interrupts.hpp.
#include "interrupts.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

#include "io/file_descriptor.hpp"

namespace quicmesh::cli {
namespace {

TEST(Interrupts, one_that_comes_between_the_look_and_the_wait_ends_the_wait) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  const io::FileDescriptor reading(ends[0]);
  const io::FileDescriptor writing(ends[1]);
  watch_for_interrupts();
  {
    const InterruptHold hold;
    ::raise(SIGTERM);
    // If it were noted here, a wait after the look would never end.
    ASSERT_FALSE(interrupted());
    hold.wait_readable(reading.get());
    EXPECT_TRUE(interrupted());
  }
  release_interrupts();
}

}  // namespace
}  // namespace quicmesh::cli
