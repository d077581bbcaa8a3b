"""Starts the real `quicmesh` in folders of its own, and reads its JSON lines.

The binary is named by QUICMESH_BINARY. Nothing of the user's configuration is seen: HOME and the XDG
folders point into a temporary folder, and all nodes listen on the loopback interface.
"""

import json
import os
import pathlib
import queue
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

BINARY = os.environ.get("QUICMESH_BINARY", "quicmesh")
# Generous: sanitizers and a busy machine slow everything down. No test waits this long to pass.
PATIENCE = 60.0


def limit_file_size(size):
    """For Running(before=...): no file of the process may grow beyond `size` bytes."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


class Running:
    """A `quicmesh --json` whose lines are read as they come; every one must be a JSON object."""

    def __init__(self, test, arguments, before=None, command=(BINARY,)):
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [*command, "--json", *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=self.errors, env=test.environment, cwd=test.folder, preexec_fn=before)
        self.lines = queue.Queue()
        self.seen = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            try:
                event = json.loads(line)
                if not isinstance(event, dict):
                    raise ValueError("no object")
            except ValueError as error:
                event = {"event": "NOT JSON", "line": repr(line), "error": str(error)}
            self._take(event)
        self.lines.put(None)

    def _take(self, event):
        self.lines.put(event)

    def wait_for(self, event, **members):
        """The next event of this kind with these members; fails when the process ends before."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                line = self.lines.get(timeout=max(0.01, until - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                self.lines.put(None)
                raise AssertionError(f"no {event} {members} in {self.seen}; stderr: {self.stderr()}")
            self.seen.append(line)
            if line.get("event") == event and members.items() <= line.items():
                return line

    def signal(self, number):
        self.process.send_signal(number)

    def end(self, number=None):
        """Signals the process if asked to, and waits for its exit code; all its events are in `seen`."""
        if number is not None:
            self.signal(number)
        code = self.process.wait(PATIENCE)
        self.reader.join(PATIENCE)
        while not self.lines.empty():
            line = self.lines.get()
            if line is not None:
                self.seen.append(line)
        self.process.stdout.close()
        return code

    def stderr(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def events(self, kind):
        return [event for event in self.seen if event.get("event") == kind]


class Finished:
    """A run that has ended."""

    def __init__(self, code, stdout, stderr):
        self.code = code
        self.stdout = stdout
        self.stderr = stderr
        self.events = []

    def last(self, kind):
        found = [event for event in self.events if event.get("event") == kind]
        if not found:
            raise AssertionError(f"no {kind} in {self.events}; stderr: {self.stderr}")
        return found[-1]


class CliTest(unittest.TestCase):
    """A test with a folder, and with processes that end with it."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="quicmesh-cli-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.environment = {
            key: value for key, value in os.environ.items()
            if not key.startswith(("QUICMESH_", "XDG_"))}
        # Nothing is asked of the router of whoever runs the tests.
        self.environment.update(HOME=str(self.folder), XDG_CONFIG_HOME=str(self.folder / "xdg-config"),
                                XDG_DATA_HOME=str(self.folder / "xdg-data"), QUICMESH_PORT_MAPPING="false")

    def run_text(self, *arguments, before=None):
        """Runs to the end without --json."""
        done = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, env=self.environment, cwd=self.folder,
                              timeout=PATIENCE, preexec_fn=before)
        return Finished(done.returncode, done.stdout, done.stderr)

    def run_bytes(self, *arguments, stdin=b""):
        """Runs to the end without --json; stdin and stdout are bytes."""
        done = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, input=stdin,
                              env=self.environment, cwd=self.folder, timeout=PATIENCE)
        return Finished(done.returncode, done.stdout, done.stderr.decode(errors="replace"))

    def run_json(self, *arguments, before=None):
        """Runs to the end with --json; every line of stdout must be a JSON object."""
        done = self.run_text("--json", *arguments, before=before)
        done.events = [json.loads(line) for line in done.stdout.splitlines()]
        for event in done.events:
            self.assertIsInstance(event, dict)
        return done

    def start(self, *arguments, before=None):
        running = Running(self, arguments, before)
        self.addCleanup(self._stop, running)
        return running

    def _stop(self, running):
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait(PATIENCE)
        running.process.stdout.close()
        running.errors.close()

    def start_node(self, *arguments, command="up", data="node", before=None):
        """Starts `up` or `recv`; it has `.address` (NODEID@host:port) and `.node_id` then."""
        running = self.start(command, "--data", self.folder / data, "--listen", "127.0.0.1:0",
                             *arguments, before=before)
        ready = running.wait_for("ready")
        running.ready = ready
        running.node_id = ready["node_id"]
        running.address = f"{ready['node_id']}@{ready['listen'][0]}"
        return running

    def start_inbox(self, *arguments, data="receiver", out="inbox", before=None):
        folder = self.folder / out
        folder.mkdir(exist_ok=True)
        running = self.start_node("--out", folder, *arguments, command="recv", data=data, before=before)
        running.out = folder
        return running

    def make_file(self, name, size, seed=1):
        """A file of `size` bytes that are different for every seed."""
        path = self.folder / name
        pattern = bytes((seed * 31 + i * 7 + (i >> 8) * 13) & 0xFF for i in range(65_537))
        with open(path, "wb") as file:
            for at in range(0, size, len(pattern)):
                file.write(pattern[:min(len(pattern), size - at)])
        return path

    def check_one_line(self, finished, code, *words):
        """The failure is one line on stderr that says what, why and what to try."""
        self.assertEqual(finished.code, code, finished.stdout + finished.stderr)
        lines = finished.stderr.strip().splitlines()
        self.assertEqual(len(lines), 1, finished.stderr)
        for word in words:
            self.assertRegex(lines[0], re.compile(word))

    def wait_until(self, condition, what):
        until = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), until, what)
            time.sleep(0.02)


def part_files(folder):
    return [path for path in pathlib.Path(folder).iterdir() if path.name.endswith(".part")]


def visible_files(folder):
    return sorted(path.name for path in pathlib.Path(folder).iterdir() if not path.name.startswith("."))


KILL = signal.SIGKILL
INTERRUPT = signal.SIGINT
TERMINATE = signal.SIGTERM
