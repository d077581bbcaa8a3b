#!/usr/bin/env python3
"""The real binary behind a home router that maps ports: a real miniupnpd in the router's namespace.

miniupnpd maps nothing while its outside address is a documentation one, so the homes here have
addresses of 9.9.9.0/24 on the switch: nothing leaves the namespaces.

Whether a mapping is there is decided by the router's nftables rules, and whether a path is direct by
the bytes that the relay's interface received, never by the program's word.
"""

import os
import re
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))

import harness
from harness import CliTest
from lab import Lab, why_not

MINIUPNPD = "/usr/sbin/miniupnpd"
REASON = why_not() or ("" if os.access(MINIUPNPD, os.X_OK) else "miniupnpd is not installed (scripts/setup.sh --tests)")
FILE_BYTES = 4 << 20
OUTSIDE = "9.9.9"

# What miniupnpd fills: its chains are jumped to from hooks beside those of the laboratory's router.
CHAINS = """
table inet filter {
  chain forward { type filter hook forward priority -5; policy accept; jump miniupnpd; }
  chain miniupnpd {}
  chain prerouting { type nat hook prerouting priority -100; policy accept; jump prerouting_miniupnpd; }
  chain postrouting { type nat hook postrouting priority 90; policy accept; jump postrouting_miniupnpd; }
  chain prerouting_miniupnpd {}
  chain postrouting_miniupnpd {}
}
"""
FLUSH = "flush chain inet filter miniupnpd; flush chain inet filter prerouting_miniupnpd; " \
        "flush chain inet filter postrouting_miniupnpd"


class Gateway:
    """A miniupnpd in a router's namespace."""

    def __init__(self, test, router, outside, nat_pmp=True, upnp=True):
        self.test, self.router = test, router
        self.config = test.folder / "miniupnpd.conf"
        self.config.write_text(f"""
ext_ifname=wan
ext_ip={outside}
listening_ip=lan
http_port=0
enable_natpmp={"yes" if nat_pmp else "no"}
enable_upnp={"yes" if upnp else "no"}
secure_mode=yes
system_uptime=no
ipv6_disable=yes
uuid=5d0dd5a6-4f2e-4a5b-9c1e-0f1f2f3f4f5f
serial=1
allow 1024-65535 192.168.1.0/24 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
""")
        subprocess.run([*test.lab.inside(router), "nft", "-f", "-"], input=CHAINS, text=True, check=True)
        self.log = open(test.folder / "miniupnpd.log", "wb")
        test.addCleanup(self.log.close)
        self.process = None
        test.addCleanup(self.stop)
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [*self.test.lab.inside(self.router), MINIUPNPD, "-d", "-f", self.config, "-P",
             self.test.folder / "miniupnpd.pid"], stdout=self.log, stderr=self.log)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()

    def restart_without_memory(self):
        """As a power cut would: the rules and the epoch are gone."""
        self.stop()
        self.nft(FLUSH)
        self.test.assertEqual(self.forwarded_ports(), [])
        self.start()

    def nft(self, command):
        return subprocess.run([*self.test.lab.inside(self.router), "nft", command], check=True,
                              capture_output=True, text=True).stdout

    def forwarded_ports(self):
        rules = self.nft("list chain inet filter prerouting_miniupnpd")
        return [int(port) for port in re.findall(r"dport (\d+) .*dnat", rules)]


@unittest.skipIf(REASON, REASON)
class PortMapping(CliTest):
    def setUp(self):
        super().setUp()
        self.environment["QUICMESH_ALLOW_BOGON"] = "1"
        del self.environment["QUICMESH_PORT_MAPPING"]
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.outside = {}

    def start_in(self, host, *arguments):
        running = harness.Running(self, arguments, command=[*self.lab.inside(host), harness.BINARY])
        self.addCleanup(self._stop, running)
        return running

    def run_in(self, host, *arguments):
        running = self.start_in(host, *arguments)
        return running.end(), running

    def give_outside(self, namespace, interface, number):
        """An address that miniupnpd takes for public, instead of the laboratory's own."""
        address = f"{OUTSIDE}.{number}"
        run = [*self.lab.inside(namespace), "ip", "address"]
        subprocess.run([*run, "flush", "dev", interface], check=True)
        subprocess.run([*run, "add", f"{address}/24", "dev", interface], check=True)
        return address

    def add_home(self, name, kind, number):
        host, address = self.lab.add_home(name, kind)
        self.outside[name] = self.give_outside(f"{host}r", "wan", number)
        return host, address

    def start_relay(self):
        self.relay_host, _ = self.lab.add_public("relay")
        address = self.give_outside(self.relay_host, "eth0", 1)
        relay = self.start_in(self.relay_host, "up", "--relay", "--listen", f"{address}:4433", "--data",
                              self.folder / "relay")
        self.relay_address = f"{relay.wait_for('ready')['node_id']}@{address}:4433"

    def up(self, host, data, *arguments):
        running = self.start_in(host, "up", "--data", self.folder / data, "--listen", "0.0.0.0:4433", *arguments)
        running.node_id = running.wait_for("ready")["node_id"]
        return running

    def check_mapped(self, protocol, **gateway_options):
        host, _ = self.add_home("a", "port-restricted", 2)
        gateway = Gateway(self, f"{host}r", self.outside["a"], **gateway_options)
        node = self.up(host, "a")
        mapped = node.wait_for("port_mapped")
        self.assertEqual(mapped["protocol"], protocol, mapped)
        self.assertEqual(mapped["external"], f"{OUTSIDE}.2:4433")
        self.assertEqual(mapped["port"], 4433)
        self.assertGreater(mapped["lifetime_s"], 0)
        self.assertEqual(gateway.forwarded_ports(), [4433])
        self.assertEqual(node.end(harness.INTERRUPT), 0)
        self.assertEqual(gateway.forwarded_ports(), [], "the mapping is deleted at the end")

    def test_nat_pmp_alone(self):
        self.check_mapped("nat-pmp", upnp=False)

    def test_upnp_alone(self):
        self.check_mapped("upnp", nat_pmp=False)

    def test_a_symmetric_home_reaches_a_mapped_port_restricted_one_directly(self):
        self.check_pair("port-restricted", mapped=True)

    def test_a_symmetric_home_reaches_a_mapped_symmetric_one_directly(self):
        self.check_pair("symmetric", mapped=True)

    def test_without_the_mapping_two_symmetric_homes_stay_relayed(self):
        """The negative control: no hole punching joins this pair."""
        self.check_pair("symmetric", mapped=False)

    def test_a_mapped_node_is_dialled_by_its_address_without_any_relay(self):
        home, _ = self.add_home("a", "symmetric", 2)
        other, _ = self.add_home("b", "symmetric", 3)
        gateway = Gateway(self, f"{home}r", self.outside["a"])
        callee = self.up(home, "a")
        mapped = callee.wait_for("port_mapped")["external"]
        ping = ["ping", f"{callee.node_id}@{mapped}", "--data", self.folder / "b", "--count", "2", "--timeout", "5"]
        code, pinged = self.run_in(other, *ping)
        self.assertEqual(code, 0, pinged.stderr())
        self.assertEqual({(pong["path"], pong["remote"]) for pong in pinged.events("pong")}, {("direct", mapped)})
        # The router's own rule took the packets in: without it nobody is there.
        gateway.stop()
        gateway.nft(FLUSH)
        code, _ = self.run_in(other, *ping)
        self.assertNotEqual(code, 0)

    def check_pair(self, kind, mapped):
        self.start_relay()
        home, _ = self.add_home("a", kind, 2)
        other, _ = self.add_home("b", "symmetric", 3)
        Gateway(self, f"{home}r", self.outside["a"])
        (self.folder / "inbox").mkdir()
        callee = self.start_in(home, "recv", "--out", self.folder / "inbox", "--data", self.folder / "a",
                               "--listen", "0.0.0.0:4433", "--relay-via", self.relay_address,
                               *([] if mapped else ["--no-port-mapping"]))
        callee_id = callee.wait_for("ready")["node_id"]
        caller = self.up(other, "b", "--relay-via", self.relay_address)
        caller.wait_for("relay_up")
        self.wait_until(lambda: self.run_in(other, "ping", callee_id, "--data", self.folder / "probe",
                                            "--relay-only", "--relay-via", self.relay_address)[0] == 0,
                        "the callee registers")
        code, ping = self.run_in(other, "ping", callee_id, "--data", self.folder / "b", "--until-direct",
                                 "--interval", "0.05", "--timeout", "20" if mapped else "4")
        self.assertEqual(code == 0, mapped, ping.seen)
        file = self.make_file("file", FILE_BYTES)
        before = self.lab.received_bytes(self.relay_host)
        code, sending = self.run_in(other, "send", file, callee_id, "--data", self.folder / "b")
        self.assertEqual(code, 0, sending.stderr())
        relayed = self.lab.received_bytes(self.relay_host) - before
        self.assertEqual((self.folder / "inbox" / "file").read_bytes(), file.read_bytes())
        if mapped:
            self.assertLess(relayed, FILE_BYTES // 50)
        else:
            self.assertGreater(relayed, FILE_BYTES)
        if mapped and kind == "symmetric":
            self.check_explanations(home, other, callee_id)
        print(f"{kind}, mapped {mapped}: {relayed} bytes over the relay of {FILE_BYTES}", flush=True)

    def check_explanations(self, home, other, callee_id):
        """The port that relays see is another than the mapped one: so it is told apart."""
        _, shown = self.run_in(other, "paths", callee_id, "--data", self.folder / "b")
        current = [path for path in shown.events("path") if path["current"]]
        self.assertEqual([(path["kind"], path["remote"]) for path in current], [("mapped", f"{OUTSIDE}.2:4433")])
        _, shown = self.run_in(other, "why", callee_id, "--data", self.folder / "b")
        self.assertIn("forwards a port", shown.events("why")[0]["reason"])
        _, shown = self.run_in(home, "doctor", "--data", self.folder / "a")
        doctor = shown.events("doctor")[0]
        self.assertEqual(doctor["mapped"], [f"{OUTSIDE}.2:4433"])
        self.assertEqual(sorted(doctor["port_mapping"]), ["NAT-PMP", "UPnP-IGD"])
        self.assertIsNone(doctor["mapping_error"])
        self.assertTrue(all(one["direct"] for one in doctor["prospects"]), doctor["prospects"])
        self.assertIsNone(doctor["remedy"])

    def check_restart(self, **gateway_options):
        host, _ = self.add_home("a", "port-restricted", 2)
        gateway = Gateway(self, f"{host}r", self.outside["a"], **gateway_options)
        node = self.up(host, "a")
        node.wait_for("port_mapped")
        time.sleep(3)  # so that the new epoch is below the old one by more than the rule's two seconds
        gateway.restart_without_memory()
        self.wait_until(lambda: gateway.forwarded_ports() == [4433], "the mapping is made again")

    def test_nat_pmp_after_a_restart_of_the_gateway(self):
        self.check_restart(upnp=False)

    def test_upnp_after_a_restart_of_the_gateway(self):
        self.check_restart(nat_pmp=False)

    def test_a_second_nat_is_told_and_not_used(self):
        host, _ = self.lab.add_home("a", "port-restricted")
        # The provider's NAT: the router's own address is one of RFC 6598, which is public here only
        # by the laboratory's rule; so that rule is off.
        del self.environment["QUICMESH_ALLOW_BOGON"]
        answer_nat_pmp(self, f"{host}r", bytes([100, 64, 0, 9]))
        node = self.up(host, "a")
        failed = node.wait_for("port_mapping_failed")
        self.assertEqual(failed["external"], "100.64.0.9")
        self.assertIn("second NAT", failed["reason"])

    def test_a_gateway_that_says_garbage_harms_nobody(self):
        host, _ = self.lab.add_home("a", "port-restricted")
        for port in (5351, 1900):
            answer_udp(self, f"{host}r", port, os.urandom(200))
        node = self.up(host, "a")
        failed = node.wait_for("port_mapping_failed")
        self.assertIn("hint", failed)
        self.assertEqual(node.end(harness.INTERRUPT), 0)

    def test_a_gateway_that_is_silent_is_told_once(self):
        host, _ = self.lab.add_home("a", "port-restricted")
        node = self.up(host, "a")
        failed = node.wait_for("port_mapping_failed")
        self.assertIn("does not answer", failed["reason"])
        self.assertIsNone(failed["external"])
        self.assertEqual(node.end(harness.INTERRUPT), 0)
        self.assertEqual(len(node.events("port_mapping_failed")), 1)


def answer_udp(test, namespace, port, answer):
    """Whatever comes to this port of the router is answered with `answer`."""
    program = ("import socket,sys\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
               "s.bind(('0.0.0.0',int(sys.argv[1])))\nprint('listening',flush=True)\n"
               "while True:\n  data,who=s.recvfrom(2048)\n"
               f"  s.sendto(bytes.fromhex('{answer.hex()}'),who)")
    process = subprocess.Popen([*test.lab.inside(namespace), sys.executable, "-c", program, str(port)],
                               stdout=subprocess.PIPE)
    test.addCleanup(lambda: (process.kill(), process.wait(), process.stdout.close()))
    process.stdout.readline()


def answer_nat_pmp(test, namespace, external):
    answer_udp(test, namespace, 5351, bytes([0, 128, 0, 0, 0, 0, 0, 9]) + external)


if __name__ == "__main__":
    if REASON:
        print(f"skipped: {REASON}")
    unittest.main(verbosity=2)
