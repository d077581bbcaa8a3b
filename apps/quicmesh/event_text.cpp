// How each kind of event reads for a person. Whatever a peer may have chosen (names, reasons) goes
// through `printable`.
#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>

#include "explanation_text.hpp"
#include "output.hpp"
#include "text.hpp"

namespace quicmesh::cli {
namespace {

using Object = boost::json::object;

/// A node's id is 64 digits; twelve tell the nodes of one screen apart.
std::string short_id(const Object& event, std::string_view key) {
  return printable(text_of(event, key)).substr(0, 12);
}

std::string member(const Object& event, std::string_view key) {
  return printable(text_of(event, key));
}

double ms_of(const Object& event, std::string_view key) {
  return number_of(event, key) / 1000.0;
}

/// A number, true, false or null as in JSON.
std::string member_text(const boost::json::value& value) {
  const std::string text = to_text({{"", value}});
  return text.substr(4, text.size() - 5);
}

std::string list_of(const Object& event, std::string_view key) {
  std::string text;
  const boost::json::value* value = event.if_contains(key);
  if (value == nullptr || !value->is_array()) return text;
  for (const auto& entry : value->get_array()) {
    if (!entry.is_string()) continue;
    if (!text.empty()) text += ", ";
    text += printable(std::string_view(entry.get_string()));
  }
  return text;
}

std::string ready_text(const Object& event) {
  return fmt::format("node    {}\nlisten  {}\naddress {}", member(event, "node_id"),
                     list_of(event, "listen"), member(event, "address"));
}

std::string path_changed_text(const Object& event) {
  return fmt::format("{}  path changed: {} {} -> {} {}, {:.1f} ms", short_id(event, "peer"),
                     member(event, "from_path"), member(event, "from"), member(event, "path"),
                     member(event, "to"), ms_of(event, "rtt_us"));
}

std::string peer_down_text(const Object& event) {
  const std::string reason = member(event, "reason");
  return fmt::format("{}  down: {}{}", short_id(event, "peer"), member(event, "error"),
                     reason.empty() ? "" : " [" + reason + "]");
}

std::string pong_text(const Object& event) {
  return fmt::format("pong {}: {:.3f} ms, {} by {}", integer_of(event, "seq"),
                     ms_of(event, "rtt_us"), member(event, "path"), member(event, "remote"));
}

/// "1 node", "2 nodes".
std::string count_of(std::int64_t count, std::string_view thing) {
  return fmt::format("{} {}{}", count, thing, count == 1 ? "" : "s");
}

std::string lookup_text(const Object& event) {
  constexpr std::array kinds{"stored", "stopped"};
  const auto kind =
      std::ranges::find_if(kinds, [&](const char* one) { return event.contains(one); });
  return fmt::format("{}{}: {}, {}, {:.1f} ms{}", flag_of(event, "found") ? "" : "not ",
                     kind == kinds.end() ? "found" : *kind,
                     count_of(integer_of(event, "hops"), "hop"),
                     count_of(integer_of(event, "queries"), "request"), number_of(event, "ms"),
                     flag_of(event, "complete") ? "" : ", not complete");
}

std::string resolved_text(const Object& event) {
  const std::string relays = list_of(event, "relays");
  return fmt::format("{}\naddresses {}{}", member(event, "node_id"), list_of(event, "addresses"),
                     relays.empty() ? "" : "\nrelays    " + relays);
}

std::string summary_text(const Object& event) {
  if (event.contains("hops")) return lookup_text(event);
  std::string text =
      fmt::format("{} sent, {} received", integer_of(event, "sent"), integer_of(event, "received"));
  if (event.contains("first_byte_ms") && event.at("first_byte_ms").is_number())
    text += fmt::format(", first byte after {:.1f} ms", number_of(event, "first_byte_ms"));
  const std::string path = member(event, "path");
  if (!path.empty()) text += ", " + path;
  const std::string technique = member(event, "technique");
  return technique.empty() || path == "relayed" ? text : text + " (" + technique + ")";
}

std::string done_text(const Object& event) {
  const auto bytes = static_cast<std::uint64_t>(integer_of(event, "bytes"));
  const auto moved = static_cast<std::uint64_t>(integer_of(event, "moved"));
  const double seconds = number_of(event, "seconds");
  const std::string path = member(event, "path");
  std::string text = fmt::format("done: {} in {:.2f} s ({}), BLAKE3 {}", human_bytes(bytes),
                                 seconds, human_rate(moved, seconds), member(event, "blake3"));
  const std::int64_t resumed = integer_of(event, "resumed_from");
  if (resumed > 0)
    text += fmt::format(", resumed at {}", human_bytes(static_cast<std::uint64_t>(resumed)));
  return path.empty() ? text : path + "  " + text;
}

std::string offer_text(const Object& event) {
  const auto bytes = static_cast<std::uint64_t>(integer_of(event, "bytes"));
  return fmt::format("{}  sends {} ({})", short_id(event, "peer"), member(event, "name"),
                     human_bytes(bytes));
}

std::string peer_text(const Object& event) {
  const bool has_tier = event.contains("tier") && event.at("tier").is_number();
  return fmt::format("{}  {} by {}, {:.1f} ms{}", member(event, "peer"), member(event, "path"),
                     member(event, "remote"), ms_of(event, "rtt_us"),
                     has_tier ? fmt::format(", tier {}", integer_of(event, "tier")) : "");
}

/// One member a line.
std::string table_text(const Object& event) {
  std::string text;
  for (const auto& [key, value] : event) {
    if (key == "event") continue;
    const std::string shown = value.is_string()  ? printable(std::string_view(value.get_string()))
                              : value.is_array() ? list_of(event, key)
                                                 : member_text(value);
    if (!text.empty()) text += '\n';
    text += fmt::format("{:<24} {}", std::string_view(key), shown);
  }
  return text;
}

std::string setting_text(const Object& event) {
  const boost::json::value* value = event.if_contains("value");
  const std::string shown = value == nullptr     ? ""
                            : value->is_string() ? member(event, "value")
                            : value->is_array()  ? list_of(event, "value")
                                                 : member_text(*value);
  return fmt::format("{:<18} {:<32} {}", member(event, "key"), shown.empty() ? "-" : shown,
                     member(event, "source"));
}

std::string limit_text(const Object& event) {
  std::string text = fmt::format("{:<34} {:>12}  {}", member(event, "name"),
                                 integer_of(event, "value"), member(event, "policy"));
  if (event.contains("drops") && event.at("drops").is_number())
    text += fmt::format("; {} dropped", integer_of(event, "drops"));
  return text;
}

struct Form {
  std::string_view event;
  std::string (*text)(const Object& event);
};

constexpr std::array forms{
    Form{"ready", ready_text},
    Form{"peer_up",
         [](const Object& event) {
           return fmt::format("{}  up, {} by {}", short_id(event, "peer"), member(event, "path"),
                              member(event, "remote"));
         }},
    Form{"peer_down", peer_down_text},
    Form{"path_changed", path_changed_text},
    Form{"path_resumed",
         [](const Object& event) {
           return fmt::format("{}  resumed after {:.0f} ms", short_id(event, "peer"),
                              number_of(event, "stall_ms"));
         }},
    Form{"relay_up",
         [](const Object& event) {
           return fmt::format("relay {}  up{}, sees this node at {}", short_id(event, "relay"),
                              member(event, "leg") == "tls" ? " over TLS" : "",
                              member(event, "observed"));
         }},
    Form{"relay_down",
         [](const Object& event) {
           const std::string tried = member(event, "tried");
           return fmt::format("relay {}  down: {}{}", short_id(event, "relay"),
                              member(event, "reason"), tried.empty() ? "" : " (" + tried + ")");
         }},
    Form{"turn_up",
         [](const Object& event) {
           return fmt::format("TURN    {} relays for this node at {}", member(event, "server"),
                              member(event, "relayed"));
         }},
    Form{"turn_down",
         [](const Object& event) {
           return fmt::format("TURN    {} does not relay: {}; {}", member(event, "server"),
                              member(event, "reason"), member(event, "hint"));
         }},
    Form{"port_mapped",
         [](const Object& event) {
           return fmt::format("port    {} is forwarded by the gateway ({}) for {} s",
                              member(event, "external"), member(event, "protocol"),
                              integer_of(event, "lifetime_s"));
         }},
    Form{"port_mapping_failed",
         [](const Object& event) {
           return fmt::format("no port mapping: {}; {}", member(event, "reason"),
                              member(event, "hint"));
         }},
    Form{"path_refused",
         [](const Object& event) {
           return fmt::format("{}  stays where it was: {} does not answer", short_id(event, "peer"),
                              member(event, "remote"));
         }},
    Form{"pong", pong_text},
    Form{"lost",
         [](const Object& event) {
           return fmt::format("no answer to ping {}", integer_of(event, "seq"));
         }},
    Form{"summary", summary_text},
    Form{"offer", offer_text},
    Form{"done", done_text},
    Form{"identity",
         [](const Object& event) {
           return fmt::format("{}\nhex        {}\npublic key {}", member(event, "short_form"),
                              member(event, "node_id"), member(event, "public_key"));
         }},
    Form{"peer", peer_text},
    Form{"stored",
         [](const Object& event) {
           return fmt::format("{}  kept by {}", member(event, "key"),
                              count_of(integer_of(event, "stored"), "node"));
         }},
    Form{"node", [](const Object& event) { return member(event, "node_id"); }},
    Form{"resolved", resolved_text},
    Form{"path", path_text},
    Form{"why", why_text},
    Form{"doctor", doctor_text},
    Form{"setting", setting_text},
    Form{"limit", limit_text},
    Form{"note", [](const Object& event) { return text_of(event, "message"); }},
    Form{"step",
         [](const Object& event) {
           return fmt::format("  {}: {} ({:.2f} s)", flag_of(event, "ok") ? "ok" : "FAILED",
                              member(event, "found"), number_of(event, "seconds"));
         }},
    Form{"bench",
         [](const Object& event) {
           return fmt::format("{:<12} {}", member(event, "name"), member(event, "description"));
         }},
    Form{"error", [](const Object&) { return std::string(); }},  // already on stderr
};

}  // namespace

std::string event_text(const Object& event) {
  const std::string kind = text_of(event, "event");
  for (const Form& form : forms) {
    if (form.event == kind) return form.text(event);
  }
  return table_text(event);
}

}  // namespace quicmesh::cli
