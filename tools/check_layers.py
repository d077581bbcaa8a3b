#!/usr/bin/env python3
"""Checks that the include graph is the one of ARCHITECTURE.md ("Folders are the layers").

Every folder under src/ is a layer, and so are sim/, apps/, examples/, bench/ and tests/. Each header
in include/quicmesh belongs to one layer as well. LAYERS names, for each layer, the layers that it
may include; any other edge is an error, and so is a layer or a public header that is not in the
tables. A new edge is a line here, with its reason in the commit.

Usage: check_layers.py [--root DIR] [--self-test]
"""

import re

import source_tree

BELOW_PROTOCOLS = {"base", "crypto", "identity", "wire"}
CONNECTIVITY = {"quic", "stun", "turn", "relay", "nat", "path", "discovery"}
PEER_PROTOCOLS = {"dht", "pubsub", "rpc", "content", "messaging", "federation"}
CODECS = {"dht_wire"}
BELOW_NODE = BELOW_PROTOCOLS | CONNECTIVITY | PEER_PROTOCOLS | CODECS | {"tiers", "telemetry"}
ANYTHING = BELOW_NODE | {"node", "io", "sim", "apps", "tests", "bench"}

# layer: what it may include besides itself.
LAYERS = {
    "base": set(),
    "crypto": {"base"},
    "identity": {"crypto", "base"},
    "wire": {"crypto", "base"},
    "quic": BELOW_PROTOCOLS,
    "stun": BELOW_PROTOCOLS,
    "relay": BELOW_PROTOCOLS | {"stun"},
    "turn": BELOW_PROTOCOLS | {"stun"},
    "nat": BELOW_PROTOCOLS | {"stun"},
    "path": BELOW_PROTOCOLS | {"quic", "nat", "relay"},
    "discovery": BELOW_PROTOCOLS,
    "dht": BELOW_PROTOCOLS,
    # The cores of a protocol know no bytes; their codec stands above them.
    "dht_wire": BELOW_PROTOCOLS | {"dht"},
    "pubsub": BELOW_PROTOCOLS,
    "rpc": BELOW_PROTOCOLS,
    "content": BELOW_PROTOCOLS,
    "messaging": BELOW_PROTOCOLS,
    "federation": BELOW_PROTOCOLS | {"rpc", "messaging"},
    "tiers": {"base"},
    "telemetry": {"base"},
    "node": BELOW_NODE,
    # The two drivers are siblings: neither knows the other.
    "io": BELOW_NODE | {"node"},
    "sim": BELOW_NODE | {"node"},
    "apps": BELOW_NODE | {"node", "io", "sim"},
    "examples": {"public"},
    "bench": ANYTHING,
    "tests": ANYTHING,
}

# Whose interface a public header is. A layer may include the public headers of the layers it may
# include; `io` is the layer of the awaitable API.
PUBLIC_HEADERS = {
    "base": {"bytes", "time", "result", "socket_address", "version"},
    "crypto": {"public_key"},
    "identity": {"node_id", "node_address", "keypair", "key_file"},
    "nat": {"nat_report"},
    "path": {"path_status"},
    "node": {"explanation", "dht"},
    "io": {"quicmesh", "node", "provider_search", "connection", "stream", "datagram", "config", "task",
           "runtime", "event", "io_errc", "handler", "topic", "rpc", "messaging", "content"},
}

# Third-party headers by the first part of their name, and the layers that wrap the library.
THIRD_PARTY = {
    "ngtcp2": {"quic"},
    # io: TLS over TCP (tunnels to relays); sim: gnutls_global_set_time_function
    "gnutls": {"crypto", "identity", "quic", "io", "sim"},
    "sodium": {"crypto"},
    "sodium.h": {"crypto"},
    "spdlog": {"io", "apps"},
    "fmt": {"io", "apps"},
    "miniupnpc": {"io"},
    "natpmp.h": {"io"},
    "capnp": {"wire"},
    "kj": {"wire"},
    "schema": {"wire", "dht_wire"},  # generated from schema/*.capnp
    "CLI": {"apps"},
    "toml++": {"io", "sim", "apps"},
}
FREE_LAYERS = {"bench", "tests", "examples"}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


def layer_of_file(name):
    """The layer of a source file, or None if it belongs to none."""
    parts = name.split("/")
    if name.startswith("include/quicmesh/"):
        return layer_of_public(parts[-1])
    if parts[0] == "src":
        return parts[1] if len(parts) > 2 else None
    return parts[0] if parts[0] in LAYERS else None


def layer_of_public(header):
    stem = header.rsplit(".", 1)[0]
    for layer, stems in PUBLIC_HEADERS.items():
        if stem in stems:
            return layer
    return None


def edge_error(name, layer, quote, target):
    """What is wrong with `layer` including `target`, or None."""
    head = target.split("/")[0]
    is_public_header = name.startswith("include/")
    if head == "quicmesh" and "/" in target:
        other = layer_of_public(target.split("/", 1)[1])
        if other is None:
            return f"unknown public header {target}: give it a layer in PUBLIC_HEADERS of {TABLE}"
        if layer == "examples":
            return None
        return forbidden(layer, other, target)
    if quote == "<":
        if head in THIRD_PARTY:
            if is_public_header:
                return f"public headers show no third-party header but Boost.Asio's, not <{target}>"
            if layer not in THIRD_PARTY[head] | FREE_LAYERS:
                return (f"only {', '.join(sorted(THIRD_PARTY[head]))} may use <{target}>, "
                        f"not {layer}: it wraps the library for all others")
        return None
    if is_public_header:
        return f"a public header includes \"{target}\": it is installed without src/"
    if head not in LAYERS and layer in FREE_LAYERS | {"apps"}:
        return None  # a file of its own folder
    if "/" not in target:
        return f"\"{target}\" is relative: name it from the root of src/, as \"{layer}/{target}\""
    if head not in LAYERS:
        return f"\"{target}\": {head} is no layer of {TABLE}"
    return forbidden(layer, head, target)


def forbidden(layer, other, target):
    if other == layer or other in LAYERS[layer]:
        return None
    allowed = ", ".join(sorted(LAYERS[layer])) or "nothing but the standard library"
    return f"{layer} may not include {target} (layer {other}); it may include: {allowed}"


TABLE = "tools/check_layers.py"


def check(root):
    """All complaints about the tree at `root`, as `file:line: text`."""
    complaints = []
    for name in source_tree.files(root, (".hpp", ".cpp", ".h", ".c", ".inc")):
        layer = layer_of_file(name)
        if layer is None or layer not in LAYERS:
            if name.startswith(("src/", "include/")):
                complaints.append(f"{name}:1: belongs to no layer; add its folder to LAYERS (or the "
                                  f"public header to PUBLIC_HEADERS) in {TABLE}")
            continue
        text = source_tree.code_only(source_tree.read(root, name))
        for include in INCLUDE.finditer(text):
            error = edge_error(name, layer, include.group(1), include.group(2))
            if error:
                complaints.append(f"{name}:{source_tree.line_of(text, include.start())}: {error}")
    return complaints


# (file, text, expected part of the complaint; None: no complaint)
PLANTED = [
    ("src/base/a.hpp", '#include "base/b.hpp"\n#include <vector>\n', None),
    ("src/base/up.hpp", '#include "quic/endpoint.hpp"\n', "base may not include quic/endpoint.hpp"),
    ("src/path/ok.cpp", '#include "quic/endpoint.hpp"\n#include "quicmesh/node_id.hpp"\n', None),
    ("src/path/api.cpp", '#include "quicmesh/node.hpp"\n', "path may not include quicmesh/node.hpp"),
    ("src/path/angle.cpp", '#include <quicmesh/node.hpp>\n', "path may not include quicmesh/node.hpp"),
    ("src/dht/nat.cpp", '#include "nat/checks.hpp"\n', "dht may not include nat/checks.hpp"),
    ("src/dht/wire.cpp", '#include "dht_wire/dht_codec.hpp"\n', "dht may not include dht_wire"),
    ("src/dht_wire/ok.cpp", '#include <schema/dht.capnp.h>\n#include "dht/message.hpp"\n', None),
    ("src/dht_wire/raw.cpp", '#include <capnp/message.h>\n', "only wire may use"),
    ("src/nat/gossip.cpp", '#include "pubsub/mesh.hpp"\n', "nat may not include pubsub"),
    ("src/io/sim.cpp", '#include "sim/link.hpp"\n', "io may not include sim/link.hpp"),
    ("sim/io.cpp", '#include "io/node_driver.hpp"\n', "sim may not include io"),
    ("sim/ok.cpp", '#include "node/node_core.hpp"\n#include "sim/link.hpp"\n', None),
    ("src/node/io.cpp", '\n\n  #  include "io/x.hpp"\n', "src/node/io.cpp:3: node may not include io"),
    ("src/node/tls.cpp", '#include <gnutls/gnutls.h>\n', "only crypto, identity, io, quic, sim may use"),
    ("src/quic/tls.cpp", '#include <gnutls/gnutls.h>\n#include <ngtcp2/ngtcp2.h>\n', None),
    ("src/quic/near.cpp", '#include "endpoint.hpp"\n', "is relative"),
    ("src/quic/odd.cpp", '#include "nowhere/x.hpp"\n', "nowhere is no layer"),
    ("src/newlayer/x.cpp", "int x;\n", "belongs to no layer"),
    ("include/quicmesh/mystery.hpp", "int x;\n", "belongs to no layer"),
    ("include/quicmesh/result.hpp", '#include "quicmesh/node.hpp"\n', "base may not include"),
    ("include/quicmesh/node.hpp", '#include "node/node_core.hpp"\n', "installed without src/"),
    ("include/quicmesh/stream.hpp", '#include <ngtcp2/ngtcp2.h>\n', "no third-party header"),
    ("include/quicmesh/config.hpp", '#include <boost/asio/awaitable.hpp>\n', None),
    ("examples/echo.cpp", '#include "io/node_driver.hpp"\n', "examples may not include io"),
    ("examples/ok.cpp", '#include <quicmesh/quicmesh.hpp>\n', None),
    ("bench/own.cpp", '#include "common/measure.hpp"\n#include <gnutls/gnutls.h>\n', None),
    ("tests/real/ok_test.cpp", '#include "sim/link.hpp"\n#include "io/x.hpp"\n', None),
    ("src/base/comment.hpp", '// #include "quic/endpoint.hpp"\n/*\n#include "io/x.hpp"\n*/\n', None),
]


if __name__ == "__main__":
    source_tree.run_check("check_layers", "forbidden edges", check, PLANTED, __doc__)
