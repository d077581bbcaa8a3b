// See control.hpp.
#include "control.hpp"

#include <fmt/format.h>

#include <optional>
#include <vector>

#include "router_options.hpp"

namespace quicmesh::natlab {
namespace {

constexpr std::string_view done = R"({"ok":true})";

std::string refusal(std::string_view why) {
  return fmt::format(R"({{"ok":false,"error":"{}"}})", why);
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty()) {
    const std::size_t space = std::min(line.find(' '), line.size());
    if (space > 0) words.push_back(line.substr(0, space));
    line.remove_prefix(std::min(space + 1, line.size()));
  }
  return words;
}

std::string change_lines(Router& router, Instant now, const std::vector<std::string_view>& words) {
  if (words.size() < 3) return refusal("line up|down|both NAME=VALUE...");
  const bool both = words[1] == "both";
  if (!both && words[1] != "up" && words[1] != "down") return refusal("up, down or both");
  sim::LinkConfig up = router.up();
  sim::LinkConfig down = router.down();
  for (std::size_t i = 2; i < words.size(); ++i) {
    const std::size_t equals = words[i].find('=');
    if (equals == std::string_view::npos) return refusal("NAME=VALUE is wanted");
    const std::string_view name = words[i].substr(0, equals);
    const std::string_view value = words[i].substr(equals + 1);
    const bool good = (!(both || words[1] == "up") || set_property(up, name, value)) &&
                      (!(both || words[1] == "down") || set_property(down, name, value));
    if (!good) return refusal("no such property or value");
  }
  if (!sim::check(up) || !sim::check(down)) return refusal("the values do not fit together");
  router.set_lines(now, up, down);
  return std::string(done);
}

}  // namespace

std::string obey(Router& router, Instant now, std::string_view line) {
  const auto words = words_of(line);
  if (words.empty()) return refusal("an empty line");
  if (words[0] == "counters") return router.counters_json();
  if (words[0] == "rebind") {
    router.rebind();
    return std::string(done);
  }
  if (words[0] == "line") return change_lines(router, now, words);
  if (words.size() != 2 || (words[0] != "deny" && words[0] != "allow"))
    return refusal("counters, rebind, deny, allow or line");
  if (words[0] == "allow" && words[1] == "all") {
    router.gateway().allow_all();
    return std::string(done);
  }
  const auto address = IpAddress::parse(words[1]);
  if (!address) return refusal("no IP address");
  if (words[0] == "allow") {
    router.gateway().allow(*address);
  } else if (!router.gateway().deny(*address)) {
    return refusal("too many addresses are denied");
  }
  return std::string(done);
}

}  // namespace quicmesh::natlab
