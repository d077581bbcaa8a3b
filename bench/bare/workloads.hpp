// The four measurements of bare_quic, client and server side.
//
// bulk        one unidirectional stream of --bytes; rate from the first byte to the last one
//             acknowledged (client) or received (server)
// handshakes  --count connections, --parallel at a time, each counted when it is confirmed (both
//             ends authenticated) and then closed
// echo        64-byte messages on one bidirectional stream, --outstanding at a time
// idle        --connections held open without traffic; memory for each end
//
// The server is the same in all modes: it swallows unidirectional streams, echoes bidirectional
// ones, and ends when the last client has left.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "bare/tuning.hpp"
#include "common/arguments.hpp"
#include "common/json_line.hpp"

namespace bench {

enum class Mode { bulk, handshakes, echo, idle };

struct RunOptions {
  Mode mode = Mode::bulk;
  std::string mode_name = "bulk";
  std::uint64_t bytes = 512u << 20;
  std::uint64_t count = 4000;
  std::uint64_t parallel = 32;
  std::uint64_t outstanding = 1;
  std::uint64_t connections = 2000;
  /// After so many seconds a run that has not ended is an error.
  std::uint64_t seconds_max = 60;
};

/// Reads the options of all modes; `mode_name` is a word of the command line.
[[nodiscard]] RunOptions read_run_options(const Arguments& arguments, const std::string& mode_name);

/// Listens on 127.0.0.1:`port` (0: any), calls `announce` with the port, serves until the last
/// client has left, and reports.
[[nodiscard]] JsonLine run_server(const RunOptions& run, const Tuning& tuning, std::uint16_t port,
                                  const std::function<void(std::uint16_t)>& announce);

/// Runs the client's part against 127.0.0.1:`port` and reports.
[[nodiscard]] JsonLine run_client(const RunOptions& run, const Tuning& tuning, std::uint16_t port);

}  // namespace bench
