// `quicmesh id`: shows the identity in the data folder, and makes one if there is none.
#include <ctime>

#include <fmt/format.h>

#include "base/hex.hpp"
#include "crypto/system_rng.hpp"
#include "data_folder.hpp"
#include "invocation.hpp"
#include "io/key_file.hpp"

namespace quicmesh::cli {
namespace {

int run_id(const Settings& settings, Output& output, bool make_new) {
  const DataFolder folder(settings.text("data"));
  // A node that runs would go on under the old key, which nobody could find any more.
  const auto lock = folder.try_lock();
  if (!lock) {
    output.fail(lock.error());
    return lock.error().exit_code;
  }
  if (make_new && !*lock) {
    output.fail({.code = "already_running",
                 .message = fmt::format("process {} uses the identity in {}", folder.lock_owner(),
                                        folder.path()),
                 .hint = "stop it before you make a new one"});
    return exit_failed;
  }
  SystemRng rng;
  const auto keypair =
      make_new ? io::rotate_key_file(folder.key_file(), rng, WallTime{std::time(nullptr)})
               : io::load_or_create_key_file(folder.key_file(), rng);
  if (!keypair) {
    const Failure failure =
        make_failure(fmt::format("cannot use the key file {}", folder.key_file()), keypair.error());
    output.fail(failure);
    return failure.exit_code;
  }
  output.event({{"event", "identity"},
                {"node_id", keypair->node_id().to_hex()},
                {"public_key", to_hex(keypair->public_key().bytes)},
                {"short_form", keypair->node_id().to_short_string()}});
  return exit_done;
}

}  // namespace

void add_id_command(CLI::App& app, Invocation& invocation) {
  CLI::App& command = *app.add_subcommand("id", "show the identity of this node, or make one");
  auto make_new = std::make_shared<bool>(false);
  command.add_flag("--new", *make_new, "make a new identity; the old key file is kept beside it");
  add_example(command, "quicmesh id --data ~/nodes/first");
  command.callback([&invocation, make_new] {
    invocation.run = [make_new](const Settings& settings, Output& output) {
      return run_id(settings, output, *make_new);
    };
  });
}

}  // namespace quicmesh::cli
