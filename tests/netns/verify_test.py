#!/usr/bin/env python3
"""Every NAT of the laboratory is what it says, before it is trusted: measured with coturn's
`turnutils_natdiscovery` (RFC 5780, mapping and filtering) against a real coturn with two addresses,
and with probe.py (port allocation, hairpin, rebinding, time to live, TCP).
"""

import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import routers
from lab import LINE_KINDS, NAT, Lab, why_not

REASON = why_not() or ("" if shutil.which("turnserver") and shutil.which("turnutils_natdiscovery")
                       else "coturn is not installed (scripts/setup.sh --tests)")
PROBE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "probe.py")
PATIENCE = 60

WORDS = {"Endpoint Independent": "ei", "Address Dependent": "ad", "Address and Port Dependent": "apd"}
# What an observer must see, written down apart from the tables that make the homes.
EXPECTED = {
    "none": dict(mapping="ei", filtering="ei", ports="preserving"),
    "full-cone": dict(mapping="ei", filtering="ei", ports="random"),
    "address-restricted": dict(mapping="ei", filtering="ad", ports="random"),
    "port-restricted": dict(mapping="ei", filtering="apd", ports="random"),
    "symmetric-sequential": dict(mapping="apd", filtering="apd", ports="sequential"),
    "symmetric-random": dict(mapping="apd", filtering="apd", ports="random"),
    "symmetric-address": dict(mapping="ad", filtering="apd", ports="random"),
    "cgnat": dict(mapping="ei", filtering="apd", ports="random"),
    "udp-blocked": None,
    "preserving": dict(mapping="ei", filtering="apd", ports="preserving"),
    "sloppy": dict(mapping="ei", filtering="apd", ports="preserving"),
    "sequential-by-3": dict(mapping="apd", filtering="apd", ports="sequential", delta=3),
    "hairpin": dict(mapping="ei", filtering="apd", ports="random"),
    "short-lived": dict(mapping="ei", filtering="apd", ports="random"),
    "nft port-restricted": dict(mapping="ei", filtering="apd", ports="preserving"),
    "nft full-cone": dict(mapping="ei", filtering="ei", ports="preserving"),
    "nft symmetric": dict(mapping="apd", filtering="apd", ports="random"),
    "nft sloppy": dict(mapping="ei", filtering="apd", ports="preserving"),
}


def allocation(pairs, delta):
    """How the external ports of new mappings were chosen, for (local, external) `pairs`."""
    if all(local == external for local, external in pairs):
        return "preserving"
    steps = [later[1] - earlier[1] for earlier, later in zip(pairs, pairs[1:])]
    return "sequential" if all(step == delta for step in steps) else "random"


@unittest.skipIf(REASON, REASON)
class Verification(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(seed=1)
        cls.addClassCleanup(cls.lab.close)
        cls.server, cls.first = cls.lab.add_public("stun")
        cls.second = cls.lab.add_address(cls.server)
        cls.folder = tempfile.TemporaryDirectory(prefix="quicmesh-lab-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.coturn = subprocess.Popen(
            [*cls.lab.inside(cls.server), "turnserver", "-n", "--listening-ip", cls.first, "--listening-ip", cls.second,
             "--no-auth", "--stun-only", "--no-tls", "--no-dtls", "--no-cli", "--log-file", "stdout",
             "--pidfile", f"{cls.folder.name}/pid", "--userdb", f"{cls.folder.name}/db"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.addClassCleanup(cls.end, cls.coturn)
        cls.homes = {kind: cls.lab.add_line(f"l{i}", kind) for i, kind in enumerate(LINE_KINDS)}
        cls.hosts = {kind: home.netns for kind, home in cls.homes.items()}
        for i, kind in enumerate(NAT):
            cls.hosts[f"nft {kind}"] = cls.lab.add_home(f"n{i}", kind)[0]
        until = time.monotonic() + PATIENCE
        while not cls.probe(cls.hosts["none"], "ttl", cls.first, 64)["answered"]:
            assert time.monotonic() < until, "coturn answers"

    @staticmethod
    def end(process):
        process.terminate()
        process.communicate()

    @classmethod
    def probe(cls, host, *arguments):
        done = subprocess.run([*cls.lab.inside(host), sys.executable, "-B", PROBE, *map(str, arguments)],
                              capture_output=True, text=True, timeout=PATIENCE, check=True)
        return json.loads(done.stdout)

    def for_all(self, kinds, measure):
        """What `measure` finds for each kind, measured at the same time."""
        with concurrent.futures.ThreadPoolExecutor(len(kinds)) as pool:
            return dict(zip(kinds, pool.map(measure, kinds)))

    def discovered(self, kind):
        """Mapping and filtering as turnutils_natdiscovery tells them; empty if nothing answers."""
        done = subprocess.run([*self.lab.inside(self.hosts[kind]), "timeout", "50", "turnutils_natdiscovery", "-m",
                               "-f", self.first], capture_output=True, text=True)
        found = {}
        for words, what in re.findall(r"^NAT with (.*) (Mapping|Filtering)!$", done.stdout, re.MULTILINE):
            found[what.lower()] = WORDS[words]
        return found

    def test_each_kind_maps_and_filters_as_turnutils_natdiscovery_says(self):
        self.assertEqual(set(EXPECTED), set(self.hosts))
        found = self.for_all(list(EXPECTED), self.discovered)
        for kind, nat in EXPECTED.items():
            wanted = {key: nat[key] for key in ("mapping", "filtering")} if nat else {}
            print(f"{kind:24} {found[kind]}", flush=True)
            with self.subTest(kind=kind):
                self.assertEqual(found[kind], wanted)

    def test_each_kind_allocates_ports_as_it_says(self):
        found = self.for_all(list(self.hosts), lambda kind: self.probe(self.hosts[kind], "ports", self.first, self.second))
        for kind, probed in found.items():
            nat = EXPECTED[kind]
            with self.subTest(kind=kind):
                self.assertEqual(probed["answered"], nat is not None)
                if nat is None:
                    continue
                self.assertEqual(allocation(probed["pairs"], nat.get("delta", 1)), nat["ports"], probed)
                different = len(set(probed["by_server"]))
                self.assertEqual(different, {"ei": 1, "ad": 2, "apd": 4}[nat["mapping"]], probed)
                if kind in self.homes:
                    self.assertEqual(probed["address"], self.homes[kind].public)
                    # The line is 20 ms there and back; above that is this machine's business.
                    self.assertGreaterEqual(probed["rtt_ms"], 20)
                    print(f"{kind:24} {nat['ports']:10} {probed['rtt_ms']:.2f} ms", flush=True)

    def test_only_a_hairpinning_nat_hairpins_and_with_the_external_source(self):
        kinds = ["hairpin", "full-cone", "port-restricted", "nft port-restricted"]
        found = self.for_all(kinds, lambda kind: self.probe(self.hosts[kind], "hairpin", self.first))
        for kind in kinds:
            with self.subTest(kind=kind):
                does = kind == "hairpin"
                self.assertEqual(found[kind], {"heard": does, "external_source": does})

    def test_a_rebinding_moves_a_living_mapping(self):
        for by_signal in (False, True):
            home = self.homes["port-restricted"]
            probe = subprocess.Popen([*self.lab.inside(home.netns), sys.executable, "-B", PROBE, "rebind", self.first],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self.addCleanup(self.end, probe)
            before = json.loads(probe.stdout.readline())["external"]
            if by_signal:
                home.router.process.send_signal(routers.REBIND)
                until = time.monotonic() + PATIENCE
                while home.router.counters()["udp_mappings"] > 0:
                    self.assertLess(time.monotonic(), until)
            else:
                home.rebind()
            after = json.loads(probe.communicate("\n")[0])["external"]
            self.assertEqual(before[0], after[0])
            self.assertNotEqual(before[1], after[1])

    def test_tcp_passes_where_udp_does_not(self):
        probed = self.probe(self.hosts["udp-blocked"], "tcp", self.first)
        self.assertEqual((probed["external"] or [None])[0], self.homes["udp-blocked"].public, probed)

    def test_low_time_to_live_passes_its_own_nat_and_dies_on_the_line(self):
        home = self.homes["port-restricted"]
        before = home.router.counters()
        self.assertFalse(self.probe(home.netns, "ttl", self.first, 4)["answered"])
        after = home.router.counters()
        self.assertEqual(after["drops"]["died_on_line"], before["drops"]["died_on_line"] + 1)
        self.assertEqual(after["udp_mappings"], before["udp_mappings"] + 1)
        self.assertTrue(self.probe(home.netns, "ttl", self.first, 64)["answered"])

    def test_an_isolated_host_reaches_its_neighbour_by_no_private_address(self):
        def measure(isolated):
            left, right = pairs[isolated]
            echo = subprocess.Popen([*self.lab.inside(right.netns), sys.executable, "-B", PROBE, "echo", "7777"],
                                    stdout=subprocess.PIPE, text=True)
            self.addCleanup(self.end, echo)
            echo.stdout.readline()
            return (self.probe(left.netns, "reach", right.address, 7777)["answered"],
                    self.probe(left.netns, "ttl", self.first, 64)["answered"])

        pairs = {isolated: self.lab.add_shared_home(f"s{int(isolated)}", "port-restricted", isolated)
                 for isolated in (False, True)}
        self.assertEqual(self.for_all([False, True], measure), {False: (True, True), True: (False, True)})

    def test_a_sloppy_gateway_makes_a_punched_flow_leave_from_another_port(self):
        """The userland one and Linux itself: the peer's datagram comes first, then the host's own."""
        def measure(kind):
            observer = subprocess.Popen([*self.lab.inside(self.server), sys.executable, "-B", PROBE, "observe", "0"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self.addCleanup(self.end, observer)
            port = json.loads(observer.stdout.readline())["port"]
            public = self.probe(self.hosts[kind], "ports", self.first, self.second)["address"]
            observer.stdin.write(f"{public} 5555\n")
            observer.stdin.flush()
            observer.stdout.readline()
            # Behind it on the same way, so the early datagram is through.
            self.assertTrue(self.probe(self.hosts[kind], "ttl", self.first, 64)["answered"])
            return self.probe(self.hosts[kind], "seen", self.first, port, 5555)["port"]

        kinds = ("sloppy", "nft sloppy", "preserving", "nft port-restricted")
        for kind, port in self.for_all(kinds, measure).items():
            with self.subTest(kind=kind):
                self.assertIsNotNone(port)
                self.assertEqual(port != 5555, "sloppy" in kind)


if __name__ == "__main__":
    if REASON:
        print(f"skipped: {REASON}")
    unittest.main(verbosity=2)
