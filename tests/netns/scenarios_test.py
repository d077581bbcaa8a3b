#!/usr/bin/env python3
"""The network changes in the middle of a verified file: the connection survives, and no byte is lost.

Each scenario has two nodes on lines of 16 Mbit/s, 40 ms apart, which go on over what is left of their
network. What carried the file is told by the routers; pass or fail is decided by the bytes, by the
hash that both ends print and by the connection surviving (no `peer_down`). How long nothing came is
printed as a figure.

Without QUICMESH_LAB=full only the fast ones run (`make test`); `make lab` runs all.
"""

import os
import time
import unittest

from flow import Flow
from lab import Lab, why_not
from mesh import KILL, Mesh, PATIENCE, PORT, Relay

REASON = why_not()
FULL = os.environ.get("QUICMESH_LAB") == "full"
RATE_KBIT = 16_000
FILE_BYTES = (12 if FULL else 4) << 20
EARLY_BYTES = 1 << 20  # of a transfer that is well under way
slow = unittest.skipUnless(FULL, "only in `make lab` (QUICMESH_LAB=full)")


@unittest.skipIf(REASON, REASON)
class Scenario(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.mesh = Mesh(self.lab)
        self.addCleanup(self.mesh.close)
        self.relay = Relay(self.mesh, "relay")
        self.relays = [self.relay]

    def state(self):
        """What every program said last, for the message of a failure."""
        lines = []
        for running in self.mesh.running:
            running.seen_so_far("")
            lines.append(f"{' '.join(map(str, running.process.args[5:]))}: exit code {running.process.poll()}, "
                         f"{running.seen[-10:]} {running.stderr()}")
        return "\n".join(lines)

    def arrives(self, **what):
        """Flow.wait_for, with everybody's state if it does not."""
        try:
            return self.flow.wait_for(**what)
        except AssertionError as error:
            self.fail(f"{error}\n{self.state()}")

    def homes(self, left, right, **line):
        line = {"rate_kbit": RATE_KBIT, "queue_kib": 128} | line
        return self.lab.add_line("a", left, line=line), self.lab.add_line("b", right, line=line)

    def nodes(self, caller, callee, *more, listen=None):
        """Both nodes, up and known to their relays."""
        started = [self.mesh.start_node(callee, "b", *self.relays, more=more, listen=listen),
                   self.mesh.start_node(caller, "a", *self.relays, more=more, listen=listen)]
        for node in started:
            node.wait_for("relay_up")
        return started[1], started[0]

    def dial(self, home, node, peer, *more):
        """Pings until the path is direct (or as `more` says), and returns the summary."""
        code, ping = self.mesh.run(home.netns, "ping", peer.node_id, "--data", node.data, "--interval", "0.02", *more)
        self.assertEqual(code, 0, (ping.seen, ping.stderr()))
        return ping.events("summary")[-1]

    def make_direct(self, home, node, peer):
        self.assertEqual(self.dial(home, node, peer, "--until-direct", "--timeout", "20")["path"], "direct")

    def begin(self, sender_home, sender, receiver_home, receiver, size=FILE_BYTES):
        """Starts a transfer whose incoming bytes are watched at the receiver's router."""
        self.file = self.mesh.make_file("file", size)
        self.inbox = self.mesh.folder / "inbox"
        self.inbox.mkdir()
        self.receiving = self.mesh.start(receiver_home.netns, "recv", "--once", "--out", self.inbox, "--data", receiver.data)
        self.receiving.wait_for("ready")
        self.ends = (sender, receiver)
        self.flow = Flow(receiver_home, [address for relay in self.relays for address in relay.addresses])
        self.addCleanup(self.flow.end)
        self.sending = self.mesh.start(sender_home.netns, "send", self.file, receiver.node_id, "--data", sender.data)

    def finish(self, survives=True):
        """The file is there whole, both ends agree, and the connection never ended; the sender's `done`."""
        for program in (self.sending, self.receiving):
            self.assertEqual(program.process.wait(PATIENCE), 0, self.state())
            program.end()
        self.flow.end()
        arrived = self.inbox / self.file.name
        self.assertEqual(arrived.read_bytes(), self.file.read_bytes())
        done, received = self.sending.events("done")[-1], self.receiving.events("done")[-1]
        self.assertEqual((done["bytes"], done["blake3"]), (self.file.stat().st_size, received["blake3"]))
        self.assertEqual(done.get("resumed_from", 0), 0)
        if survives:
            for node in self.ends:
                self.assertEqual(node.seen_so_far("peer_down"), [], node.stderr())
        return done

    def tell(self, what, since=None):
        """Prints the figures of a change at the sample `since`."""
        resumed = [event["stall_ms"] for node in self.ends for event in node.seen_so_far("path_resumed")]
        gap = f"nothing came for {self.flow.longest_gap_ms(since):.0f} ms, " if since else ""
        relayed, direct = self.flow.bytes_since(self.flow.samples[0])
        print(f"{what}: {gap}path_resumed {resumed or '-'} ms; {relayed} bytes over relays, {direct} directly", flush=True)

    def changes_to(self, node, path):
        return [event for event in node.seen_so_far("path_changed") if event["path"] == path]

    def check_fallback(self, by_acceptor):
        """A direct path dies in silence while a file goes over it (N6, S1.54)."""
        a, b = self.homes("port-restricted", "port-restricted")
        caller, callee = self.nodes(a, b)
        self.make_direct(a, caller, callee)
        ends = (b, callee, a, caller) if by_acceptor else (a, caller, b, callee)
        self.begin(*ends)
        self.arrives(direct=EARLY_BYTES)
        a.router.deny(b.public)
        b.router.deny(a.public)
        broken = self.flow.sample()
        self.arrives(relayed=EARLY_BYTES, since=broken)
        self.finish()
        self.assertTrue(self.changes_to(self.ends[0], "relayed"), self.ends[0].seen)
        self.tell(f"direct path dies, {'acceptor' if by_acceptor else 'dialler'} sends", broken)

    def check_rebinding(self, kinds, moved):
        """The NAT of one end forgets its mappings while a file goes over a direct path."""
        a, b = self.homes(*kinds)
        caller, callee = self.nodes(a, b)
        self.make_direct(a, caller, callee)
        self.begin(a, caller, b, callee)
        self.arrives(direct=EARLY_BYTES)
        (a if moved == "dialler" else b).rebind()
        rebound = self.flow.sample()
        self.finish()
        self.assertGreater(sum(self.flow.bytes_since(rebound)), EARLY_BYTES)
        self.tell(f"the {moved}'s NAT rebinds, {kinds[0]} x {kinds[1]}", rebound)


class Fast(Scenario):
    def test_a_transfer_begins_over_the_relay_and_goes_direct(self):
        a, b = self.homes("port-restricted", "port-restricted")
        caller, callee = self.nodes(a, b)
        self.begin(a, caller, b, callee)
        direct = self.arrives(relayed=1, direct=EARLY_BYTES)
        done = self.finish()
        self.assertTrue(self.changes_to(caller, "direct"), caller.seen)
        self.assertGreaterEqual(done["path_changes"], 0)
        self.tell("relay to direct", direct)

    def test_a_direct_path_that_dies_is_replaced_while_the_dialler_sends(self):
        self.check_fallback(by_acceptor=False)

    def test_a_rebinding_at_the_dialler_ends_no_transfer(self):
        self.check_rebinding(("port-restricted", "full-cone"), "dialler")


@slow
class Full(Scenario):
    def test_a_direct_path_that_dies_is_replaced_while_the_acceptor_sends(self):
        self.check_fallback(by_acceptor=True)

    def test_a_rebinding_at_the_acceptor_behind_an_open_nat_ends_no_transfer(self):
        self.check_rebinding(("full-cone", "full-cone"), "acceptor")

    def test_a_rebinding_at_the_acceptor_behind_a_filtering_nat_ends_no_transfer(self):
        self.check_rebinding(("port-restricted", "port-restricted"), "acceptor")

    def test_a_rebinding_at_the_dialler_behind_filtering_nats_ends_no_transfer(self):
        self.check_rebinding(("port-restricted", "port-restricted"), "dialler")

    def test_a_direct_path_that_becomes_possible_later_is_taken(self):
        """S1.44, S1.49, S1.51, U1: what did not answer is asked again."""
        a, b = self.homes("port-restricted", "port-restricted")
        a.router.deny(b.public)
        b.router.deny(a.public)
        caller, callee = self.nodes(a, b)
        self.assertEqual(self.dial(a, caller, callee, "--count", "3")["path"], "relayed")
        self.begin(a, caller, b, callee, size=40 << 20)
        self.arrives(relayed=EARLY_BYTES)
        a.router.allow_all()
        b.router.allow_all()
        opened = self.flow.sample()
        direct = self.arrives(direct=EARLY_BYTES, since=opened)
        self.finish()
        print(f"direct {direct[0] - opened[0]:.1f} s after it became possible")
        self.tell("direct path opens later", opened)

    def test_wifi_to_4g_in_mid_transfer(self):
        """S1.53, S1.54, U2."""
        """The interface goes down; another address, another latency, the same connection."""
        a, b = self.homes("port-restricted", "port-restricted")
        mobile = self.lab.add_uplink(a, "wwan0", "symmetric-random", line={"delay_ms": 30, "rate_kbit": RATE_KBIT,
                                                                          "queue_kib": 128})
        caller, callee = self.nodes(a, b, listen=[f"0.0.0.0:{PORT}"])
        self.make_direct(a, caller, callee)
        self.begin(a, caller, b, callee)
        self.arrives(direct=EARLY_BYTES)
        self.lab.take_down(a.netns)
        switched = self.flow.sample()
        self.finish()
        self.assertGreater(sum(self.flow.bytes_since(switched)), EARLY_BYTES)
        self.assertGreater(mobile.bytes_with(b.public, *self.relay.addresses), EARLY_BYTES)
        self.tell("Wi-Fi to 4G", switched)

    def test_a_relay_is_killed_with_a_second_one_standing(self):
        second = Relay(self.mesh, "relay2")
        self.relays = [self.relay, second]
        a, b = self.homes("symmetric-random", "symmetric-random")
        caller, callee = self.nodes(a, b)
        for node in (caller, callee):
            self.assertIsNotNone(node.waits_for("relay_up", 20, relay=self.relay.id), node.seen)
            self.assertIsNotNone(node.waits_for("relay_up", 20, relay=second.id), node.seen)
        self.dial(a, caller, callee, "--count", "3")
        self.begin(a, caller, b, callee)
        self.arrives(relayed=EARLY_BYTES)
        used = max(self.relays, key=lambda relay: b.bytes_with(*relay.addresses))
        used.running.signal(KILL)
        killed = self.flow.sample()
        self.finish()
        other = second if used is self.relay else self.relay
        self.assertGreater(b.bytes_with(*other.addresses), FILE_BYTES // 4)
        self.tell("relay killed", killed)

    def test_a_node_that_reaches_its_relay_at_another_address_stays_reachable(self):
        both = Relay(self.mesh, "both", count=2)
        self.relays = [both]
        a, b = self.homes("symmetric-random", "symmetric-random")
        caller, callee = self.nodes(a, b)
        self.assertIsNotNone(callee.waits_for("nat", 20), callee.seen)
        for _ in range(2):
            moves = [event["to"] for event in callee.seen_so_far("path_changed")]
            first = callee.events("peer_up")[0]["remote"]
            used, other = both.addresses[::1 if (moves or [first])[-1] == f"{both.addresses[0]}:{PORT}" else -1]
            b.router.deny(used)
            until = time.monotonic() + 30
            while callee.seen_so_far("path_changed")[-1:] == [] or len(callee.events("path_changed")) == len(moves):
                self.assertLess(time.monotonic(), until, (f"does not come from {used} to {other}", callee.seen))
                time.sleep(0.05)
            b.router.allow_all()
            self.assertEqual(self.dial(a, caller, callee, "--count", "3")["path"], "relayed")

    def test_the_loss_ladder_is_climbed_to_12_percent_in_bursts_of_25(self):
        """N8."""
        a, b = self.homes("full-cone", "full-cone")
        caller, callee = self.nodes(a, b)
        self.make_direct(a, caller, callee)
        for loss in (0, 2, 5, 8, 12):
            with self.subTest(loss=loss):
                for home in (a, b):
                    home.router.set_line("up", loss=loss, burst=25)
                began = time.monotonic()
                self.begin(a, caller, b, callee, size=2 << 20)
                self.finish()
                seconds = time.monotonic() - began
                print(f"loss {loss} % in bursts of 25: {2 * 8 / seconds:.1f} Mbit/s of {RATE_KBIT // 1000}", flush=True)
                for path in (self.inbox / self.file.name, self.file):
                    path.unlink()
                self.inbox.rmdir()

    def test_a_path_of_1280_bytes_carries_a_relayed_transfer_over_ipv6(self):
        """U10."""
        a, b = self.homes("none", "none", mtu=1280)
        server = self.lab.add_public_v6(self.relay.host)
        relay = Relay(self.mesh, "relay6", host=self.relay.host, addresses=[server])
        self.relays = [relay]
        callee = self.mesh.start_node(b, "b", relay, listen=[f"[{self.lab.add_v6(b)}]:{PORT}"], more=["--relay-only"])
        caller = self.mesh.start_node(a, "a", relay, listen=[f"[{self.lab.add_v6(a)}]:{PORT}"], more=["--relay-only"])
        for node in (callee, caller):
            node.wait_for("relay_up")
        self.begin(a, caller, b, callee)
        self.finish()
        self.assertGreater(self.flow.bytes_since(self.flow.samples[0])[0], FILE_BYTES)
        largest = a.router.remote(server, "largest_out")
        print(f"MTU 1280 over IPv6: largest packet to the relay {largest} bytes")
        self.tell("MTU 1280, IPv6, relayed")

    def why(self, home, node, peer):
        """The decisions about a peer, as `quicmesh why` tells them."""
        code, told = self.mesh.run(home.netns, "why", peer.node_id, "--data", node.data)
        self.assertEqual(code, 0, told.stderr())
        return told.events("why")[-1]

    def test_a_direct_path_below_1200_bytes_is_not_used_and_the_reason_told(self):
        """U10, U12, U13."""
        a, b = self.homes("port-restricted", "port-restricted")
        self.lab.limit_path(a.public, b.public, 1150)
        caller, callee = self.nodes(a, b)
        self.begin(a, caller, b, callee)
        self.finish()
        self.assertGreater(self.flow.bytes_since(self.flow.samples[0])[0], FILE_BYTES * 9 // 10)
        self.tell("direct path below 1200 bytes")
        told = self.why(a, caller, callee)
        self.assertTrue([decision for decision in told["decisions"] if decision["kind"] == "path_unusable"
                         and decision["rule"] == "too_narrow"], told)


if __name__ == "__main__":
    if REASON:
        print(f"skipped: {REASON}")
    unittest.main(verbosity=2)
