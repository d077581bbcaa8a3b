// The whole public API.
#pragma once

#include "quicmesh/bytes.hpp"
#include "quicmesh/config.hpp"
#include "quicmesh/connection.hpp"
#include "quicmesh/dht.hpp"
#include "quicmesh/event.hpp"
#include "quicmesh/io_errc.hpp"
#include "quicmesh/keypair.hpp"
#include "quicmesh/node.hpp"
#include "quicmesh/node_address.hpp"
#include "quicmesh/node_id.hpp"
#include "quicmesh/result.hpp"
#include "quicmesh/runtime.hpp"
#include "quicmesh/socket_address.hpp"
#include "quicmesh/stream.hpp"
#include "quicmesh/task.hpp"
#include "quicmesh/time.hpp"
