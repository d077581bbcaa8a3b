// See explanation_text.hpp. What a peer may have chosen goes through `printable`.
#include "explanation_text.hpp"

#include <fmt/format.h>

#include "output.hpp"
#include "text.hpp"

namespace quicmesh::cli {
namespace {

using Object = boost::json::object;

std::string member(const Object& event, std::string_view key) {
  return printable(text_of(event, key));
}

/// The elements of an array that are objects.
template <class Visit>
void for_each_object(const Object& event, std::string_view key, Visit&& visit) {
  const boost::json::value* list = event.if_contains(key);
  if (list == nullptr || !list->is_array()) return;
  for (const boost::json::value& element : list->get_array()) {
    if (element.is_object()) visit(element.get_object());
  }
}

std::string list_text(const Object& event, std::string_view key) {
  std::string text;
  const boost::json::value* list = event.if_contains(key);
  if (list == nullptr || !list->is_array()) return text;
  for (const boost::json::value& element : list->get_array()) {
    if (!element.is_string()) continue;
    if (!text.empty()) text += ", ";
    text += printable(std::string_view(element.get_string()));
  }
  return text;
}

bool has_number(const Object& event, std::string_view key) {
  const boost::json::value* value = event.if_contains(key);
  return value != nullptr && value->is_number();
}

std::string ms_text(const Object& event, std::string_view key) {
  if (!has_number(event, key)) return "-";
  return fmt::format("{:.1f} ms", number_of(event, key) / 1e3);
}

std::string age_text(double seconds) {
  if (seconds < 60) return fmt::format("{:.1f} s", seconds);
  if (seconds < 3600) return fmt::format("{:.0f} min", seconds / 60);
  return fmt::format("{:.1f} h", seconds / 3600);
}

/// What is said of an error with a reason and a hint; empty if there is none.
std::string why_not_text(const Object& event, std::string_view key) {
  const boost::json::value* error = event.if_contains(key);
  if (error == nullptr || !error->is_object()) return "";
  return member(error->get_object(), "reason") + "; " + member(error->get_object(), "hint");
}

void add_line(std::string& text, std::string_view name, const std::string& value) {
  if (value.empty()) return;
  if (!text.empty()) text += '\n';
  text += fmt::format("{:<15} {}", name, value);
}

}  // namespace

std::string why_text(const Object& event) {
  std::string text;
  add_line(text, "peer", member(event, "peer"));
  const std::string path = member(event, "path");
  add_line(text, "path",
           path.empty() ? "none: not connected" : path + " by " + member(event, "remote"));
  add_line(text, "because", member(event, "rule"));
  add_line(text, "technique", member(event, "technique"));
  const std::string plan = member(event, "plan");
  if (!plan.empty()) {
    add_line(text, "plan",
             fmt::format("{} (NAT here: {}, there: {})", plan, member(event, "nat_here"),
                         member(event, "nat_there")));
  }
  add_line(text, "reason", member(event, "reason"));
  add_line(text, "what would help", member(event, "remedy"));
  text += "\n";
  for_each_object(event, "decisions", [&](const Object& decision) {
    text += fmt::format("\n{:>9} ago  {}", age_text(number_of(decision, "age_s")),
                        member(decision, "text"));
    const std::int64_t times = integer_of(decision, "times", 1);
    if (times > 1) text += fmt::format("  ({} times)", times);
  });
  const std::int64_t dropped = integer_of(event, "decisions_dropped");
  if (dropped > 0) text += fmt::format("\n({} older ones are no longer kept)", dropped);
  return text;
}

std::string path_text(const Object& event) {
  std::string text;
  if (integer_of(event, "row", -1) == 0) {
    text = fmt::format("  {:<46} {:<6} {:<10} {:>10} {:>8} {:>5} {:>11} {:>11}\n", "remote", "kind",
                       "state", "rtt", "loss", "mtu", "sent", "received");
  }
  std::string state = member(event, "state");
  if (has_number(event, "held_s")) state += fmt::format(" {:.0f}s", number_of(event, "held_s"));
  const std::int64_t mtu = integer_of(event, "mtu_bytes");
  const auto bytes = [&](std::string_view key) {
    return human_bytes(static_cast<std::uint64_t>(integer_of(event, key)));
  };
  std::string remote = member(event, "remote");
  if (const std::string relay = member(event, "relay"); !relay.empty()) {
    remote += " over " + relay.substr(0, 12);
  }
  text += fmt::format(
      "{} {:<46} {:<6} {:<10} {:>10} {:>8} {:>5} {:>11} {:>11}",
      flag_of(event, "current") ? "*" : " ", remote, member(event, "kind"), state,
      ms_text(event, "rtt_us"),
      has_number(event, "loss") ? fmt::format("{:.0f} %", 100 * number_of(event, "loss")) : "-",
      mtu > 0 ? std::to_string(mtu) : "-", bytes("bytes_sent"), bytes("bytes_received"));
  return text;
}

std::string doctor_text(const Object& event) {
  std::string text;
  add_line(text, "NAT", member(event, "type"));
  add_line(text, "mapping", member(event, "mapping"));
  add_line(text, "filtering", member(event, "filtering"));
  std::string ports = member(event, "port_allocation");
  const std::int64_t delta = integer_of(event, "port_delta");
  if (delta != 0) ports += fmt::format(", steps of {}", delta);
  add_line(text, "ports", ports);
  for (const auto& [key, name] :
       {std::pair{"hairpin", "hairpinning"}, std::pair{"cgnat", "carrier's NAT"},
        std::pair{"udp_blocked", "UDP blocked"}, std::pair{"external", "seen from out"},
        std::pair{"ipv6", "IPv6"}})
    add_line(text, name, member(event, key));
  const std::string gateway = list_text(event, "port_mapping");
  add_line(text, "port mapping", gateway.empty() ? "no gateway has answered" : gateway);
  const std::string mapped = list_text(event, "mapped");
  if (!mapped.empty()) add_line(text, "forwarded", mapped + ", to this node");
  add_line(text, "not forwarded", why_not_text(event, "mapping_error"));
  if (integer_of(event, "mtu_bytes") > 0)
    add_line(text, "MTU", fmt::format("{} bytes of UDP payload", integer_of(event, "mtu_bytes")));
  add_line(text, "servers",
           fmt::format("{} answered, the first in {}", integer_of(event, "servers_answered"),
                       ms_text(event, "rtt_us")));
  for_each_object(event, "relays", [&](const Object& relay) {
    add_line(text, "relay",
             fmt::format("{}  {}, {}, load {} %", member(relay, "relay").substr(0, 12),
                         flag_of(relay, "up") ? "up" : "down", ms_text(relay, "rtt_us"),
                         integer_of(relay, "load_percent")));
  });
  for_each_object(event, "turn", [&](const Object& turn) {
    const std::string relayed = member(turn, "relayed");
    const std::string why_not = why_not_text(turn, "error");
    std::string state = why_not.empty() ? "no answer yet" : "does not relay: " + why_not;
    if (!relayed.empty()) state = "relays at " + relayed;
    add_line(text, "TURN", fmt::format("{}  {}", member(turn, "server"), state));
  });
  text += "\n\nWith a peer whose NAT is";
  for_each_object(event, "prospects", [&](const Object& prospect) {
    text += fmt::format("\n  {:<34} {:<8} ({})", member(prospect, "peer"),
                        flag_of(prospect, "direct") ? "direct" : "relayed",
                        member(prospect, "technique"));
  });
  const std::string remedy = member(event, "remedy");
  text += "\n\n";
  text += remedy.empty() ? "Nothing is wanting." : "What would help: " + remedy + ".";
  return text;
}

}  // namespace quicmesh::cli
