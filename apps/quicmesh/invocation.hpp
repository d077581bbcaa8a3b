// How a subcommand is made of the command line: each file adds its CLI11 subcommand, whose callback
// puts what is to be run here.
#pragma once

#include <functional>
#include <string>

#include <CLI/CLI.hpp>

#include "output.hpp"
#include "settings.hpp"

namespace quicmesh::cli {

struct Invocation {
  Settings::Texts flags;    // settings that the command line gives
  std::string config_file;  // --config
  std::string program;      // this binary, for those that start it again
  std::function<int(const Settings& settings, Output& output)> run;
};

/// `--name VALUE` for the setting `key`; lists may be given several times.
void add_setting(CLI::App& command, Invocation& invocation, const std::string& name,
                 const std::string& key);

/// The flags of everything that starts a node.
void add_node_settings(CLI::App& command, Invocation& invocation);

/// For options: a number from `least` to `most`; "nan" is none.
[[nodiscard]] CLI::Validator number_between(double least, double most);

/// The example at the end of a subcommand's --help.
void add_example(CLI::App& command, const std::string& example);

void add_id_command(CLI::App& app, Invocation& invocation);
void add_up_command(CLI::App& app, Invocation& invocation);
void add_status_commands(CLI::App& app, Invocation& invocation);
void add_doctor_command(CLI::App& app, Invocation& invocation);
void add_ping_command(CLI::App& app, Invocation& invocation);
void add_dht_command(CLI::App& app, Invocation& invocation);
void add_send_command(CLI::App& app, Invocation& invocation);
void add_recv_command(CLI::App& app, Invocation& invocation);
void add_config_command(CLI::App& app, Invocation& invocation);
void add_limits_command(CLI::App& app, Invocation& invocation);
void add_bench_command(CLI::App& app, Invocation& invocation);
void add_sim_command(CLI::App& app, Invocation& invocation);
void add_demo_command(CLI::App& app, Invocation& invocation);

}  // namespace quicmesh::cli
