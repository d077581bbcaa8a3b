"""A laboratory of network namespaces: homes behind NATs, a core that is the "internet", and whoever
is attached to it directly.

    core       a namespace that routes: a switch for 203.0.113.0/24, a route for each line
    add_public a host on the switch, without delay: relays and STUN servers
    add_home   a home behind a real NAT (nftables) on the switch, without delay
    add_line   a home behind a userland router (routers.py): every NAT of RFC 4787, and a line with
               delay, loss and hops; public address in 198.51.100.0/24

Homes have the network 192.168.1.0/24 and their host is 192.168.1.2 in it, unless told otherwise: two
homes often share a private range, and a host candidate then means the wrong machine. A line delays
by 10 ms each way, so two lines are 40 ms apart, there and back, and 20 ms from a public host.

Kinds of nftables home, in the terms of RFC 4787:
  none             no NAT: the host has an address on the switch
  full-cone        endpoint-independent mapping and filtering (all UDP is sent on to the host)
  port-restricted  mapping that preserves ports, so endpoint-independent as long as they are free;
                   address-and-port-dependent filtering
  symmetric        address-and-port-dependent mapping to random ports, the same filtering
  sloppy           port-restricted, but new datagrams from outside are taken for the router itself

Traffic stays in the namespaces. They are named qm<pid>...; those of processes that are gone are
removed at the start, one's own at the end, also on SIGTERM.
"""

import atexit
import dataclasses
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys

import routers

HOST = "192.168.1.2"
ROUTER = "192.168.1.1"
SWITCH = "203.0.113.254"

FILTER = """
table inet guard {
  chain input { type filter hook input priority 0; policy accept;
    iifname "wan" ct state established,related accept
    iifname "wan" icmp type echo-request accept
    iifname "wan" drop
  }
  chain forward { type filter hook forward priority 0; policy drop;
    ct state established,related accept
    iifname "lan" accept
    ct status dnat accept
  }
}
"""
MASQUERADE = """
  chain post { type nat hook postrouting priority 100; policy accept;
    oifname "wan" masquerade %s
  }
"""
TO_HOST = f"""
  chain pre {{ type nat hook prerouting priority -100; policy accept;
    iifname "wan" meta l4proto udp dnat to {HOST}
  }}
"""
NARROW = """
table inet narrow {
  chain forward { type filter hook forward priority 0; policy accept;
    %s
  }
}
"""
NAT = {
    "port-restricted": FILTER + "table ip nat {" + MASQUERADE % "" + "}",
    "symmetric": FILTER + "table ip nat {" + MASQUERADE % "fully-random" + "}",
    "full-cone": FILTER + "table ip nat {" + TO_HOST + MASQUERADE % "" + "}",
    "sloppy": "table ip nat {" + MASQUERADE % "" + "}",
}
KINDS = ("none", *NAT)
LINE_KINDS = ("none", "cgnat", *routers.NAT)

open_labs = []


def why_not():
    """Why there can be no laboratory here; empty if there can. Under QUICMESH_NEED_NETNS=1 a
    laboratory that cannot be is a failure."""
    reason = _obstacle()
    if reason and os.environ.get("QUICMESH_NEED_NETNS") == "1":
        sys.exit(f"QUICMESH_NEED_NETNS=1, but {reason}")
    return reason


def _obstacle():
    if os.geteuid() != 0:
        return "network namespaces need root"
    for tool in ("ip", "nft"):
        if shutil.which(tool) is None:
            return f"`{tool}` is not installed (scripts/setup.sh --tests)"
    probe = f"qm{os.getpid()}p"
    if subprocess.run(["ip", "netns", "add", probe], capture_output=True).returncode != 0:
        return "this machine makes no network namespaces"
    try:
        ruleset = subprocess.run(["ip", "netns", "exec", probe, "nft", "-f", "-"], input=NAT["symmetric"],
                                 text=True, capture_output=True)
        if ruleset.returncode != 0:
            return f"nft: {ruleset.stderr.strip().splitlines()[0]}"
        device = subprocess.run(["ip", "-n", probe, "tuntap", "add", "t0", "mode", "tun"], text=True,
                                capture_output=True)
        return "" if device.returncode == 0 else f"no TUN devices: {device.stderr.strip()}"
    finally:
        subprocess.run(["ip", "netns", "del", probe], check=False)


def namespaces_of(pattern):
    """The namespaces whose name matches, as (name, match)."""
    folder = pathlib.Path("/var/run/netns")
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    matches = [(name, re.match(pattern, name)) for name in names]
    return [(name, match) for name, match in matches if match]


def remove_namespace(name):
    """With the processes that are still in it, which are the laboratory's."""
    pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True).stdout.split()
    for pid in map(int, pids):
        if pid != os.getpid():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
    subprocess.run(["ip", "netns", "del", name], check=False)


def sweep():
    """Removes what killed runs have left."""
    for name, match in namespaces_of(r"qm(\d+)"):
        if not pathlib.Path("/proc", match.group(1)).exists():
            remove_namespace(name)


def close_all():
    for lab in list(open_labs):
        lab.close()


def _end_by_signal(number, _frame):
    close_all()
    os._exit(128 + number)


@dataclasses.dataclass
class Home:
    """A host on a line, with the routers between it and the internet, its own first."""

    name: str
    kind: str
    netns: str
    address: str  # the host's own
    public: str  # what the internet sees
    routers: list = dataclasses.field(default_factory=list)

    @property
    def router(self):
        """The one at the internet, whose counters judge."""
        return self.routers[-1]

    def bytes_with(self, *remotes):
        """IP bytes to and from `remotes` at the internet's side, what the NAT drops included."""
        table = self.router.counters()["remotes"]
        return sum(table.get(remote, {}).get("bytes_out", 0) + table.get(remote, {}).get("bytes_in", 0)
                   for remote in remotes)

    def rebind(self):
        for router in self.routers:
            router.rebind()


@dataclasses.dataclass
class Carrier:
    netns: str
    public: str
    router: routers.Router
    customers: int = 0


class Lab:
    def __init__(self, seed=None):
        sweep()
        self.prefix = f"qm{os.getpid()}"
        self.seeds = random.Random(seed)
        self.namespaces = []
        self.routers = []
        self.addresses = 0
        self.lines = 0
        self.carriers = 0
        if not open_labs:
            atexit.register(close_all)
            signal.signal(signal.SIGTERM, _end_by_signal)
        open_labs.append(self)
        try:
            self.core = self._namespace("sw", routes=True)
            self._ip(self.core, "link add switch type bridge", "link set switch up",
                     f"address add {SWITCH}/24 dev switch", "address add 2001:db8:ff::fe/64 dev switch nodad")
        except subprocess.CalledProcessError:
            self.close()
            raise

    def close(self):
        if self in open_labs:
            open_labs.remove(self)
        for router in reversed(self.routers):
            router.close()
        for name in reversed(self.namespaces):
            remove_namespace(name)
        self.routers, self.namespaces = [], []

    def add_public(self, name):
        """A host on the switch; its namespace and address."""
        host = self._namespace(name)
        return host, self._plug(host, "eth0")

    def add_address(self, host, interface="eth0"):
        """One more address for a host on the switch."""
        self.addresses += 1
        address = f"203.0.113.{self.addresses}"
        self._ip(host, f"address add {address}/24 dev {interface}")
        return address

    def add_home(self, name, kind):
        """A host behind a NAT of nftables; its namespace and its address there."""
        if kind == "none":
            return self.add_public(name)
        router = self._namespace(name + "r", routes=True)
        host = self._namespace(name)
        self._plug(router, "wan")
        self._wire(router, "lan", host, "eth0")
        self._ip(router, f"address add {ROUTER}/24 dev lan")
        self._ip(host, f"address add {HOST}/24 dev eth0", f"route add default via {ROUTER}")
        self._nft(router, NAT[kind])
        return host, HOST

    def add_line(self, name, kind, inner="192.168.1", nat=None, line=None, carrier=None):
        """A host behind a userland router of `kind`, on a line of its own.

        `nat` and `line` change what the kind says and what a line is (routers.py). The kind `cgnat`
        is a port-restricted home behind a carrier of its own, or behind `carrier`."""
        if kind == "cgnat":
            carrier = carrier or self.add_carrier(f"{name}c", line=line)
            return self._add_customer(name, inner, carrier, nat)
        host = self._namespace(name)
        public = self._line_address()
        if kind == "none":
            router = self._router(f"{host}:eth0", f"{self.core}:{name}", line=line)
            address, gateway = public, f"address add {public}/32 dev eth0"
        else:
            router = self._router(f"{host}:eth0", f"{self.core}:{name}", public, f"{inner}.0/24",
                                  {**routers.NAT[kind], **(nat or {})}, line)
            address = f"{inner}.2"
            gateway = f"address add {address}/24 dev eth0"
        self._ip(host, gateway, "route add default dev eth0")
        self._ip(self.core, f"route add {public}/32 dev {name}")
        return Home(name, kind, host, address, public, [router])

    def add_carrier(self, name, nat=None, line=None):
        """A carrier's NAT, for homes of the kind `cgnat`."""
        netns = self._namespace(name, routes=True)
        public = self._line_address()
        router = self._router(f"{netns}:up", f"{self.core}:{name}", public, "100.64.0.0/10",
                              {**routers.CARRIER, **(nat or {})}, line)
        self.carriers += 1
        self._ip(netns, "route add default dev up")
        self._ip(self.core, f"route add {public}/32 dev {name}")
        return Carrier(netns, public, router)

    def add_shared_home(self, name, kind, isolated, inner="192.168.1", nat=None, line=None):
        """Two hosts behind one NAT, as a pair of homes; isolated ones reach their router alone."""
        netns = self._namespace(name, routes=True)
        public = self._line_address()
        router = self._router(f"{netns}:up", f"{self.core}:{name}", public, f"{inner}.0/24",
                              {**routers.NAT[kind], **(nat or {})}, line)
        self._ip(netns, "link add lan type bridge", "link set lan up", f"address add {inner}.1/24 dev lan",
                 "route add default dev up")
        self._ip(self.core, f"route add {public}/32 dev {name}")
        homes = []
        for number in (2, 3):
            host = self._namespace(f"{name}{number}")
            self._wire(netns, f"h{number}", host, "eth0")
            self._ip(netns, f"link set h{number} master lan",
                     f"link set h{number} type bridge_slave isolated {'on' if isolated else 'off'}")
            self._ip(host, f"address add {inner}.{number}/24 dev eth0", f"route add default via {inner}.1")
            homes.append(Home(f"{name}{number}", kind, host, f"{inner}.{number}", public, [router]))
        return homes

    def add_uplink(self, home, device, kind, inner="10.11.12", nat=None, line=None, metric=1000):
        """A second way to the internet for a home; the second Home is the same host seen that way."""
        public = self._line_address()
        name = f"{home.name}{device}"
        router = self._router(f"{home.netns}:{device}", f"{self.core}:{name}", public, f"{inner}.0/24",
                              {**routers.NAT[kind], **(nat or {})}, line)
        self._ip(home.netns, f"address add {inner}.2/24 dev {device}",
                 f"route add default dev {device} metric {metric}")
        self._ip(self.core, f"route add {public}/32 dev {name}")
        return Home(home.name, kind, home.netns, f"{inner}.2", public, [router])

    def take_down(self, host, interface="eth0"):
        """Ends an interface of a host as one that loses its network does: its addresses go too."""
        self._ip(host, f"address flush dev {interface}", f"link set {interface} down")

    def limit_path(self, one, other, size):
        """The core drops IP packets above `size` bytes between two public addresses, in silence."""
        rules = "\n".join(f"ip saddr {a} ip daddr {b} meta length > {size} drop" for a, b in ((one, other), (other, one)))
        self._nft(self.core, NARROW % rules)

    def add_v6(self, home, interface="eth0"):
        """An IPv6 address for a home on a line, routed without translation."""
        number = int(home.public.rsplit(".", 1)[1])
        address = f"2001:db8:{number:x}::2"
        self._ip(home.netns, f"address add {address}/64 dev {interface} nodad",
                 f"route add ::/0 dev {interface}")
        self._ip(self.core, f"route add 2001:db8:{number:x}::/64 dev {home.name}")
        return address

    def add_public_v6(self, host, interface="eth0"):
        self.addresses += 1
        address = f"2001:db8:ff::{self.addresses:x}"
        self._ip(host, f"address add {address}/64 dev {interface} nodad",
                 "route add ::/0 via 2001:db8:ff::fe")
        return address

    @staticmethod
    def received_bytes(host, interface="eth0"):
        text = subprocess.run(["ip", "netns", "exec", host, "cat", f"/sys/class/net/{interface}/statistics/rx_bytes"],
                              check=True, capture_output=True, text=True).stdout
        return int(text)

    @staticmethod
    def inside(host):
        """What to put before a command so that it runs in `host`."""
        return ["ip", "netns", "exec", host]

    def _add_customer(self, name, inner, carrier, nat):
        host = self._namespace(name)
        carrier.customers += 1
        middle = f"100.64.0.{carrier.customers}"
        router = self._router(f"{host}:eth0", f"{carrier.netns}:{name}", middle, f"{inner}.0/24",
                              {**routers.NAT["port-restricted"], **(nat or {})}, dict(delay_ms=0, hops=0))
        self._ip(host, f"address add {inner}.2/24 dev eth0", "route add default dev eth0")
        self._ip(carrier.netns, f"route add {middle}/32 dev {name}")
        return Home(name, "cgnat", host, f"{inner}.2", carrier.public, [router, carrier.router])

    def _router(self, inner, outer, external=None, inner_network=None, nat=None, line=None):
        arguments = ["--inner", inner, "--outer", outer, "--seed", self.seeds.getrandbits(32)]
        if external:
            arguments += ["--external", external, "--inner-network", inner_network,
                          *routers.nat_arguments(**(nat or {}))]
        router = routers.Router(arguments + routers.line_arguments(**(line or {})))
        self.routers.append(router)
        return router

    def _line_address(self):
        self.lines += 1
        return f"198.51.100.{self.lines}"

    def _namespace(self, name, routes=False):
        full = f"{self.prefix}{name}"
        subprocess.run(["ip", "netns", "add", full], check=True)
        self.namespaces.append(full)
        self._ip(full, "link set lo up")
        settings = ["net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0"]
        if routes:
            settings += ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1",
                         "net.ipv4.conf.all.send_redirects=0", "net.ipv4.conf.default.send_redirects=0"]
        self._run(full, "sysctl", "-qw", *settings)
        return full

    def _plug(self, host, interface):
        self.addresses += 1
        address = f"203.0.113.{self.addresses}"
        self._wire(self.core, f"p{self.addresses}", host, interface)
        self._ip(self.core, f"link set p{self.addresses} master switch")
        self._ip(host, f"address add {address}/24 dev {interface}", f"route add default via {SWITCH}")
        return address

    def _wire(self, left, left_name, right, right_name):
        subprocess.run(["ip", "link", "add", left_name, "netns", left, "type", "veth", "peer", "name",
                        right_name, "netns", right], check=True)
        for host, name in ((left, left_name), (right, right_name)):
            self._ip(host, f"link set {name} up")

    @staticmethod
    def _ip(host, *lines):
        subprocess.run(["ip", "-n", host, "-batch", "-"], input="\n".join(lines) + "\n", text=True, check=True)

    @staticmethod
    def _run(host, *command):
        subprocess.run(["ip", "netns", "exec", host, *command], check=True)

    @staticmethod
    def _nft(host, rules):
        subprocess.run(["ip", "netns", "exec", host, "nft", "-f", "-"], input=rules, text=True, check=True)
