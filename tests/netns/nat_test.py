#!/usr/bin/env python3
"""The real binary through real NATs: connected at once over a relay, direct where that is possible.

Whether a path is direct is decided by the bytes that the relay's interface received while a file was
sent, never by the program's word.
"""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))

import harness
from harness import CliTest
from lab import Lab, why_not

FILE_BYTES = 1 << 20
FULL = os.environ.get("QUICMESH_LAB") == "full"
REASON = why_not()

# Direct where both mappings are endpoint-independent, where the other side's filter lets a port in
# that nobody could foretell, and by a birthday attack where one side maps independently (rule.py).
PAIRS = [
    ("full-cone", "symmetric", True),
    ("port-restricted", "port-restricted", True),
    ("port-restricted", "symmetric", True),
]
if FULL:
    PAIRS += [
        ("none", "port-restricted", True),
        ("none", "symmetric", True),
        ("symmetric", "symmetric", False),
    ]


@unittest.skipIf(REASON, REASON)
class ThroughNats(CliTest):
    def setUp(self):
        super().setUp()
        self.environment["QUICMESH_ALLOW_BOGON"] = "1"
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.relay_host, address = self.lab.add_public("relay")
        # With two addresses it answers behaviour discovery.
        relay = self.start_in(self.relay_host, "up", "--relay", "--listen", f"{address}:4433", "--listen",
                              f"{self.lab.add_address(self.relay_host)}:4433", "--data", self.folder / "relay")
        self.relay_id = relay.wait_for("ready")["node_id"]
        self.relay_address = f"{self.relay_id}@{address}:4433"

    def start_in(self, host, *arguments):
        command = [*self.lab.inside(host), harness.BINARY]
        running = harness.Running(self, arguments, command=command)
        self.addCleanup(self._stop, running)
        return running

    def run_in(self, host, *arguments):
        running = self.start_in(host, *arguments)
        return running.end(), running

    def knows(self, caller_host, callee_id):
        """Whether the relay has the callee by now: a ping of a node that ends at once tells."""
        code, _ = self.run_in(caller_host, "ping", callee_id, "--data", self.folder / "probe", "--relay-only",
                              "--relay-via", self.relay_address)
        return code == 0

    def check(self, left, right, direct):
        caller_host, caller_address = self.lab.add_home("a", left)
        callee_host, callee_address = self.lab.add_home("b", right)
        (self.folder / "inbox").mkdir()
        callee = self.start_in(callee_host, "recv", "--out", self.folder / "inbox", "--data",
                               self.folder / "b", "--listen", f"{callee_address}:4433", "--relay-via",
                               self.relay_address)
        callee_id = callee.wait_for("ready")["node_id"]
        caller = self.start_in(caller_host, "up", "--data", self.folder / "a", "--listen",
                               f"{caller_address}:4433", "--relay-via", self.relay_address)
        caller.wait_for("ready")
        caller.wait_for("relay_up")
        self.wait_until(lambda: self.knows(caller_host, callee_id), "the callee registers")
        code, ping = self.run_in(caller_host, "ping", callee_id, "--data", self.folder / "a",
                                 "--until-direct", "--interval", "0.05", "--timeout",
                                 "30" if direct else "4")
        summary = ping.events("summary")[-1]
        self.assertGreater(summary["received"], 0)
        self.assertEqual(summary["path"], "direct" if direct else "relayed", ping.seen)
        self.assertEqual(code == 0, direct)

        file = self.make_file("file", FILE_BYTES)
        before = self.lab.received_bytes(self.relay_host)
        code, sending = self.run_in(caller_host, "send", file, callee_id, "--data", self.folder / "a")
        self.assertEqual(code, 0, sending.stderr())
        relayed = self.lab.received_bytes(self.relay_host) - before
        self.assertEqual((self.folder / "inbox" / "file").read_bytes(), file.read_bytes())
        if direct:
            self.assertLess(relayed, FILE_BYTES // 50)
        else:
            self.assertGreater(relayed, FILE_BYTES)
        print(f"{left} x {right}: {summary['path']}, first byte {summary['first_byte_ms']:.1f} ms, direct "
              f"{summary['direct_ms']} ms, {relayed} bytes over the relay of {FILE_BYTES}", flush=True)


def test_of(left, right, direct):
    return lambda self: self.check(left, right, direct)


for one, other, is_direct in PAIRS:
    # `make lab` calls from both ends.
    for ends in sorted({(one, other), (other, one)} if FULL else {(one, other)}):
        name = "test_" + "_calls_".join(end.replace("-", "_") for end in ends)
        setattr(ThroughNats, name, test_of(*ends, is_direct))


if __name__ == "__main__":
    if REASON:
        print(f"skipped: {REASON}")
    unittest.main(verbosity=2)
