#include "sim/dht_calibration.hpp"

#include <deque>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/assert.hpp"
#include "crypto/seeded_rng.hpp"
#include "node/dht_host.hpp"
#include "sim/latency_model.hpp"
#include "sim/lookup_figures.hpp"
#include "sim/mesh_node.hpp"
#include "sim/peer_fabric.hpp"

namespace quicmesh::sim {
namespace {

// What both sides share.

/// Where everybody is: node i has handle i.
struct Places {
  explicit Places(const CalibrationConfig& config) {
    Rng rng = Rng(config.seed).fork("places");
    for (std::size_t i = 0; i < config.nodes; ++i)
      at.push_back(model.draw_place(rng));
  }
  [[nodiscard]] Duration rtt(std::size_t a, std::size_t b) const {
    return model.rtt(static_cast<std::uint32_t>(a), at[a], static_cast<std::uint32_t>(b), at[b]);
  }

  LatencyModel model = LatencyModel::cities();
  std::vector<PeerPlace> at;
};

struct Question {
  std::size_t origin = 0;
  std::size_t target = 0;  // of a resolve
  NodeId key;              // of a find
  bool is_find = false;
};

std::vector<Question> questions_of(const CalibrationConfig& config) {
  Rng rng = Rng(config.seed).fork("questions");
  std::vector<Question> questions(2 * config.lookups);
  bool is_find = false;
  for (Question& question : questions) {
    question.is_find = is_find = !is_find;
    question.origin = rng.below(config.nodes);
    question.target = (question.origin + 1 + rng.below(config.nodes - 1)) % config.nodes;
    rng.fill(question.key.bytes);
  }
  return questions;
}

struct Answer {
  Duration took{};
  bool over = false;
  bool found = false;
  std::size_t queries = 0;
  bool asked = false;  // anybody at all
};

/// Of `answers`, as far as on neither side the asker knew the answer.
CalibrationFigures figures_of(const std::vector<Question>& questions,
                              const std::vector<Answer>& answers,
                              const std::vector<Answer>& of_the_other_side, bool finds) {
  const auto knew = [](const Answer& answer) { return answer.over && !answer.asked; };
  CalibrationFigures figures;
  std::vector<double> times;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const Answer& answer = answers[i];
    if (questions[i].is_find != finds || knew(answer) || knew(of_the_other_side[i])) continue;
    ++figures.counted;
    if (!answer.over || !answer.found) ++figures.failed;
    if (!answer.over) continue;
    times.push_back(std::chrono::duration<double, std::milli>(answer.took).count());
    figures.queries += static_cast<double>(answer.queries);
  }
  figures.p50_ms = percentile(times, 0.5);
  figures.p95_ms = percentile(times, 0.95);
  figures.queries /= static_cast<double>(std::max<std::size_t>(1, times.size()));
  return figures;
}

// Packets.

IpAddress address_of(std::size_t number) {
  // Of the range for benchmarks, each in a prefix of its own.
  const std::size_t prefix = number + 1;
  return IpAddress::v4({static_cast<std::uint8_t>(198),
                        static_cast<std::uint8_t>(18 + prefix / 256),
                        static_cast<std::uint8_t>(prefix % 256), 1});
}

class PacketSide {
 public:
  explicit PacketSide(const CalibrationConfig& config)
      : config_(config),
        simulation_({.seed = config.seed, .replay = "calibration"}),
        secure_rng_(config.seed, "calibration") {
    Network& network = simulation_.network();
    for (std::size_t i = 0; i < config.nodes; ++i) {
      Member& member = members_.emplace_back();
      const HostId host = network.add_host("n" + std::to_string(i)).value();
      member.interface = network.add_interface(host, {"eth", internet, address_of(i), {}}).value();
      member.node = std::make_unique<MeshNode>(simulation_, host);
      member.node->announce();
      member.node->listen([this](Instant, const NodeEvent& event) {
        const auto* connected = std::get_if<PeerConnected>(&event);
        if (connected != nullptr && connected->dialled_by_us) ++handshakes_;
      });
    }
    connect_places();
  }

  [[nodiscard]] std::vector<NodeId> ids() const {
    std::vector<NodeId> all;
    for (const Member& member : members_)
      all.push_back(member.node->id());
    return all;
  }

  /// The answers to `questions`, in their order.
  std::vector<Answer> run(const std::vector<Question>& questions, CalibrationSide& side) {
    for (std::size_t i = 0; i < members_.size(); ++i) {
      start(i);
      (void)simulation_.run_for(config_.join_step);
    }
    (void)simulation_.run_for(config_.settle);
    std::vector<Answer> answers(questions.size());
    const std::uint64_t before = handshakes_;
    for (std::size_t i = 0; i < questions.size(); ++i) {
      ask(questions[i], i);
      (void)simulation_.run_for(config_.lookup_step);
      collect(answers);
    }
    (void)simulation_.run_for(2 * config_.dht.lookup_deadline);
    collect(answers);
    side.handshakes =
        static_cast<double>(handshakes_ - before) / static_cast<double>(questions.size());
    for (const Member& member : members_) {
      side.contacts += static_cast<double>(member.dht->core().table().live_count());
      side.connections +=
          static_cast<double>(member.node->core().connectivity().quic().connections());
    }
    side.contacts /= static_cast<double>(members_.size());
    side.connections /= static_cast<double>(members_.size());
    return answers;
  }

 private:
  struct Member {
    std::unique_ptr<MeshNode> node;
    InterfaceId interface{};
    DhtHost* dht = nullptr;  // of the node's services
    std::unordered_map<DhtTicket, std::size_t> open;
  };

  void connect_places() {
    const Places places(config_);
    Network& network = simulation_.network();
    for (std::size_t a = 0; a < members_.size(); ++a) {
      for (std::size_t b = a + 1; b < members_.size(); ++b) {
        LinkConfig link;
        link.delay = places.rtt(a, b) / 2;
        if (!config_.loss.is_zero()) link.loss = Loss::independent(config_.loss);
        const auto set = network.set_path(network.attachment_of(members_[a].interface),
                                          network.attachment_of(members_[b].interface), link, link);
        QM_ASSERT(set.has_value());
      }
    }
  }

  void start(std::size_t number) {
    Member& member = members_[number];
    DhtHostConfig config;
    config.core = config_.dht;
    config.role = DhtRole::server;
    if (number > 0) {
      const MeshNode& first = *members_.front().node;
      config.bootstrap.push_back({first.id(), {first.address(members_.front().interface)}});
    }
    member.node->command([&](NodeCore& core, Instant now) {
      auto dht = std::make_unique<DhtHost>(now, std::move(config), core.id(), secure_rng_);
      member.dht = dht.get();
      core.add_service(std::move(dht));
    });
  }

  void ask(const Question& question, std::size_t number) {
    Member& origin = members_[question.origin];
    const auto ticket = origin.node->command([&](NodeCore& core, Instant now) {
      if (question.is_find) return origin.dht->find(now, question.key);
      return origin.dht->resolve(now, core, members_[question.target].node->id());
    });
    if (ticket) origin.open[*ticket] = number;
  }

  void collect(std::vector<Answer>& answers) {
    for (Member& member : members_) {
      while (const auto news = member.dht->poll_news()) {
        const auto* outcome = std::get_if<DhtOutcome>(&*news);
        if (outcome == nullptr) continue;
        const auto open = member.open.find(outcome->ticket);
        if (open == member.open.end()) continue;
        Answer& answer = answers[open->second];
        if (const auto* nodes = std::get_if<FoundNodes>(&outcome->result)) {
          answer = {nodes->figures.took, true, nodes->figures.complete, nodes->figures.queries,
                    true};
        } else if (const auto* resolved = std::get_if<ResolvedNode>(&outcome->result)) {
          answer = {resolved->figures.took, true, resolved->found, resolved->figures.queries,
                    resolved->figures.took > Duration{}};
        }
        member.open.erase(open);
      }
    }
  }

  CalibrationConfig config_;
  Simulation simulation_;
  SeededRng secure_rng_;
  std::deque<Member> members_;
  std::uint64_t handshakes_ = 0;
};

// Peers.

class PeerSide {
 public:
  PeerSide(const CalibrationConfig& config, const std::vector<NodeId>& ids)
      : config_(config),
        places_(config),
        rng_(Rng(config.seed).fork("peers")),
        book_(2 * config.nodes + 1, rng_.next()),
        fabric_({.seed = config.seed, .loss = config.loss}, places_.model,
                [this](PeerHandle peer, dht::Event event) { on_event(peer, event); }),
        ids_(ids) {
    config_.dht.records_needed = false;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const PeerHandle peer = book_.intern(ids[i]);
      QM_ASSERT(peer == handle(i));
      book_.set_group(peer, DiversityGroup{static_cast<std::uint32_t>(i) + 1});
      fabric_.network().add(peer, places_.at[i], {});
    }
  }

  /// The answers to `questions`, in their order.
  std::vector<Answer> run(const std::vector<Question>& questions, CalibrationSide& side) {
    for (std::size_t i = 0; i < config_.nodes; ++i) {
      start(i);
      fabric_.run_for(config_.join_step);
    }
    fabric_.run_for(config_.settle);
    answers_.assign(questions.size(), {});
    const std::uint64_t before = fabric_.counters().connections;
    for (std::size_t i = 0; i < questions.size(); ++i) {
      ask(questions[i], i);
      fabric_.run_for(config_.lookup_step);
    }
    fabric_.run_for(2 * config_.dht.lookup_deadline);
    side.handshakes = static_cast<double>(fabric_.counters().connections - before) /
                      static_cast<double>(questions.size());
    for (std::size_t i = 0; i < config_.nodes; ++i) {
      side.contacts += static_cast<double>(fabric_.core(handle(i)).table().live_count());
      side.connections += static_cast<double>(fabric_.ends(handle(i)).size());
    }
    side.contacts /= static_cast<double>(config_.nodes);
    side.connections /= static_cast<double>(config_.nodes);
    return std::move(answers_);
  }

 private:
  static PeerHandle handle(std::size_t number) {
    return PeerHandle{static_cast<std::uint32_t>(number)};
  }

  void start(std::size_t number) {
    const PeerHandle peer = handle(number);
    fabric_.start_core(peer, std::make_unique<dht::DhtCore>(fabric_.now(), config_.dht, book_, peer,
                                                            rng_.fork(std::to_string(number))));
    if (number == 0) return;
    fabric_.command(peer, [](dht::DhtCore& core, Instant now) {
      const PeerHandle first = handle(0);
      core.bootstrap(now, std::span(&first, 1));
    });
    announce(peer, DhtHost::announce_first);
  }

  /// As a whole node does it (DhtHost): a lookup of its own id, again and again.
  void announce(PeerHandle peer, Duration pause) {
    fabric_.after(rng_.between(pause * 4 / 5, pause * 6 / 5), [this, peer, pause] {
      fabric_.command(peer, [&](dht::DhtCore& core, Instant now) {
        (void)core.find_node(now, DhtKey::of(book_.id(peer)));
      });
      announce(peer, std::min(2 * pause, DhtHost::announce_interval));
    });
  }

  void ask(const Question& question, std::size_t number) {
    const PeerHandle origin = handle(question.origin);
    asking_ = number;
    answers_[number].took = fabric_.now().time_since_epoch();
    const auto query = fabric_.command(origin, [&](dht::DhtCore& core, Instant now) {
      if (question.is_find) return core.find_node(now, DhtKey::of(question.key));
      return core.resolve(now, ids_[question.target]);
    });
    asking_.reset();
    if (query) open_[key_of(origin, *query)] = number;
  }

  static std::uint64_t key_of(PeerHandle origin, dht::QueryId query) {
    return std::uint64_t{static_cast<std::uint32_t>(origin)} << 32U |
           static_cast<std::uint32_t>(query);
  }

  void on_event(PeerHandle peer, const dht::Event& event) {
    const auto* nodes = std::get_if<dht::FindNodeDone>(&event);
    const auto* resolved = std::get_if<dht::Resolved>(&event);
    if (nodes == nullptr && resolved == nullptr) return;
    const auto open = open_.find(key_of(peer, nodes != nullptr ? nodes->query : resolved->query));
    if (open == open_.end()) {
      // A resolve of whom the core knows ends within the command.
      if (asking_ && resolved != nullptr) answers_[*asking_] = {.over = true, .found = true};
      return;
    }
    Answer& answer = answers_[open->second];
    answer.took = fabric_.now().time_since_epoch() - answer.took;
    answer.over = answer.asked = true;
    answer.queries = nodes != nullptr ? nodes->cost.queries : resolved->cost.queries;
    answer.found = nodes != nullptr ? nodes->end != dht::LookupEnd::deadline
                                    : resolved->end == dht::LookupEnd::found;
    open_.erase(open);
  }

  CalibrationConfig config_;
  Places places_;
  Rng rng_;
  PeerBook book_;
  PeerFabric<dht::DhtCore> fabric_;
  const std::vector<NodeId>& ids_;
  std::vector<Answer> answers_;
  std::unordered_map<std::uint64_t, std::size_t> open_;
  std::optional<std::size_t> asking_;
};

}  // namespace

Calibration calibrate(const CalibrationConfig& config) {
  Calibration both;
  const auto questions = questions_of(config);
  PacketSide packets(config);
  const std::vector<NodeId> ids = packets.ids();
  const std::vector<Answer> of_packets = packets.run(questions, both.packets);
  const std::vector<Answer> of_peers = PeerSide(config, ids).run(questions, both.peers);
  both.packets.finds = figures_of(questions, of_packets, of_peers, true);
  both.packets.resolves = figures_of(questions, of_packets, of_peers, false);
  both.peers.finds = figures_of(questions, of_peers, of_packets, true);
  both.peers.resolves = figures_of(questions, of_peers, of_packets, false);
  return both;
}

}  // namespace quicmesh::sim
