#!/usr/bin/env python3
"""Why things are as they are: `why NODE`, `doctor` and the table of `paths NODE`, over loopback."""

import json
import socket
import unittest

from harness import CliTest

WHY = {"event", "peer", "connected", "path", "remote", "relay", "rule", "technique", "plan", "nat_here",
       "nat_there", "reason", "remedy", "decisions", "decisions_dropped"}
DOCTOR = {"event", "type", "mapping", "filtering", "port_allocation", "port_delta", "port_confidence",
          "hairpin", "translated", "cgnat", "pooled", "udp_blocked", "ipv6", "ipv6_filtering",
          "port_mapping", "servers_answered", "rtt_us", "prospects", "external", "lifetime_s", "remedy",
          "relays", "mtu_bytes", "mapped", "mapping_error", "turn"}
PATH = {"event", "row", "path", "kind", "remote", "relay", "leg", "local", "current", "state", "held_s", "rtt_us",
        "loss", "probes_sent", "probes_answered", "mtu_bytes", "bytes_sent", "bytes_received"}
STRANGER = "ab" * 32


def silent_port(test):
    """A UDP port of the loopback interface at which nobody answers."""
    holder = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    holder.bind(("127.0.0.1", 0))
    test.addCleanup(holder.close)
    return f"127.0.0.1:{holder.getsockname()[1]}"


class Explain(CliTest):
    def start_pair(self):
        first = self.start_node(data="first")
        second = self.start_node("--bootstrap", first.address, data="second")
        second.wait_for("peer_up", peer=first.node_id)
        return first, second

    def ask(self, *arguments, data="second"):
        return self.run_json(*arguments, "--data", self.folder / data)

    def ask_raw(self, request, data="second"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(30)
            client.connect(str(self.folder / data / "control.sock"))
            client.sendall(json.dumps(request).encode() + b"\n")
            answer = b""
            while chunk := client.recv(65536):
                answer += chunk
        return [json.loads(line) for line in answer.splitlines()]


class Why(Explain):
    def test_a_direct_connection_has_its_chain_and_its_rule(self):
        first, _ = self.start_pair()
        done = self.ask("why", first.node_id)
        self.assertEqual(done.code, 0, done.stderr)
        self.assertEqual(len(done.events), 1)
        why = done.events[0]
        self.assertEqual(set(why), WHY)
        self.assertEqual((why["connected"], why["path"], why["technique"]), (True, "direct", "plain"))
        self.assertEqual((why["peer"], why["remote"]), (first.node_id, first.ready["listen"][0]))
        self.assertIsNone(why["remedy"])
        self.assertIn("answered the dial first", why["rule"])
        kinds = [decision["kind"] for decision in why["decisions"]]
        self.assertEqual(kinds[:2], ["dialled", "connected"])
        for decision in why["decisions"]:
            self.assertLessEqual({"age_s", "times", "kind", "text"}, set(decision))
            self.assertGreaterEqual(decision["age_s"], 0)
        self.assertEqual(why["decisions"][0]["candidates"], 1)
        self.assertGreater(why["decisions"][1]["rtt_us"], 0)

    def test_people_read_it_too(self):
        first, _ = self.start_pair()
        shown = self.run_text("why", first.node_id, "--data", self.folder / "second")
        self.assertEqual(shown.code, 0, shown.stderr)
        for words in (r"path +direct by 127\.0\.0\.1", r"because +it answered the dial first",
                      r"technique +plain", r" s ago  Dialled 1 address(  \(\d+ times\))?\n", r" s ago  Connected: "):
            self.assertRegex(shown.stdout, words)

    def test_a_relayed_connection_says_why_and_what_would_help(self):
        relay = self.start_node("--relay", data="relay")
        callee = self.start_node("--relay-via", relay.address, data="callee")
        callee.wait_for("relay_up", relay=relay.node_id)
        caller = self.start_node("--relay-via", relay.address, "--relay-only", data="caller")
        caller.wait_for("relay_up", relay=relay.node_id)
        self.assertEqual(self.ask("ping", callee.node_id, "--count", "1", data="caller").code, 0)
        why = self.ask("why", callee.node_id, data="caller").events[0]
        self.assertEqual((why["path"], why["relay"], why["technique"]), ("relayed", relay.node_id, "relay"))
        self.assertIn("relay-only", why["remedy"])
        kinds = [decision["kind"] for decision in why["decisions"]]
        self.assertIn("relay_session", kinds)

    def test_a_peer_that_could_not_be_reached_says_what_its_error_says(self):
        self.start_node(data="second")
        ping = self.ask("ping", f"{STRANGER}@{silent_port(self)}", "--timeout", "0.5", "--count", "1")
        self.assertEqual(ping.code, 3)
        # The node's own dial goes on longer than that command waited.
        why = self.ask("why", STRANGER).events[0]
        self.assertEqual((why["connected"], why["path"], why["technique"]), (False, None, None))
        self.assertEqual(why["decisions"][0]["kind"], "dialled")

    def test_what_is_not_known_is_one_line(self):
        self.start_node(data="second")
        self.check_one_line(self.run_text("why", STRANGER, "--data", self.folder / "second"), 1,
                            "nothing is known", "quicmesh ping")

    def test_without_a_node_there_is_no_answer(self):
        self.check_one_line(self.run_text("why", STRANGER, "--data", self.folder / "none"), 1,
                            "no node runs", "quicmesh up")

    def test_garbage_is_bad_usage(self):
        for garbage in ("not-a-node", STRANGER[:-1], ""):
            with self.subTest(garbage=garbage):
                self.check_one_line(self.run_text("why", garbage, "--data", self.folder / "none"), 2)
        self.start_node(data="second")
        for request in ({"cmd": "why"}, {"cmd": "why", "node": 7}, {"cmd": "why", "node": "\x1b[31m"}):
            with self.subTest(request=request):
                answer = self.ask_raw(request)
                self.assertEqual([line["event"] for line in answer], ["error", "exit"])
                self.assertEqual(answer[1]["code"], 2)


class Ping(Explain):
    def test_the_summary_names_the_technique(self):
        relay = self.start_node("--relay", data="relay")
        callee = self.start_node("--relay-via", relay.address, data="callee")
        callee.wait_for("relay_up", relay=relay.node_id)
        flags = ["--relay-via", relay.address, "--listen", "127.0.0.1:0", "--data", self.folder / "caller"]
        direct = self.run_json("ping", callee.address, "--count", "1", *flags)
        self.assertEqual(direct.last("summary")["technique"], "plain")
        relayed = self.run_json("ping", callee.node_id, "--count", "1", "--relay-only", *flags)
        self.assertEqual(relayed.last("summary")["technique"], "relay")
        nobody = self.run_json("ping", f"{STRANGER}@{silent_port(self)}", "--timeout", "0.3", "--listen",
                               "127.0.0.1:0", "--data", self.folder / "other")
        self.assertIsNone(nobody.last("summary")["technique"])


class Doctor(Explain):
    def check_report(self, done):
        self.assertEqual(done.code, 0, done.stderr)
        self.assertEqual(len(done.events), 1)
        report = done.events[0]
        self.assertEqual(set(report), DOCTOR)
        # Nothing translates addresses on the loopback interface.
        self.assertEqual((report["translated"], report["mapping"]), ("no", "endpoint-independent"))
        self.assertTrue(report["external"].startswith("127.0.0.1:"))
        self.assertGreaterEqual(report["servers_answered"], 1)
        self.assertEqual(len(report["prospects"]), 6)
        for prospect in report["prospects"]:
            self.assertEqual(set(prospect), {"peer", "direct", "technique", "reason"})
            self.assertTrue(prospect["direct"])
        return report

    def test_a_node_of_its_own_asks_a_relay(self):
        relay = self.start_node("--relay", data="relay")
        done = self.run_json("doctor", "--relay-via", relay.address, "--listen", "127.0.0.1:0",
                             "--data", self.folder / "own")
        report = self.check_report(done)
        self.assertEqual([one["relay"] for one in report["relays"]], [relay.node_id])
        self.assertTrue(report["relays"][0]["up"])

    def test_a_running_node_is_asked_and_takes_further_servers(self):
        server = self.start_node("--relay", data="relay").ready["listen"][0]
        self.start_node(data="second")
        self.check_one_line(self.run_text("doctor", "--data", self.folder / "second"), 1,
                            "no server is known", "--stun")
        self.check_report(self.ask("doctor", "--stun", server))
        self.check_report(self.ask("doctor"))  # it is known from now on

    def test_people_read_it_too(self):
        server = self.start_node("--relay", data="relay").ready["listen"][0]
        shown = self.run_text("doctor", "--stun", server, "--listen", "127.0.0.1:0", "--data",
                              self.folder / "own")
        self.assertEqual(shown.code, 0, shown.stderr)
        for words in (r"mapping +endpoint-independent", r"seen from out +127\.0\.0\.1:",
                      r"With a peer whose NAT is\n", r"symmetric, ports random +direct"):
            self.assertRegex(shown.stdout, words)

    def test_servers_that_do_not_answer_are_one_line(self):
        done = self.run_text("doctor", "--stun", silent_port(self), "--listen", "127.0.0.1:0", "--data",
                             self.folder / "own")
        self.check_one_line(done, 3, "no server answered", "--stun")

    def test_without_any_server_it_says_so(self):
        done = self.run_text("doctor", "--listen", "127.0.0.1:0", "--data", self.folder / "own")
        self.check_one_line(done, 1, "no server is known", "--stun")

    def test_garbage_is_bad_usage(self):
        for garbage in ("nowhere", "192.0.2.1", "192.0.2.1:99999"):
            with self.subTest(garbage=garbage):
                done = self.run_text("doctor", "--stun", garbage, "--data", self.folder / "none")
                self.check_one_line(done, 2, "stun")
        self.start_node(data="second")
        for list_of in (["nowhere"], [7], ["192.0.2.1"]):
            answer = self.ask_raw({"cmd": "doctor", "stun": list_of})
            self.assertEqual([line["event"] for line in answer], ["error", "exit"])
            self.assertEqual(answer[1]["code"], 2)


class Paths(Explain):
    def test_every_path_has_all_its_columns(self):
        first, _ = self.start_pair()
        self.assertEqual(self.ask("ping", first.node_id, "--count", "3", "--interval", "0.01").code, 0)
        paths = self.ask("paths", first.node_id).events
        self.assertEqual(len(paths), 1)
        self.assertEqual(set(paths[0]), PATH)
        self.assertEqual(paths[0]["state"], "current")
        self.assertIn(paths[0]["kind"], ("given", "host"))  # dialled, and by now told by the peer too
        self.assertGreater(paths[0]["rtt_us"], 0)
        self.assertGreater(paths[0]["bytes_sent"], 1200)
        self.assertGreater(paths[0]["bytes_received"], 1200)
        shown = self.run_text("paths", first.node_id, "--data", self.folder / "second").stdout.splitlines()
        self.assertEqual(len(shown), 2, shown)
        self.assertRegex(shown[0], r"remote +kind +state +rtt +loss +mtu +sent +received")
        self.assertRegex(shown[1], r"\* 127\.0\.0\.1:\d+ +(given|host) +current ")

    def test_a_relay_is_a_path_too(self):
        relay = self.start_node("--relay", data="relay")
        # The DHT may find a direct path before the relay has carried anything.
        callee = self.start_node("--relay-via", relay.address, "--dht", "off", data="callee")
        callee.wait_for("relay_up", relay=relay.node_id)
        caller = self.start_node("--relay-via", relay.address, "--dht", "off", data="caller")
        caller.wait_for("relay_up", relay=relay.node_id)
        ping = self.ask("ping", callee.node_id, "--until-direct", "--interval", "0.05", "--timeout", "20",
                        data="caller")
        self.assertEqual(ping.code, 0, ping.stderr)
        paths = self.ask("paths", callee.node_id, data="caller").events
        kinds = {path["kind"]: path for path in paths}
        self.assertIn("relay", kinds)
        self.assertEqual(kinds["relay"]["relay"], relay.node_id)
        self.assertGreater(kinds["relay"]["bytes_sent"], 0)
        self.assertFalse(kinds["relay"]["current"])
        self.assertEqual([path["row"] for path in paths], list(range(len(paths))))


if __name__ == "__main__":
    unittest.main()
