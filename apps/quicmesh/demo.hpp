// Demo: the steps of `quicmesh demo`. Each says what it does, does it through the same commands
// that a user has, checks the result, and goes into the table at the end.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "demo_mesh.hpp"
#include "output.hpp"

namespace quicmesh::cli {

struct StepResult {
  std::string name;
  bool good = false;
  double seconds = 0;
  std::string found;  // one line
};

class Demo {
 public:
  Demo(DemoMesh& mesh, Output& output, bool ci) : mesh_(mesh), output_(output), ci_(ci) {}

  /// All steps; whether all were good.
  bool run();
  void show_table();
  /// What the nodes said on stderr, for who looks for the reason of a failure.
  void show_log() const;

 private:
  using Step = Outcome<std::string> (Demo::*)();
  struct Entry;

  bool take(const Entry& entry);
  void say(const std::string& line);
  void offer_mesh();

  // demo_steps.cpp
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

  // demo_nat_steps.cpp
  Outcome<std::string> find_nats();
  Outcome<std::string> dial_all_pairs();
  Outcome<bool> dial(DemoNode& from, const DemoNode& to);

  DemoMesh& mesh_;
  Output& output_;
  bool ci_;
  std::vector<StepResult> results_;
};

/// A step has found that something is not as it must be.
[[nodiscard]] std::unexpected<Failure> lost(std::string message);

}  // namespace quicmesh::cli
