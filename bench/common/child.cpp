// A forked second end of a measurement; see child.hpp.
#include "common/child.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "common/measure.hpp"

namespace bench {

Child::Child(const std::function<int()>& body) {
  int ends[2];
  if (pipe(ends) != 0) fail("cannot make a pipe");
  std::fflush(stdout);
  pid_ = fork();
  if (pid_ < 0) fail("cannot fork");
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    close(ends[1]);
    std::exit(body());
  }
  close(ends[1]);
  output_ = fdopen(ends[0], "r");
  if (output_ == nullptr) fail("cannot read from the child");
}

Child::~Child() {
  std::fclose(output_);
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

std::string Child::line() {
  std::string text;
  int character = 0;
  while ((character = std::fgetc(output_)) != EOF && character != '\n') {
    text += static_cast<char>(character);
  }
  if (character == EOF) fail("the other end stopped before it reported");
  return text;
}

void limit_run_time(unsigned seconds) {
  alarm(seconds);
}

}  // namespace bench
