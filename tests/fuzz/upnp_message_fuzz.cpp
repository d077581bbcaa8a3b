// Any bytes as what a gateway says (UPnP): never another machine than the one that was asked, and
// every URL that is understood comes back from its own text.
#include "base/assert.hpp"
#include "io/upnp_message.hpp"

using namespace quicmesh;
using namespace quicmesh::io;

namespace {

std::string text_of(const HttpUrl& url) {
  return "http://" + url.server.to_string() + url.path;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const HttpUrl gateway{SocketAddress::parse("192.168.1.1:5000").value(), "/root.xml"};
  for (const auto& url :
       {parse_http_url(text), resolve_url(gateway, text), parse_ssdp_answer(text)}) {
    if (!url) continue;
    QM_ASSERT(url->path.starts_with('/'));
    QM_ASSERT(parse_http_url(text_of(*url)) == url);
  }
  if (const auto services = parse_description(text, gateway)) {
    QM_ASSERT(!services->empty());
    for (const UpnpService& service : *services)
      QM_ASSERT(service.control.server.ip == gateway.server.ip);
  }
  (void)parse_soap_answer(text);
  return 0;
}
