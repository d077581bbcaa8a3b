"""The userland routers of the laboratory: `natlab_router` processes and what each kind of NAT is.

A router has two TUN devices, one in the namespace of the home and one in that of the internet (or of
the carrier). It ends when its standard input does, and takes its devices with it, so nothing of it
outlives this process.
"""

import json
import os
import signal
import subprocess
import threading

ROUTER_BINARY = os.environ.get("QUICMESH_NATLAB_ROUTER", "natlab_router")
REBIND = signal.SIGUSR1  # drops all mappings of a router

# In the terms of RFC 4787. Ports are random unless the kind is about ports: a peer that guesses
# "external port = local port" must not pass by luck.
NAT = {
    "full-cone": dict(mapping="ei", filtering="ei"),
    "address-restricted": dict(mapping="ei", filtering="ad"),
    "port-restricted": dict(mapping="ei", filtering="apd"),
    "symmetric-sequential": dict(mapping="apd", filtering="apd", ports="sequential"),
    "symmetric-random": dict(mapping="apd", filtering="apd"),
    "symmetric-address": dict(mapping="ad", filtering="apd"),
    "udp-blocked": dict(mapping="ei", filtering="apd", block_udp=True),
    # Beyond the published matrix.
    "preserving": dict(mapping="ei", filtering="apd", ports="preserving"),
    "sloppy": dict(mapping="ei", filtering="apd", ports="preserving", sloppy=True),
    "sequential-by-3": dict(mapping="apd", filtering="apd", ports="sequential", port_delta=3),
    "hairpin": dict(mapping="ei", filtering="apd", hairpin=True),
    "short-lived": dict(mapping="ei", filtering="apd", lifetime=20),
}
# The carrier's half of the kind `cgnat`; the home's is port-restricted. RFC 6888 REQ-1 wants
# endpoint-independent mapping of a carrier, and most filter like a home.
CARRIER = dict(mapping="ei", filtering="apd")


def nat_arguments(mapping="ei", filtering="apd", ports="random", port_delta=1, **more):
    arguments = ["--mapping", mapping, "--filtering", filtering, "--ports", ports, "--port-delta", port_delta]
    for name, value in more.items():
        option = "--" + name.replace("_", "-")
        if value is True:
            arguments.append(option)
        elif value is not False:
            arguments += [option, value]
    return arguments


def line_arguments(delay_ms=10, hops=4, **properties):
    """Both ways: delay_ms, jitter_ms, loss, burst, rate_kbit, queue_kib, mtu, reorder."""
    arguments = ["--hops", hops, "--line", f"delay-ms={delay_ms}"]
    for name, value in properties.items():
        arguments += ["--line", f"{name.replace('_', '-')}={value}"]
    return arguments


class Router:
    """A running `natlab_router`."""

    def __init__(self, arguments):
        self.process = subprocess.Popen([ROUTER_BINARY, *map(str, arguments)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{ROUTER_BINARY} ended with exit code {self.process.wait()}")
        self.realtime = json.loads(line)["realtime"]
        self.turn = threading.Lock()

    def ask(self, line):
        """Gives an order and returns its answer."""
        with self.turn:
            self.process.stdin.write(line + "\n")
            answer = json.loads(self.process.stdout.readline())
        if answer.get("ok") is False:
            raise RuntimeError(f"the router refuses '{line}': {answer['error']}")
        return answer

    def counters(self):
        return self.ask("counters")

    def remote(self, address, counter):
        """One counter of what went to or came from `address`; 0 if nothing did."""
        return self.counters()["remotes"].get(address, {}).get(counter, 0)

    def rebind(self):
        self.ask("rebind")

    def deny(self, *addresses):
        for address in addresses:
            self.ask(f"deny {address}")

    def allow_all(self):
        self.ask("allow all")

    def set_line(self, direction="both", **properties):
        self.ask(" ".join(["line", direction, *(f"{name.replace('_', '-')}={value}"
                                                for name, value in properties.items())]))

    def close(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()
