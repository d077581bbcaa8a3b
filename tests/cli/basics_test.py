#!/usr/bin/env python3
"""The command line itself: help, usage errors, identities, settings and their sources."""

import os
import re
import stat
import subprocess
import unittest

from harness import BINARY, CliTest, Finished, PATIENCE

COMMANDS = [["id"], ["up"], ["status"], ["peers"], ["paths"], ["why"], ["doctor"], ["ping"], ["send"], ["recv"],
            ["config"], ["config", "show"], ["limits"], ["bench"], ["sim"], ["demo"], ["dht"], ["dht", "put"],
            ["dht", "get"], ["dht", "find"], ["dht", "resolve"], ["dht", "provide"], ["dht", "providers"]]
SOME_ID = "ab" * 32


class Usage(CliTest):
    def test_every_subcommand_has_help_with_an_example(self):
        for command in COMMANDS:
            with self.subTest(command=command):
                done = self.run_text(*command, "--help")
                self.assertEqual(done.code, 0)
                self.assertIn("Example:\n  ", done.stdout)
                self.assertIn("quicmesh " + " ".join(command), done.stdout)
                for everywhere in ("--data", "--json", "--log", "--config"):
                    self.assertIn(everywhere, done.stdout)

    def test_sim_tells_what_may_be_set_of_a_scenario(self):
        done = self.run_json("sim", "dht-million", "--help")
        self.assertEqual(done.code, 0, done.stderr)
        parameters = {event["parameter"]: event for event in done.events}
        self.assertEqual((parameters["churn_percent"]["default"], parameters["churn_percent"]["bounds"]), ("5", [0, 100]))
        self.assertIn("trace hash", parameters["threads"]["meaning"])
        self.assertIn("no-express", self.run_text("sim", "dht-lookup", "--help").stdout)
        names = [event["scenario"] for event in self.run_json("sim", "list").events]
        self.assertIn("transfer-loss", names)
        for name in names:
            with self.subTest(scenario=name):
                self.assertEqual(self.run_text("sim", name, "--help").code, 0)
        # The bounds are those that a run has.
        done = self.run_text("sim", "dht-million", "--set", "churn_percent=500")
        self.check_one_line(done, 2, "churn_percent", "from 0 to 100")
        done = self.run_text("sim", "dht-lookup", "--set", "nods=20")
        self.check_one_line(done, 2, "nods=20: no such parameter; there are: .*nodes", "sim SCENARIO --help")
        done = self.run_text("sim", "dht-lookup", "--nodes", 20, "--set", "nodes=30")
        self.check_one_line(done, 2, "say the same")
        done = self.run_text("sim", "dht-lookup", "--nodes", 20, "--seed", 1, "--set", "lookups=3")
        self.assertEqual(done.code, 1)
        self.assertIn("among 20 nodes no two were strangers", done.stdout)

    def test_version(self):
        done = self.run_text("--version")
        self.assertEqual(done.code, 0)
        self.assertRegex(done.stdout, r"^quicmesh \d+\.\d+\.\d+\n$")

    def test_nothing_to_do_is_bad_usage(self):
        self.assertEqual(self.run_text().code, 2)

    def test_bad_usage_is_one_line_and_exit_code_2(self):
        for arguments, word in [
                (["nonsense"], "nonsense"), (["up", "--nonsense"], "nonsense"), (["ping"], "NODE"),
                (["ping", "not-a-node"], "not-a-node"), (["ping", SOME_ID, "--count", "0"], "count"),
                (["ping", SOME_ID + "@nowhere"], "nowhere"), (["send", "file"], "NODE"),
                (["send", "file", SOME_ID, "--rate", "fast"], "rate"),
                (["up", "--listen", "127.0.0.1"], "listen"), (["up", "--listen", "1.2.3.4:99999"], "listen"),
                (["up", "--bootstrap", "x@y:1"], "bootstrap"), (["bench", "nonsense"], "nonsense"),
                (["config"], "subcommand"), (["--log", "loud", "id"], "loud"),
                (["recv", "--from", "nobody"], "nobody")]:
            with self.subTest(arguments=arguments):
                self.check_one_line(self.run_text(*arguments), 2, "^quicmesh: ", word)

    def test_what_excludes_itself_or_is_no_number_is_bad_usage(self):
        node = "kaaaaaaaaa"
        for words in (["--relay-only", "--direct-only"], ["--timeout", "nan"], ["--interval", "inf"]):
            self.assertEqual(self.run_json("ping", node, *words).code, 2, words)

    def test_with_json_a_usage_error_is_an_event_too(self):
        done = self.run_json("ping", "not-a-node")
        self.assertEqual(done.code, 2)
        self.assertEqual(set(done.last("error")), {"event", "code", "message", "hint"})

    def test_limits_have_values_and_policies(self):
        done = self.run_json("limits")
        self.assertEqual(done.code, 0)
        self.assertGreater(len(done.events), 10)
        for limit in done.events:
            self.assertGreater(limit["value"], 0)
            self.assertTrue(limit["policy"])

    def test_bench_takes_a_number_of_connections_where_it_has_one(self):
        self.assertEqual(self.run_json("bench", "memory", "--connections", "many").code, 2)
        self.assertEqual(self.run_json("bench", "memory", "--connections", "0").code, 2)
        done = self.run_json("bench", "quic", "--connections", "7")
        self.assertEqual(done.code, 2)
        self.assertIn("connections: this benchmark knows", done.events[-1]["error"])

    def test_bench_list(self):
        self.assertEqual(self.run_json("bench", "list").code, 0)


class StandardOutput(CliTest):
    def run_into(self, stdout, *arguments, before=None):
        done = subprocess.run([BINARY, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=stdout,
                              stderr=subprocess.PIPE, text=True, env=self.environment, cwd=self.folder,
                              timeout=PATIENCE, preexec_fn=before)
        return Finished(done.returncode, "", done.stderr)

    def test_what_cannot_be_written_is_a_failure(self):
        for command in (["id"], ["--json", "id"], ["config", "show"], ["limits"], ["--help"], ["--version"],
                        ["up", "--help"], ["up", "--listen", "127.0.0.1:0"],
                        ["recv", "--listen", "127.0.0.1:0"]):
            with self.subTest(command=command), open("/dev/full", "w") as full:
                self.check_one_line(self.run_into(full, *command), 1, "cannot write to stdout: No space left")

    def test_a_closed_stdout_leads_into_no_other_file(self):
        data = self.folder / "data"
        self.assertEqual(self.run_into(None, "id", "--data", data, before=lambda: os.close(1)).code, 0)
        self.assertRegex((data / "lock").read_text(), r"^\d+\n$")


class Identity(CliTest):
    def test_made_once_and_guarded(self):
        data = self.folder / "deep" / "data"
        first = self.run_json("id", "--data", data)
        self.assertEqual(first.code, 0)
        identity = first.events[0]
        self.assertRegex(identity["node_id"], "^[0-9a-f]{64}$")
        self.assertRegex(identity["public_key"], "^[0-9a-f]{64}$")
        self.assertEqual(stat.S_IMODE(os.stat(data / "identity.key").st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(data).st_mode), 0o700)
        self.assertEqual(self.run_json("id", "--data", data).events, first.events)

    def test_the_default_folder_follows_xdg(self):
        self.assertEqual(self.run_text("id").code, 0)
        self.assertTrue((self.folder / "xdg-data" / "quicmesh" / "identity.key").exists())

    def test_new_keeps_the_old_key(self):
        data = self.folder / "data"
        first = self.run_json("id", "--data", data).events[0]
        second = self.run_json("id", "--new", "--data", data).events[0]
        self.assertNotEqual(first["node_id"], second["node_id"])
        self.assertEqual(len(list(data.glob("identity.key.*"))), 1)

    def test_new_is_refused_while_a_node_runs(self):
        self.start_node(data="data")
        self.check_one_line(self.run_text("id", "--new", "--data", self.folder / "data"), 1, "uses the identity")

    def test_an_exposed_key_is_refused(self):
        data = self.folder / "data"
        self.run_text("id", "--data", data)
        (data / "identity.key").chmod(0o644)
        for command in (["id"], ["up"]):
            with self.subTest(command=command):
                self.check_one_line(self.run_text(*command, "--data", data), 1, "identity.key", r"\(.*\)")

    def test_a_damaged_key_is_refused_and_left(self):
        data = self.folder / "data"
        self.run_text("id", "--data", data)
        (data / "identity.key").write_text("nonsense\n")
        self.check_one_line(self.run_text("up", "--data", data), 1, "identity.key")
        self.assertEqual((data / "identity.key").read_text(), "nonsense\n")

    def test_a_data_folder_that_cannot_be(self):
        (self.folder / "file").write_text("")
        self.check_one_line(self.run_text("id", "--data", self.folder / "file" / "x"), 1, "data folder", "--data")


class Configuration(CliTest):
    def setUp(self):
        super().setUp()
        self.file = self.folder / "mesh.toml"

    def settings(self, *arguments):
        done = self.run_json("config", "show", *arguments)
        self.assertEqual(done.code, 0, done.stderr)
        return {event["key"]: (event["value"], event["source"]) for event in done.events}

    def test_flag_beats_environment_beats_file_beats_default(self):
        self.assertEqual(self.settings()["idle_timeout"], ("30", "default"))
        self.file.write_text("# mesh\nidle_timeout = 41\nlog = 'info'\nlisten = ['127.0.0.1:1', '[::1]:1']\n")
        with_file = self.settings("--config", self.file)
        self.assertEqual(with_file["idle_timeout"], ("41", f"{self.file}:2"))
        self.assertEqual(with_file["log"], ("info", f"{self.file}:3"))
        self.assertEqual(with_file["listen"], (["127.0.0.1:1", "[::1]:1"], f"{self.file}:4"))
        self.environment["QUICMESH_IDLE_TIMEOUT"] = "42"
        self.assertEqual(self.settings("--config", self.file)["idle_timeout"], ("42", "QUICMESH_IDLE_TIMEOUT"))
        with_flag = self.settings("--config", self.file, "--idle-timeout", "43")
        self.assertEqual(with_flag["idle_timeout"], ("43", "--idle-timeout"))

    def test_passwords_of_turn_servers_are_never_shown(self):
        self.environment["QUICMESH_TURN_PASSWORD"] = "wonderland"
        self.file.write_text("turn = ['turn:bob:looking:glass@192.0.2.1', 'alice@turn.example.org:3479']\n")
        shown = self.settings("--config", self.file)
        self.assertEqual(shown["turn"][0], ["turn:bob:***@192.0.2.1:3478", "turn:alice@turn.example.org:3479"])
        self.assertEqual(shown["turn_password"], ("***", "QUICMESH_TURN_PASSWORD"))
        for text in ("turn:192.0.2.1", "turn:hunter2@", "turn::hunter2@192.0.2.1", "turn:bob:hunter2@192.0.2.1:0:1"):
            with self.subTest(text=text):
                done = self.run_text("up", "--turn", text)
                self.assertEqual(done.code, 2)
                self.assertIn("turn:user", done.stderr)
                self.assertNotIn("hunter2", done.stderr + done.stdout)

    def test_the_file_is_found_by_environment_and_in_its_usual_place(self):
        self.file.write_text("keep_alive = 5\n")
        self.environment["QUICMESH_CONFIG"] = str(self.file)
        self.assertEqual(self.settings()["keep_alive"], ("5", f"{self.file}:1"))
        del self.environment["QUICMESH_CONFIG"]
        usual = self.folder / "xdg-config" / "quicmesh" / "config.toml"
        usual.parent.mkdir(parents=True)
        usual.write_text("keep_alive = 6\n")
        self.assertEqual(self.settings()["keep_alive"], ("6", f"{usual}:1"))

    def test_faults_of_the_file_are_told_with_their_line(self):
        for text, line, words in [
                ("log = 'info'\nlisen = []\n", 2, 'unknown key "lisen"'),
                ("\n\nidle_timeout = 'soon'\n", 3, "soon"), ("idle_timeout = -1\n", 1, "seconds"),
                ("listen = '127.0.0.1:1'\n", 1, "array"), ("listen = ['127.0.0.1']\n", 1, "127.0.0.1"),
                ("bootstrap = ['x']\n", 1, "bootstrap"), ("log = \n", 1, ""), ("a = 1\n", 1, "unknown key"), ("[log]\nlevel = 2\n", 1, "log"),
                ("max_connections = 1.5\n", 1, "number"), ("mdns = 'maybe'\n", 1, "true or false"),
                ("log = {}\n", 1, "log")]:
            with self.subTest(text=text):
                self.file.write_text(text)
                for command in (["config", "show"], ["up"]):
                    self.check_one_line(self.run_text(*command, "--config", self.file), 2,
                                        re.escape(f"{self.file}:{line}: "), words)

    def test_a_missing_file_is_bad_configuration(self):
        self.check_one_line(self.run_text("id", "--config", self.folder / "none.toml"), 2, "none.toml")
        self.check_one_line(self.run_text("id", "--config", self.folder), 2, "cannot read")

    def test_what_is_no_file_of_settings_is_not_read_for_ever(self):
        os.mkfifo(self.folder / "pipe")
        self.check_one_line(self.run_text("id", "--config", self.folder / "pipe"), 2, "no regular file")
        self.check_one_line(self.run_text("id", "--config", "/dev/zero"), 2, "too large|no regular file")
        self.file.write_text("# comment\n" * 200_000)
        self.check_one_line(self.run_text("id", "--config", self.file), 2, "too large")
        self.assertEqual(self.run_text("id", "--config", "/dev/null").code, 0)

    def test_a_bad_environment_names_the_variable(self):
        self.environment["QUICMESH_LOG"] = "loud"
        self.check_one_line(self.run_text("id"), 2, "QUICMESH_LOG", "loud")


if __name__ == "__main__":
    unittest.main()
