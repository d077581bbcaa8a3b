"""Starts `quicmesh` in the hosts of a laboratory, and reads what it says."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))

import harness

PORT = 4433
KILL = harness.KILL
PATIENCE = harness.PATIENCE


class Running(harness.Running):
    """Every event also has `at`: when its line was read, in seconds of the monotonic clock."""

    def _take(self, event):
        super()._take(event | {"at": time.monotonic()})

    def seen_so_far(self, kind):
        """The events of this kind up to now."""
        while not self.lines.empty():
            line = self.lines.get()
            if line is None:
                self.lines.put(None)
                break
            self.seen.append(line)
        return self.events(kind)

    def waits_for(self, event, patience, **members):
        """The next event of this kind, or None if it does not come within `patience` seconds."""
        until = time.monotonic() + patience
        while time.monotonic() < until and self.process.poll() is None:
            for line in self.seen_so_far(event):
                if members.items() <= line.items():
                    return line
            time.sleep(0.01)
        return None


class Relay:
    """A relay on the switch, with as many addresses as asked for (behaviour discovery wants two), or
    with those given of a host that is there already."""

    def __init__(self, mesh, name, count=1, host=None, addresses=None):
        self.host, self.addresses = host, addresses
        if host is None:
            self.host, first = mesh.lab.add_public(name)
            self.addresses = [first, *(mesh.lab.add_address(self.host) for _ in range(count - 1))]
        hosts = [f"[{address}]" if ":" in address else address for address in self.addresses]
        endpoints = [f"{host}:{PORT}" for host in hosts]
        arguments = [word for host in hosts for word in ("--listen", f"{host}:{PORT}", "--relay-tls", f"{host}:443")]
        self.running = mesh.start(self.host, "up", "--relay", *arguments, "--data", mesh.folder / name)
        self.id = self.running.wait_for("ready")["node_id"]
        self.name = f"{self.id}@{endpoints[0]}"


class Mesh:
    """All programs of a laboratory; a folder for what they keep."""

    def __init__(self, lab):
        self.lab = lab
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="quicmesh-lab-"))
        self.environment = {key: value for key, value in os.environ.items()
                            if not key.startswith(("QUICMESH_", "XDG_"))}
        self.environment.update(HOME=str(self.folder), XDG_CONFIG_HOME=str(self.folder / "xdg-config"),
                                XDG_DATA_HOME=str(self.folder / "xdg-data"), QUICMESH_ALLOW_BOGON="1",
                                QUICMESH_PORT_MAPPING="false")
        self.running = []

    def close(self):
        self.stop(*list(self.running))
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop(self, *programs):
        """Ends programs that still run in order, so that relays hear of it (they have a quota for one
        network); by force what does not end."""
        alive = [running for running in programs if running.process.poll() is None]
        for running in alive:
            running.signal(harness.TERMINATE)
        until = time.monotonic() + 5
        for running in alive:
            try:
                running.process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                running.process.kill()
                running.process.wait(harness.PATIENCE)
        for running in programs:
            if not running.process.stdout.closed:
                running.reader.join(harness.PATIENCE)
                running.process.stdout.close()
            running.errors.close()
            if running in self.running:
                self.running.remove(running)

    def start(self, host, *arguments):
        running = Running(self, arguments, command=[*self.lab.inside(host), harness.BINARY])
        self.running.append(running)
        return running

    def run(self, host, *arguments):
        """Runs to the end; the exit code and the program with its events."""
        running = self.start(host, *arguments)
        return running.end(), running

    def start_node(self, home, data, *relays, listen=None, more=()):
        """A node at home that knows these relays; it has `.node_id` then."""
        arguments = list(more)
        for relay in relays:
            arguments += ["--relay-via", relay.name]
        for address in listen or [f"{home.address}:{PORT}"]:
            arguments += ["--listen", address]
        running = self.start(home.netns, "up", "--data", self.folder / data, *arguments)
        running.node_id = running.wait_for("ready")["node_id"]
        running.data = self.folder / data
        return running

    def make_file(self, name, size, seed=1):
        """A file of `size` bytes that are different for every seed."""
        return harness.CliTest.make_file(self, name, size, seed)
