// The steps of demo.hpp that need no NAT.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <iterator>
#include <thread>

#include <fmt/format.h>

#include "base/hex.hpp"
#include "base/rng.hpp"
#include "demo.hpp"
#include "demo_network.hpp"
#include "file_source.hpp"
#include "interrupts.hpp"
#include "quicmesh/keypair.hpp"
#include "text.hpp"

namespace quicmesh::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t big_file_bytes = 100'000'000;
constexpr const char* slow_rate = "20M";
constexpr std::size_t interrupted_after_bytes = 10'000'000;

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

Outcome<std::string> Demo::start_nodes() {
  if (mesh_.behind_nats()) {
    if (auto started = mesh_.start_relay(); !started) return std::unexpected(started.error());
    say(fmt::format("  relay {} on {}", mesh_.relay().node_id.substr(0, 12), mesh_.relay().listen));
  }
  for (DemoNode& node : mesh_.nodes()) {
    if (auto started = mesh_.start(node); !started) return std::unexpected(started.error());
    say(fmt::format("  {:<5} {} on {}", node.name, node.node_id.substr(0, 12), node.listen));
  }
  if (mesh_.behind_nats()) return "a relay and five nodes, none of which knows another's address";
  if (auto connected = mesh_.wait_until_connected(); !connected)
    return std::unexpected(connected.error());
  return fmt::format("{} nodes that were told of one found each other: {} connections",
                     mesh_.nodes().size(), mesh_.nodes().size() * (mesh_.nodes().size() - 1) / 2);
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
  const std::uint64_t before = mesh_.behind_nats() ? received_bytes(demo_relay) : 0;
  const auto ran = mesh_.run(mesh_.node("anna"), {"send", *path, emil.node_id});
  const auto seconds = check_big_file(ran, *path, emil.inbox + "/album.bin");
  if (!seconds) return std::unexpected(seconds.error());
  std::string found = fmt::format("100 MB in {:.2f} s: {}, BLAKE3 {} at both ends", *seconds,
                                  human_rate(big_file_bytes, *seconds),
                                  text_of(ran.last("done"), "blake3").substr(0, 16));
  if (mesh_.behind_nats())
    found += fmt::format("; meanwhile the relay received {}",
                         human_bytes(received_bytes(demo_relay) - before));
  return found;
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
    const auto down = node.hear(
        [&](const boost::json::object& event) {
          return text_of(event, "event") == "peer_down" && text_of(event, "peer") == ben.node_id;
        },
        DemoMesh::patience);
    if (!down) return lost(node.name + " did not notice that ben has gone");
    say(fmt::format("  {:<5} says: ben is down, {}", node.name, text_of(*down, "error")));
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
      mesh_.run(mesh_.node("dora"), {"ping", stranger + "@" + mesh_.node("emil").listen});
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

}  // namespace quicmesh::cli
