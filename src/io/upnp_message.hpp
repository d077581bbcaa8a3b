// The texts of UPnP that go to a gateway and come from one: SSDP, its description, SOAP. Pure
// functions on untrusted text; libminiupnpc parses the XML.
//
// Nothing that a gateway says reaches a request of ours unchecked: its service must be one of two
// known types, its paths are printable, and every URL must be an IPv4 literal that the caller
// compares with the gateway's own address.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "quicmesh/result.hpp"
#include "quicmesh/socket_address.hpp"

namespace quicmesh::io {

/// An SSDP search for gateways (UPnP Device Architecture 1.1, s1.3.2), of IGD:1 or IGD:2: a device
/// of version 2 answers to both.
std::string ssdp_search();

struct HttpUrl {
  SocketAddress server;
  std::string path;  // begins with '/'; printable, no spaces

  auto operator<=>(const HttpUrl&) const = default;
};

/// `http://1.2.3.4[:port][/path]`: no names, no user, no other scheme.
std::optional<HttpUrl> parse_http_url(std::string_view text);
/// The same, or a path on `base`.
std::optional<HttpUrl> resolve_url(const HttpUrl& base, std::string_view text);

/// The LOCATION of an answer to `ssdp_search`; nothing if it is none, or of another kind of device.
std::optional<HttpUrl> parse_ssdp_answer(std::string_view datagram);

struct UpnpService {
  std::string type;  // a WANIPConnection or WANPPPConnection
  HttpUrl control;
};

/// The services that map ports, best first; nothing that is not at `location`'s machine. Fails with
/// PortMappingErrc::malformed_answer, or foreign_address if all of them are elsewhere.
Result<std::vector<UpnpService>> parse_description(std::string_view xml, const HttpUrl& location);

std::string http_get(const HttpUrl& url);

using SoapArguments = std::vector<std::pair<std::string_view, std::string>>;
/// `arguments` are ours: nothing in them needs escaping.
std::string soap_request(const UpnpService& service, std::string_view action,
                         const SoapArguments& arguments);

/// What the elements of a SOAP answer hold, by name; the first of a name counts. An error has its
/// "errorCode".
std::map<std::string, std::string> parse_soap_answer(std::string_view xml);

}  // namespace quicmesh::io
