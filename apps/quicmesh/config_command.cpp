// `quicmesh config show`: every setting with where its value comes from.
#include <boost/json/array.hpp>

#include "invocation.hpp"
#include "text.hpp"

namespace quicmesh::cli {
namespace {

boost::json::value value_of(const SettingSpec& spec, const SettingValue& value) {
  if (is_list(spec.kind)) {
    boost::json::array list;
    for (const std::string& text : value.texts)
      list.emplace_back(valid_utf8(shown_text(spec, text)));
    return list;
  }
  const std::string text = value.texts.empty() ? "" : value.texts.back();
  return boost::json::value(valid_utf8(shown_text(spec, text)));
}

int show_settings(const Settings& settings, Output& output) {
  for (const SettingSpec& spec : setting_specs()) {
    const SettingValue& value = settings.value(spec.key);
    output.event({{"event", "setting"},
                  {"key", spec.key},
                  {"value", value_of(spec, value)},
                  {"source", valid_utf8(value.source)},
                  {"description", spec.description}});
  }
  return exit_done;
}

}  // namespace

void add_config_command(CLI::App& app, Invocation& invocation) {
  CLI::App& command = *app.add_subcommand("config", "look at the settings");
  command.require_subcommand(1);
  add_example(command, "quicmesh config show");
  CLI::App& show = *command.add_subcommand("show", "each setting, its value, and its source");
  add_node_settings(show, invocation);
  add_setting(show, invocation, "--out", "out");
  add_example(show, "QUICMESH_LOG=debug quicmesh config show");
  show.callback([&invocation] { invocation.run = show_settings; });
}

}  // namespace quicmesh::cli
