// What a gateway says in UPnP's texts, and what of it is believed.
#include "io/upnp_message.hpp"

#include <gtest/gtest.h>

#include "nat/port_mapping_errc.hpp"

namespace quicmesh::io {
namespace {

const HttpUrl location{SocketAddress::parse("192.168.1.1:5000").value(), "/root.xml"};

std::string description(std::string_view type, std::string_view control,
                        std::string_view base = "") {
  std::string xml = "<?xml version=\"1.0\"?><root xmlns=\"urn:schemas-upnp-org:device-1-0\">";
  if (!base.empty()) xml.append("<URLBase>").append(base).append("</URLBase>");
  xml.append(
      "<device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType>"
      "<deviceList><device><deviceList><device><serviceList><service><serviceType>");
  xml.append(type).append("</serviceType><controlURL>").append(control);
  xml.append(
      "</controlURL><eventSubURL>/evt</eventSubURL><SCPDURL>/scpd</SCPDURL></service>"
      "</serviceList></device></deviceList></device></deviceList></device></root>");
  return xml;
}

constexpr std::string_view wan_ip = "urn:schemas-upnp-org:service:WANIPConnection:1";

TEST(UpnpMessage, urls_are_of_literal_addresses_and_printable_paths) {
  EXPECT_EQ(parse_http_url("http://192.168.1.1:5000/root.xml"), location);
  EXPECT_EQ(parse_http_url("http://192.168.1.1")->server.port, 80);
  EXPECT_EQ(parse_http_url("http://192.168.1.1")->path, "/");
  for (const char* text :
       {"", "http://", "https://192.168.1.1/", "http://router.local/", "http://user@192.168.1.1/",
        "http://192.168.1.1:0/", "http://192.168.1.1:65536/", "http://192.168.1.1:5000x/",
        "http://192.168.1.1:/", "http://192.168.1/", "http://0xc0a80101/", "http://[::1]/",
        "http://192.168.1.1/a b", "http://192.168.1.1/a\r\nHost: x", "ftp://192.168.1.1/",
        "http://192.168.1.1@8.8.8.8/", " http://192.168.1.1/"}) {
    EXPECT_FALSE(parse_http_url(text)) << text;
  }
  EXPECT_FALSE(parse_http_url("http://192.168.1.1/" + std::string(600, 'a')));
}

TEST(UpnpMessage, an_ssdp_answer_of_a_gateway_has_its_location) {
  const std::string answer =
      "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\n"
      "ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n"
      "Location:http://192.168.1.1:5000/root.xml\r\nEXT:\r\n\r\n";
  EXPECT_EQ(parse_ssdp_answer(answer), location);
  EXPECT_FALSE(parse_ssdp_answer("")) << "nothing";
  EXPECT_FALSE(parse_ssdp_answer("NOTIFY * HTTP/1.1\r\n" + answer)) << "no answer";
  EXPECT_FALSE(
      parse_ssdp_answer("HTTP/1.1 200 OK\r\nLOCATION: http://192.168.1.1/\r\n"
                        "ST: urn:schemas-upnp-org:device:Printer:1\r\n"));
  EXPECT_FALSE(
      parse_ssdp_answer("HTTP/1.1 200 OK\r\nLOCATION: http://evil.example/\r\n"
                        "ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n"));
}

TEST(UpnpMessage, a_description_names_the_service_that_maps) {
  const auto services = parse_description(description(wan_ip, "/ctl/IPConn"), location);
  ASSERT_TRUE(services);
  ASSERT_EQ(services->size(), 1u);
  EXPECT_EQ((*services)[0].type, wan_ip);
  EXPECT_EQ((*services)[0].control.server, location.server);
  EXPECT_EQ((*services)[0].control.path, "/ctl/IPConn");
  const auto moved =
      parse_description(description(wan_ip, "ctl", "http://192.168.1.1:6000/"), location);
  ASSERT_TRUE(moved);
  EXPECT_EQ((*moved)[0].control.server.port, 6000);
  EXPECT_EQ((*moved)[0].control.path, "/ctl");
}

TEST(UpnpMessage, a_control_url_at_another_machine_is_refused) {
  for (const char* control : {"http://192.168.1.9:5000/ctl", "http://127.0.0.1:8080/admin",
                              "http://169.254.169.254/latest", "http://8.8.8.8/"}) {
    EXPECT_EQ(parse_description(description(wan_ip, control), location).error(),
              PortMappingErrc::foreign_address)
        << control;
  }
  EXPECT_EQ(parse_description(description(wan_ip, "/ctl", "http://127.0.0.1/"), location).error(),
            PortMappingErrc::foreign_address);
  EXPECT_EQ(parse_description(description(wan_ip, "/ctl", "gopher:"), location).error(),
            PortMappingErrc::malformed_answer);
}

TEST(UpnpMessage, nothing_of_a_description_can_add_lines_to_a_request) {
  for (const char* type : {"urn:schemas-upnp-org:service:WANIPConnection:1\r\nX: y",
                           "urn:schemas-upnp-org:service:WANIPConnection:1\"",
                           "urn:schemas-upnp-org:service:WANIPConnection:",
                           "urn:schemas-upnp-org:service:Layer3Forwarding:1", ""}) {
    EXPECT_FALSE(parse_description(description(type, "/ctl"), location)) << type;
  }
  for (const char* path : {"/ctl HTTP/1.1\r\nX: y", "/c\ntl", "/c tl"}) {
    const auto services = parse_description(description(wan_ip, path), location);
    if (!services) continue;  // the parser may have cut it to what is harmless
    for (const UpnpService& one : *services)
      EXPECT_EQ(one.control.path.find_first_of(" \r\n"), std::string::npos) << path;
  }
}

TEST(UpnpMessage, rubbish_is_no_description) {
  for (const std::string& xml :
       {std::string(), std::string("<"), std::string(60'000, '<'), std::string(60'000, 'a'),
        "<root>" + std::string(60'000, ' '), std::string("\0\0\0", 3)}) {
    EXPECT_EQ(parse_description(xml, location).error(), PortMappingErrc::malformed_answer);
  }
  std::string deep;
  for (int i = 0; i < 10'000; ++i)
    deep += "<device>";
  EXPECT_FALSE(parse_description(deep, location));
  EXPECT_FALSE(
      parse_description(description(std::string(5000, 'u'), std::string(5000, '/')), location));
}

TEST(UpnpMessage, a_soap_request_counts_its_body) {
  const UpnpService service{std::string(wan_ip), {location.server, "/ctl"}};
  const std::string request =
      soap_request(service, "AddPortMapping", {{"NewExternalPort", "4433"}});
  EXPECT_TRUE(request.starts_with("POST /ctl HTTP/1.1\r\nHost: 192.168.1.1:5000\r\n"));
  const std::size_t end = request.find("\r\n\r\n");
  ASSERT_NE(end, std::string::npos);
  const std::string body = request.substr(end + 4);
  EXPECT_NE(request.find("Content-Length: " + std::to_string(body.size()) + "\r\n\r\n"),
            std::string::npos);
  EXPECT_NE(body.find("<NewExternalPort>4433</NewExternalPort>"), std::string::npos);
}

TEST(UpnpMessage, soap_answers_are_read_by_element) {
  const auto good = parse_soap_answer(
      "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\">"
      "<s:Body><u:GetExternalIPAddressResponse xmlns:u=\"urn:x\"><NewExternalIPAddress>8.8.8.8"
      "</NewExternalIPAddress></u:GetExternalIPAddressResponse></s:Body></s:Envelope>");
  EXPECT_EQ(good.at("NewExternalIPAddress"), "8.8.8.8");
  const auto fault = parse_soap_answer(
      "<s:Envelope><s:Body><s:Fault><detail><UPnPError><errorCode>718</errorCode>"
      "<errorDescription>ConflictInMappingEntry</errorDescription></UPnPError></detail></s:Fault>"
      "</s:Body></s:Envelope>");
  EXPECT_EQ(fault.at("errorCode"), "718");
  EXPECT_TRUE(parse_soap_answer("").empty());
  (void)parse_soap_answer("<a>" + std::string(60'000, 'x') + "</a>");
}

}  // namespace
}  // namespace quicmesh::io
