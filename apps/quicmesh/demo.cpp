// See demo.hpp.
#include "demo.hpp"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <fstream>

#include <fmt/format.h>

#include "interrupts.hpp"
#include "text.hpp"

namespace quicmesh::cli {
namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

/// A step, and what it does in the one surrounding and in the other; it is left out where nothing
/// is said.
struct Demo::Entry {
  const char* name;
  const char* on_loopback;
  const char* behind_nats;
  Step step;
};

bool Demo::take(const Entry& entry) {
  say(fmt::format("* {}: {}", entry.name,
                  mesh_.behind_nats() ? entry.behind_nats : entry.on_loopback));
  const auto start = Clock::now();
  const auto found = (this->*entry.step)();
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  StepResult result{.name = entry.name, .good = found.has_value(), .seconds = seconds};
  result.found = found ? *found : found.error().message;
  output_.event({{"event", "step"},
                 {"name", result.name},
                 {"ok", result.good},
                 {"seconds", seconds},
                 {"found", result.found}});
  results_.push_back(std::move(result));
  return found.has_value() && !interrupted();
}

bool Demo::run() {
  constexpr auto same = [](const char* name, const char* explanation, Step step) {
    return Entry{name, explanation, explanation, step};
  };
  constexpr Entry steps[] = {
      {"start",
       "five nodes, each a process with a key of its own, meet on loopback; each is told of the "
       "first",
       "a relay and five nodes, each a process with a key of its own, four of them at home behind "
       "a NAT",
       &Demo::start_nodes},
      {"nats", nullptr, "every node asks the relay what its NAT does", &Demo::find_nats},
      {"dial", nullptr,
       "every pair meets over the relay, knowing no more than a NodeId, and goes direct if it can",
       &Demo::dial_all_pairs},
      same("ping", "every node calls every other one by its NodeId alone", &Demo::ping_all_pairs),
      same("notes", "every node sends every other one a small text", &Demo::send_notes),
      same("file", "anna sends emil 100 MB; both ends compute its BLAKE3", &Demo::send_big_file),
      same("kill", "ben sends cleo 100 MB and is killed in the middle (kill -9)",
           &Demo::kill_in_the_middle),
      same("resume", "ben comes back with the same key and goes on where it was",
           &Demo::restart_and_resume),
      same("wrong id", "dora calls emil's address under another NodeId, and must be refused",
           &Demo::refuse_wrong_id),
      same("end", "all nodes say goodbye and end by themselves", &Demo::end_nodes),
  };
  for (const Entry& entry : steps) {
    if (!mesh_.behind_nats() && entry.on_loopback == nullptr) continue;
    if (entry.step == &Demo::end_nodes) offer_mesh();
    if (!take(entry)) return false;
  }
  return true;
}

void Demo::say(const std::string& line) {
  output_.event({{"event", "note"}, {"message", line}});
}

void Demo::offer_mesh() {
  if (output_.json() || ::isatty(STDIN_FILENO) != 1 || ::isatty(STDOUT_FILENO) != 1 || ci_) return;
  output_.line(
      fmt::format("\nThe mesh is still up. In another terminal, try:\n"
                  "  quicmesh peers --data {}\n  quicmesh ping {} --data {}\n"
                  "Enter ends it.",
                  mesh_.node("anna").data, mesh_.node("emil").node_id, mesh_.node("anna").data));
  char ignored = 0;
  while (::read(STDIN_FILENO, &ignored, 1) == 1 && ignored != '\n')
    continue;
}

void Demo::show_table() {
  output_.line("");
  double total = 0;
  bool good = true;
  for (const StepResult& result : results_) {
    output_.line(fmt::format("{:<9} {:<6} {:6.2f} s  {}", result.name,
                             result.good ? "ok" : "FAILED", result.seconds,
                             printable(result.found)));
    total += result.seconds;
    good = good && result.good;
  }
  if (output_.json())
    output_.event({{"event", "summary"}, {"ok", good}, {"seconds", total}});
  else
    output_.line(fmt::format("{:<9} {:<6} {:6.2f} s", "all", good ? "ok" : "FAILED", total));
}

void Demo::show_log() const {
  std::ifstream log(mesh_.log_file(), std::ios::binary);
  for (std::string line; std::getline(log, line);)
    std::fprintf(stderr, "%s\n", line.c_str());
}

std::unexpected<Failure> lost(std::string message) {
  return std::unexpected(Failure{.code = "demo", .message = std::move(message)});
}

}  // namespace quicmesh::cli
