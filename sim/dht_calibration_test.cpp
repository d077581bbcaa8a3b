// The peer-level simulator gives the times of whole nodes in the packet simulator (issue 4, M5).
// Larger: `quicmesh sim dht-calibrate` (docs/guide/dht-simulator.md).
#include "sim/dht_calibration.hpp"

#include <gtest/gtest.h>

#include <iostream>

namespace quicmesh::sim {
namespace {

void expect_near(std::string_view what, double packets, double peers) {
  const double off = 100 * (peers / packets - 1);
  std::cout << what << ": packets " << packets << ", peers " << peers << ", off by " << off
            << " %\n";
  EXPECT_LE(std::abs(off), 15) << what;
}

void expect_calibrated(const CalibrationConfig& config) {
  const auto [packets, peers] = calibrate(config);
  for (const CalibrationFigures* finds : {&packets.finds, &peers.finds}) {
    EXPECT_EQ(finds->counted, config.lookups);
    EXPECT_EQ(finds->failed, 0U);
  }
  expect_near("p50 [ms]", packets.finds.p50_ms, peers.finds.p50_ms);
  expect_near("p95 [ms]", packets.finds.p95_ms, peers.finds.p95_ms);
  expect_near("queries", packets.finds.queries, peers.finds.queries);
  expect_near("handshakes", packets.handshakes, peers.handshakes);
}

/// Nodes that keep few connections, so that most lookups have to open some.
CalibrationConfig small_world() {
  CalibrationConfig config;
  config.nodes = 36;
  config.lookups = 150;
  config.dht.k = 10;
  config.dht.adaptive = false;
  config.dht.express = false;  // which keeps connections of its own choice
  config.dht.links_server = 8;
  config.settle = 30s;
  return config;
}

TEST(DhtCalibration, lookups_take_as_long_as_with_packets) {
  expect_calibrated(small_world());
}

TEST(DhtCalibration, lookups_take_as_long_as_with_packets_of_which_some_are_lost) {
  CalibrationConfig config = small_world();
  config.loss = {2, 100};
  expect_calibrated(config);
}

}  // namespace
}  // namespace quicmesh::sim
