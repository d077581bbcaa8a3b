#include "path/path_errc.hpp"

#include "base/error.hpp"

namespace quicmesh {
namespace {

constexpr ErrorText texts[] = {
    {int(PathErrc::no_candidates), "no address of the node is known",
     "give one, NODEID@host:port, or a relay in common"},
    {int(PathErrc::not_connected), "there is no connection to the node", "connect first"},
    {int(PathErrc::already_connected), "the node is connected already", "use that connection"},
    {int(PathErrc::dialled_oneself), "a node cannot dial itself",
     "it is this node's own id; on one machine give each node a data folder of its own"},
    {int(PathErrc::unknown_path), "the connection has no such path", "list its paths"},
    {int(PathErrc::path_does_not_answer), "the path has not answered a probe",
     "wait for an answer, or check the address"},
    {int(PathErrc::malformed_stream_header), "the stream does not begin with a protocol's name",
     "update the older of the two nodes"},
    {int(PathErrc::bad_protocol_name), "this is no protocol name",
     "use 1 to 64 printable ASCII characters without spaces, such as my/thing/1"},
};

constinit const HintedCategory category("quicmesh.path", texts);

}  // namespace

std::error_code make_error_code(PathErrc code) {
  return {static_cast<int>(code), category};
}

}  // namespace quicmesh
