#!/usr/bin/env python3
"""Running nodes: up, its events and its end, the control socket, status, peers, paths, ping."""

import fcntl
import json
import os
import signal
import socket
import stat
import subprocess
import threading
import unittest

from harness import BINARY, CliTest, INTERRUPT, KILL, PATIENCE, TERMINATE

PONG = {"event", "seq", "rtt_us", "path", "remote", "relay"}
SUMMARY = {"event", "sent", "received", "first_byte_ms", "direct_ms", "path", "technique"}


class Up(CliTest):
    def test_ready_comes_first_and_a_signal_ends_it_well(self):
        for number in (INTERRUPT, TERMINATE):
            with self.subTest(signal=number):
                node = self.start_node(data=f"node{number}")
                self.assertEqual(node.seen[0]["event"], "ready")
                self.assertLessEqual({"node_id", "listen", "api"}, set(node.ready))
                self.assertRegex(node.ready["listen"][0], r"^127\.0\.0\.1:\d+$")
                self.assertEqual(node.end(number), 0)
                self.assertFalse((self.folder / f"node{number}" / "control.sock").exists())

    def test_it_ends_well_with_its_terminal(self):
        node = self.start_node()
        self.assertEqual(node.end(signal.SIGHUP), 0)
        self.assertFalse((self.folder / "node" / "control.sock").exists())

    def test_without_its_terminal_it_goes_on_under_nohup(self):
        node = self.start_node(before=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        node.signal(signal.SIGHUP)
        self.assertEqual(self.run_json("status", "--data", self.folder / "node").code, 0)
        self.assertEqual(node.end(TERMINATE), 0)

    def test_a_port_in_use_is_one_line(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            address = "127.0.0.1:%d" % taken.getsockname()[1]
            self.check_one_line(self.run_text("up", "--listen", address), 1, address, "in use", r"\(.*port")

    def test_an_address_of_another_machine_is_one_line(self):
        self.check_one_line(self.run_text("up", "--listen", "192.0.2.1:0"), 1, "192.0.2.1", "no such address")

    def test_a_second_one_with_the_same_data_is_refused(self):
        node = self.start_node()
        done = self.run_text("up", "--data", self.folder / "node", "--listen", "127.0.0.1:0")
        self.check_one_line(done, 1, "runs already", str(node.process.pid), "--data")
        self.assertEqual(node.end(TERMINATE), 0)

    def test_after_a_crash_the_stale_socket_is_replaced(self):
        node = self.start_node()
        node.end(KILL)
        self.assertTrue((self.folder / "node" / "control.sock").exists())
        again = self.start_node()
        self.assertEqual(again.node_id, node.node_id)
        self.assertEqual(self.run_json("status", "--data", self.folder / "node").code, 0)

    def test_peers_come_and_go_as_events(self):
        first = self.start_node(data="first")
        second = self.start_node("--bootstrap", first.address, data="second")
        up = first.wait_for("peer_up", peer=second.node_id)
        self.assertLessEqual({"peer", "path", "remote"}, set(up))
        second.wait_for("peer_up", peer=first.node_id)
        self.assertEqual(second.end(TERMINATE), 0)
        down = first.wait_for("peer_down", peer=second.node_id)
        self.assertTrue(down["reason"])

    def test_a_bootstrap_node_that_is_not_who_it_should_be_is_an_error_event(self):
        first = self.start_node(data="first")
        wrong = "ab" * 32 + "@" + first.ready["listen"][0]
        second = self.start_node("--bootstrap", wrong, data="second")
        error = second.wait_for("error", peer="ab" * 32)
        self.assertIn("another NodeId", error["message"])
        self.assertEqual(second.end(TERMINATE), 0)

    def test_a_lost_bootstrap_node_is_dialled_again(self):
        first = self.start_node(data="first")
        second = self.start_node("--bootstrap", first.address, data="second")
        second.wait_for("peer_up", peer=first.node_id)
        first.end(TERMINATE)
        second.wait_for("peer_down", peer=first.node_id)
        again = self.start("up", "--data", self.folder / "first", "--listen", first.ready["listen"][0])
        again.wait_for("ready", node_id=first.node_id)
        second.wait_for("peer_up", peer=first.node_id)


class ControlSocket(CliTest):
    def setUp(self):
        super().setUp()
        self.node = self.start_node()
        self.path = self.folder / "node" / "control.sock"

    def connect(self):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(30)
        client.connect(str(self.path))
        self.addCleanup(client.close)
        return client

    def ask(self, request):
        client = self.connect()
        client.sendall(request)
        answer = b""
        while chunk := client.recv(65536):
            answer += chunk
        return [json.loads(line) for line in answer.splitlines()]

    def test_only_the_owner_may_connect(self):
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)

    def test_nonsense_is_answered_and_harms_nothing(self):
        for request in (b"nonsense\n", b"[]\n", b"{}\n", b'{"cmd":"nonsense"}\n', b"{" * 70_000,
                        b'{"cmd":"ping","node":7}\n', b'{"a":' * 100 + b"\n"):
            with self.subTest(request=request[:20]):
                answer = self.ask(request)
                self.assertEqual(answer[-1], {"event": "exit", "code": 2})
                self.assertEqual(answer[0]["event"], "error")
        self.assertEqual(self.run_json("status", "--data", self.folder / "node").code, 0)

    def test_silent_clients_hold_nobody_up(self):
        for _ in range(5):
            self.connect()
        self.assertEqual(self.run_json("status", "--data", self.folder / "node").code, 0)

    def test_a_client_that_asks_nothing_loses_its_place(self):
        answer = self.ask(b"")
        self.assertIn("in time", answer[0]["message"])
        self.assertEqual(answer[-1], {"event": "exit", "code": 2})

    def test_a_silent_client_does_not_keep_the_process_of_a_command(self):
        ping = self.start("ping", self.node.address, "--count", "3", "--interval", "0.2", "--data", self.folder / "b")
        ping.wait_for("pong")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.connect(str(self.folder / "b" / "control.sock"))
            self.assertEqual(ping.end(), 0)

    def test_one_client_too_many_is_refused_and_the_place_is_free_again(self):
        far = self.start_node(data="far")
        request = json.dumps({"cmd": "ping", "node": far.address, "count": 1_000_000}).encode() + b"\n"
        clients = [self.connect() for _ in range(32)]
        for client in clients:
            client.sendall(request)
        self.wait_until(lambda: self.ask(b'{"cmd":"status"}\n')[0].get("code") == "busy", "the 33rd is served")
        for client in clients:
            client.close()
        self.wait_until(lambda: self.ask(b'{"cmd":"status"}\n')[-1] == {"event": "exit", "code": 0}, "still busy")

    def test_several_clients_at_once(self):
        codes = []
        threads = [threading.Thread(target=lambda: codes.append(
            self.run_json("status", "--data", self.folder / "node").code)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(codes, [0] * 8)


class ReaderGone(CliTest):
    """As after `| head -1`: nobody reads stdout any more."""

    def read_one_line_and_go(self, *arguments):
        process = subprocess.Popen([BINARY, "--json", *map(str, arguments)], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment,
                                   cwd=self.folder)
        self.addCleanup(process.wait, PATIENCE)
        self.addCleanup(process.kill)
        self.addCleanup(process.stderr.close)
        self.assertTrue(process.stdout.readline())
        process.stdout.close()
        code = process.wait(PATIENCE)
        self.assertEqual(process.stderr.read(), b"")
        return code

    def test_a_node_that_has_nothing_more_to_say_ends_in_order(self):
        for command in (["up"], ["recv"]):
            with self.subTest(command=command):
                data = self.folder / command[0]
                code = self.read_one_line_and_go(*command, "--listen", "127.0.0.1:0", "--data", data)
                self.assertEqual(code, 0)
                self.assertFalse((data / "control.sock").exists())

    def test_a_command_on_a_running_node_ends(self):
        self.start_node()
        (self.folder / "inbox").mkdir()
        self.assertEqual(self.read_one_line_and_go("recv", "--out", "inbox", "--data", self.folder / "node"), 0)
        self.assertEqual(self.run_json("status", "--data", self.folder / "node").code, 0)

    def test_a_command_that_only_prints_ends_as_other_programs_do(self):
        read_end, write_end = os.pipe()
        os.close(read_end)
        done = subprocess.run([BINARY, "limits"], stdin=subprocess.DEVNULL, stdout=write_end,
                              stderr=subprocess.PIPE, env=self.environment, cwd=self.folder, timeout=PATIENCE)
        os.close(write_end)
        self.assertEqual((done.returncode, done.stderr), (-signal.SIGPIPE, b""))


class ReaderStuck(CliTest):
    """Somebody has stdout and does not read it, like a pager that waits."""

    def start_stuck_node(self, *arguments):
        read_end, write_end = os.pipe()
        self.addCleanup(os.close, read_end)
        fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 4096)
        process = subprocess.Popen([BINARY, "--json", "up", "--data", self.folder / "stuck", "--listen",
                                    "127.0.0.1:0", *arguments], stdin=subprocess.DEVNULL, stdout=write_end,
                                   stderr=subprocess.PIPE, env=self.environment, cwd=self.folder)
        os.close(write_end)
        self.addCleanup(process.wait, PATIENCE)
        self.addCleanup(process.kill)
        self.addCleanup(process.stderr.close)
        ready = b""
        while not ready.endswith(b"\n"):
            ready += os.read(read_end, 1)
        ready = json.loads(ready)
        return process, read_end, f"{ready['node_id']}@{ready['listen'][0]}"

    def fill(self, address):
        """Causes twice as many lines as the pipe takes."""
        for number in range(12):
            done = self.run_json("ping", address, "--count", "1", "--data", self.folder / f"peer{number}")
            self.assertEqual(done.code, 0, done.stderr)

    def test_a_node_goes_on_and_ends(self):
        for number in (INTERRUPT, TERMINATE):
            with self.subTest(signal=number):
                process, read_end, address = self.start_stuck_node()
                self.fill(address)
                self.assertEqual(self.run_json("status", "--data", self.folder / "stuck").code, 0)
                process.send_signal(number)
                self.assertEqual(process.wait(PATIENCE), 0)
                self.assertFalse((self.folder / "stuck" / "control.sock").exists())

    def test_nothing_is_lost_to_a_reader_that_reads_again_soon(self):
        process, read_end, address = self.start_stuck_node()
        self.fill(address)
        text = b""
        while text.count(b'"peer_down"') < 12:
            text += os.read(read_end, 4096)
        process.send_signal(TERMINATE)
        self.assertEqual(process.wait(PATIENCE), 0)
        events = [json.loads(line)["event"] for line in text.splitlines()]
        self.assertEqual((events.count("peer_up"), events.count("lines_dropped")), (12, 0))


class Questions(CliTest):
    def test_without_a_node_there_is_no_answer(self):
        for command in (["status"], ["peers"], ["paths", "ab" * 32]):
            with self.subTest(command=command):
                self.check_one_line(self.run_text(*command, "--data", self.folder / "none"), 1,
                                    "no node runs", "quicmesh up")

    def test_status_peers_and_paths(self):
        first = self.start_node(data="first")
        second = self.start_node("--bootstrap", first.address, data="second")
        second.wait_for("peer_up", peer=first.node_id)
        status = self.run_json("status", "--data", self.folder / "second").events
        self.assertEqual(len(status), 1)
        self.assertEqual(status[0]["node_id"], second.node_id)
        self.assertEqual(status[0]["peers"], 1)
        self.assertGreater(status[0]["datagrams_sent"], 0)
        peers = self.run_json("peers", "--data", self.folder / "second").events
        self.assertEqual([peer["peer"] for peer in peers], [first.node_id])
        self.assertEqual(peers[0]["remote"], first.ready["listen"][0])
        paths = self.run_json("paths", first.node_id, "--data", self.folder / "second").events
        self.assertEqual([path["current"] for path in paths], [True])
        self.assertGreaterEqual(paths[0]["mtu_bytes"], 1200)
        stranger = self.run_text("paths", "ab" * 32, "--data", self.folder / "second")
        self.check_one_line(stranger, 1, "no paths")

    def test_a_very_long_data_folder_works_too(self):
        data = "d" * 100 + "/" + "e" * 100
        self.start_node(data=data)
        self.assertEqual(self.run_json("status", "--data", self.folder / data).code, 0)


class Ping(CliTest):
    def test_pongs_and_summary_have_their_keys(self):
        node = self.start_node()
        done = self.run_json("ping", node.address, "--count", "3", "--interval", "0.01", "--data", self.folder / "b")
        self.assertEqual(done.code, 0)
        pongs = [event for event in done.events if event["event"] == "pong"]
        self.assertEqual([pong["seq"] for pong in pongs], [0, 1, 2])
        for pong in pongs:
            self.assertLessEqual(PONG, set(pong))
            self.assertGreater(pong["rtt_us"], 0)
            self.assertEqual((pong["path"], pong["remote"]), ("direct", node.ready["listen"][0]))
        summary = done.events[-1]
        self.assertEqual(set(summary), SUMMARY)
        self.assertEqual((summary["sent"], summary["received"], summary["path"]), (3, 3, "direct"))
        self.assertGreater(summary["first_byte_ms"], 0)

    def test_until_direct_stops_at_the_first_direct_pong(self):
        node = self.start_node()
        done = self.run_json("ping", node.address, "--until-direct", "--count", "50", "--data", self.folder / "b")
        self.assertEqual((done.code, done.last("summary")["received"]), (0, 1))

    def test_the_short_form_and_several_addresses_are_taken(self):
        node = self.start_node()
        short = node.ready["address"].split("@")[0]
        done = self.run_json("ping", f"{short}@127.0.0.1:9,{node.ready['listen'][0]}", "--count", "1",
                             "--data", self.folder / "b")
        self.assertEqual(done.code, 0, done.stderr)

    def test_nobody_there_is_a_timeout(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            address = "ab" * 32 + "@127.0.0.1:%d" % silent.getsockname()[1]
            done = self.run_json("ping", address, "--timeout", "0.5", "--data", self.folder / "b")
        self.check_one_line(done, 3, "cannot reach", "check the address")
        self.assertEqual(done.events[-1]["event"], "summary")

    def test_a_wrong_node_id_is_refused(self):
        node = self.start_node()
        done = self.run_json("ping", "ab" * 32 + "@" + node.ready["listen"][0], "--data", self.folder / "b")
        self.check_one_line(done, 1, "another NodeId", r"\(.*NodeId")
        self.assertEqual(done.last("summary")["received"], 0)

    def test_an_id_without_an_address_needs_a_running_node_that_knows_it(self):
        first = self.start_node(data="first")
        done = self.run_text("ping", first.node_id, "--data", self.folder / "b")
        self.check_one_line(done, 1, "no address", "NODEID@host:port")
        second = self.start_node("--bootstrap", first.address, data="second")
        second.wait_for("peer_up", peer=first.node_id)
        done = self.run_json("ping", first.node_id, "--count", "1", "--data", self.folder / "second")
        self.assertEqual(done.code, 0, done.stderr)

    def test_an_interrupt_ends_with_130(self):
        node = self.start_node(data="first")
        self.start_node("--bootstrap", node.address, data="second")
        for data in ("alone", "second"):
            with self.subTest(data=data):
                ping = self.start("ping", node.address, "--count", "1000", "--data", self.folder / data)
                ping.wait_for("pong")
                self.assertEqual(ping.end(INTERRUPT), 130)

    def test_two_commands_at_once_share_one_node(self):
        node = self.start_node()
        first = self.start("ping", node.address, "--count", "8", "--interval", "0.1", "--data", self.folder / "b")
        first.wait_for("pong")
        second = self.run_json("ping", node.address, "--count", "12", "--interval", "0.1", "--data", self.folder / "b")
        self.assertEqual((second.code, second.last("summary")["received"]), (0, 12), second.stderr)
        self.assertEqual(first.end(), 0)
        self.assertEqual(first.events("summary")[0]["received"], 8)

    def test_settings_for_a_node_that_is_up_already_are_said_to_have_no_effect(self):
        far = self.start_node(data="far")
        near = self.start_node(data="near")
        ping = ["ping", far.address, "--count", "1"]
        told = self.run_json(*ping, "--idle-timeout", "5", "--stun", "192.0.2.1:3478", "--data", self.folder / "near")
        self.assertEqual(told.code, 0, told.stderr)
        self.assertIn("--stun, --idle-timeout", told.stderr)
        self.assertIn("no effect", told.stderr)
        self.assertNotIn("no effect", self.run_json(*ping, "--data", self.folder / "near").stderr)
        self.assertNotIn("no effect", self.run_json(*ping, "--idle-timeout", "5", "--data", self.folder / "own").stderr)

    def test_when_the_running_node_dies_the_command_says_so(self):
        far = self.start_node(data="far")
        near = self.start_node("--bootstrap", far.address, data="near")
        ping = self.start("ping", far.address, "--count", "1000", "--data", self.folder / "near")
        ping.wait_for("pong")
        near.end(KILL)
        self.assertEqual(ping.end(), 1)
        self.assertIn("ended before", ping.stderr())


if __name__ == "__main__":
    unittest.main()
