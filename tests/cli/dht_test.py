#!/usr/bin/env python3
"""The DHT: nodes that know one other node find all the others, and values. All on the loopback."""

import base64
import json
import unittest

from harness import CliTest, KILL, TERMINATE

SUMMARY = {"event", "hops", "queries", "ms", "complete", "found"}


class Dht(CliTest):
    def mesh(self, count):
        """Nodes of which all but the first know the first alone."""
        nodes = [self.start_node(data="node0")]
        for number in range(1, count):
            nodes.append(self.start_node("--bootstrap", nodes[0].address, data=f"node{number}"))
        for number in range(count):
            self.wait_until_joined(number, count - 1)
        return nodes

    def wait_until_joined(self, number, contacts):
        """Until the node knows that many others."""
        self.wait_until(lambda: self.dht_of(number)["contacts"] >= contacts,
                        f"node {number} does not find {contacts} others")

    def dht_of(self, number):
        return self.ask(number, "status").last("status")["dht"]

    def ask(self, number, *command):
        return self.run_json(*command, "--data", self.folder / f"node{number}")

    def test_a_node_is_dialled_by_its_id_alone(self):
        nodes = self.mesh(4)
        done = self.ask(1, "ping", nodes[3].node_id, "--count", 1)
        self.assertEqual(done.code, 0, done.stderr)
        self.assertEqual(done.last("summary")["received"], 1)
        peers = self.ask(1, "peers").events
        self.assertIn(nodes[3].node_id, [peer["peer"] for peer in peers])
        self.assertTrue(all("tier" in peer and "rtt_us" in peer for peer in peers))
        self.assertEqual(self.dht_of(2)["role"], "server")

    def test_a_node_started_for_one_command_finds_others_as_well(self):
        nodes = self.mesh(3)
        done = self.run_json("ping", nodes[2].node_id, "--bootstrap", nodes[0].address, "--count", 1,
                             "--data", self.folder / "other", "--listen", "127.0.0.1:0")
        self.assertEqual(done.code, 0, done.stderr)
        self.assertEqual(done.last("summary")["received"], 1)

    def test_resolve_and_find_tell_where_nodes_are(self):
        nodes = self.mesh(4)
        done = self.ask(1, "dht", "resolve", nodes[2].node_id)
        self.assertEqual(done.code, 0, done.stderr)
        resolved = done.last("resolved")
        self.assertIn(nodes[2].ready["listen"][0], resolved["addresses"])
        self.assertLessEqual(SUMMARY, set(done.last("summary")))

        done = self.ask(1, "dht", "find", nodes[3].node_id)
        self.assertEqual(done.code, 0, done.stderr)
        self.assertEqual(done.events[0]["node_id"], nodes[3].node_id)
        done = self.ask(1, "dht", "resolve", "ab" * 32)
        self.assertEqual(done.code, 1)
        self.assertFalse(done.last("summary")["found"])
        done = self.ask(1, "ping", "ab" * 32, "--count", 1, "--timeout", 20)
        self.assertEqual(done.code, 1)
        self.assertIn("knows no address", done.last("error")["message"])

    def test_values_are_put_replaced_and_found_elsewhere(self):
        self.mesh(3)
        for text in ("hello", "good evening"):
            done = self.ask(1, "dht", "put", "greeting", text)
            self.assertEqual(done.code, 0, done.stderr)
            stored = done.last("stored")
            self.assertGreaterEqual(stored["stored"], 2)
            self.assertRegex(stored["key"], r"^signed:[0-9a-f]{64}$")
            self.assertEqual(self.ask(2, "dht", "get", stored["key"]).last("value")["value"], text)
            self.assertEqual(self.ask(1, "dht", "get", "greeting").last("value")["value"], text)
        stored = self.ask(0, "dht", "put", "--immutable", "for ever").last("stored")
        self.assertRegex(stored["key"], r"^immutable:[0-9a-f]{64}$")
        self.assertEqual(self.ask(2, "dht", "get", stored["key"]).last("value")["value"], "for ever")
        done = self.ask(2, "dht", "get", "immutable:" + "0" * 64)
        self.assertEqual(done.code, 1)
        self.assertFalse(done.last("summary")["found"])

    def test_values_are_bytes_and_come_out_whole(self):
        self.mesh(2)
        where = ("--data", self.folder / "node1")
        every_byte = bytes(range(256))
        self.assertEqual(self.run_bytes("dht", "put", "bytes", "-", *where, stdin=every_byte).code, 0)
        done = self.run_bytes("dht", "get", "bytes", *where)
        self.assertEqual((done.code, done.stdout), (0, every_byte))
        self.assertRegex(done.stderr, r"^found: \d+ hops?, \d+ requests?, ")
        value = self.ask(1, "dht", "get", "bytes").last("value")
        self.assertEqual(base64.b64decode(value["value_b64"], validate=True), every_byte)
        self.assertNotIn("value", value)
        # As an argument, under its hash, and empty.
        done = self.run_bytes("--json", "dht", "put", "--immutable", b"\xff\xfe".decode(errors="surrogateescape"), *where)
        key = json.loads(done.stdout.splitlines()[0])["key"]
        self.assertEqual(self.run_bytes("dht", "get", key, *where).stdout, b"\xff\xfe")
        self.assertEqual(self.run_bytes("dht", "put", "empty", "", *where).code, 0)
        done = self.ask(1, "dht", "get", "empty")
        self.assertEqual((done.code, done.last("value")["value"]), (0, ""))
        self.assertEqual(self.run_bytes("dht", "get", "empty", *where).stdout, b"")
        # On stdout is what was asked for, and counting is done as people do.
        done = self.run_text("dht", "put", "one", "two", *where)
        self.assertRegex(done.stdout, r"^signed:[0-9a-f]{64}  kept by 1 node\n$")
        self.assertRegex(done.stderr, r"^stored: ")

    def test_keys_and_names_that_cannot_be_are_bad_usage(self):
        where = ("--data", self.folder / "none")  # no node is started for them
        for key in ("signed:zz", "immutable:zz", "signed:", "signed:" + "a" * 63, "immutable:" + "a" * 65):
            self.check_one_line(self.run_text("dht", "get", key, *where), 2, key, "64 hexadecimal digits")
            self.check_one_line(self.run_text("dht", "put", key, "x", *where), 2, "begins like a key")
        for command in (("get", "n" * 33), ("put", "n" * 33, "x")):
            done = self.run_text("dht", *command, *where)
            self.check_one_line(done, 2, "NAME has at most 32 bytes, and this one 33")
        self.check_one_line(self.run_text("dht", "put", "name", *where), 2, "no VALUE", "stdin")
        self.check_one_line(self.run_text("dht", "put", "--immutable", "a", "b", *where), 2, "has no name")
        self.assertFalse((self.folder / "none").exists())

    def test_nobody_to_ask_is_not_an_absent_key(self):
        node = self.start_node(data="lone")
        where = ("--data", self.folder / "lone")
        for command in (("get", "x"), ("resolve", "ab" * 32), ("find", "ab" * 32), ("providers", "ab" * 32),
                        ("provide", "ab" * 32), ("put", "x", "y")):
            done = self.run_json("dht", *command, *where)
            self.assertEqual(done.code, 1, done.stdout)
            self.assertEqual(done.last("error")["code"], "nobody_known", command)
            self.assertIn("--bootstrap", done.last("error")["hint"])
        # What it has itself is found all the same.
        self.assertEqual(self.run_bytes("dht", "get", "x", *where).stdout, b"y")
        self.assertEqual(node.end(KILL), -KILL)
        for command in (("dht", "get", "x"), ("dht", "resolve", "ab" * 32), ("ping", "ab" * 32)):
            done = self.run_json(*command, "--bootstrap", node.address, "--listen", "127.0.0.1:0",
                                 "--data", self.folder / "other")
            self.assertEqual(done.code, 3, done.stdout)
            error = done.last("error")
            self.assertEqual(error["code"], "nobody_reached")
            self.assertIn(node.ready["listen"][0], error["message"])
            self.assertIn(node.ready["address"][:10], error["message"])

    def test_who_provides_a_file_is_found_with_its_addresses(self):
        nodes = self.mesh(4)
        content = self.folder / "content"
        content.write_bytes(b"some content")
        for number in (1, 2):
            done = self.ask(number, "dht", "provide", content)
            self.assertEqual(done.code, 0, done.stderr)
            provided = done.last("provided")
            self.assertRegex(provided["key"], r"^[0-9a-f]{64}$")
            self.assertGreaterEqual(provided["stored"], 2)
            self.assertLessEqual(SUMMARY, set(done.last("summary")))
        self.assertEqual(self.dht_of(1)["provided"], 1)
        self.assertEqual(self.dht_of(0)["provider_records"], 2)
        # By the same content elsewhere, and by its hash.
        copy = self.folder / "copy"
        copy.write_bytes(content.read_bytes())
        for what in (copy, provided["key"], "immutable:" + provided["key"]):
            done = self.ask(3, "dht", "providers", what)
            self.assertEqual(done.code, 0, done.stderr)
            found = {event["node"]: event["addresses"] for event in done.events if event["event"] == "provider"}
            self.assertEqual(set(found), {nodes[1].node_id, nodes[2].node_id})
            self.assertIn(nodes[1].ready["listen"][0], found[nodes[1].node_id])
            self.assertTrue(done.last("summary")["found"])

        for was_provided, code in ((True, 0), (False, 1)):
            done = self.ask(1, "dht", "provide", "--stop", content)
            self.assertEqual(done.code, code, done.stderr)
            self.assertEqual(done.last("stopped")["was_provided"], was_provided)
        self.assertEqual(self.dht_of(1)["provided"], 0)
        done = self.ask(3, "dht", "providers", "ab" * 32)
        self.assertEqual(done.code, 1)
        self.assertFalse(done.last("summary")["found"])
        limits = {event["name"]: event for event in self.ask(0, "limits").events}
        self.assertEqual(limits["dht.provider_records_of_a_key"]["value"], 64)
        self.assertEqual(limits["dht.provider_records"]["drops"], 0)

    def test_what_cannot_be_is_one_line(self):
        self.start_node(data="node0")
        self.check_one_line(self.run_text("dht", "find", "nonsense", "--data", self.folder / "node0"), 2, "nonsense")
        done = self.run_text("dht", "put", "x", "y" * 1025, "--data", self.folder / "node0")
        self.check_one_line(done, 1, "1024 bytes")
        done = self.run_text("dht", "provide", "no-such-file", "--data", self.folder / "node0")
        self.check_one_line(done, 2, "no-such-file")
        self.start_node("--dht", "off", data="off")
        done = self.run_text("dht", "get", "x", "--data", self.folder / "off")
        self.check_one_line(done, 1, "takes no part in the DHT", "without `--dht off`")

    # The first node is gone by then: the others are remembered.
    def test_a_restarted_node_begins_with_those_it_knew(self):
        nodes = self.mesh(3)
        self.assertEqual(nodes[2].end(TERMINATE), 0)
        cache = (self.folder / "node2" / "dht-cache").read_text()
        self.assertIn(nodes[1].ready["address"].split("@")[0], cache)
        self.assertEqual(nodes[0].end(TERMINATE), 0)
        self.start_node(data="node2")
        self.wait_until_joined(2, 1)
        done = self.ask(2, "ping", nodes[1].node_id, "--count", 1)
        self.assertEqual(done.code, 0, done.stderr)

    def test_a_node_that_is_killed_begins_with_those_it_knew(self):
        nodes = self.mesh(3)
        cache = self.folder / "node2" / "dht-cache"
        other = nodes[1].ready["address"].split("@")[0]
        self.wait_until(lambda: cache.exists() and other in cache.read_text(),
                        "contacts are not kept soon after the join")
        nodes[2].end(KILL)
        nodes[0].end(KILL)
        self.start_node(data="node2")
        self.wait_until_joined(2, 1)
        self.assertEqual(self.ask(2, "ping", nodes[1].node_id, "--count", 1).code, 0)


if __name__ == "__main__":
    unittest.main()
