// `quicmesh limits`: every bound, what happens beyond it, and how often it did in the running node.
#include <array>
#include <string_view>

#include "control_client.hpp"
#include "control_protocol.hpp"
#include "dht/dht_core.hpp"
#include "file_inbox.hpp"
#include "invocation.hpp"
#include "io/tunnel_set.hpp"
#include "node/dht_host.hpp"
#include "ping_quota.hpp"
#include "quicmesh/node.hpp"

namespace quicmesh::cli {
namespace {

struct Limit {
  std::string_view name;
  std::uint64_t value;
  std::string_view policy;
  std::string_view counter = {};  // the member of `status` that counts what was dropped
};

constexpr std::uint64_t seconds_of(Duration time) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(time).count());
}

constexpr io::TunnelLimits tunnel_limits;

constexpr std::array limits{
    Limit{"connection.datagrams", Connection::datagrams_max, "the oldest datagram goes",
          "flow_datagrams_dropped"},
    Limit{"stream.write_queue_bytes", Stream::write_queue_max, "writing waits"},
    Limit{"peer.write_queue_bytes", Stream::write_queue_peer_max,
          "writing waits, but for a little of each stream"},
    Limit{"node.write_queue_bytes", Stream::write_queue_node_max,
          "writing waits, but for a little of each stream"},
    Limit{"ping.streams_per_peer", PingQuota::streams_per_peer_max, "one more is reset"},
    Limit{"ping.answers_per_second", PingQuota::answers_per_second, "further answers wait"},
    Limit{"node.handlers_per_peer", Node::handlers_per_peer_max, "further streams wait"},
    Limit{"node.streams_waiting", Node::streams_waiting_max, "the newest stream is refused",
          "streams_refused"},
    Limit{"node.events", Node::events_max, "the oldest event goes", "events_dropped"},
    Limit{"tunnel.queue_bytes", io::TunnelBudget::queue_max, "the newest datagram goes",
          "tunnel_datagrams_dropped"},
    Limit{"tunnel.queue_bytes_of_all", io::TunnelBudget::total_max,
          "each tunnel's queue gets a 16th of what is free"},
    Limit{"tunnel.datagram_bytes", tunnel_datagram_max, "a longer one ends the tunnel",
          "tunnels_closed_bad_frame"},
    Limit{"tunnel.idle_seconds", seconds_of(io::TunnelSocket::idle_patience),
          "without a complete datagram it is closed", "tunnels_closed_idle"},
    Limit{"tunnel.stall_seconds", seconds_of(io::TunnelSocket::stall_patience),
          "without room in TCP for what waits it is closed", "tunnels_closed_stalled"},
    Limit{"tunnel.turn_bytes", io::TunnelSet::cost_per_turn, "the rest waits for the next turn",
          "tunnel_turns_cut"},
    Limit{"tunnel.handshake_seconds", seconds_of(io::TunnelSocket::handshake_patience),
          "until then it must be open", "tunnel_handshakes_failed"},
    Limit{"relay_tls.half_open", tunnel_limits.half_open, "one of the network with the most goes",
          "tunnels_evicted"},
    Limit{"relay_tls.half_open_of_a_source", tunnel_limits.half_open_of_a_source,
          "the newest is closed", "tunnels_refused_source"},
    Limit{"relay_tls.tunnels_of_a_source", tunnel_limits.tunnels_of_a_source,
          "the newest is closed", "tunnels_refused_source"},
    Limit{"relay_tls.tunnels_of_a_network", tunnel_limits.tunnels_of_a_network,
          "the newest is closed", "tunnels_refused_source"},
    Limit{"relay_tls.tunnels", tunnel_limits.tunnels,
          "the oldest without a client goes, or the newest is closed", "tunnels_refused_total"},
    Limit{"relay_tls.proof_seconds", seconds_of(io::TunnelSet::proof_patience),
          "without a client's connection inside it is closed", "tunnels_closed_unproved"},
    Limit{"relay_tls.unproved_bytes_per_second", io::TunnelSet::unproved_bytes_per_second,
          "it is read no faster as long as there is no client's connection inside",
          "tunnels_paused"},
    Limit{"relay_tls.handshakes_per_second", tunnel_limits.handshakes.total_per_second,
          "the newest is closed", "tunnels_refused_rate"},
    Limit{"dht.value_bytes", dht::value_max, "a longer one is refused"},
    Limit{"dht.values", dht::ValueStore::values_max, "one more is refused as full"},
    Limit{"dht.values_of_a_peer", dht::ValueStore::values_of_source_max,
          "one more is refused as full"},
    Limit{"dht.values_of_a_network", dht::ValueStore::values_of_group_max,
          "one more is refused as full"},
    Limit{"dht.provider_records", dht::ProviderStore::records_max, "one more is refused as full",
          "dht.provider_records_refused"},
    Limit{"dht.provider_records_of_a_key", dht::ProviderStore::records_of_key_max,
          "one that is about to expire goes, or one of the network that has most; or the newest is "
          "refused as full",
          "dht.provider_records_refused"},
    Limit{"dht.provider_records_of_a_peer", dht::ProviderStore::records_of_provider_max,
          "one more is refused", "dht.provider_records_refused"},
    Limit{"dht.provider_records_of_a_network", dht::ProviderStore::records_of_group_max,
          "one more is refused", "dht.provider_records_refused"},
    Limit{"dht.provided", DhtHost::provided_max, "one more is refused"},
    Limit{"dht.providers_wanted", dht::DhtCore::providers_wanted_max, "so many are sought"},
    Limit{"dht.own_values", DhtHost::own_values_max, "one more is refused"},
    Limit{"dht.lookups", dht::DhtCore::lookups_max, "one more is refused"},
    Limit{"dht.candidates_of_a_lookup", dht::Lookup::candidates_max,
          "the farthest that was not asked goes"},
    Limit{"dht.resolves", DhtHost::resolves_max, "one more is refused"},
    Limit{"dht.dials", DhtHost::dials_max, "one more is refused"},
    Limit{"dht.clients_remembered", AnnouncedClients::clients_max,
          "of the commonest network the farthest goes"},
    Limit{"dht.express_queries", dht::ExpressTable::entries_max, "one more is a dead end"},
    Limit{"dht.express_queries_of_a_peer", dht::ExpressTable::of_previous_max,
          "one more is a dead end"},
    Limit{"dht.peer_queue_bytes", 2 * MessageStreams::backlog_max, "the newest message goes"},
    Limit{"node_address.addresses", NodeAddress::addresses_max, "a longer list is refused"},
    Limit{"control.clients", control_clients_max, "one more is refused"},
    Limit{"control.request_bytes", control_request_max, "a longer request is refused"},
    Limit{"control.lines_waiting", control_lines_max, "a client that does not read is dropped"},
    Limit{"output.queue_bytes", LineWriter::queue_bytes_max,
          "the oldest line goes, and is counted"},
    Limit{"file.transfers", FileInbox::transfers_max, "one more is refused as busy"},
    Limit{"file.transfers_per_peer", FileInbox::transfers_per_peer_max,
          "one more is refused as busy"},
    Limit{"file.frame_bytes", file_frame_max, "a longer message ends the transfer"},
    Limit{"file.name_bytes", offered_name_max, "a longer name is refused"},
    Limit{"file.size_bytes", file_size_max, "a larger file is refused"},
    Limit{"file.same_names", PartFile::names_max, "one more is refused"},
};

/// The member, or `part.member` of a part that is an object itself.
const boost::json::value* find_in(const boost::json::object& status, std::string_view name) {
  const std::size_t dot = name.find('.');
  if (dot == std::string_view::npos) return status.if_contains(name);
  const boost::json::value* part = status.if_contains(name.substr(0, dot));
  const boost::json::object* object = part == nullptr ? nullptr : part->if_object();
  return object == nullptr ? nullptr : object->if_contains(name.substr(dot + 1));
}

int show_limits(const Settings& settings, Output& output) {
  const DataFolder folder(settings.text("data"));
  boost::json::object status;
  if (folder.locked()) {
    // Without an answer the limits are shown all the same, without what was dropped.
    (void)ask_running_node(
        folder, {{"cmd", "status"}}, [&](const boost::json::object& event) { status = event; },
        exit_interrupted);
  }
  const auto show = [&](const Limit& limit) {
    const boost::json::value* drops =
        limit.counter.empty() ? nullptr : find_in(status, limit.counter);
    output.event({{"event", "limit"},
                  {"name", limit.name},
                  {"value", limit.value},
                  {"policy", limit.policy},
                  {"drops", drops == nullptr ? boost::json::value(nullptr) : *drops}});
  };
  for (const Limit& limit : limits)
    show(limit);
  show({"node.connections", settings.count("max_connections"), "a further handshake is refused",
        "handshakes_refused"});
  return exit_done;
}

}  // namespace

void add_limits_command(CLI::App& app, Invocation& invocation) {
  CLI::App& command = *app.add_subcommand("limits", "every bound, and what happens beyond it");
  add_example(command, "quicmesh limits --json");
  command.callback([&invocation] { invocation.run = show_limits; });
}

}  // namespace quicmesh::cli
