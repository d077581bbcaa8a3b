// See upnp_message.hpp.
#include "io/upnp_message.hpp"

#include <miniupnpc/igd_desc_parse.h>
#include <miniupnpc/upnpreplyparse.h>

#include <algorithm>
#include <charconv>
#include <memory>

#include "nat/port_mapping_errc.hpp"

// Of the library, in no header of its package.
extern "C" void parserootdesc(const char*, int, struct IGDdatas*);

namespace quicmesh::io {
namespace {

constexpr std::size_t url_max = 512;
constexpr std::string_view igd_type = "urn:schemas-upnp-org:device:InternetGatewayDevice:";

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return lower(x) == lower(y);
  });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r'))
    text.remove_suffix(1);
  return text;
}

bool is_path(std::string_view text) {
  return !text.empty() && text.size() <= url_max && text.front() == '/' &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

bool is_mapping_service(std::string_view type) {
  for (const std::string_view known : {"urn:schemas-upnp-org:service:WANIPConnection:",
                                       "urn:schemas-upnp-org:service:WANPPPConnection:"}) {
    if (!type.starts_with(known)) continue;
    const std::string_view version = type.substr(known.size());
    return version.size() == 1 && version[0] >= '1' && version[0] <= '9';
  }
  return false;
}

std::string_view text_of(const char (&field)[MINIUPNPC_URL_MAXSIZE]) {
  const std::string_view whole(field, MINIUPNPC_URL_MAXSIZE);
  return whole.substr(0, whole.find('\0'));
}

std::string head_of(std::string_view method, const HttpUrl& url) {
  std::string head(method);
  head.append(" ").append(url.path).append(" HTTP/1.1\r\nHost: ");
  head.append(url.server.to_string()).append("\r\nConnection: close\r\nUser-Agent: quicmesh\r\n");
  return head;
}

}  // namespace

std::string ssdp_search() {
  return "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\n"
         "ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n";
}

std::optional<HttpUrl> parse_http_url(std::string_view text) {
  constexpr std::string_view scheme = "http://";
  constexpr std::uint16_t default_port = 80;
  if (text.size() > url_max || !text.starts_with(scheme)) return std::nullopt;
  text.remove_prefix(scheme.size());
  const std::size_t slash = std::min(text.find('/'), text.size());
  std::string_view host = text.substr(0, slash);
  const std::string_view path = slash == text.size() ? "/" : text.substr(slash);
  std::uint16_t port = default_port;
  if (const std::size_t colon = host.find(':'); colon != std::string_view::npos) {
    const std::string_view digits = host.substr(colon + 1);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), port, 10);
    if (error != std::errc{} || end != digits.data() + digits.size() || port == 0) {
      return std::nullopt;
    }
    host = host.substr(0, colon);
  }
  const auto ip = IpAddress::parse(host);
  if (!ip || ip->family() != IpFamily::v4 || !is_path(path)) return std::nullopt;
  return HttpUrl{{*ip, port}, std::string(path)};
}

std::optional<HttpUrl> resolve_url(const HttpUrl& base, std::string_view text) {
  if (text.find("://") != std::string_view::npos) return parse_http_url(text);
  std::string path(text.starts_with('/') ? "" : "/");
  path.append(text);
  if (!is_path(path)) return std::nullopt;
  return HttpUrl{base.server, path};
}

std::optional<HttpUrl> parse_ssdp_answer(std::string_view datagram) {
  if (!datagram.starts_with("HTTP/1.1 200")) return std::nullopt;
  std::optional<HttpUrl> location;
  bool is_gateway = false;
  while (!datagram.empty()) {
    const std::size_t end = std::min(datagram.find('\n'), datagram.size());
    const std::string_view line = datagram.substr(0, end);
    datagram.remove_prefix(std::min(end + 1, datagram.size()));
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view name = trimmed(line.substr(0, colon));
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (equal_ignoring_case(name, "LOCATION")) location = parse_http_url(value);
    if (equal_ignoring_case(name, "ST")) is_gateway = value.starts_with(igd_type);
  }
  return is_gateway ? location : std::nullopt;
}

Result<std::vector<UpnpService>> parse_description(std::string_view xml, const HttpUrl& location) {
  const auto data = std::make_unique<IGDdatas>();  // 3 KB, zeroed
  parserootdesc(xml.data(), static_cast<int>(xml.size()), data.get());
  HttpUrl base = location;
  if (const std::string_view said = text_of(data->urlbase); !said.empty()) {
    const auto parsed = parse_http_url(said);
    if (!parsed) return failure(PortMappingErrc::malformed_answer);
    base = *parsed;
  }
  std::vector<UpnpService> services;
  bool foreign = false;
  for (const IGDdatas_service* one : {&data->first, &data->second}) {
    const std::string_view type = text_of(one->servicetype);
    const auto control = resolve_url(base, text_of(one->controlurl));
    if (!is_mapping_service(type) || !control) continue;
    if (control->server.ip != location.server.ip) {
      foreign = true;
      continue;
    }
    services.push_back({std::string(type), *control});
  }
  if (!services.empty()) return services;
  return failure(foreign ? PortMappingErrc::foreign_address : PortMappingErrc::malformed_answer);
}

std::string http_get(const HttpUrl& url) {
  return head_of("GET", url) + "\r\n";
}

std::string soap_request(const UpnpService& service, std::string_view action,
                         const SoapArguments& arguments) {
  std::string body =
      "<?xml version=\"1.0\"?>\r\n<s:Envelope "
      "xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" "
      "s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body><u:";
  body.append(action).append(" xmlns:u=\"").append(service.type).append("\">");
  for (const auto& [name, value] : arguments) {
    body.append("<").append(name).append(">").append(value);
    body.append("</").append(name).append(">");
  }
  body.append("</u:").append(action).append("></s:Body></s:Envelope>\r\n");
  std::string request = head_of("POST", service.control);
  request.append("Content-Type: text/xml\r\nSOAPAction: \"").append(service.type).append("#");
  request.append(action).append("\"\r\nContent-Length: ").append(std::to_string(body.size()));
  return request.append("\r\n\r\n").append(body);
}

std::map<std::string, std::string> parse_soap_answer(std::string_view xml) {
  NameValueParserData data{};
  ParseNameValue(xml.data(), static_cast<int>(xml.size()), &data);
  std::map<std::string, std::string> values;
  // The library's list has the last element first.
  for (const NameValue* one = data.l_head; one != nullptr; one = one->l_next)
    values[one->name] = one->value;
  ClearNameValueList(&data);
  return values;
}

}  // namespace quicmesh::io
