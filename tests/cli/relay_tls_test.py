#!/usr/bin/env python3
"""Relays over TLS and TCP, where UDP does not answer: on loopback, with a UDP port that nobody has."""

import socket
import unittest

from harness import CliTest, TERMINATE


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class RelayTls(CliTest):
    def setUp(self):
        super().setUp()
        # Bound and never read: UDP to it is swallowed, as by a firewall.
        self.hole = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.hole.bind(("127.0.0.1", 0))
        self.addCleanup(self.hole.close)

    def start_relay(self, *flags):
        relay = self.start_node("--relay-tls", "127.0.0.1:0", *flags, data="relay")
        relay.tls_port = relay.ready["relay_tls"][0].rsplit(":", 1)[1]
        # As a client with blocked UDP knows it.
        relay.blocked = f"{relay.node_id}@127.0.0.1:{self.hole.getsockname()[1]}"
        return relay

    def through(self, relay):
        return ["--relay-via", relay.blocked, "--relay-tls-port", relay.tls_port]

    def start_client(self, relay, name, *flags):
        """A node that probes no addresses: on loopback those that the relay tells would answer."""
        node = self.start_node(*self.through(relay), "--relay-only", *flags, data=name)
        node.relay_up = node.wait_for("relay_up", relay=relay.node_id)
        return node

    def reaches(self, name, receiver):
        return self.run_json("ping", receiver.node_id, "--data", self.folder / name, "--count", "1").code == 0

    def path_to(self, relay, data):
        """The path in use to the relay; None as long as there is none."""
        rows = self.run_json("paths", relay.node_id, "--data", self.folder / data).events
        current = [row for row in rows if row.get("current")]
        return current[0] if current else None

    def tunnels_of(self, data):
        return self.run_json("status", "--data", self.folder / data).last("status")["tunnels"]

    def test_a_relay_without_udp_is_reached_over_tls_and_says_so(self):
        relay = self.start_relay()
        client = self.start_client(relay, "client")
        self.assertEqual(client.relay_up["leg"], "tls")
        path = self.path_to(relay, "client")
        self.assertEqual((path["leg"], path["remote"]), ("tls", f"127.0.0.1:{relay.tls_port}"))
        self.assertEqual(self.tunnels_of("relay"), 1)
        rows = self.run_json("limits", "--data", self.folder / "relay").events
        half_open = [row for row in rows if row["name"] == "relay_tls.half_open"]
        self.assertEqual([row["drops"] for row in half_open], [0])
        self.assertEqual(client.end(TERMINATE), 0)
        self.wait_until(lambda: self.tunnels_of("relay") == 0, "the tunnel goes with its client")

    def test_the_tunnel_is_left_when_udp_answers(self):
        # The relay tells this client where it is, as nodes do, and there UDP answers.
        relay = self.start_relay()
        client = self.start_node(*self.through(relay), data="client")
        tunnel = f"127.0.0.1:{relay.tls_port}"
        self.assertEqual(client.wait_for("peer_up", peer=relay.node_id)["remote"], tunnel)
        # It may move before or after the relay has taken it as a client: relay_up is not waited for.
        moved = client.wait_for("path_changed", peer=relay.node_id)
        self.assertEqual((moved["from"], moved["to"]), (tunnel, relay.ready["listen"][0]))
        self.wait_until(lambda: self.tunnels_of("relay") == 0, "the tunnel is closed")
        self.assertEqual(self.path_to(relay, "client")["leg"], "udp")
        self.assertFalse(client.events("peer_down"))  # the same connection all the time

    def test_a_relay_that_answers_over_udp_gets_no_tunnel(self):
        relay = self.start_relay()
        client = self.start_node("--relay-via", relay.address, "--relay-tls-port", relay.tls_port,
                                 data="client")
        self.assertEqual(client.wait_for("relay_up")["leg"], "udp")
        self.assertEqual(self.tunnels_of("relay"), 0)

    def test_both_ends_without_udp_ping_and_send_a_file(self):
        relay = self.start_relay()
        receiver = self.start_inbox(*self.through(relay), "--relay-only")
        self.start_client(relay, "caller")
        self.wait_until(lambda: self.reaches("caller", receiver), "the receiver is at the relay")
        self.assertEqual(self.path_to(relay, "receiver")["leg"], "tls")
        ping = self.run_json("ping", receiver.node_id, "--data", self.folder / "caller", "--count", "3",
                             "--interval", "0.1")
        self.assertEqual(ping.code, 0, ping.stderr)
        summary = ping.last("summary")
        self.assertEqual((summary["received"], summary["path"]), (3, "relayed"))
        file = self.make_file("file", 6_000_000)
        done = self.run_json("send", file, receiver.node_id, "--data", self.folder / "caller")
        self.assertEqual(done.code, 0, done.stderr)
        self.assertEqual((receiver.out / "file").read_bytes(), file.read_bytes())
        print(f"first byte over two tunnels: {summary['first_byte_ms']:.1f} ms", flush=True)

    def test_one_end_without_udp_is_enough_for_a_tunnel(self):
        relay = self.start_relay()
        receiver = self.start_inbox("--relay-via", relay.address, "--relay-only")
        self.start_client(relay, "caller")
        self.wait_until(lambda: self.reaches("caller", receiver), "the receiver is at the relay")
        self.assertEqual(self.path_to(relay, "receiver")["leg"], "udp")
        file = self.make_file("file", 3_000_000)
        done = self.run_json("send", file, receiver.node_id, "--data", self.folder / "caller")
        self.assertEqual(done.code, 0, done.stderr)
        self.assertEqual((receiver.out / "file").read_bytes(), file.read_bytes())

    def test_a_relay_that_comes_back_is_reached_over_tls_again(self):
        relay = self.start_relay()
        client = self.start_client(relay, "client")
        udp_port = relay.ready["listen"][0].rsplit(":", 1)[1]
        relay.end(TERMINATE)
        client.wait_for("relay_down", relay=relay.node_id)
        self.start_node("--relay-tls", f"127.0.0.1:{relay.tls_port}", "--listen",
                        f"127.0.0.1:{udp_port}", data="relay")
        client.wait_for("relay_up", relay=relay.node_id, leg="tls")

    def test_a_relay_that_answers_nowhere_is_told_with_both_attempts(self):
        relay = self.start_node("--relay", data="relay")
        nobody = free_port(socket.SOCK_STREAM)
        client = self.start_node(
            "--relay-via", f"{relay.node_id}@127.0.0.1:{self.hole.getsockname()[1]}",
            "--relay-tls-port", nobody, "--handshake-timeout", "2", data="client")
        down = client.wait_for("relay_down", relay=relay.node_id)
        self.assertIn("neither by UDP nor by TLS", down["reason"])
        self.assertRegex(down["tried"], "UDP: .*handshake")
        self.assertRegex(down["tried"], f"TLS over TCP to 127.0.0.1:{nobody}: nobody listens")

    def test_no_tcp_where_it_is_not_wanted(self):
        relay = self.start_relay()
        client = self.start_node("--relay-via", relay.blocked, "--relay-tls-port", "0",
                                 "--handshake-timeout", "2", data="client")
        down = client.wait_for("relay_down", relay=relay.node_id)
        self.assertEqual(down["tried"], "")
        status = self.run_json("status", "--data", self.folder / "relay").last("status")
        self.assertEqual(status["tunnels"] + status["tunnel_handshakes_failed"], 0)

    def test_an_address_that_cannot_be_listened_on_ends_the_start(self):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            done = self.run_text("up", "--data", self.folder / "node", "--listen", "127.0.0.1:0",
                                 "--relay-tls", address)
            self.check_one_line(done, 1, "in use", f"on TCP {address}", "ss -tlpn")


if __name__ == "__main__":
    unittest.main(verbosity=2)
