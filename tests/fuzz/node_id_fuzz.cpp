// Any text through the id parser: what is accepted comes back from both of its forms.
#include "base/assert.hpp"
#include "quicmesh/bytes.hpp"
#include "quicmesh/node_id.hpp"

using namespace quicmesh;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto id = NodeId::parse(as_text({data, size}));
  if (!id) return 0;
  QM_ASSERT(size == 2 * NodeId::size || size == NodeId::short_form_size);
  QM_ASSERT(NodeId::parse(id->to_hex()) == *id);
  QM_ASSERT(NodeId::parse(id->to_short_string()) == *id);
  return 0;
}
