#!/usr/bin/env python3
"""send and recv: contents, names, resuming, and everything that can go wrong on either side."""

import os
import pathlib
import re
import subprocess
import unittest

from harness import (CliTest, INTERRUPT, KILL, TERMINATE, limit_file_size, part_files, visible_files)

PIECE = 256 * 1024
DONE = {"event", "bytes", "seconds", "blake3", "path_changes"}


class FileTest(CliTest):
    def send(self, path, inbox, *arguments, data="sender"):
        return self.run_json("send", path, inbox.address, "--data", self.folder / data, *arguments)

    def start_slow_send(self, path, inbox, rate="4M", data="sender"):
        """Sends so slowly that there is a middle, and waits for it."""
        before = self.arrived(inbox)
        sending = self.start("send", path, inbox.address, "--rate", rate, "--data", self.folder / data)
        self.wait_until(lambda: self.arrived(inbox) >= before + PIECE, "nothing came")
        return sending

    def arrived(self, inbox):
        return sum(part.stat().st_size for part in part_files(inbox.out))

    def check_arrived(self, inbox, name, source):
        self.assertEqual((inbox.out / name).read_bytes(), pathlib.Path(source).read_bytes())
        self.assertEqual(part_files(inbox.out), [])


class Contents(FileTest):
    def test_all_sizes_arrive_whole(self):
        inbox = self.start_inbox()
        for size in (0, 1, 1023, 1024, 1025, PIECE - 1, PIECE, PIECE + 1, 4 * PIECE, 3_000_001):
            with self.subTest(size=size):
                path = self.make_file(f"file-{size}", size)
                done = self.send(path, inbox)
                self.assertEqual(done.code, 0, done.stderr)
                last = done.events[-1]
                self.assertLessEqual(DONE, set(last))
                self.assertEqual((last["event"], last["bytes"]), ("done", size))
                theirs = inbox.wait_for("done", bytes=size)
                self.assertLessEqual(DONE, set(theirs))
                self.assertEqual(theirs["blake3"], last["blake3"])
                self.check_arrived(inbox, path.name, path)

    def test_the_blake3_is_the_one_of_b3sum(self):
        try:
            subprocess.run(["b3sum", "--version"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            self.skipTest("b3sum is not installed")
        path = self.make_file("file", 1_000_000)
        expected = subprocess.run(["b3sum", "--no-names", path], check=True, capture_output=True, text=True)
        done = self.send(path, self.start_inbox())
        self.assertEqual(done.last("done")["blake3"], expected.stdout.strip())

    def test_several_files_at_once(self):
        inbox = self.start_inbox()
        paths = [self.make_file(f"file-{seed}", 2_000_000, seed) for seed in range(4)]
        sending = [self.start("send", path, inbox.address, "--data", self.folder / f"sender-{path.name}")
                   for path in paths]
        self.assertEqual([one.end() for one in sending], [0] * 4)
        for path in paths:
            self.check_arrived(inbox, path.name, path)

    def test_to_two_receivers_at_once_from_one_node(self):
        inboxes = [self.start_inbox(data="one", out="inbox-1"), self.start_inbox(data="two", out="inbox-2")]
        path = self.make_file("file", 2_000_000)
        sending = [self.start("send", path, inbox.address, "--rate", "4M", "--data", self.folder / "sender")
                   for inbox in inboxes]
        self.assertEqual([one.end() for one in sending], [0, 0])
        for inbox in inboxes:
            self.check_arrived(inbox, "file", path)

    def test_over_running_nodes_by_node_id_alone(self):
        first = self.start_node(data="first")
        second = self.start_node("--bootstrap", first.address, data="second")
        second.wait_for("peer_up", peer=first.node_id)
        (self.folder / "inbox").mkdir()
        recv = self.start("recv", "--once", "--out", self.folder / "inbox", "--data", self.folder / "first")
        self.assertEqual(recv.wait_for("ready")["node_id"], first.node_id)
        path = self.make_file("file", 100_000)
        done = self.run_json("send", path, first.node_id, "--data", self.folder / "second")
        self.assertEqual(done.code, 0, done.stderr)
        self.assertEqual(recv.end(), 0)
        self.assertEqual((self.folder / "inbox" / "file").read_bytes(), path.read_bytes())


class Names(FileTest):
    def test_hostile_names_stay_in_the_folder_and_are_harmless(self):
        inbox = self.start_inbox()
        for offered, expected in [
                ("../../etc/passwd", "passwd"), ("/etc/shadow", "shadow"), ("..", "file"), ("a/..", "file"),
                ("a\nb", "a_b"), ("\x1b[31mred", "_[31mred"), (".bashrc", "_bashrc"), ("-rf", "_rf"),
                ("c:\\autoexec.bat", "c__autoexec.bat"), ("  x  ", "_ x"), ("grüße-日本.txt", "grüße-日本.txt"),
                ("gnp.\u202eexe", "gnp._exe"), ("x" * 300 + ".txt", "x" * 196 + ".txt"),
                ("é" * 300, "é" * 100), ("/" * 20, "file")]:
            with self.subTest(offered=offered):
                path = self.make_file("source", 10, len(expected))
                done = self.send(path, inbox, "--name", offered)
                self.assertEqual(done.code, 0, done.stderr)
                arrived = pathlib.Path(inbox.wait_for("done")["path"])
                self.assertEqual(arrived.parent, inbox.out)
                self.assertEqual(visible_files(inbox.out), [expected])
                arrived.unlink()

    def test_a_file_whose_name_is_no_utf8(self):
        inbox = self.start_inbox()
        path = os.fsencode(self.folder) + b"/bad\xff.txt"
        with open(path, "wb") as file:
            file.write(b"text")
        done = self.run_json("send", os.fsdecode(path), inbox.address, "--data", self.folder / "sender")
        self.assertEqual(done.code, 0, done.stderr)
        inbox.wait_for("done")
        self.assertEqual(visible_files(inbox.out), ["bad_.txt"])

    def test_terminals_see_no_control_characters(self):
        (self.folder / "inbox").mkdir()
        inbox = subprocess.Popen(
            [os.environ["QUICMESH_BINARY"], "recv", "--once", "--listen", "127.0.0.1:0", "--out", "inbox", "--data",
             "receiver"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment, cwd=self.folder)
        self.addCleanup(inbox.kill)
        shown = b""
        while b"address" not in shown:
            line = inbox.stdout.readline()
            self.assertTrue(line, "recv ended")
            shown += line
        address = shown.decode().split()[-1]
        path = self.make_file("source", 10)
        self.run_json("send", path, address, "--name", "a\x1b[2Jb\r\x9bc", "--data", self.folder / "sender")
        out, errors = inbox.communicate(timeout=60)
        self.assertIn(b"a\\x1b[2Jb\\x0d", out)
        for byte in (b"\x1b", b"\r", b"\x9b"):
            self.assertNotIn(byte, out + errors)

    def test_a_taken_name_gets_a_number(self):
        inbox = self.start_inbox()
        (inbox.out / "photo.tar.gz").write_text("mine")
        for seed in (1, 2):
            self.assertEqual(self.send(self.make_file("photo.tar.gz", 100, seed), inbox).code, 0)
        self.assertEqual(visible_files(inbox.out), ["photo.tar (1).gz", "photo.tar (2).gz", "photo.tar.gz"])
        self.assertEqual((inbox.out / "photo.tar.gz").read_text(), "mine")

    def test_a_link_in_the_place_of_the_part_file_is_not_followed(self):
        inbox = self.start_inbox()
        path = self.make_file("file", 1000)
        blake3 = self.send(path, inbox).last("done")["blake3"]
        (inbox.out / "file").unlink()
        (self.folder / "precious").write_text("precious")
        part = inbox.out / self.part_name("file", blake3)
        part.symlink_to(self.folder / "precious")
        self.check_one_line(self.send(path, inbox), 1, "refused", "cannot create a file")
        part.unlink()
        os.link(self.folder / "precious", part)
        self.check_one_line(self.send(path, inbox), 1, "refused", "a second name")
        self.assertEqual((self.folder / "precious").read_text(), "precious")

    def part_name(self, name, blake3):
        sender = self.run_json("id", "--data", self.folder / "sender").events[0]["node_id"]
        return f".{name}.{blake3[:16]}.{sender[:24]}.part"

    def test_a_part_file_that_was_replaced_does_not_arrive(self):
        inbox = self.start_inbox()
        path = self.make_file("file", 4_000_000)
        sending = self.start_slow_send(path, inbox)
        part = part_files(inbox.out)[0]
        part.rename(inbox.out / "stolen")
        part.write_text("evil\n")
        self.assertEqual(sending.end(), 1)
        self.assertIn("was changed while it arrived", inbox.wait_for("error")["message"])
        self.assertEqual(visible_files(inbox.out), ["stolen"])

    def test_what_the_kernel_opens_is_sent(self):
        for name in ("a/b", "c"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "a" / "file").write_text("right")
        (self.folder / "c" / "file").write_text("wrong")
        (self.folder / "c" / "link").symlink_to("../a/b")
        inbox = self.start_inbox()
        self.assertEqual(self.send("c/link/../file", inbox).code, 0)
        self.assertEqual((inbox.out / "file").read_text(), "right")


class Resuming(FileTest):
    def setUp(self):
        super().setUp()
        self.path = self.make_file("film", 6_000_000)

    def check_resumed(self, inbox, **members):
        done = self.send(self.path, inbox)
        self.assertEqual(done.code, 0, done.stderr)
        last = done.last("done")
        self.assertEqual(last["bytes"], 6_000_000)
        self.check_arrived(inbox, "film", self.path)
        return last["resumed_from"]

    def test_after_the_sender_was_killed(self):
        inbox = self.start_inbox()
        sending = self.start_slow_send(self.path, inbox)
        self.assertEqual(visible_files(inbox.out), [])
        self.assertEqual(sending.end(KILL), -KILL)
        # At once: the receiver does not know yet that the connection is dead.
        self.assertGreaterEqual(self.check_resumed(inbox), PIECE)
        inbox.wait_for("done")
        self.assertEqual(inbox.end(TERMINATE), 0)

    def test_after_the_receiver_was_killed(self):
        inbox = self.start_inbox("--idle-timeout", "2")
        sending = self.start("send", self.path, inbox.address, "--rate", "4M", "--idle-timeout", "2", "--data",
                             self.folder / "sender")
        self.wait_until(lambda: self.arrived(inbox) >= PIECE, "nothing came")
        inbox.end(KILL)
        self.assertEqual(sending.end(), 3)
        self.assertIn("goes on from there", sending.stderr())
        self.assertEqual(visible_files(inbox.out), [])
        again = self.start_inbox()
        self.assertGreaterEqual(self.check_resumed(again), PIECE)

    def test_after_either_was_interrupted(self):
        inbox = self.start_inbox()
        self.assertEqual(self.start_slow_send(self.path, inbox).end(INTERRUPT), 130)
        inbox.wait_for("error")
        sending = self.start_slow_send(self.path, inbox)
        self.assertEqual(inbox.end(INTERRUPT), 130)
        self.assertEqual(sending.end(), 1)
        again = self.start_inbox()
        self.assertGreaterEqual(self.check_resumed(again), PIECE)

    def test_what_is_held_but_damaged_is_sent_anew(self):
        inbox = self.start_inbox()
        self.start_slow_send(self.path, inbox).end(INTERRUPT)
        inbox.wait_for("error")
        part = part_files(inbox.out)[0]
        with open(part, "r+b") as file:
            file.seek(1000)
            file.write(b"damage")
        self.assertEqual(self.check_resumed(inbox), 0)

    def test_what_is_held_of_another_file_is_left_alone(self):
        inbox = self.start_inbox()
        self.start_slow_send(self.path, inbox).end(INTERRUPT)
        inbox.wait_for("error")
        other = self.make_file("other-film", 5000, seed=9)
        self.assertEqual(self.send(other, inbox, "--name", "film").last("done")["resumed_from"], 0)
        self.assertEqual(len(part_files(inbox.out)), 1)

    def test_another_sender_of_the_same_file_neither_goes_on_nor_destroys(self):
        inbox = self.start_inbox()
        self.start_slow_send(self.path, inbox).end(INTERRUPT)
        inbox.wait_for("error")
        held = part_files(inbox.out)[0]
        self.assertEqual(self.send(self.path, inbox, data="other").last("done")["resumed_from"], 0)
        self.assertEqual(part_files(inbox.out), [held])
        self.assertGreaterEqual(self.send(self.path, inbox).last("done")["resumed_from"], PIECE)


class HugeFiles(FileTest):
    """A signal while a file is hashed: one is enough, though the hash of all would take minutes."""

    def setUp(self):
        super().setUp()
        self.path = self.folder / "huge"
        self.path.touch()
        os.truncate(self.path, 400 << 30)

    def wait_until_hashing(self, process):
        before = self.read_bytes(process)
        self.wait_until(lambda: self.read_bytes(process) > before + (8 << 20), "nothing is read")

    def read_bytes(self, process):
        counters = pathlib.Path(f"/proc/{process.process.pid}/io").read_text()
        return int(re.search(r"rchar: (\d+)", counters)[1])

    def test_one_interrupt_ends_a_sender(self):
        sending = self.start("send", self.path, "ab" * 32 + "@127.0.0.1:9", "--data", self.folder / "sender")
        self.wait_until_hashing(sending)
        self.assertEqual(sending.end(INTERRUPT), 130)

    def test_a_node_does_not_go_on_for_a_client_that_has_gone(self):
        node = self.start_node()
        sending = self.start("send", self.path, "ab" * 32 + "@127.0.0.1:9", "--data", self.folder / "node")
        self.wait_until_hashing(node)
        self.assertEqual(sending.end(INTERRUPT), 130)
        self.assertEqual(node.end(TERMINATE), 0)


class Failures(FileTest):
    def test_a_source_that_cannot_be_sent(self):
        for path, word in [("none", "No such file"), (".", "no regular file"), ("/dev/null", "no regular file"),
                           ("/proc/cpuinfo", "no size")]:
            with self.subTest(path=path):
                done = self.run_text("send", path, "ab" * 32 + "@127.0.0.1:9", "--data", self.folder / "sender")
                self.check_one_line(done, 1, word)

    def test_nobody_receives(self):
        node = self.start_node()
        done = self.send(self.make_file("file", 10), node)
        self.check_one_line(done, 1, "receives no files", "quicmesh recv")

    def test_nobody_is_there(self):
        node = self.start_node()
        node.end(TERMINATE)
        done = self.send(self.make_file("file", 10), node, "--handshake-timeout", "0.5")
        self.check_one_line(done, 3, "cannot reach")

    def test_a_folder_that_cannot_be_written(self):
        (self.folder / "file").write_text("")
        for out in ("none", "file", "/proc"):
            with self.subTest(out=out):
                self.check_one_line(self.run_text("recv", "--out", out, "--listen", "127.0.0.1:0", "--data",
                                                  self.folder / "receiver"), 1, "cannot receive into", "--out")

    def test_a_folder_that_vanishes(self):
        inbox = self.start_inbox()
        inbox.out.rmdir()
        done = self.send(self.make_file("file", 10), inbox)
        self.check_one_line(done, 1, "refused", "cannot open the folder")
        self.assertEqual(inbox.wait_for("error")["code"], "file.cannot_write")

    def test_a_file_beyond_the_receivers_limit(self):
        inbox = self.start_inbox("--once", before=limit_file_size(1_000_000))
        done = self.send(self.make_file("file", 3_000_000), inbox)
        self.check_one_line(done, 1, "refused", "cannot write: File too large")
        self.assertEqual(inbox.end(), 1)
        self.assertEqual(inbox.events("error")[0]["code"], "file.no_space")
        self.assertEqual(visible_files(inbox.out), [])
        self.assertEqual(len(inbox.stderr().strip().splitlines()), 1, inbox.stderr())

    def test_a_full_disk(self):
        disk = self.folder / "disk"
        disk.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], capture_output=True).returncode:
            self.skipTest("only root may mount a small disk")
        self.addCleanup(subprocess.run, ["umount", "--lazy", disk], check=True)
        inbox = self.start_inbox(out="disk")
        done = self.send(self.make_file("too-big", 5_000_000), inbox)
        self.check_one_line(done, 1, "refused", "are needed")
        # It fits when it is offered, and does not when the rest arrives.
        sending = self.start_slow_send(self.make_file("fits", 2_500_000), inbox, rate="2M")
        with open(disk / ".ballast", "wb") as ballast:
            try:
                while True:
                    ballast.write(bytes(65_536))
            except OSError:
                pass
        self.assertEqual(sending.end(), 1)
        self.assertIn("No space left", sending.stderr())
        self.assertEqual(visible_files(disk), [])
        (disk / ".ballast").unlink()
        done = self.send(self.folder / "fits", inbox)
        self.assertEqual(done.code, 0, done.stderr)
        self.assertGreater(done.last("done")["resumed_from"], 0)

    def test_a_source_that_shrinks_meanwhile(self):
        inbox = self.start_inbox("--once")
        path = self.make_file("file", 6_000_000)
        sending = self.start_slow_send(path, inbox)
        os.truncate(path, 1000)
        self.assertEqual(sending.end(), 1)
        self.assertIn("changed while it was being sent", sending.stderr())
        inbox.wait_for("error")
        self.assertEqual(visible_files(inbox.out), [])
        # A fault of a sender is not what `--once` waits for.
        self.assertEqual(self.send(self.make_file("good", 10), inbox).code, 0)
        self.assertEqual(inbox.end(), 0)

    def test_a_source_that_changes_meanwhile(self):
        sender = self.run_json("id", "--data", self.folder / "sender").events[0]["node_id"]
        inbox = self.start_inbox("--once", "--from", sender)
        path = self.make_file("file", 3_000_000)
        sending = self.start_slow_send(path, inbox)
        with open(path, "r+b") as file:
            file.seek(2_900_000)
            file.write(b"something else")
        self.assertEqual(sending.end(), 1)
        self.assertIn("changed while it was being sent", sending.stderr())
        self.assertEqual(inbox.end(), 1)
        self.assertEqual(inbox.events("error")[-1]["code"], "file.hash_mismatch")
        self.assertEqual(visible_files(inbox.out), [])
        self.assertEqual(part_files(inbox.out), [])

    def test_a_source_that_is_removed_meanwhile_still_arrives(self):
        inbox = self.start_inbox("--once")
        path = self.make_file("file", 2_000_000)
        content = path.read_bytes()
        sending = self.start_slow_send(path, inbox)
        path.unlink()
        self.assertEqual((sending.end(), inbox.end()), (0, 0))
        self.assertEqual((inbox.out / "file").read_bytes(), content)

    def test_only_those_named_may_send(self):
        friend = self.run_json("id", "--data", self.folder / "friend").events[0]["node_id"]
        inbox = self.start_inbox("--from", friend)
        path = self.make_file("file", 1000)
        self.check_one_line(self.send(path, inbox, data="stranger"), 1, "not taken", "--from")
        self.assertEqual(visible_files(inbox.out), [])
        self.assertEqual(self.send(path, inbox, data="friend").code, 0)

    def test_the_same_file_of_two_senders_at_once(self):
        inbox = self.start_inbox()
        path = self.make_file("file", 4_000_000)
        first = self.start_slow_send(path, inbox, data="first")
        self.assertEqual(self.send(path, inbox, data="second").code, 0)
        self.assertEqual(first.end(), 0)
        self.assertEqual(visible_files(inbox.out), ["file", "file (1)"])

    def test_a_stranger_does_not_end_an_inbox_for_one_file(self):
        inbox = self.start_inbox("--once")
        path = self.make_file("file", 3_000_000)
        sending = self.start_slow_send(path, inbox, data="stranger")
        with open(path, "r+b") as file:
            file.seek(2_900_000)
            file.write(b"something else")
        self.assertEqual(sending.end(), 1)
        self.assertEqual(inbox.wait_for("error")["code"], "file.hash_mismatch")
        self.assertEqual(self.send(path, inbox).code, 0)
        self.assertEqual(inbox.end(), 0)

    def test_one_sender_does_not_fill_the_inbox(self):
        bound = {limit["name"]: limit["value"] for limit in self.run_json("limits").events}["file.transfers_per_peer"]
        inbox = self.start_inbox()
        slow = []
        for seed in range(bound):
            path = self.make_file(f"slow-{seed}", 40_000_000, seed)
            slow.append(self.start_slow_send(path, inbox, rate="512K", data="one"))
            # What came may be of the ones before.
            self.wait_until(lambda: len(part_files(inbox.out)) == len(slow), "it does not arrive")
        path = self.make_file("file", 1000)
        self.check_one_line(self.send(path, inbox, data="one"), 1, "too many files of this node", "try again")
        self.assertEqual(self.send(path, inbox, data="other").code, 0)
        slow[-1].end(INTERRUPT)
        self.wait_until(lambda: self.send(path, inbox, data="one").code == 0, "the place is not free again")

    def test_one_inbox_a_node(self):
        self.start_inbox(data="receiver")
        self.check_one_line(self.run_text("recv", "--data", self.folder / "receiver"), 1, "receives files already")

    def test_recv_ends_well_when_interrupted_idle(self):
        self.assertEqual(self.start_inbox(data="one").end(INTERRUPT), 0)
        self.assertEqual(self.start_inbox("--once", data="two").end(INTERRUPT), 130)


if __name__ == "__main__":
    unittest.main()
