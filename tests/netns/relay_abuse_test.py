#!/usr/bin/env python3
"""Nobody gets a relay, or a node, to send to an address that is somebody else's (THREATS TR1, TR2,
TQ10).

The judge is a raw capture (AF_PACKET) of every frame that leaves or enters: on all interfaces of the
relay's host, the loopback included, and at the victim, who is on the relay's LAN. Each capture is
shown to see: a packet of the test's own, to where the attack aims, must be in it.
"""

import ipaddress
import json
import os
import struct
import subprocess
import sys
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "cli"))

import harness
from harness import CliTest
from lab import SWITCH, Lab, why_not

REASON = why_not()
ABUSER = os.environ.get("QUICMESH_RELAY_ABUSER", "relay_abuser")
SERVICE_PORT = 9999
PORTS = (SERVICE_PORT, 5353)
PRIVATE_LAN = "10.77.0"
LAN_V6 = "2001:db8:aaaa"
UDP = 17
CHALLENGE = b"\x32"
PROBES_MAX = 10
BYTES_A_SECOND_MAX = 1500

# Run inside a namespace: prints one line for each frame of IP or ARP on any interface.
CAPTURE = r"""
import socket, struct, sys
everything = 3
capture = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(everything))
capture.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
print("ready", flush=True)
while True:
    data, (interface, protocol, kind, _, _) = capture.recvfrom(65536)
    print(interface, hex(protocol), kind, data[:80].hex(), len(data), flush=True)
"""
OUTGOING = 4  # PACKET_OUTGOING


class Packet:
    """An IP packet, or an ARP question, as the capture saw it."""

    def __init__(self, line):
        interface, protocol, kind, data, size = line.split()
        self.interface, self.outgoing = interface, int(kind) == OUTGOING
        data = bytes.fromhex(data)
        self.size = int(size)
        self.kind = self.source = self.destination = self.port = self.payload = None
        if int(protocol, 16) == 0x0800:
            header = (data[0] & 15) * 4
            self.source, self.destination = str(ipaddress.ip_address(data[12:16])), str(ipaddress.ip_address(data[16:20]))
            self.kind, rest = data[9], data[header:]
            self.payload_size = self.size - header - 8
        elif int(protocol, 16) == 0x86dd:
            self.source, self.destination = str(ipaddress.ip_address(data[8:24])), str(ipaddress.ip_address(data[24:40]))
            self.kind, rest = data[6], data[40:]
            self.payload_size = self.size - 48
        elif int(protocol, 16) == 0x0806 and struct.unpack("!H", data[6:8])[0] == 1:
            self.kind, rest = "arp", b""
            self.source, self.destination = str(ipaddress.ip_address(data[14:18])), str(ipaddress.ip_address(data[24:28]))
        else:
            return
        if self.kind == UDP:
            self.port, self.payload = struct.unpack("!H", rest[2:4])[0], rest[8:]

    def __repr__(self):
        return f"{self.kind} {self.source} -> {self.destination} port {self.port}, {self.size} bytes"


class Capture:
    def __init__(self, test, netns):
        self.packets = []
        self.lock = threading.Lock()
        self.process = subprocess.Popen([*Lab.inside(netns), sys.executable, "-c", CAPTURE], stdout=subprocess.PIPE,
                                        text=True)
        test.addCleanup(self.close)
        assert self.process.stdout.readline() == "ready\n"
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self.lock:
                self.packets.append((time.monotonic(), Packet(line)))

    def take(self, wanted):
        with self.lock:
            return [packet for _, packet in self.packets if wanted(packet)]

    def times(self, wanted):
        with self.lock:
            return [(at, packet) for at, packet in self.packets if wanted(packet)]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def wrapped(ip):
    """The ways to write an IPv4 address into an IPv6 one that some filter has overlooked before."""
    v4 = ipaddress.IPv4Address(ip).packed
    client = bytes(byte ^ 0xff for byte in v4)
    return [
        bytes(10) + b"\xff\xff" + v4,  # mapped, RFC 4291
        bytes(12) + v4,  # compatible
        bytes(8) + b"\xff\xff\0\0" + v4,  # translated, RFC 2765
        b"\x20\x02" + v4 + bytes(10),  # 6to4
        bytes.fromhex("0064ff9b") + bytes(8) + v4,  # NAT64
        bytes.fromhex("0064ff9b0001") + bytes(6) + v4,  # NAT64, local
        bytes.fromhex("20010000") + v4 + bytes(8),  # Teredo, as the server
        bytes.fromhex("20010000") + bytes(4) + b"\0\0\0\0" + client,  # Teredo, as the client
        bytes.fromhex("fe80000000000000") + bytes.fromhex("00005efe") + v4,  # ISATAP
        bytes.fromhex("20010db800000000") + bytes.fromhex("00005efe") + v4,
    ]


def spellings(own, own_v6):
    """Claims: (family, bytes, port). Of addresses that nobody may be made to send to, and of all
    addresses of the relay's LANs, which `own` are."""
    denied = ["127.0.0.1", "127.1.2.3", "127.255.255.254", "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.0.1",
              "224.0.0.1", "239.1.2.3", "255.255.255.255", "240.0.0.1", *own]
    claims = []
    for ip in denied:
        claims.append((4, ipaddress.IPv4Address(ip).packed))
        claims += [(6, spelled) for spelled in wrapped(ip)]
    for ip in ("::", "::1", "fe80::1", "ff02::1", "ff05::1:3", "fc00::1", "fd00::1", "2001:db8:ff::fe", "100::1",
               "fec0::1", "::7f00:1", "0:0:0:0:0:fffe:7f00:1", "2001::1", "2002::1", *own_v6):
        claims.append((6, ipaddress.IPv6Address(ip).packed))
    return [(family, packed, port) for family, packed in claims for port in PORTS]


def lines_of(claims):
    """One line a claim; kinds in turn, so that each address is claimed as each."""
    kinds = (1, 2, 3)
    return "".join(f"{kinds[i % 3]} {family} {packed.hex()} {port}\n"
                   for i, (family, packed, port) in enumerate(claims))


@unittest.skipIf(REASON, REASON)
class Abuse(CliTest):
    def setUp(self):
        super().setUp()
        self.environment["QUICMESH_ALLOW_BOGON"] = "1"
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.host, self.address = self.lab.add_public("relay")
        self.victim_host, self.victim = self.lab.add_public("victim")
        self.abuser_host, self.abuser = self.lab.add_public("abuser")
        # The LAN has IPv6 and a private network as well.
        for host, last in ((self.host, 1), (self.victim_host, 2), (self.abuser_host, 3)):
            self.run_inside(host, "ip", "address", "add", f"{PRIVATE_LAN}.{last}/24", "dev", "eth0")
            self.run_inside(host, "ip", "address", "add", f"{LAN_V6}::{last}/64", "dev", "eth0", "nodad")
        self.victim_v6 = f"{LAN_V6}::2"
        self.abusers = {self.abuser, f"{PRIVATE_LAN}.3"}

    def run_inside(self, host, *command, **options):
        return subprocess.run([*self.lab.inside(host), *command], check=True, **options)

    def start_node(self, *flags):
        command = [*self.lab.inside(self.host), harness.BINARY]
        running = harness.Running(self, ["up", "--listen", "0.0.0.0:4433", "--listen", "[::]:4433", "--data", self.folder / "node", *flags],
                                  command=command)
        self.addCleanup(self._stop, running)
        return running.wait_for("ready")["node_id"]

    def attack(self, *arguments, words=""):
        """What the abuser reports in the end."""
        done = self.run_inside(self.abuser_host, ABUSER, *arguments, input=words, text=True, stdout=subprocess.PIPE,
                               timeout=harness.PATIENCE * 4)
        return json.loads(done.stdout.splitlines()[-1])

    def send_from_node(self, address, port):
        """A packet of the test's own, from the node's host."""
        code = f"import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'control', ('{address}', {port}))"
        self.run_inside(self.host, sys.executable, "-c", code)

    def to_others(self, capture):
        """What the host sent, or asked the LAN for, that is not for the abuser."""
        own = {self.address, f"{PRIVATE_LAN}.1"}

        def is_one(packet):
            if packet.kind == "arp":
                return packet.source in own and packet.destination not in self.abusers
            return packet.kind == UDP and packet.outgoing and packet.destination not in self.abusers
        return capture.take(is_one)

    def at_victim(self, capture):
        mine = {self.victim, self.victim_v6, f"{PRIVATE_LAN}.2"}
        return capture.take(lambda packet: packet.kind == UDP and packet.destination in mine)

    def assert_captures_see(self, at_host, at_victim):
        """The same captures see packets where the attacks aimed."""
        for address in ("127.0.0.1", self.victim, f"{PRIVATE_LAN}.2"):
            self.send_from_node(address, SERVICE_PORT)
            self.wait_until(lambda: any(packet.destination == address and packet.kind == UDP
                                        for packet in self.to_others(at_host)), f"the capture sees {address}")
        self.wait_until(lambda: len(self.at_victim(at_victim)) >= 2, "the victim's capture sees")

    def test_a_relay_sends_to_no_address_that_it_is_told(self):
        node = self.start_node("--relay")
        at_host, at_victim = Capture(self, self.host), Capture(self, self.victim_host)
        own = [self.address, self.victim, SWITCH, "203.0.113.255",
               *(f"{PRIVATE_LAN}.{last}" for last in (1, 2, 255))]
        claims = spellings(own, [self.victim_v6])
        self.assertGreaterEqual(len(claims), 200)
        # Met in public, and in the private network, where private addresses mean something.
        for met, abuser in ((self.address, self.abuser), (f"{PRIVATE_LAN}.1", f"{PRIVATE_LAN}.3")):
            named = self.attack("name", f"{node}@{met}:4433", "--from", abuser, "--seconds", "3", words=lines_of(claims))
            self.assertEqual(named["claims"], len(claims))
            self.assertGreaterEqual(named["connected"], len(claims) // 10)
            asked = self.attack("request", f"{node}@{met}:4433", "--from", abuser, "--victim", *self.victims())
            self.assertGreater(asked["tried"], 50)
        self.assertEqual(self.to_others(at_host), [])
        self.assertEqual(self.at_victim(at_victim), [])
        print(f"{2 * len(claims)} claims and {2 * asked['tried']} requests", flush=True)
        self.assert_captures_see(at_host, at_victim)

    def test_a_relay_forwards_nothing_from_or_to_a_false_source(self):
        node = self.start_node("--relay")
        at_host, at_victim = Capture(self, self.host), Capture(self, self.victim_host)
        spoofed = self.attack("spoof", f"{node}@{self.address}:4433", "--from", self.abuser, "--victim", *self.victims())
        self.assertEqual(spoofed["forwarded"], 0)
        self.assertEqual(spoofed["arrived_after"], spoofed["sent_after"])  # the session is where it was
        # The source of a frame of a live session is asked who it is: with less than came, and seldom.
        came = self.at_victim(at_victim)
        self.assertEqual([packet for packet in came if packet.payload[:1] != CHALLENGE], [])
        self.assertLess(sum(packet.payload_size for packet in came), spoofed["bytes"] // 4)
        self.assertGreater(len(came), 0)
        others = [packet for packet in self.to_others(at_host) if packet.kind == UDP]
        self.assertEqual([packet for packet in others if packet.payload[:1] != CHALLENGE], [])
        print(f"{spoofed['packets']} packets with false sources, {len(came)} challenges", flush=True)
        self.assert_captures_see(at_host, at_victim)

    def test_a_victim_gets_ten_probes_over_all_peers(self):
        node = self.start_node()
        at_victim = Capture(self, self.victim_host)
        packed = ipaddress.IPv4Address(self.victim).packed
        claims = [(4, packed, port) for port in PORTS]
        named = self.attack("name", f"{node}@{self.address}:4433", "--from", self.abuser, "--peers", "20", "--rounds", "3",
                            "--seconds", "6", words=lines_of(claims))
        self.assertEqual(named["connected"], 60)
        came = at_victim.times(lambda packet: packet.kind == UDP and packet.destination == self.victim)
        self.assertGreater(len(came), 0)  # the claims were believed as far as that
        self.assertLessEqual(len(came), PROBES_MAX)
        for begin, _ in came:
            second = [packet.size for at, packet in came if begin <= at < begin + 1]
            self.assertLessEqual(sum(second), BYTES_A_SECOND_MAX)
        print(f"{len(came)} probes, {sum(packet.size for _, packet in came)} bytes, for {named['connected']} peers' claims",
              flush=True)

    def victims(self):
        return [f"{address}:{SERVICE_PORT}" for address in (self.victim, f"{PRIVATE_LAN}.2", "127.0.0.1")]


if __name__ == "__main__":
    if REASON:
        print(f"skipped: {REASON}")
    unittest.main(verbosity=2)
