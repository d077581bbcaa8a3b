#!/usr/bin/env python3
"""The matrix of the NAT laboratory: every kind of NAT calls every other, with the real program.

Each run starts two nodes behind fresh mappings, waits until both know their NAT, pings until the path
is direct, and sends a verified file. What was direct is decided by the bytes that the caller's router
saw go to the relay and to the peer, never by the program's word. The result is a table and a JSON file
in lab-results/; the exit code is 1 if a pair is worse than the rule (rule.py).

    matrix.py [--repeats N] [--pairs A:B,C:D...] [--json] [--jobs N] [--delay MS]

The figures are those of N1 to N5 and N7 (time to direct, first byte, relay bytes of a punch); U3.

A pair is CALLER:CALLEE; a kind alone stands for all pairs with it. Needs root.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import datetime
import json
import pathlib
import statistics
import sys
import threading
import time

import rule
from lab import Lab, why_not
from mesh import Mesh, Relay

KINDS = ("none", "full-cone", "address-restricted", "port-restricted", "symmetric-sequential", "symmetric-random",
         "cgnat", "udp-blocked")
# Two hosts that have more in common than the internet: (isolated, hairpin, behind one carrier).
TOGETHER = {
    "same-lan": (False, False, False),
    "same-nat-isolated": (True, False, False),
    "same-nat-hairpin": (True, True, False),
    "same-carrier": (True, False, True),
    "same-carrier-hairpin": (True, True, True),
}
FILE_BYTES = 1 << 20
ACCEPTED_OTHER_BYTES = FILE_BYTES // 10  # of a file that went the one way, over the other
READY_S = 8  # for a node to reach its relay and to know its NAT; where it cannot, the run goes on
DIRECT_S = {rule.DIRECT: 15, rule.PREDICTED: 20, rule.RELAYED: 4, rule.RELAYED_BY_TCP: 4}
RESULTS = pathlib.Path(__file__).resolve().parents[2] / "lab-results"


class Matrix:
    def __init__(self, line):
        self.line = line
        self.lab = Lab()
        self.mesh = Mesh(self.lab)
        self.relay = Relay(self.mesh, "relay", count=2)
        self.ends = {}  # by name, with a lock each: a home has one run at a time
        self.building = threading.Lock()
        self.runs = 0

    def close(self):
        self.mesh.close()
        self.lab.close()

    def end(self, side, kind):
        """The home of this kind on this side ("a" calls "b"), and its lock."""
        with self.building:
            if (side, kind) not in self.ends:
                name = f"{side}{len(self.ends)}"
                self.ends[side, kind] = (self.lab.add_line(name, kind, line=self.line), threading.Lock())
            return self.ends[side, kind]

    def together(self, kind):
        isolated, hairpin, carried = TOGETHER[kind]
        with self.building:
            if kind not in self.ends:
                name = f"t{len(self.ends)}"
                if carried:
                    carrier = self.lab.add_carrier(name, nat=dict(hairpin=hairpin), line=self.line)
                    homes = [self.lab.add_line(f"{name}{i}", "cgnat", carrier=carrier) for i in (1, 2)]
                else:
                    homes = self.lab.add_shared_home(name, "port-restricted", isolated, nat=dict(hairpin=hairpin),
                                                     line=self.line)
                self.ends[kind] = (homes, threading.Lock())
            return self.ends[kind]

    def run(self, caller_kind, callee_kind):
        """One run of a pair; what came of it as a dictionary."""
        if caller_kind in TOGETHER:
            (caller, callee), lock = self.together(caller_kind)
            with lock:
                return self.measure(caller, callee, expectation_of(caller_kind, callee_kind))
        (caller, caller_lock), (callee, callee_lock) = self.end("a", caller_kind), self.end("b", callee_kind)
        with caller_lock, callee_lock:
            return self.measure(caller, callee, expectation_of(caller_kind, callee_kind))

    def measure(self, caller, callee, expectation):
        with self.fresh_run(caller, callee) as run:
            try:
                return run.outcome(expectation)
            except AssertionError as error:  # a program that ended or fell silent; the others go on
                return {"outcome": "unconnected", "connected": False, "technique": "-", "error": str(error),
                        "first_byte_ms": None, "direct_ms": None, "relay_bytes": None, "relay_pings": 0}

    @contextlib.contextmanager
    def fresh_run(self, caller, callee):
        with self.building:
            self.runs += 1
            name = f"run{self.runs}"
        for home in (caller, callee):
            home.rebind()
        run = Run(self.mesh, self.relay, caller, callee, name)
        try:
            yield run
        finally:
            self.mesh.stop(*run.programs)

    def relay_costs(self):
        """IP bytes at the caller of a dial over the relay that tries nothing else, and of each ping."""
        (caller, _), (callee, _) = self.end("a", "port-restricted"), self.end("b", "port-restricted")
        few, many = 2, 22
        costs = []
        for count in (few, many):
            with self.fresh_run(caller, callee) as run:
                costs.append(run.relay_only_bytes(count))
        each = (costs[1] - costs[0]) / (many - few)
        return {"dial": costs[0] - few * each, "ping": each}


class Run:
    """One dial and one transfer between two homes."""

    def __init__(self, mesh, relay, caller, callee, name):
        self.mesh, self.relay = mesh, relay
        self.caller, self.callee = caller, callee
        self.name, self.programs = name, []

    def node(self, home, side, *more):
        node = self.mesh.start_node(home, self.name + side, self.relay, more=more)
        self.programs.append(node)
        return node

    def program(self, home, *arguments):
        running = self.mesh.start(home.netns, *arguments)
        self.programs.append(running)
        return running

    def outcome(self, expectation):
        callee, caller = self.node(self.callee, "b"), self.node(self.caller, "a")
        result = {"relay_up": [], "one_router": self.caller.router is self.callee.router}
        until = time.monotonic() + READY_S
        for node in (caller, callee):
            up = node.waits_for("relay_up", max(0.1, until - time.monotonic()))
            result["relay_up"].append(up is not None)
        for node, up in zip((caller, callee), result["relay_up"]):
            if up:
                node.waits_for("nat", max(0.1, until - time.monotonic()))
        result["nat_before"] = [said(node.seen_so_far("nat")) for node in (caller, callee)]

        before = self.bytes()
        ping = self.program(self.caller, "ping", callee.node_id, "--data", caller.data, "--until-direct", "--interval",
                            "0.01", "--timeout", DIRECT_S[expectation])
        ping.end()
        summary = (ping.events("summary") or [{}])[-1]
        result.update(connected=summary.get("received", 0) > 0, said=summary.get("path"),
                      first_byte_ms=summary.get("first_byte_ms"), direct_ms=summary.get("direct_ms"),
                      relay_bytes=self.bytes()["relay"] - before["relay"],
                      relay_pings=len([pong for pong in ping.events("pong") if pong["path"] == "relayed"]),
                      ping_error=ping.stderr().strip())
        result["outcome"], result["transfer_error"] = self.transfer(caller, callee)
        # Discovery may have gone on: its last word counts.
        result["nat"] = [said(node.seen_so_far("nat")) for node in (caller, callee)]
        result.update(self.technique(caller, callee, summary))
        return result

    def relay_only_bytes(self, count):
        callee, caller = self.node(self.callee, "b", "--relay-only"), self.node(self.caller, "a", "--relay-only")
        for node in (caller, callee):
            node.wait_for("relay_up")
        for node in (caller, callee):
            node.waits_for("nat", READY_S)
        before = self.bytes()["relay"]
        ping = self.program(self.caller, "ping", callee.node_id, "--data", caller.data, "--interval", "0.01", "--count",
                            count)
        if ping.end() != 0:
            raise RuntimeError(f"no ping over the relay: {ping.stderr()}")
        return self.bytes()["relay"] - before

    def bytes(self):
        """IP bytes between the caller and the relay, and between the caller and its peer."""
        if self.caller.router is self.callee.router:
            return {"relay": self.caller.bytes_with(*self.relay.addresses), "peer": 0}
        return {"relay": self.caller.bytes_with(*self.relay.addresses),
                "peer": self.caller.bytes_with(self.callee.public)}

    def transfer(self, caller, callee):
        """("direct", "relayed", "mixed" or "unconnected", why not) by the bytes of a verified file."""
        inbox = self.mesh.folder / (self.name + "inbox")
        inbox.mkdir()
        file = self.mesh.make_file(self.name + "file", FILE_BYTES, seed=self.name.__hash__() & 0xFFFF)
        receiving = self.program(self.callee, "recv", "--once", "--out", inbox, "--data", callee.data)
        receiving.wait_for("ready")
        before = self.bytes()
        sending = self.program(self.caller, "send", file, callee.node_id, "--data", caller.data)
        code = sending.end()
        used = {way: now - before[way] for way, now in self.bytes().items()}
        arrived = inbox / file.name
        good = code == 0 and receiving.end() == 0 and arrived.read_bytes() == file.read_bytes()
        file.unlink()
        if not good:
            return "unconnected", sending.stderr().strip()
        if used["relay"] < ACCEPTED_OTHER_BYTES:
            # On one LAN and through a hairpin no router at the internet sees it: what did not go over
            # the relay can have gone nowhere else.
            elsewhere = self.caller.router is self.callee.router or used["peer"] > FILE_BYTES
            return ("direct" if elsewhere else "mixed"), None
        return ("relayed" if used["peer"] < ACCEPTED_OTHER_BYTES and used["relay"] > FILE_BYTES else "mixed"), None

    @staticmethod
    def technique(caller, callee, summary):
        """By the program's words, of which this is the only use."""
        punches = [event for node in (caller, callee) for event in node.seen_so_far("punch")]
        if summary.get("technique"):
            return {"technique": summary["technique"], "punches": punches}
        won = [event for event in punches if event["outcome"] == "direct"]
        return {"technique": (won or punches or [{"technique": "-"}])[-1]["technique"], "punches": punches}


def said(nats):
    """What a node has last found out about its NAT."""
    return f"{nats[-1]['mapping']}, {nats[-1]['filtering']}, {nats[-1]['ports']}" if nats else None


def expectation_of(caller, callee):
    if caller not in TOGETHER:
        return rule.expected(rule.SIDES[caller], rule.SIDES[callee])
    isolated, hairpin, carried = TOGETHER[caller]
    return rule.expected_behind_one_nat(rule.SIDES["cgnat" if carried else "port-restricted"], isolated, hairpin)


def chosen_pairs(words):
    everything = [(a, b) for a in KINDS for b in KINDS] + [(kind, kind) for kind in TOGETHER]
    if not words:
        return everything
    pairs = []
    for word in words.split(","):
        caller, colon, callee = word.partition(":")
        if not colon:
            pairs += [pair for pair in everything if caller in pair]
        else:
            pairs.append((caller, callee))
        for kind in filter(None, (caller, callee)):
            if kind not in rule.SIDES and kind not in TOGETHER:
                sys.exit(f"no such kind: {kind}; there are {', '.join((*rule.SIDES, *TOGETHER))}")
    return list(dict.fromkeys(pairs))


def middle(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def punch_bytes(run, costs):
    """What a run that went direct sent over the relay besides the dial and the pings. Behind one router both ends'
    bytes are seen, which is another sum."""
    if run["direct_ms"] is None or run["one_router"]:
        return None
    return run["relay_bytes"] - costs["dial"] - run["relay_pings"] * costs["ping"]


def summed(pair, runs, costs):
    """One line of the table."""
    expectation = expectation_of(*pair)
    outcomes = collections.Counter(run["outcome"] for run in runs)
    techniques = collections.Counter(run["technique"] for run in runs)
    return {"caller": pair[0], "callee": pair[1], "expected": expectation, "runs": len(runs),
            "connected": sum(run["connected"] for run in runs), "outcomes": dict(outcomes),
            "technique": techniques.most_common(1)[0][0],
            "first_byte_ms": middle([run["first_byte_ms"] for run in runs]),
            "direct_ms": middle([run["direct_ms"] for run in runs]),
            "direct_worst_ms": max((run["direct_ms"] for run in runs if run["direct_ms"]), default=None),
            "relay_bytes": middle([run["relay_bytes"] for run in runs]),
            "punch_bytes": middle([punch_bytes(run, costs) for run in runs]),
            "worse": sum(rule.is_worse(expectation, run["outcome"]) for run in runs), "details": runs}


def number(value):
    return "-" if value is None else f"{value:.0f}"


HEADINGS = ("caller", "callee", "rule", "judged", "connected", "technique", "first byte ms", "direct ms", "worst",
            "relay bytes", "of punch", "")


def cells(row):
    judged = ", ".join(f"{outcome} {count}" if len(row["outcomes"]) > 1 else outcome
                       for outcome, count in row["outcomes"].items())
    better = row["expected"] not in (rule.DIRECT, rule.PREDICTED) and "direct" in row["outcomes"]
    return (row["caller"], row["callee"], row["expected"], judged, f"{row['connected']}/{row['runs']}",
            row["technique"], number(row["first_byte_ms"]), number(row["direct_ms"]), number(row["direct_worst_ms"]),
            number(row["relay_bytes"]), number(row["punch_bytes"]), "WORSE" if row["worse"] else "better?" if better else "")


def table(rows):
    lines = [HEADINGS, *map(cells, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADINGS))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


def spread(values):
    """Median, 95th percentile and worst of what was measured."""
    values = sorted(value for value in values if value is not None)
    if not values:
        return "-"
    return f"{statistics.median(values):.0f} / {values[int(0.95 * (len(values) - 1))]:.0f} / {values[-1]:.0f}"


def closing_lines(rows):
    """What the table comes to, by what the rule says."""
    lines = []
    for expectation in (rule.DIRECT, rule.PREDICTED, rule.RELAYED, rule.RELAYED_BY_TCP):
        runs = [run for row in rows if row["expected"] == expectation for run in row["details"]]
        if runs:
            connected = sum(run["outcome"] != "unconnected" for run in runs)
            direct = sum(run["outcome"] == "direct" for run in runs)
            lines.append(f"{expectation}: {connected}/{len(runs)} connected, {direct} direct; first byte ms, p50 / p95 / worst: "
                         f"{spread([run['first_byte_ms'] for run in runs])}; direct: "
                         f"{spread([run['direct_ms'] for run in runs])}")
    direct = [run for row in rows for run in row["details"] if run["direct_ms"] is not None]
    for technique in sorted({run["technique"] for run in direct}):
        runs = [run for run in direct if run["technique"] == technique]
        lines.append(f"{technique}, {len(runs)} runs: direct ms, p50 / p95 / worst: "
                     f"{spread([run['direct_ms'] for run in runs])}; relay bytes of the punch: "
                     f"{spread([run['punch_bytes'] for run in runs])}")
    worse = sum(bool(row["worse"]) for row in rows)
    return "\n".join([*lines, f"{len(rows)} pairs, {worse} worse than the rule"])


def grid(rows):
    """All pairs as a Markdown table, for documents: time to direct in ms, median (worst), and the technique."""
    of = {(row["caller"], row["callee"]): row for row in rows}

    def cell(caller, callee):
        row = of.get((caller, callee))
        if row is None:
            return ""
        if row["direct_ms"] is None:
            return "TCP" if row["expected"] == rule.RELAYED_BY_TCP else "relayed"
        return f"{number(row['direct_ms'])} ({number(row['direct_worst_ms'])}) {row['technique']}"

    lines = [["caller \\ callee", *KINDS], ["---"] * (len(KINDS) + 1)]
    lines += [[caller, *(cell(caller, callee) for callee in KINDS)] for caller in KINDS]
    together = [f"{name}: {cell(name, name)}" for name in TOGETHER if (name, name) in of]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n\n" + "; ".join(together) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1, help="runs of each pair (10 for the published table)")
    parser.add_argument("--pairs", default="", help="CALLER:CALLEE,... or a kind for all pairs with it")
    parser.add_argument("--jobs", type=int, default=1, help="pairs at the same time")
    parser.add_argument("--delay", type=float, default=10, help="of a line, ms one way")
    parser.add_argument("--json", action="store_true", help="the result as JSON on standard output")
    options = parser.parse_args()
    if reason := why_not():
        print(f"no laboratory: {reason}", file=sys.stderr)
        return 0

    pairs = chosen_pairs(options.pairs)
    matrix = Matrix({"delay_ms": options.delay})
    began = time.monotonic()
    try:
        costs = matrix.relay_costs()
        rows = run_all(matrix, pairs, options, costs)
    finally:
        matrix.close()
    result = {"when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
              "seconds": round(time.monotonic() - began), "repeats": options.repeats, "line_delay_ms": options.delay,
              "relay_costs": costs, "rows": rows}
    for row in rows:
        for run in row["details"]:
            run["punch_bytes"] = punch_bytes(run, costs)
    RESULTS.mkdir(exist_ok=True)
    text = table(rows) + "\n\n" + closing_lines(rows)
    (RESULTS / "matrix.txt").write_text(text + "\n")
    (RESULTS / "matrix.md").write_text(grid(rows))
    (RESULTS / "matrix.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result) if options.json else "\n" + text, flush=True)
    return 1 if any(row["worse"] for row in rows) else 0


def run_all(matrix, pairs, options, costs):
    def repeat(pair):
        runs = [matrix.run(*pair) for _ in range(options.repeats)]
        row = summed(pair, runs, costs)
        print("  ".join(filter(None, cells(row))), file=sys.stderr, flush=True)
        return row

    with concurrent.futures.ThreadPoolExecutor(max(1, options.jobs)) as pool:
        return list(pool.map(repeat, pairs))


if __name__ == "__main__":
    sys.exit(main())
