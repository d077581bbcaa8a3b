// `quicmesh demo`: five real nodes on this machine, and what a mesh can do, step by step.
//
// Each step says what it does, does it through the same commands that a user has, checks the
// result, and goes into the table at the end. With --ci nothing waits, and the exit code is 0 only
// if every message and every byte arrived.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "base/hex.hpp"
#include "base/rng.hpp"
#include "demo_mesh.hpp"
#include "file_source.hpp"
#include "interrupts.hpp"
#include "invocation.hpp"
#include "quicmesh/keypair.hpp"
#include "text.hpp"

namespace quicmesh::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t big_file_bytes = 100'000'000;
constexpr const char* slow_rate = "20M";
constexpr std::size_t interrupted_after_bytes = 10'000'000;

struct StepResult {
  std::string name;
  bool good = false;
  double seconds = 0;
  std::string found;  // one line
};

class Demo {
 public:
  Demo(DemoMesh mesh, Output& output, bool ci) : mesh_(std::move(mesh)), output_(output), ci_(ci) {}

  /// All steps; whether all were good.
  bool run();
  void show_table();
  /// What the nodes said on stderr, for who looks for the reason of a failure.
  void show_log() const;
  void offer_mesh();

 private:
  using Step = Outcome<std::string> (Demo::*)();

  bool take(const char* name, const char* explanation, Step step);
  Outcome<std::string> start_nodes();
  Outcome<std::string> ping_all_pairs();
  Outcome<std::string> send_notes();
  Outcome<std::string> send_big_file();
  Outcome<std::string> kill_in_the_middle();
  Outcome<std::string> restart_and_resume();
  Outcome<std::string> refuse_wrong_id();
  Outcome<std::string> end_nodes();

  Outcome<std::string> make_file(const std::string& name, std::uint64_t seed);
  Outcome<double> check_big_file(const DemoMesh::Ran& sent, const std::string& source,
                                 const std::string& target);

  DemoMesh mesh_;
  Output& output_;
  bool ci_;
  std::vector<StepResult> results_;
};

std::unexpected<Failure> lost(std::string message) {
  return std::unexpected(Failure{.code = "demo", .message = std::move(message)});
}

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

bool Demo::take(const char* name, const char* explanation, Step step) {
  output_.event({{"event", "note"}, {"message", fmt::format("* {}: {}", name, explanation)}});
  const auto start = Clock::now();
  const auto found = (this->*step)();
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  StepResult result{.name = name, .good = found.has_value(), .seconds = seconds};
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
  struct Entry {
    const char* name;
    const char* explanation;
    Step step;
  };
  constexpr Entry steps[] = {
      {"start", "five nodes, each a process with a key of its own, meet on the loopback interface",
       &Demo::start_nodes},
      {"ping", "every node calls every other one by its NodeId alone", &Demo::ping_all_pairs},
      {"notes", "every node sends every other one a small text", &Demo::send_notes},
      {"file", "anna sends emil 100 MB; both ends compute its BLAKE3", &Demo::send_big_file},
      {"kill", "ben sends cleo 100 MB and is killed in the middle (kill -9)",
       &Demo::kill_in_the_middle},
      {"resume", "ben comes back with the same key and goes on where it was",
       &Demo::restart_and_resume},
      {"wrong id", "dora calls anna's address under another NodeId, and must be refused",
       &Demo::refuse_wrong_id},
      {"end", "all nodes say goodbye and end by themselves", &Demo::end_nodes},
  };
  for (const Entry& entry : steps) {
    if (entry.step == &Demo::end_nodes) offer_mesh();
    if (!take(entry.name, entry.explanation, entry.step)) return false;
  }
  return true;
}

Outcome<std::string> Demo::start_nodes() {
  for (DemoNode& node : mesh_.nodes()) {
    if (auto started = mesh_.start(node); !started) return std::unexpected(started.error());
    output_.event({{"event", "note"},
                   {"message", fmt::format("  {:<5} {} on {}", node.name,
                                           node.node_id.substr(0, 12), node.listen)}});
  }
  if (auto connected = mesh_.wait_until_connected(); !connected)
    return std::unexpected(connected.error());
  return fmt::format("{} nodes, {} connections", mesh_.nodes().size(),
                     mesh_.nodes().size() * (mesh_.nodes().size() - 1) / 2);
}

Outcome<std::string> Demo::ping_all_pairs() {
  int answered = 0;
  double slowest_us = 0;
  for (const DemoNode& from : mesh_.nodes()) {
    for (const DemoNode& to : mesh_.nodes()) {
      if (&from == &to) continue;
      const auto ran = mesh_.run(from, {"ping", to.node_id, "--count", "3", "--interval", "0.01"});
      const auto pongs = integer_of(ran.last("summary"), "received");
      if (ran.exit_code != exit_done || pongs != 3)
        return lost(fmt::format("{} got {} of 3 answers from {}", from.name, pongs, to.name));
      answered += 3;
      slowest_us = std::max(slowest_us, number_of(ran.last("pong"), "rtt_us"));
    }
  }
  return fmt::format("{} of {} answers, the slowest last one in {:.2f} ms", answered, answered,
                     slowest_us / 1000);
}

Outcome<std::string> Demo::send_notes() {
  for (DemoNode& node : mesh_.nodes()) {
    if (auto opened = mesh_.open_inbox(node); !opened) return std::unexpected(opened.error());
  }
  int arrived = 0;
  for (const DemoNode& from : mesh_.nodes()) {
    for (const DemoNode& to : mesh_.nodes()) {
      if (&from == &to) continue;
      const std::string name = fmt::format("note-of-{}.txt", from.name);
      const std::string text = fmt::format("Hello {}, this is {}.\n", to.name, from.name);
      const std::string path = mesh_.folder() + "/" + name;
      std::ofstream(path, std::ios::binary) << text;
      const auto ran = mesh_.run(from, {"send", path, to.node_id});
      if (ran.exit_code != exit_done || read_text(to.inbox + "/" + name) != text)
        return lost(fmt::format("the note of {} did not reach {}: {}", from.name, to.name,
                                text_of(ran.last("error"), "message")));
      ++arrived;
    }
  }
  return fmt::format("{} of {} notes arrived as they were written", arrived, arrived);
}

Outcome<std::string> Demo::make_file(const std::string& name, std::uint64_t seed) {
  const std::string path = mesh_.folder() + "/" + name;
  std::ofstream file(path, std::ios::binary);
  Rng rng(seed);
  std::vector<std::uint64_t> block(8192);
  for (std::size_t written = 0; written < big_file_bytes;) {
    for (std::uint64_t& word : block)
      word = rng.next();
    const std::size_t size = std::min(block.size() * 8, big_file_bytes - written);
    file.write(reinterpret_cast<const char*>(block.data()), static_cast<std::streamsize>(size));
    written += size;
  }
  file.close();
  if (!file) return lost("cannot write 100 MB to the temporary folder: is the disk full?");
  return path;
}

Outcome<double> Demo::check_big_file(const DemoMesh::Ran& sent, const std::string& source,
                                     const std::string& target) {
  const auto done = sent.last("done");
  if (sent.exit_code != exit_done)
    return lost("the file did not arrive: " + text_of(sent.last("error"), "message"));
  std::string hashes[2];
  const std::string* paths[2] = {&source, &target};
  for (int i = 0; i < 2; ++i) {
    const auto file = FileSource::open(*paths[i]);
    if (!file) return std::unexpected(file.error());
    Blake3 hash;
    if (auto added = file->add_to(hash, 0, file->size()); !added)
      return std::unexpected(added.error());
    hashes[i] = to_hex(hash.digest());
  }
  if (hashes[0] != hashes[1] || hashes[0] != text_of(done, "blake3"))
    return lost("what arrived is not what was sent");
  return number_of(done, "seconds");
}

Outcome<std::string> Demo::send_big_file() {
  const auto path = make_file("album.bin", 1);
  if (!path) return path;
  const DemoNode& emil = mesh_.node("emil");
  const auto ran = mesh_.run(mesh_.node("anna"), {"send", *path, emil.node_id});
  const auto seconds = check_big_file(ran, *path, emil.inbox + "/album.bin");
  if (!seconds) return std::unexpected(seconds.error());
  return fmt::format("100 MB in {:.2f} s: {}, BLAKE3 {} at both ends", *seconds,
                     human_rate(big_file_bytes, *seconds),
                     text_of(ran.last("done"), "blake3").substr(0, 16));
}

Outcome<std::string> Demo::kill_in_the_middle() {
  const auto path = make_file("film.bin", 2);
  if (!path) return path;
  DemoNode& ben = mesh_.node("ben");
  const DemoNode& cleo = mesh_.node("cleo");
  auto sending = mesh_.begin(ben, {"send", *path, cleo.node_id, "--rate", slow_rate});
  if (!sending) return std::unexpected(sending.error());
  const auto give_up = Clock::now() + DemoMesh::patience;
  while (arriving_bytes(cleo.inbox) < interrupted_after_bytes) {
    if (Clock::now() > give_up || interrupted()) return lost("nothing arrived");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  ben.up.signal(SIGKILL);
  (void)ben.up.wait(DemoMesh::patience);
  (void)ben.recv.wait(DemoMesh::patience);
  const int code = sending->wait(DemoMesh::patience);
  if (code == exit_done) return lost("the sender was killed and yet reports success");
  int told = 0;
  for (DemoNode& node : mesh_.nodes()) {
    if (&node == &ben) continue;
    const auto down = node.up.next(
        [&](const boost::json::object& event) {
          return text_of(event, "event") == "peer_down" && text_of(event, "peer") == ben.node_id;
        },
        DemoMesh::patience);
    if (!down) return lost(node.name + " did not notice that ben has gone");
    output_.event({{"event", "note"},
                   {"message", fmt::format("  {:<5} says: ben is down, {}", node.name,
                                           text_of(*down, "error"))}});
    ++told;
  }
  return fmt::format("killed after {}; {} others noticed", human_bytes(arriving_bytes(cleo.inbox)),
                     told);
}

Outcome<std::string> Demo::restart_and_resume() {
  DemoNode& ben = mesh_.node("ben");
  const DemoNode& cleo = mesh_.node("cleo");
  const std::string id = ben.node_id;
  if (auto started = mesh_.start(ben); !started) return std::unexpected(started.error());
  if (ben.node_id != id) return lost("ben came back as somebody else");
  if (auto connected = mesh_.wait_until_connected(); !connected)
    return std::unexpected(connected.error());
  const std::string path = mesh_.folder() + "/film.bin";
  const auto ran = mesh_.run(ben, {"send", path, cleo.node_id});
  const auto seconds = check_big_file(ran, path, cleo.inbox + "/film.bin");
  if (!seconds) return std::unexpected(seconds.error());
  const auto resumed = static_cast<std::uint64_t>(integer_of(ran.last("done"), "resumed_from"));
  if (resumed == 0) return lost("the transfer began anew instead of going on");
  return fmt::format("same NodeId; went on at {}, BLAKE3 right", human_bytes(resumed));
}

Outcome<std::string> Demo::refuse_wrong_id() {
  const std::string stranger = Keypair::generate().node_id().to_hex();
  const auto ran =
      mesh_.run(mesh_.node("dora"), {"ping", stranger + "@" + mesh_.node("anna").listen});
  if (ran.exit_code == exit_done) return lost("a wrong NodeId was accepted");
  if (ran.exit_code != exit_failed)
    return lost(fmt::format("a wrong NodeId ended with exit code {}", ran.exit_code));
  return "refused: " + text_of(ran.last("error"), "message");
}

Outcome<std::string> Demo::end_nodes() {
  const std::string failed = mesh_.stop();
  if (!failed.empty()) return lost("did not end well:" + failed);
  return fmt::format("{} nodes ended with exit code 0", mesh_.nodes().size());
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
  std::fputs(read_text(mesh_.log_file()).c_str(), stderr);
}

int run_demo(const Settings& settings, Output& output, bool ci) {
  watch_for_interrupts();
  auto mesh = DemoMesh::create(settings.text("log"));
  if (!mesh) {
    output.fail(mesh.error());
    return mesh.error().exit_code;
  }
  Demo demo(std::move(*mesh), output, ci);
  const bool good = demo.run();
  if (interrupted()) return exit_interrupted;
  demo.show_table();
  if (!good) demo.show_log();
  return good ? exit_done : exit_failed;
}

}  // namespace

void add_demo_command(CLI::App& app, Invocation& invocation) {
  CLI::App& command =
      *app.add_subcommand("demo", "a whole mesh on this machine in a minute, explained");
  auto ci = std::make_shared<bool>(false);
  command.add_flag("--ci", *ci, "end by itself, and fail if anything was lost");
  add_example(command, "quicmesh demo");
  command.callback([&invocation, ci] {
    invocation.run = [ci](const Settings& settings, Output& output) {
      return run_demo(settings, output, *ci);
    };
  });
}

}  // namespace quicmesh::cli
