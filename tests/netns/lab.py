"""A laboratory of network namespaces: homes behind real NATs (nftables), a switch that is the
"internet" (203.0.113.0/24), and whoever is attached to it directly.

All homes have the network 192.168.1.0/24 and their host is 192.168.1.2 in it: two homes often share
a private range, and a host candidate then means the wrong machine.

Kinds of home, in the terms of RFC 4787:
  none             no NAT: the host has an address on the switch
  full-cone        endpoint-independent mapping and filtering (all UDP is sent on to the host)
  port-restricted  mapping that preserves ports, so endpoint-independent as long as they are free;
                   address-and-port-dependent filtering
  symmetric        address-and-port-dependent mapping to random ports, the same filtering
Traffic stays in the namespaces; they end with the process that made them.
"""

import os
import pathlib
import shutil
import subprocess

HOST = "192.168.1.2"
ROUTER = "192.168.1.1"

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
NAT = {
    "port-restricted": "table ip nat {" + MASQUERADE % "" + "}",
    "symmetric": "table ip nat {" + MASQUERADE % "fully-random" + "}",
    "full-cone": "table ip nat {" + TO_HOST + MASQUERADE % "" + "}",
}
KINDS = ("none", *NAT)


def why_not():
    """Why there can be no laboratory here; empty if there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for tool in ("ip", "nft"):
        if shutil.which(tool) is None:
            return f"`{tool}` is not installed (scripts/setup.sh --tests)"
    probe = f"qm{os.getpid()}p"
    if subprocess.run(["ip", "netns", "add", probe], capture_output=True).returncode != 0:
        return "this machine makes no network namespaces"
    ruleset = subprocess.run(["ip", "netns", "exec", probe, "nft", "-f", "-"], input=NAT["symmetric"],
                             text=True, capture_output=True)
    subprocess.run(["ip", "netns", "del", probe], check=False)
    return "" if ruleset.returncode == 0 else f"nft: {ruleset.stderr.strip().splitlines()[0]}"


class Lab:
    def __init__(self):
        self.prefix = f"qm{os.getpid()}"
        self.namespaces = []
        self.addresses = 0
        try:
            self.switch = self._namespace("sw")
            self._run(self.switch, "ip", "link", "add", "switch", "type", "bridge")
            self._run(self.switch, "ip", "link", "set", "switch", "up")
        except subprocess.CalledProcessError:
            self.close()
            raise

    def close(self):
        for name in reversed(self.namespaces):
            subprocess.run(["ip", "netns", "del", name], check=False)

    def add_public(self, name):
        """A host on the switch; its namespace and address."""
        host = self._namespace(name)
        return host, self._plug(host, "eth0")

    def add_home(self, name, kind):
        """A host behind a NAT of `kind`; its namespace and its address there."""
        if kind == "none":
            return self.add_public(name)
        router = self._namespace(name + "r")
        host = self._namespace(name)
        self._plug(router, "wan")
        self._wire(router, "lan", host, "eth0")
        self._address(router, "lan", ROUTER)
        self._address(host, "eth0", HOST)
        self._run(host, "ip", "route", "add", "default", "via", ROUTER)
        self._run(router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        self._nft(router, FILTER + NAT[kind])
        return host, HOST

    @staticmethod
    def received_bytes(host, interface="eth0"):
        text = subprocess.run(["ip", "netns", "exec", host, "cat", f"/sys/class/net/{interface}/statistics/rx_bytes"],
                              check=True, capture_output=True, text=True).stdout
        return int(text)

    @staticmethod
    def inside(host):
        """What to put before a command so that it runs in `host`."""
        return ["ip", "netns", "exec", host]

    def _namespace(self, name):
        full = f"{self.prefix}{name}"
        subprocess.run(["ip", "netns", "add", full], check=True)
        self.namespaces.append(full)
        self._run(full, "ip", "link", "set", "lo", "up")
        return full

    def _plug(self, host, interface):
        self.addresses += 1
        address = f"203.0.113.{self.addresses}"
        self._wire(self.switch, f"p{self.addresses}", host, interface)
        self._run(self.switch, "ip", "link", "set", f"p{self.addresses}", "master", "switch")
        self._address(host, interface, address)
        return address

    def _wire(self, left, left_name, right, right_name):
        subprocess.run(["ip", "link", "add", left_name, "netns", left, "type", "veth", "peer", "name",
                        right_name, "netns", right], check=True)
        for host, name in ((left, left_name), (right, right_name)):
            self._run(host, "ip", "link", "set", name, "up")

    def _address(self, host, interface, address):
        self._run(host, "ip", "address", "add", f"{address}/24", "dev", interface)

    @staticmethod
    def _run(host, *command):
        subprocess.run(["ip", "netns", "exec", host, *command], check=True)

    @staticmethod
    def _nft(host, rules):
        subprocess.run(["ip", "netns", "exec", host, "nft", "-f", "-"], input=rules, text=True, check=True)
