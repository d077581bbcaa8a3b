#!/usr/bin/env python3
"""The demo: it must pass, leave nothing behind, and fail when a node cannot be started."""

import os
import pathlib
import time
import unittest

from harness import CliTest, INTERRUPT


class Demo(CliTest):
    def setUp(self):
        super().setUp()
        self.temporary = self.folder / "tmp"
        self.temporary.mkdir()
        self.environment["TMPDIR"] = str(self.temporary)

    def processes_in(self, folder):
        """Processes of the binary whose command line names the folder."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and os.fsencode(folder) in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def check_clean(self):
        self.wait_until(lambda: not self.processes_in(self.temporary), "processes are left")
        self.assertEqual(list(self.temporary.iterdir()), [])

    def test_ci_passes_within_a_minute_and_leaves_nothing(self):
        start = time.monotonic()
        done = self.run_json("demo", "--ci")
        self.assertEqual(done.code, 0, done.stdout + done.stderr)
        self.assertLess(time.monotonic() - start, 60)
        steps = [event for event in done.events if event["event"] == "step"]
        self.assertEqual([step["ok"] for step in steps], [True] * 8)
        self.assertTrue(done.events[-1]["ok"])
        self.check_clean()

    def test_the_users_settings_do_not_reach_its_nodes(self):
        self.environment.update(QUICMESH_DATA="/nonexistent", QUICMESH_MAX_CONNECTIONS="1", QUICMESH_LOG="trace",
                                QUICMESH_LISTEN="127.0.0.1:1", QUICMESH_OUT="/nonexistent")
        config = self.folder / "xdg-config" / "quicmesh" / "config.toml"
        config.parent.mkdir(parents=True)
        config.write_text("idle_timeout = 0.001\nbootstrap = ['%s@127.0.0.1:9']\n" % ("ab" * 32))
        demo = self.start("demo", "--ci")
        self.assertTrue(demo.wait_for("step", name="notes")["ok"])
        self.assertEqual(demo.end(INTERRUPT), 130)
        self.check_clean()

    def test_an_interrupt_cleans_up(self):
        demo = self.start("demo", "--ci")
        demo.wait_for("step", name="start")
        self.assertTrue(self.processes_in(self.temporary))
        self.assertEqual(demo.end(INTERRUPT), 130)
        self.check_clean()

    def test_without_a_place_for_files_it_fails(self):
        self.environment["TMPDIR"] = str(self.folder / "none")
        self.check_one_line(self.run_text("demo", "--ci"), 1, "temporary folder")


if __name__ == "__main__":
    unittest.main()
