// A forked second end of a measurement that reports by lines of text through a pipe.
//
// `pair` modes fork before any library is initialised, pin parent and child to different cores and
// read what the child prints on its stdout. The child dies with its parent.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <functional>
#include <string>

namespace bench {

class Child {
 public:
  /// Forks; the child runs `body` with its stdout going into the pipe and exits with its result.
  explicit Child(const std::function<int()>& body);
  /// Ends the child if it still runs.
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  /// The next line without its newline. Ends this process if the child closed the pipe first.
  [[nodiscard]] std::string line();

 private:
  pid_t pid_ = -1;
  FILE* output_ = nullptr;
};

/// Ends this process by a signal after so many seconds, whatever it is doing then.
void limit_run_time(unsigned seconds);

}  // namespace bench
