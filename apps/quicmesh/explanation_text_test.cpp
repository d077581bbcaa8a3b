// The answers of `why`, `doctor` and `paths` for people, and that no peer's words steer a terminal.
#include "explanation_text.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include <boost/json/array.hpp>

namespace quicmesh::cli {
namespace {

using boost::json::array;
using boost::json::object;

object path_event(int row) {
  return {{"event", "path"},
          {"row", row},
          {"kind", "srflx"},
          {"remote", "192.0.2.1:4433"},
          {"relay", nullptr},
          {"current", row == 0},
          {"state", row == 0 ? "current" : "held"},
          {"held_s", row == 0 ? boost::json::value(nullptr) : boost::json::value(7.6)},
          {"rtt_us", 12'340},
          {"loss", 0.25},
          {"mtu_bytes", row == 0 ? 1452 : 0},
          {"bytes_sent", 2048},
          {"bytes_received", 0}};
}

TEST(ExplanationText, paths_are_a_table_with_one_line_of_headings) {
  const std::string first = path_text(path_event(0));
  const std::string second = path_text(path_event(1));
  EXPECT_EQ(std::count(first.begin(), first.end(), '\n'), 1);
  EXPECT_EQ(std::count(second.begin(), second.end(), '\n'), 0);
  const std::string row = first.substr(first.find('\n') + 1);
  EXPECT_EQ(row.size(), first.find('\n')) << "the columns are as wide as their headings";
  EXPECT_EQ(row.size(), second.size());
  EXPECT_EQ(row[0], '*');
  EXPECT_EQ(second[0], ' ');
  for (const char* word :
       {"192.0.2.1:4433", "srflx", "current", "12.3 ms", "25 %", "1452", "2.0 KiB"})
    EXPECT_NE(row.find(word), std::string::npos) << word << " in " << row;
  EXPECT_NE(second.find("held 8s"), std::string::npos) << second;
}

TEST(ExplanationText, why_tells_the_chain_and_the_one_remedy) {
  const object event{{"peer", "abcd"},
                     {"path", "relayed"},
                     {"remote", "192.0.2.1:443"},
                     {"rule", "it answered the dial first"},
                     {"technique", "relay"},
                     {"plan", "relay"},
                     {"nat_here", "symmetric"},
                     {"nat_there", "symmetric"},
                     {"reason", "Both NATs"},
                     {"remedy", "Forward a port"},
                     {"decisions", array{object{{"age_s", 90.0}, {"times", 3}, {"text", "One"}},
                                         object{{"age_s", 1.25}, {"times", 1}, {"text", "Two"}}}},
                     {"decisions_dropped", 5}};
  EXPECT_EQ(why_text(event),
            "peer            abcd\n"
            "path            relayed by 192.0.2.1:443\n"
            "because         it answered the dial first\n"
            "technique       relay\n"
            "plan            relay (NAT here: symmetric, there: symmetric)\n"
            "reason          Both NATs\n"
            "what would help Forward a port\n"
            "\n"
            "    2 min ago  One  (3 times)\n"
            "    1.2 s ago  Two\n"
            "(5 older ones are no longer kept)");
}

TEST(ExplanationText, a_peers_words_do_not_steer_the_terminal) {
  const object event{
      {"peer", "a"},
      {"path", nullptr},
      {"reason", "\x1b[2J"},
      {"decisions", array{object{{"age_s", 1.0}, {"text", "gone (\"\x1b]0;x\x07\nfake\")"}}}}};
  const std::string text = why_text(event);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(text.find('\x07'), std::string::npos);
  EXPECT_EQ(text.find("\nfake"), std::string::npos);
  EXPECT_NE(text.find("none: not connected"), std::string::npos);
}

TEST(ExplanationText, doctor_names_the_prospects_and_what_would_help) {
  object event{
      {"type", "symmetric"},
      {"mapping", "address-dependent"},
      {"port_allocation", "sequential"},
      {"port_delta", 2},
      {"port_mapping", array{}},
      {"mtu_bytes", nullptr},
      {"relays", array{object{{"relay", "abcdefabcdefabcdef"},
                              {"up", true},
                              {"rtt_us", 20'000},
                              {"load_percent", 3}}}},
      {"prospects",
       array{
           object{{"peer", "full cone"}, {"direct", true}, {"technique", "plain"}},
           object{{"peer", "symmetric, ports random"}, {"direct", false}, {"technique", "relay"}}}},
      {"remedy", "Forward a port"}};
  const std::string text = doctor_text(event);
  for (const char* words :
       {"sequential, steps of 2", "no gateway has answered", "abcdefabcdef  up, 20.0 ms, load 3 %",
        "full cone", "relayed  (relay)", "What would help: Forward a port."})
    EXPECT_NE(text.find(words), std::string::npos) << words << " in\n" << text;
  event["remedy"] = nullptr;
  EXPECT_NE(doctor_text(event).find("Nothing is wanting."), std::string::npos);
}

// What another version of the program sends over the control socket.
TEST(ExplanationText, events_of_other_shapes_are_shown_without_harm) {
  const object odd{{"decisions", array{1, "x", nullptr}},
                   {"relays", "none"},
                   {"prospects", 7},
                   {"port_mapping", array{1}},
                   {"rtt_us", "x"},
                   {"row", "y"}};
  EXPECT_FALSE(why_text(odd).empty());
  EXPECT_FALSE(doctor_text(odd).empty());
  EXPECT_FALSE(path_text(odd).empty());
}

}  // namespace
}  // namespace quicmesh::cli
