#!/usr/bin/env python3
"""The laboratory leaves nothing behind, however it ends, and clears away what killed ones left."""

import os
import pathlib
import signal
import subprocess
import sys
import unittest

from lab import Lab, namespaces_of, remove_namespace, why_not

REASON = why_not()
FOLDER = os.path.dirname(os.path.abspath(__file__))
# A laboratory with a home and a process in it, which then waits to be ended.
VICTIM = """
import subprocess, sys
sys.path.insert(0, sys.argv[1])
import lab
made = lab.Lab()
home = made.add_line("a", "port-restricted")
subprocess.Popen([*made.inside(home.netns), "sleep", "600"], stdout=subprocess.DEVNULL)
print("ready", flush=True)
if sys.argv[2] == "raise":
    raise RuntimeError("an error of the test")
sys.stdin.read()
"""


@unittest.skipIf(REASON, REASON)
class Cleanliness(unittest.TestCase):
    def start(self, how="wait"):
        victim = subprocess.Popen([sys.executable, "-B", "-c", VICTIM, FOLDER, how], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(victim.communicate)
        self.assertEqual(victim.stdout.readline(), b"ready\n")
        return victim

    def left(self, victim):
        return [name for name, _ in namespaces_of(rf"qm{victim.pid}\D")]

    def test_nothing_is_left_after_sigterm_after_the_end_and_after_an_error(self):
        for how in ("terminate", "end", "raise"):
            victim = self.start("raise" if how == "raise" else "wait")
            if how == "terminate":
                self.assertEqual(len(self.left(victim)), 2)
                victim.terminate()
            victim.communicate()
            with self.subTest(how=how):
                self.assertEqual(self.left(victim), [])

    def test_a_new_laboratory_sweeps_what_a_killed_one_left_and_no_other(self):
        killed, alive = self.start(), self.start()
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        self.assertEqual(len(self.left(killed)), 2)
        self.addCleanup(lambda: [remove_namespace(name) for name in self.left(killed)])
        inside = subprocess.run(["ip", "netns", "pids", f"qm{killed.pid}a"], capture_output=True, text=True).stdout
        self.assertNotEqual(inside.split(), [])
        Lab().close()
        self.assertEqual(self.left(killed), [])
        for pid in inside.split():
            status = pathlib.Path("/proc", pid, "status")
            self.assertTrue(not status.exists() or "zombie" in status.read_text(), "its process has ended")
        self.assertEqual(len(self.left(alive)), 2)


if __name__ == "__main__":
    if REASON:
        print(f"skipped: {REASON}")
    unittest.main(verbosity=2)
