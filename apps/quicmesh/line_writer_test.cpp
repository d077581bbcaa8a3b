// Tests of line_writer.hpp with pipes that nobody reads.
#include "line_writer.hpp"

#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <thread>

#include "io/file_descriptor.hpp"

namespace quicmesh::cli {
namespace {

using namespace std::chrono_literals;

std::atomic<int> last_error = 0;

void note_error(int, int error_number, bool) {
  last_error = error_number;
}

std::string note(std::uint64_t count) {
  return "dropped " + std::to_string(count) + "\n";
}

struct Pipe {
  io::FileDescriptor reading;
  io::FileDescriptor writing;

  Pipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe(ends.data()), 0);
    reading = io::FileDescriptor(ends[0]);
    writing = io::FileDescriptor(ends[1]);
  }

  /// What comes until the writing end is closed.
  [[nodiscard]] std::string read_all() {
    std::string text;
    std::array<char, 65536> piece{};
    while (true) {
      const ssize_t size = ::read(reading.get(), piece.data(), piece.size());
      if (size <= 0) return text;
      text.append(piece.data(), static_cast<std::size_t>(size));
    }
  }
};

TEST(LineWriter, writes_all_in_order) {
  Pipe pipe;
  LineWriter writer(note_error, note);
  for (const char* line : {"one\n", "two\n", "three\n"})
    writer.write(pipe.writing.get(), line);
  EXPECT_TRUE(writer.drain({}));
  EXPECT_TRUE(writer.idle());
  pipe.writing = {};
  EXPECT_EQ(pipe.read_all(), "one\ntwo\nthree\n");
}

TEST(LineWriter, nobody_waits_for_a_reader_that_does_not_read) {
  Pipe pipe;
  LineWriter writer(note_error, note);
  for (int i = 0; i < 200; ++i)
    writer.write(pipe.writing.get(), std::string(1023, 'x') + "\n");
  int held = 0;
  while (held < 48 * 1024) {  // of the 64 KiB that fit
    EXPECT_FALSE(writer.drain(1ms));
    ASSERT_EQ(::ioctl(pipe.reading.get(), FIONREAD, &held), 0);
  }
}

TEST(LineWriter, beyond_its_bound_the_oldest_lines_go_and_are_counted) {
  Pipe pipe;
  std::string text;
  testing::internal::CaptureStdout();  // where it is told what was dropped
  {
    LineWriter writer(note_error, note);
    const std::size_t line_size = 64 * 1024;
    const std::size_t lines = 2 * LineWriter::queue_bytes_max / line_size;
    for (std::size_t i = 0; i < lines; ++i)
      writer.write(pipe.writing.get(), std::string(line_size - 1, 'x') + "\n");
    writer.write(pipe.writing.get(), "last\n");
    std::thread reader([&] { text = pipe.read_all(); });
    EXPECT_TRUE(writer.drain({}));
    pipe.writing = {};
    reader.join();
    EXPECT_TRUE(testing::internal::GetCapturedStdout().starts_with("dropped "));
  }
  EXPECT_TRUE(text.ends_with("\nlast\n"));
  EXPECT_LE(text.size(), LineWriter::queue_bytes_max + 2 * 64 * 1024);
}

TEST(LineWriter, an_error_is_told) {
  std::signal(SIGPIPE, SIG_IGN);
  Pipe pipe;
  last_error = 0;
  pipe.reading = {};
  LineWriter writer(note_error, note);
  writer.write(pipe.writing.get(), "nobody\n");
  EXPECT_TRUE(writer.drain({}));
  EXPECT_EQ(last_error, EPIPE);
}

}  // namespace
}  // namespace quicmesh::cli
