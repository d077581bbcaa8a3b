#!/usr/bin/env python3
"""A machine of its own (a namespace) gets and loses addresses, interfaces, cables and routes, and the
real binary on it notices by netlink. What becomes of connections is in scenarios_test.py. Time is a
guard against hanging, and the wait for what must not come.
"""

import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))

import harness
from harness import CliTest
from lab import Lab, why_not

QUIET_S = 2.5  # longer than any change takes to be noticed
REASON = why_not()


@unittest.skipIf(REASON, REASON)
class Netlink(CliTest):
    def setUp(self):
        super().setUp()
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.host, _ = self.lab.add_public("a")
        self.ip(self.host, "address add 10.1.0.1/24 dev eth0")
        self.node = self.start_in(self.host, "up", "--data", self.folder / "a")
        self.node.wait_for("ready")

    def start_in(self, host, *arguments):
        command = [*self.lab.inside(host), harness.BINARY]
        running = harness.Running(self, arguments, command=command)
        self.addCleanup(self._stop, running)
        return running

    def ip(self, host, *lines):
        self.lab._ip(host, *lines)

    def changes(self, *lines):
        """What the node says of its addresses after these changes."""
        self.ip(self.host, *lines)
        return self.hosts(self.node.wait_for("network_changed"))

    @staticmethod
    def hosts(event):
        return {address.rsplit(":", 1)[0] for address in event["addresses"]}

    def test_an_address_comes_and_goes(self):
        self.assertLessEqual({"10.1.0.1", "10.2.0.1"}, self.changes("address add 10.2.0.1/24 dev eth0"))
        after = self.changes("address delete 10.2.0.1/24 dev eth0")
        self.assertIn("10.1.0.1", after)
        self.assertNotIn("10.2.0.1", after)

    def test_an_ipv6_address_comes(self):
        self.assertIn("[fd00:1::1]", self.changes("address add fd00:1::1/64 dev eth0 nodad"))

    def test_an_interface_goes_down_and_up(self):
        self.assertIn("10.3.0.1", self.changes("link add mobile type veth peer name far", "link set far up", "link set mobile up",
                                               "address add 10.3.0.1/24 dev mobile"))
        self.assertNotIn("10.3.0.1", self.changes("link set mobile down"))
        self.assertIn("10.3.0.1", self.changes("link set mobile up"))

    def test_a_cable_is_pulled(self):
        self.assertNotIn("10.1.0.1", self.unplug("down"))
        self.assertIn("10.1.0.1", self.unplug("up"))

    def unplug(self, state):
        """The far end of the host's cable; its own interface stays up."""
        self.ip(self.lab.core, f"link set p1 {state}")
        return self.hosts(self.node.wait_for("network_changed"))

    def test_a_route_leads_elsewhere(self):
        self.changes("route add 10.9.0.0/16 via 10.1.0.9")
        self.changes("route replace default via 10.1.0.9")

    def test_several_changes_at_once_are_one(self):
        lines = [f"address add 10.4.{i}.1/24 dev eth0" for i in range(50)]
        self.assertIn("10.4.49.1", self.changes(*lines))
        time.sleep(QUIET_S)
        self.assertLessEqual(self.further_changes(), 1)

    def test_what_is_only_renewed_is_no_change(self):
        self.changes("address add 10.5.0.1/24 dev eth0 valid_lft 1000 preferred_lft 1000")
        for lifetime in range(1001, 1006):
            self.ip(self.host, f"address replace 10.5.0.1/24 dev eth0 valid_lft {lifetime} preferred_lft 1000")
            time.sleep(0.2)
        self.ip(self.host, "link add bridge type bridge", "link set bridge up")  # as containers do
        time.sleep(QUIET_S)
        self.assertEqual(self.further_changes(), 0)

    def further_changes(self):
        """How many more there have been; the node is asked for something to see that it lives."""
        self.ip(self.host, "address add 10.77.0.1/24 dev eth0")
        count = 0
        while "10.77.0.1" not in self.hosts(self.node.wait_for("network_changed")):
            count += 1
        return count

    def test_a_listening_address_that_is_gone_is_told_and_works_when_it_is_back(self):
        self.changes("address add 10.6.0.1/24 dev eth0")
        node = self.start_in(self.host, "up", "--data", self.folder / "b", "--listen", "10.6.0.1:4433")
        node.wait_for("ready")
        self.ip(self.host, "address delete 10.6.0.1/24 dev eth0")
        self.assertEqual(node.wait_for("network_changed")["addresses"], [])
        self.ip(self.host, "address add 10.6.0.1/24 dev eth0")
        self.assertEqual(node.wait_for("network_changed")["addresses"], ["10.6.0.1:4433"])


if __name__ == "__main__":
    if REASON:
        print(f"skipped: {REASON}")
    unittest.main(verbosity=2)
