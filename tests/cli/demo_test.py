#!/usr/bin/env python3
"""The demo: it must pass, behind emulated NATs and without them, leave nothing behind, and fail when
a node cannot be started.

Without namespaces the tests that need them are skipped; under QUICMESH_NEED_NETNS=1 they fail.
"""

import os
import pathlib
import time
import unittest

from harness import CliTest, INTERRUPT, KILL

NAT_STEPS = ["nats", "dial"]
STEPS = ["start", "ping", "notes", "file", "kill", "resume", "wrong id", "end"]


def notes_of(events):
    return [event["message"] for event in events if event["event"] == "note"]


def why_no_nats(events):
    """What the demo says if it emulates no NATs; empty if it does."""
    return next((note for note in notes_of(events) if note.startswith("!")), "")


class Demo(CliTest):
    def setUp(self):
        super().setUp()
        self.temporary = self.folder / "tmp"
        self.temporary.mkdir()
        self.environment["TMPDIR"] = str(self.temporary)
        self.namespaces_before = self.namespaces()

    def namespaces(self):
        """Named like those of the demo, where everybody can see them."""
        folder = pathlib.Path("/run/netns")
        names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        return names & {"internet", "relay", "anna", "ben", "cleo", "dora", "emil", "anna-nat"}

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
        self.assertEqual(self.namespaces(), self.namespaces_before)

    def refuse_nats(self):
        """Puts an `nft` first in the path that refuses to work."""
        tools = self.folder / "tools"
        tools.mkdir()
        (tools / "nft").write_text("#!/bin/sh\necho not today >&2\nexit 1\n")
        (tools / "nft").chmod(0o755)
        self.environment["PATH"] = f"{tools}:{self.environment['PATH']}"

    def need_nats(self, events):
        reason = why_no_nats(events)
        if reason and os.environ.get("QUICMESH_NEED_NETNS") == "1":
            self.fail(reason)
        if reason:
            self.skipTest(reason)

    def run_demo(self):
        """Runs it to its end; no step but may take long on a busy machine."""
        demo = self.start("demo", "--ci")
        for name in STEPS:
            demo.wait_for("step", name=name)
        return demo, demo.end()

    def check_passes(self, demo, code, steps):
        self.assertEqual(code, 0, demo.stderr())
        taken = [(event["name"], event["ok"]) for event in demo.events("step")]
        self.assertEqual(taken, [(name, True) for name in steps])
        self.assertEqual((demo.seen[-1]["event"], demo.seen[-1]["ok"]), ("summary", True))
        self.check_clean()

    def test_ci_passes_behind_nats_and_tells_how_each_pair_went_direct(self):
        demo, code = self.run_demo()
        self.need_nats(demo.seen)
        self.check_passes(demo, code, STEPS[:1] + NAT_STEPS + STEPS[1:])
        notes = "\n".join(notes_of(demo.seen))
        for line in (r"anna +full cone:", r"ben +port-restricted cone:", r"cleo +port-restricted cone:",
                     r"dora +symmetric:", r"emil +none:",
                     r"ben +-> cleo connected over the relay, .* direct after .* by (plain|synchronised)"):
            self.assertRegex(notes, line)
        # Every pair is told about; only symmetric x port-restricted depends on luck.
        dials = [note for note in notes_of(demo.seen) if " -> " in note]
        self.assertEqual(len(dials), 10)
        for dial in dials:
            if not {"ben", "cleo"} & set(dial.split()) or "dora" not in dial.split():
                self.assertIn(", direct after ", dial)
        # 100 MB went past the relay, by the kernel's count at its interface.
        sent = next(event for event in demo.events("step") if event["name"] == "file")
        self.assertRegex(sent["found"], r"meanwhile the relay received [0-9.]+ (B|KiB)\b")

    def test_ci_passes_without_nats_and_says_why(self):
        self.refuse_nats()
        demo, code = self.run_demo()
        self.assertRegex(why_no_nats(demo.seen), r"(nft fails: not today|refused|not installed).*\(")
        self.check_passes(demo, code, STEPS)

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

    def test_whichever_of_its_processes_is_killed_the_other_clears_away(self):
        for victim in ("parent", "child"):
            with self.subTest(victim=victim):
                demo = self.start("demo", "--ci")
                demo.wait_for("step", name="start")
                parent = demo.process.pid
                child = int(pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text())
                os.kill(parent if victim == "parent" else child, KILL)
                self.assertNotEqual(demo.end(), 0)
                self.wait_until(lambda: not pathlib.Path(f"/proc/{child}").exists(), "the child is left")
                self.check_clean()

    def test_without_a_place_for_files_it_fails(self):
        self.environment["TMPDIR"] = str(self.folder / "none")
        self.check_one_line(self.run_text("demo", "--ci"), 1, "temporary folder")


if __name__ == "__main__":
    unittest.main()
