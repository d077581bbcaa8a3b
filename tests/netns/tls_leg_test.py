#!/usr/bin/env python3
"""Networks that let no UDP out: the relay is reached over TLS on TCP port 443, and over UDP again as
soon as that passes.

What passed is decided by counters of the routers and of the relay's interface, and by the bytes on the
disk, never by the program's word.
"""

import os
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))

import harness
from harness import CliTest
from lab import Lab, why_not
from mesh import Running

FILE_BYTES = 4 << 20
REASON = why_not()
NO_UDP = """
table inet firewall {
  chain input { type filter hook input priority 0; policy accept;
    iifname "eth0" meta l4proto udp drop
  }
  chain output { type filter hook output priority 0; policy accept;
    oifname "eth0" meta l4proto udp drop
  }
}
"""
RATE = 2 << 20  # bytes a second, so that a transfer has a middle
IDLE_TIMEOUT = 30  # of the connections, in seconds


class Growth:
    """Watches how much of a file has come, in a thread until `end`. A router's counters would not do: a
    host that is cut off is still sent to."""

    def __init__(self, folder):
        self.folder = folder
        self.samples = [(time.monotonic(), 0)]  # whenever there was more: time, bytes
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self):
        while not self.ended.wait(0.005):
            self.sample()

    def sample(self):
        try:
            size = sum(path.stat().st_size for path in self.folder.iterdir())
        except FileNotFoundError:  # renamed in between
            return
        if size > self.samples[-1][1]:
            self.samples.append((time.monotonic(), size))

    def end(self):
        if not self.ended.is_set():
            self.ended.set()
            self.thread.join()
            self.sample()

    def size(self):
        return self.samples[-1][1]

    def longest_gap_ms(self, since):
        times = [since, *(when for when, _ in self.samples if when > since)]
        return 1e3 * max(later - earlier for earlier, later in zip(times, times[1:]))


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
        running = Running(self, arguments, command=[*self.lab.inside(host), harness.BINARY])
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
        self.assertFalse(client.seen_so_far("peer_down"))  # the same connection all the time
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

    def cut_udp_in_mid_transfer(self, blocked):
        """UDP stops at one end of a relayed transfer, which goes on over the tunnel in the same
        connection. How long nothing came is told, and is no verdict."""
        homes = {"sender": self.lab.add_line("a", "port-restricted"),
                 "receiver": self.lab.add_line("b", "port-restricted")}
        nodes = {end: self.start_client(home.netns, end, "up", "--relay-only") for end, home in homes.items()}
        (self.folder / "inbox").mkdir()
        receiving = self.start_in(homes["receiver"].netns, "recv", "--once", "--out", self.folder / "inbox",
                                  "--data", self.folder / "receiver")
        receiving.wait_for("ready")
        file = self.make_file("file", 4 * RATE)
        growth = Growth(self.folder / "inbox")
        self.addCleanup(growth.end)
        sending = self.start_in(homes["sender"].netns, "send", file, nodes["receiver"].node_id, "--rate", str(RATE),
                                "--data", self.folder / "sender")
        self.wait_until(lambda: growth.size() > RATE, "a quarter has come")
        self.firewall(homes[blocked].netns, NO_UDP)
        cut = time.monotonic()
        before = growth.size()
        for program in (sending, receiving):
            self.assertEqual(program.end(), 0, program.stderr())
        growth.end()
        self.assertEqual((self.folder / "inbox" / "file").read_bytes(), file.read_bytes())
        self.assertEqual(sending.events("done")[-1].get("resumed_from", 0), 0)
        self.assertLess(before, 3 * RATE, "it was nearly over")
        for end, home in homes.items():
            self.assertEqual(self.leg_to_relay(home.netns, end), "tls" if end == blocked else "udp")
        for node in nodes.values():
            self.assertEqual(node.seen_so_far("relay_down"), [])  # and with it its sessions
            self.assertEqual(node.seen_so_far("peer_down"), [])
        gap = growth.longest_gap_ms(cut)
        self.assertLess(gap, 1e3 * IDLE_TIMEOUT)
        print(f"UDP stopped at the {blocked} in mid-transfer: nothing came for {gap:.0f} ms", flush=True)

    def test_udp_stops_at_the_sender_in_mid_transfer(self):
        self.cut_udp_in_mid_transfer("sender")

    def test_udp_stops_at_the_receiver_in_mid_transfer(self):
        self.cut_udp_in_mid_transfer("receiver")

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
