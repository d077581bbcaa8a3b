#!/usr/bin/env python3
"""Relays over loopback: a NodeID and a relay in common are enough; direct when that is possible."""

import unittest

from harness import CliTest, TERMINATE


class Relay(CliTest):
    def setUp(self):
        super().setUp()
        self.relay = self.start_node("--relay", data="relay")

    def start_client(self, name, *flags):
        node = self.start_node("--relay-via", self.relay.address, *flags, data=name)
        node.wait_for("relay_up", relay=self.relay.node_id)
        return node

    def test_a_node_is_reached_by_its_id_alone_and_becomes_direct(self):
        callee = self.start_client("callee")
        done = self.run_json("ping", callee.node_id, "--relay-via", self.relay.address, "--data",
                             self.folder / "caller", "--listen", "127.0.0.1:0", "--until-direct",
                             "--interval", "0.05", "--timeout", "20")
        self.assertEqual(done.code, 0, done.stderr)
        summary = done.last("summary")
        self.assertEqual(summary["path"], "direct")
        self.assertGreater(summary["received"], 0)
        self.assertIsNone(done.last("pong")["relay"])
        moved = callee.wait_for("path_changed", from_path="relayed", path="direct")
        self.assertEqual(moved["from"], self.relay.ready["listen"][0])
        self.assertFalse(callee.events("peer_down"))  # the same connection all the time (S1.46)

    def test_relay_only_stays_on_the_relay_and_names_it(self):
        callee = self.start_client("callee")
        done = self.run_json("ping", callee.node_id, "--relay-via", self.relay.address, "--data",
                             self.folder / "caller", "--listen", "127.0.0.1:0", "--relay-only",
                             "--count", "5", "--interval", "0.2")
        self.assertEqual(done.code, 0, done.stderr)
        for pong in [event for event in done.events if event["event"] == "pong"]:
            self.assertEqual(pong["path"], "relayed")
            self.assertEqual(pong["relay"], self.relay.node_id)
        # Its goodbye comes over the relay; without it only the idle time-out would tell.
        self.assertIn("shutting down", callee.wait_for("peer_down")["reason"])

    def test_a_file_arrives_over_the_relay_alone(self):
        content = bytes(range(256)) * 40_000
        (self.folder / "file").write_bytes(content)
        (self.folder / "inbox").mkdir()
        receiver = self.start("recv", "--out", self.folder / "inbox", "--once", "--data",
                              self.folder / "receiver", "--listen", "127.0.0.1:0", "--relay-via",
                              self.relay.address)
        ready = receiver.wait_for("ready")
        self.wait_until(lambda: self.run_json(
            "ping", ready["node_id"], "--relay-via", self.relay.address, "--data",
            self.folder / "caller", "--listen", "127.0.0.1:0").code == 0, "the receiver registers")
        done = self.run_json("send", self.folder / "file", ready["node_id"], "--relay-via",
                             self.relay.address, "--data", self.folder / "sender", "--listen",
                             "127.0.0.1:0", "--relay-only")
        self.assertEqual(done.code, 0, done.stderr)
        self.assertEqual(receiver.end(), 0)
        self.assertEqual((self.folder / "inbox" / "file").read_bytes(), content)

    def test_a_node_that_the_relay_does_not_know_is_one_line(self):
        stranger = self.start_node(data="stranger")
        done = self.run_text("ping", stranger.node_id, "--relay-via", self.relay.address, "--data",
                             self.folder / "caller", "--listen", "127.0.0.1:0", "--timeout", "15")
        self.check_one_line(done, 1, "cannot reach", "not registered at the relay")

    def test_a_node_that_is_no_relay_is_said_to_be_down(self):
        plain = self.start_node(data="plain")
        client = self.start_node("--relay-via", plain.address, data="client")
        client.wait_for("relay_down", relay=plain.node_id)
        self.assertEqual(client.end(TERMINATE), 0)

    def test_a_relay_that_dies_is_reported_and_taken_again(self):
        client = self.start_client("client")
        port = self.relay.ready["listen"][0].rsplit(":", 1)[1]
        self.relay.end(TERMINATE)
        client.wait_for("relay_down", relay=self.relay.node_id)
        self.start_node("--relay", "--listen", f"127.0.0.1:{port}", data="relay")
        client.wait_for("relay_up", relay=self.relay.node_id)


if __name__ == "__main__":
    unittest.main(verbosity=2)
