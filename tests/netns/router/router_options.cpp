// See router_options.hpp.
#include "router_options.hpp"

#include <CLI/CLI.hpp>

#include <charconv>
#include <limits>
#include <map>
#include <vector>

namespace quicmesh::natlab {
namespace {

using sim::NatDependence;
using sim::PortAllocation;

const std::map<std::string, NatDependence> dependences = {
    {"ei", NatDependence::endpoint_independent},
    {"ad", NatDependence::address_dependent},
    {"apd", NatDependence::address_and_port_dependent}};
const std::map<std::string, PortAllocation> allocations = {
    {"preserving", PortAllocation::preserving},
    {"sequential", PortAllocation::sequential},
    {"random", PortAllocation::random}};

/// A whole number, or thousandths with up to three digits behind the point.
std::optional<std::uint64_t> thousandths(std::string_view text) {
  const std::size_t point = std::min(text.find('.'), text.size());
  std::uint64_t whole = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + point, whole);
  if (error != std::errc{} || end != text.data() + point || whole > 1'000'000'000)
    return std::nullopt;
  std::uint64_t thousandth = whole * 1000;
  std::uint64_t worth = 100;
  for (std::size_t i = point + 1; i < text.size(); ++i, worth /= 10) {
    if (text[i] < '0' || text[i] > '9' || worth == 0) return std::nullopt;
    thousandth += static_cast<std::uint64_t>(text[i] - '0') * worth;
  }
  return thousandth;
}

/// Of independent losses the mean burst follows from the rate, so it must follow a change of it.
bool is_independent(const sim::Loss& loss) {
  return loss == sim::Loss::independent(loss.rate);
}

struct LineTexts {
  std::vector<std::string> both;
  std::vector<std::string> up;
  std::vector<std::string> down;
};

/// Why it failed, or nothing.
std::string set_properties(sim::LinkConfig& line, const std::vector<std::string>& texts) {
  for (const std::string& text : texts) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos ||
        !set_property(line, text.substr(0, equals), text.substr(equals + 1)))
      return "'" + text + "' is no property of a line";
  }
  return sim::check(line) ? "" : "the properties of the line do not fit together";
}

bool split(const std::string& text, Attachment& attachment) {
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos) return false;
  attachment = {text.substr(0, colon), text.substr(colon + 1)};
  return !attachment.netns.empty() && !attachment.device.empty();
}

}  // namespace

bool set_property(sim::LinkConfig& line, std::string_view name, std::string_view value) {
  const auto parsed = thousandths(value);
  if (!parsed) return false;
  const std::uint64_t thousandth = *parsed;
  const std::uint64_t whole = thousandth / 1000;
  const auto ms = std::chrono::microseconds(thousandth);
  if (name == "delay-ms") {
    line.delay = ms;
  } else if (name == "jitter-ms") {
    line.jitter = ms;
  } else if (name == "loss") {
    const bool independent = is_independent(line.loss);
    line.loss.rate = {thousandth, 100'000};
    if (thousandth >= 100'000) return false;
    if (independent) line.loss = sim::Loss::independent(line.loss.rate);
  } else if (name == "burst") {
    line.loss.mean_burst = {thousandth, 1000};
  } else if (name == "rate-kbit") {
    line.bits_per_s = whole * 1000;
  } else if (name == "queue-kib") {
    line.queue_bytes = whole * 1024;
  } else if (name == "mtu") {
    line.mtu_bytes = whole;
  } else if (name == "reorder") {
    line.reorder = {thousandth, 100'000};
  } else {
    return false;
  }
  return true;
}

std::expected<RouterOptions, int> parse_options(int argc, const char* const* argv) {
  CLI::App app{
      "A home router and its line to the internet, between two TUN devices in network namespaces"};
  RouterOptions options;
  GatewayConfig& gateway = options.router.gateway;
  std::string inner;
  std::string outer;
  std::string inner_network;
  std::vector<std::string> external;
  LineTexts lines;
  bool hairpin = false;
  bool refresh_inbound = false;
  double lifetime_s = 120;

  app.add_option("--inner", inner, "NETNS:DEVICE of the home's side")->required();
  app.add_option("--outer", outer, "NETNS:DEVICE of the internet's side")->required();
  app.add_option("--external", external, "the address to translate to; none: only route");
  app.add_option("--inner-network", inner_network,
                 "ADDRESS/BITS: packets to it from inside vanish");
  app.add_option("--mapping", gateway.udp.mapping, "ei, ad or apd (RFC 4787 s4.1)")
      ->transform(CLI::CheckedTransformer(dependences));
  app.add_option("--filtering", gateway.udp.filtering, "ei, ad or apd (RFC 4787 s5)")
      ->transform(CLI::CheckedTransformer(dependences));
  app.add_option("--ports", gateway.udp.ports, "preserving, sequential or random")
      ->transform(CLI::CheckedTransformer(allocations));
  app.add_option("--port-delta", gateway.udp.port_delta, "step of sequential ports");
  app.add_option("--lifetime", lifetime_s, "seconds that an idle UDP mapping lives")
      ->check(CLI::Range(0.1, 86'000.0));
  app.add_flag("--hairpin", hairpin, "datagrams from inside to a mapped endpoint come back in");
  app.add_flag("--refresh-inbound", refresh_inbound, "datagrams from outside keep a mapping too");
  app.add_flag("--sloppy", gateway.sloppy, "takes new datagrams from outside for itself");
  app.add_flag("--block-udp", gateway.blocks_udp, "no UDP in or out");
  app.add_option("--tcp-port", gateway.tcp_ports, "TCP may go to this port; repeated: to these");
  app.add_option("--hops", options.router.hops, "routers on the line")->check(CLI::Range(0, 200));
  app.add_option(
      "--line", lines.both,
      "NAME=VALUE both ways: delay-ms, jitter-ms, loss, burst, rate-kbit, queue-kib, mtu, reorder");
  app.add_option("--line-up", lines.up, "the same, from the home only");
  app.add_option("--line-down", lines.down, "the same, to the home only");
  app.add_option("--seed", options.seed, "of ports, losses and jitter");
  try {
    app.parse(argc, argv);
    if (!split(inner, options.inner) || !split(outer, options.outer))
      throw CLI::ValidationError("--inner and --outer", "NETNS:DEVICE is wanted");
    for (const std::string& text : external) {
      const auto address = IpAddress::parse(text);
      if (!address || address->family() != IpFamily::v4)
        throw CLI::ValidationError("--external", "no IPv4 address: " + text);
      gateway.external.push_back(*address);
    }
    if (!inner_network.empty()) {
      gateway.inner = Network::parse(inner_network);
      if (!gateway.inner) throw CLI::ValidationError("--inner-network", "ADDRESS/BITS is wanted");
    }
    gateway.udp.lifetime = std::chrono::milliseconds(static_cast<std::int64_t>(lifetime_s * 1000));
    gateway.udp.hairpin = hairpin ? sim::Hairpin::on : sim::Hairpin::off;
    gateway.udp.refresh = refresh_inbound ? sim::NatRefresh::both_ways : sim::NatRefresh::outbound;
    if (!gateway.external.empty() && !sim::Nat::check(gateway.udp, gateway.external))
      throw CLI::ValidationError("NAT", "its figures do not fit together");
    lines.up.insert(lines.up.begin(), lines.both.begin(), lines.both.end());
    lines.down.insert(lines.down.begin(), lines.both.begin(), lines.both.end());
    for (const auto& why : {set_properties(options.router.up, lines.up),
                            set_properties(options.router.down, lines.down)})
      if (!why.empty()) throw CLI::ValidationError("--line", why);
  } catch (const CLI::ParseError& error) {
    return std::unexpected(app.exit(error));
  }
  return options;
}

}  // namespace quicmesh::natlab
