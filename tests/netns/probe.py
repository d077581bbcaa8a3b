"""An independent probe of a NAT, run inside a home's namespace: a small STUN client (RFC 8489) that
shares no line with the program under test.

    probe.py ports A B      from one socket after the other, then from one socket to four servers
    probe.py hairpin A      whether two sockets reach each other by their external endpoints
    probe.py rebind A       external endpoint now, and again after a line on standard input
    probe.py ttl A N        whether an answer comes to a request with time to live N
    probe.py tcp A          whether a STUN server answers over TCP
    probe.py echo PORT      answers every datagram, until standard input ends
    probe.py reach A PORT   whether `echo` answers there
    probe.py observe PORT   tells its port (0: any), then every sender its external port; sends to
                            "ADDRESS PORT" read from standard input
    probe.py seen A PORT L  the external port that `observe` sees of local port L

A and B are the server's addresses; STUN listens on the ports 3478 and 3479 of both. One JSON object
on standard output.
"""

import json
import os
import select
import socket
import struct
import sys
import time

COOKIE = 0x2112A442
PORTS = (3478, 3479)
TRIES = 4
WAIT = 0.6
SILENCE = 0.8  # after this long without an answer there is none; lines here take 0.1 s


def request():
    return struct.pack("!HHI", 0x0001, 0, COOKIE) + os.urandom(12)


def mapped_address(message, sent):
    """The XOR-MAPPED-ADDRESS of the answer to `sent`, or None."""
    if len(message) < 20 or message[:2] != b"\x01\x01" or message[4:20] != sent[4:20]:
        return None
    at = 20
    while at + 4 <= len(message):
        kind, size = struct.unpack_from("!HH", message, at)
        if kind == 0x0020 and size == 8:
            port, ip = struct.unpack_from("!HI", message, at + 6)
            return [socket.inet_ntoa(struct.pack("!I", ip ^ COOKIE)), port ^ (COOKIE >> 16)]
        at += 4 + (size + 3) // 4 * 4
    return None


def ask(udp, server):
    """The external endpoint that `server` sees, and the milliseconds of the answer."""
    for _ in range(TRIES):
        message = request()
        began = time.monotonic()
        udp.sendto(message, server)
        while (left := began + WAIT - time.monotonic()) > 0:
            udp.settimeout(left)
            try:
                answer, source = udp.recvfrom(2048)
            except TimeoutError:
                break
            if source == server and (seen := mapped_address(answer, message)):
                return seen, (time.monotonic() - began) * 1e3
    return None, None


def opened():
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("0.0.0.0", 0))
    return udp


def ports(first, second):
    """Local and external ports: new sockets to one server, and one socket to all."""
    sockets = [opened() for _ in range(8)]
    pairs, times = [], []
    for udp in sockets:
        seen, ms = ask(udp, (first, PORTS[0]))
        if seen is None:
            return {"answered": False}
        pairs.append([udp.getsockname()[1], seen[1]])
        times.append(ms)
    one = opened()
    servers = [(address, port) for address in (first, second) for port in PORTS]
    endpoints = [ask(one, server)[0] for server in servers]
    return {"answered": True, "address": endpoints[0][0], "pairs": pairs,
            "by_server": [endpoint and endpoint[1] for endpoint in endpoints], "rtt_ms": min(times)}


def hairpin(server):
    left, right = opened(), opened()
    ends = [tuple(ask(udp, (server, PORTS[0]))[0]) for udp in (left, right)]
    heard = []
    for _ in range(2):  # the first opens the filter for the second
        left.sendto(b"over the hairpin", ends[1])
        right.sendto(b"over the hairpin", ends[0])
        for udp, other in ((left, ends[1]), (right, ends[0])):
            udp.settimeout(SILENCE / 2)
            try:
                text, source = udp.recvfrom(100)
                heard.append(text == b"over the hairpin" and source == other)
            except TimeoutError:
                pass
    return {"heard": bool(heard), "external_source": bool(heard) and all(heard)}


def rebind(server):
    udp = opened()
    before = ask(udp, (server, PORTS[0]))[0]
    print(json.dumps({"external": before}), flush=True)
    sys.stdin.readline()
    return {"external": ask(udp, (server, PORTS[0]))[0]}


def ttl(server, hops):
    udp = opened()
    udp.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, int(hops))
    message = request()
    udp.sendto(message, (server, PORTS[0]))
    udp.settimeout(SILENCE)
    try:
        return {"answered": mapped_address(udp.recv(2048), message) is not None}
    except TimeoutError:
        return {"answered": False}


def tcp(server):
    try:
        with socket.create_connection((server, PORTS[0]), 10) as stream:
            message = request()
            stream.sendall(message)
            stream.settimeout(10)
            return {"external": mapped_address(stream.recv(2048), message)}
    except OSError as error:
        return {"external": None, "error": str(error)}


def echo(port):
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("0.0.0.0", int(port)))
    print(json.dumps({"ready": True}), flush=True)
    while True:
        text, source = udp.recvfrom(2048)
        udp.sendto(text, source)


def reach(address, port):
    udp = opened()
    udp.settimeout(SILENCE)
    udp.sendto(b"anybody?", (address, int(port)))
    try:
        return {"answered": udp.recv(100) == b"anybody?"}
    except OSError:
        return {"answered": False}


def observe(port):
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("0.0.0.0", int(port)))
    print(json.dumps({"port": udp.getsockname()[1]}), flush=True)
    while True:
        for ready in select.select([udp, sys.stdin], [], [])[0]:
            if ready is udp:
                _, source = udp.recvfrom(2048)
                udp.sendto(str(source[1]).encode(), source)
                continue
            line = sys.stdin.readline()
            if not line:
                return {"ended": True}
            address, to = line.split()
            udp.sendto(b"first", (address, int(to)))
            print(json.dumps({"sent": True}), flush=True)


def seen(address, port, local):
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("0.0.0.0", int(local)))
    udp.settimeout(SILENCE)
    for _ in range(TRIES):
        udp.sendto(b"from where?", (address, int(port)))
        try:
            text = udp.recv(100)
            if text.isdigit():
                return {"port": int(text)}
        except TimeoutError:
            pass
    return {"port": None}


if __name__ == "__main__":
    print(json.dumps({"ports": ports, "hairpin": hairpin, "rebind": rebind, "ttl": ttl, "tcp": tcp, "echo": echo,
                      "reach": reach, "observe": observe, "seen": seen}[sys.argv[1]](*sys.argv[2:])), flush=True)
