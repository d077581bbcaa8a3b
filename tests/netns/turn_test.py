#!/usr/bin/env python3
"""A real coturn beneath connections: as the only relay that two nodes have in common, and as what
they fall back on when the relay that they met over is killed.

That TURN carries the bytes, and in which form, is decided by counters on the coturn host, never by
the program's word.
"""

import json
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))

import harness
from harness import CliTest
from lab import Lab, why_not

COTURN = "/usr/bin/turnserver"
REASON = why_not() or ("" if os.access(COTURN, os.X_OK) else "coturn is not installed (scripts/setup.sh --tests)")
FILE_BYTES = 4 << 20
PORT = 3478

# ChannelData begins with 0x40 to 0x4F, an indication with 0x00.
COUNTERS = f"""
table inet count {{
  counter channel_in {{}}
  counter channel_out {{}}
  counter indication_in {{}}
  chain input {{ type filter hook input priority 0; policy accept;
    iifname "eth0" udp dport {PORT} @th,64,8 & 0xf0 == 0x40 counter name channel_in
    iifname "eth0" udp dport {PORT} @th,64,16 0x0016 counter name indication_in
  }}
  chain output {{ type filter hook output priority 0; policy accept;
    oifname "eth0" udp sport {PORT} @th,64,8 & 0xf0 == 0x40 counter name channel_out
  }}
}}
"""


@unittest.skipIf(REASON, REASON)
class OverTurn(CliTest):
    def setUp(self):
        super().setUp()
        self.environment["QUICMESH_ALLOW_BOGON"] = "1"
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        relay_host, address = self.lab.add_public("relay")
        self.relay = self.start_in(relay_host, "up", "--relay", "--listen", f"{address}:4433", "--data",
                                   self.folder / "relay")
        self.relay_address = f"{self.relay.wait_for('ready')['node_id']}@{address}:4433"
        self.turn_host, self.turn_address = self.lab.add_public("turn")
        self.start_coturn()
        subprocess.run([*self.lab.inside(self.turn_host), "nft", "-f", "-"], input=COUNTERS, text=True, check=True)

    def counted(self):
        """Bytes by counter."""
        listed = subprocess.run([*self.lab.inside(self.turn_host), "nft", "-j", "list", "counters"], check=True,
                                capture_output=True, text=True).stdout
        return {one["counter"]["name"]: one["counter"]["bytes"] for one in json.loads(listed)["nftables"]
                if "counter" in one}

    def start_in(self, host, *arguments):
        running = harness.Running(self, arguments, command=[*self.lab.inside(host), harness.BINARY])
        self.addCleanup(self._stop, running)
        return running

    def run_in(self, host, *arguments):
        running = self.start_in(host, *arguments)
        return running.end(), running

    def start_coturn(self):
        log = open(self.folder / "coturn.log", "wb")
        self.addCleanup(log.close)
        self.coturn = subprocess.Popen(
            [*self.lab.inside(self.turn_host), COTURN, "-n", f"--listening-ip={self.turn_address}",
             f"--relay-ip={self.turn_address}", f"--listening-port={PORT}", "--lt-cred-mech",
             "--user=alice:wonderland", "--realm=example.org", "--no-tls", "--no-dtls", "--no-cli", "--no-tcp",
             "--log-file=stdout", f"--pidfile={self.folder}/coturn.pid", f"--userdb={self.folder}/coturn.db"],
            stdout=log, stderr=log)
        self.addCleanup(self.stop_coturn)

    def stop_coturn(self):
        if self.coturn.poll() is None:
            self.coturn.kill()
        self.coturn.wait()

    def strangers(self, kind):
        """Two nodes without any relay of ours; both have an account at the TURN server."""
        self.environment["QUICMESH_TURN_PASSWORD"] = "wonderland"
        (self.folder / "inbox").mkdir()
        turn = ["--turn", f"turn:alice@{self.turn_address}:{PORT}"]
        self.caller_host, caller_address = self.lab.add_home("a", kind)
        callee_host, callee_address = self.lab.add_home("b", kind)
        self.callee = self.start_in(callee_host, "up", "--data", self.folder / "b", "--listen",
                                    f"{callee_address}:4433", *turn)
        self.callee_id = self.callee.wait_for("ready")["node_id"]
        self.callee_at = f"{self.callee_id}@{self.callee.wait_for('turn_up')['relayed']}"
        receiver = self.start_in(callee_host, "recv", "--out", self.folder / "inbox", "--data", self.folder / "b")
        receiver.wait_for("ready")
        self.caller = self.start_in(self.caller_host, "up", "--data", self.folder / "a", "--listen",
                                    f"{caller_address}:4433", *turn)
        self.caller.wait_for("turn_up")

    def test_two_nodes_with_nothing_but_the_server_in_common(self):
        self.strangers("symmetric")
        code, ping = self.run_in(self.caller_host, "ping", self.callee_at, "--data", self.folder / "a")
        self.assertEqual(code, 0, ping.stderr())
        self.assertEqual({pong["path"] for pong in ping.events("pong")}, {"relayed"})
        up = self.caller.wait_for("peer_up")
        self.assertEqual((up["turn"], up["relay"]), (True, None))
        before = self.counted()
        relayed = self.send("bulk")
        after = self.counted()
        rose = {name: after[name] - before[name] for name in after}
        print(f"over TURN alone: {relayed} bytes received by the server of {FILE_BYTES}; {rose}", flush=True)
        # They begin with an allocation each. When one's own address is let in at the other's they may
        # go on with a single one, on the sender's leg or on the receiver's.
        self.assertGreater(max(rose["channel_in"], rose["channel_out"]), FILE_BYTES, rose)
        self.assertLess(rose["indication_in"], FILE_BYTES // 100, rose)
        self.check_explanations()
        self.assertEqual(self.caller.end(harness.INTERRUPT), 0)
        self.assertEqual(self.callee.end(harness.INTERRUPT), 0)

    def check_explanations(self):
        _, shown = self.run_in(self.caller_host, "why", self.callee_id, "--data", self.folder / "a")
        why = shown.events("why")[0]
        self.assertEqual((why["path"], why["relay"], why["technique"]), ("relayed", None, "relay"))
        self.assertTrue(any("over a TURN server" in one["text"] for one in why["decisions"]), why["decisions"])
        _, shown = self.run_in(self.caller_host, "doctor", "--data", self.folder / "a", "--stun",
                               f"{self.turn_address}:{PORT}")
        turn = shown.events("doctor")[0]["turn"]
        self.assertEqual([(one["server"], one["error"]) for one in turn], [(f"{self.turn_address}:{PORT}", None)])
        self.assertTrue(turn[0]["relayed"].startswith(self.turn_address))

    def test_they_leave_the_server_when_a_direct_path_is_found(self):
        self.strangers("port-restricted")
        code, ping = self.run_in(self.caller_host, "ping", self.callee_at, "--data", self.folder / "a",
                                 "--until-direct", "--interval", "0.05", "--timeout", "20")
        self.assertEqual(code, 0, ping.seen)
        relayed = self.send("bulk")
        self.assertLess(relayed, FILE_BYTES // 50)
        self.assertEqual(self.caller.end(harness.INTERRUPT), 0)
        ups = [event for event in self.caller.events("peer_up") if event["peer"] == self.callee_id]
        self.assertEqual(len(ups), 1, "one connection")

    def test_a_command_that_starts_a_node_dials_over_the_server(self):
        self.strangers("symmetric")
        ping = ["ping", self.callee_at, "--data", self.folder / "c", "--count", "1", "--timeout", "8"]
        # Without an account there the address is nobody's.
        code, _ = self.run_in(self.caller_host, *ping)
        self.assertNotEqual(code, 0)
        code, shown = self.run_in(self.caller_host, *ping, "--turn", f"turn:alice@{self.turn_address}:{PORT}")
        self.assertEqual(code, 0, shown.stderr())

    def homes(self, turn_of_caller):
        """Two nodes that know the relay; one of them has an account at the TURN server."""
        self.caller_host, caller_address = self.lab.add_home("a", "symmetric")
        callee_host, callee_address = self.lab.add_home("b", "symmetric")
        (self.folder / "inbox").mkdir()
        # The password comes from the environment, as it should.
        self.environment["QUICMESH_TURN_PASSWORD"] = "wonderland"
        turn = ["--turn", f"turn:alice@{self.turn_address}:{PORT}"]
        self.callee = self.start_in(
            callee_host, "recv", "--out", self.folder / "inbox", "--data", self.folder / "b", "--listen",
            f"{callee_address}:4433", "--relay-via", self.relay_address, *([] if turn_of_caller else turn))
        self.callee_id = self.callee.wait_for("ready")["node_id"]
        self.caller = self.start_in(
            self.caller_host, "up", "--data", self.folder / "a", "--listen", f"{caller_address}:4433",
            "--relay-via", self.relay_address, *(turn if turn_of_caller else []))
        awaited = {"relay_up", "turn_up"} if turn_of_caller else {"relay_up"}  # in any order
        self.wait_until(lambda: awaited <= self.seen_by(self.caller), f"{awaited}")
        for up in self.caller.events("turn_up"):
            self.assertEqual(up["relayed"].rsplit(":", 1)[0], self.turn_address)
        self.wait_until(lambda: self.run_in(
            self.caller_host, "ping", self.callee_id, "--data", self.folder / "probe", "--relay-only",
            "--relay-via", self.relay_address)[0] == 0, "the callee registers")

    @staticmethod
    def seen_by(running):
        """The kinds of the events so far."""
        while not running.lines.empty():
            line = running.lines.get()
            if line is None:
                running.lines.put(None)
                break
            running.seen.append(line)
        return {event["event"] for event in running.seen}

    def paths(self):
        _, shown = self.run_in(self.caller_host, "paths", self.callee_id, "--data", self.folder / "a")
        return shown.events("path")

    def send(self, name):
        file = self.make_file(name, FILE_BYTES)
        before = self.lab.received_bytes(self.turn_host)
        code, sending = self.run_in(self.caller_host, "send", file, self.callee_id, "--data", self.folder / "a")
        self.assertEqual(code, 0, sending.stderr())
        self.assertEqual((self.folder / "inbox" / name).read_bytes(), file.read_bytes())
        return self.lab.received_bytes(self.turn_host) - before

    def check(self, turn_of_caller):
        self.homes(turn_of_caller)
        code, ping = self.run_in(self.caller_host, "ping", self.callee_id, "--data", self.folder / "a")
        self.assertEqual(code, 0, ping.seen)
        self.wait_until(lambda: any(path["kind"] == "turn" and path["rtt_us"] for path in self.paths()),
                        "a path over TURN answers")
        self.relay.signal(harness.KILL)
        self.relay.end()
        # In the same connection: nobody is dialled anew, for there is no way to.
        relayed = self.send("after")
        self.assertGreater(relayed, FILE_BYTES)
        current = [path for path in self.paths() if path["current"]]
        self.assertEqual(current[0]["kind"], "turn", current)
        self.assertEqual(current[0]["path"], "relayed")
        self.assertEqual(self.caller.end(harness.INTERRUPT), 0)
        downs = [event for event in self.caller.events("peer_down") if event["peer"] == self.callee_id]
        self.assertLessEqual(len(downs), 1)
        ups = [event for event in self.caller.events("peer_up") if event["peer"] == self.callee_id]
        self.assertEqual(len(ups), 1, "one connection")
        print(f"turn of the {'caller' if turn_of_caller else 'callee'}: {relayed} bytes at the TURN server of "
              f"{FILE_BYTES}", flush=True)

    def test_the_dialler_has_the_server(self):
        self.check(True)

    def test_the_acceptor_has_the_server(self):
        self.check(False)

    def test_wrong_credentials_are_told_with_a_hint_and_without_the_password(self):
        host, address = self.lab.add_public("c")
        node = self.start_in(host, "up", "--data", self.folder / "c", "--listen", f"{address}:4433", "--turn",
                             f"turn:alice:hunter2@{self.turn_address}:{PORT}", "--log", "trace")
        down = node.wait_for("turn_down")
        self.assertIn("password", down["reason"])
        self.assertTrue(down["hint"])
        node.end(harness.INTERRUPT)
        self.assertNotIn("hunter2", node.stderr() + str(node.seen))

    def test_a_restarted_server_relays_again(self):
        host, address = self.lab.add_public("c")
        self.environment["QUICMESH_TURN_PASSWORD"] = "wonderland"
        node = self.start_in(host, "up", "--data", self.folder / "c", "--listen", f"{address}:4433", "--turn",
                             f"turn:alice@{self.turn_address}:{PORT}")
        node.wait_for("turn_up")
        self.stop_coturn()
        self.start_coturn()
        node.wait_for("turn_down")
        node.wait_for("turn_up")


if __name__ == "__main__":
    if REASON:
        print(f"skipped: {REASON}")
    unittest.main(verbosity=2)
