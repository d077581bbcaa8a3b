#!/usr/bin/env python3
"""Networks that let no UDP out: the relay is reached over TLS on TCP port 443, and over UDP again as
soon as that passes.

What passed is decided by counters of the routers and of the relay's interface, never by the program's
word.
"""

import os
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))

import harness
from harness import CliTest
from lab import Lab, why_not

FILE_BYTES = 4 << 20
REASON = why_not()
NO_UDP = """
table inet firewall {
  chain output { type filter hook output priority 0; policy accept;
    oifname "eth0" meta l4proto udp counter drop
  }
}
"""


@unittest.skipIf(REASON, REASON)
class WithoutUdp(CliTest):
    def setUp(self):
        super().setUp()
        self.environment["QUICMESH_ALLOW_BOGON"] = "1"
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.relay_host, self.relay_ip = self.lab.add_public("relay")
        relay = self.start_in(self.relay_host, "up", "--relay-tls", f"{self.relay_ip}:443", "--listen",
                              f"{self.relay_ip}:4433", "--data", self.folder / "relay")
        self.relay_id = relay.wait_for("ready")["node_id"]
        self.relay_address = f"{self.relay_id}@{self.relay_ip}:4433"

    def start_in(self, host, *arguments):
        running = harness.Running(self, arguments, command=[*self.lab.inside(host), harness.BINARY])
        self.addCleanup(self._stop, running)
        return running

    def run_in(self, host, *arguments):
        running = self.start_in(host, *arguments)
        return running.end(), running

    def start_client(self, host, name, *command):
        begun = time.monotonic()
        node = self.start_in(host, *command, "--data", self.folder / name, "--relay-via", self.relay_address)
        node.node_id = node.wait_for("ready")["node_id"]
        if command[0] == "up":  # `recv` tells of files only
            node.relay_up = node.wait_for("relay_up", relay=self.relay_id)
            node.relay_ms = 1e3 * (time.monotonic() - begun)
        return node

    def leg_to_relay(self, host, name):
        """The leg of the node with that data folder; None while it has no relay."""
        _, peers = self.run_in(host, "peers", "--data", self.folder / name)
        legs = [peer["leg"] for peer in peers.events("peer") if peer["peer"] == self.relay_id]
        return legs[0] if legs else None

    def reaches(self, host, name, peer):
        return self.run_in(host, "ping", peer.node_id, "--data", self.folder / name, "--count", "1")[0] == 0

    def firewall(self, host, rules):
        subprocess.run([*self.lab.inside(host), "nft", "-f", "-"], input=rules, text=True, check=True)

    def check(self, left, right):
        caller_home, callee_home = self.lab.add_line("a", left), self.lab.add_line("b", right)
        (self.folder / "inbox").mkdir()
        callee = self.start_client(callee_home.netns, "b", "recv", "--out", self.folder / "inbox")
        caller = self.start_client(caller_home.netns, "a", "up")
        self.wait_until(lambda: self.reaches(caller_home.netns, "a", callee), "the callee is at the relay")
        for home, name, kind in ((caller_home, "a", left), (callee_home, "b", right)):
            self.assertEqual(self.leg_to_relay(home.netns, name), "tls" if kind == "udp-blocked" else "udp")
        code, ping = self.run_in(caller_home.netns, "ping", callee.node_id, "--data", self.folder / "a",
                                 "--count", "3", "--interval", "0.2")
        self.assertEqual(code, 0, ping.stderr())
        summary = ping.events("summary")[-1]
        self.assertEqual((summary["received"], summary["path"]), (3, "relayed"), ping.seen)

        file = self.make_file("file", FILE_BYTES)
        before = self.lab.received_bytes(self.relay_host)
        code, sending = self.run_in(caller_home.netns, "send", file, callee.node_id, "--data",
                                    self.folder / "a")
        self.assertEqual(code, 0, sending.stderr())
        self.assertEqual((self.folder / "inbox" / "file").read_bytes(), file.read_bytes())
        relayed = self.lab.received_bytes(self.relay_host) - before
        self.assertGreater(relayed, FILE_BYTES)
        print(f"{left} x {right}: relayed, first byte {summary['first_byte_ms']:.1f} ms, the caller's "
              f"relay after {caller.relay_ms:.0f} ms, {relayed} bytes over the relay of "
              f"{FILE_BYTES}", flush=True)

    def test_udp_returns_in_mid_life_and_the_tunnel_is_left(self):
        host, _ = self.lab.add_public("a")
        self.firewall(host, NO_UDP)
        client = self.start_client(host, "a", "up")
        self.assertEqual(client.relay_up["leg"], "tls")
        subprocess.run([*self.lab.inside(host), "nft", "delete table inet firewall"], check=True)
        moved = client.wait_for("path_changed", peer=self.relay_id)
        self.assertEqual((moved["from"], moved["to"]), (f"{self.relay_ip}:443", f"{self.relay_ip}:4433"))
        self.assertFalse(client.events("peer_down"))  # the same connection all the time
        self.wait_until(lambda: self.tunnels_of_relay() == 0, "the tunnel is closed")

    def test_udp_stops_in_mid_life_and_the_relay_is_reached_again(self):
        host, _ = self.lab.add_public("a")
        other, _ = self.lab.add_public("b")
        client = self.start_client(host, "a", "up", "--relay-only")
        self.assertEqual(client.relay_up["leg"], "udp")
        self.firewall(host, NO_UDP)
        begun = time.monotonic()
        client.wait_for("relay_up", relay=self.relay_id, leg="tls")
        print(f"UDP stopped: over TLS after {time.monotonic() - begun:.1f} s", flush=True)
        self.start_client(other, "b", "up", "--relay-only")
        code, ping = self.run_in(other, "ping", client.node_id, "--data", self.folder / "b", "--count", "2")
        self.assertEqual(code, 0, ping.stderr())

    def tunnels_of_relay(self):
        _, status = self.run_in(self.relay_host, "status", "--data", self.folder / "relay")
        return status.events("status")[-1]["tunnels"]


def test_of(left, right):
    return lambda self: self.check(left, right)


for one, other in [("udp-blocked", "udp-blocked"), ("udp-blocked", "port-restricted"),
                   ("udp-blocked", "none")]:
    for ends in {(one, other), (other, one)}:
        name = "test_" + "_calls_".join(end.replace("-", "_") for end in ends)
        setattr(WithoutUdp, name, test_of(*ends))


if __name__ == "__main__":
    if REASON:
        print(f"skipped: {REASON}")
    unittest.main(verbosity=2)
