#!/usr/bin/env python3
"""Writes the hand-made corpora of the fuzz targets of path, quic and node into corpus/.

The inputs of the larger targets are scripts, one byte an operation and then its arguments: the
numbers are those of the switch statements in NAME_fuzz.cpp. Each input is named by what it does.
Run it from anywhere after adding one; files that a fuzzer found are left alone.
"""

import corpus_files


def header(kind, name):
    return bytes([kind, len(name)]) + name.encode()


def string(content):
    return bytes([len(content)]) + content


CONTROL = header(1, "quicmesh/control/1")
HINT = bytes([1, 0, 8]) + bytes(range(8))
RETIRE = bytes([2, 0, 0])
# A host and a server-reflexive address, and two bytes of a profile.
CANDIDATES = (bytes([3, 0, 31, 2, 1, 4, 192, 168, 1, 2, 17, 81, 2, 6]) + bytes([0x2A]) + bytes(15)
              + bytes([17, 81, 9, 9]))

FRAMES = {
    "probe_frame": {
        "request": bytes([0x20]) + bytes(34),
        "response": bytes([0x21]) + bytes(range(34)),
        "hint": bytes([0x22]) + bytes([255] * 34),
        "short": bytes([0x20]) + bytes(33),
        "long": bytes([0x20]) + bytes(35),
    },
    "stream_header": {
        "stream": header(1, "example/echo/1") + b"payload",
        "flow": header(2, "example/flow/1"),
        "control": CONTROL,
        "longest": header(1, "x" * 64),
        "too_long": header(1, "x" * 65),
        "space": header(1, "a b"),
        "kind": header(3, "a"),
        "cut": header(1, "example")[:5],
        "nameless": bytes([1, 0]),
    },
    "control_message": {
        "hint": HINT,
        "retire": RETIRE,
        "several": HINT + RETIRE + HINT,
        "unknown": bytes([9, 0, 3, 1, 2, 3]) + RETIRE,
        "hint_of_seven_bytes": bytes([1, 0, 7]) + bytes(7),
        "retire_with_body": bytes([2, 0, 1, 0]),
        "body_too_long": bytes([9, 4, 177]),
        "candidates": CANDIDATES + RETIRE,
        "candidate_of_unknown_kind": bytes([3, 0, 9, 1, 77, 4, 1, 2, 3, 4, 0, 80]),
        "too_many_candidates": bytes([3, 0, 1, 17]),
        "cut": HINT[:5],
    },
}

# Bit 0 of the byte behind each datagram fills it up to 1200 bytes.
PADDED, AS_IT_IS = bytes([1]), bytes([0])


def raw(content, how=AS_IT_IS):
    return bytes([0]) + len(content).to_bytes(2, "big") + content + how


def initial(changes=b"\0\0", how=AS_IT_IS):
    """A genuine Initial; `changes` as changed() reads them: how many, each, the cut."""
    return bytes([1]) + changes + how


def seen(side, index, changes=b"\0\0", how=AS_IT_IS, target=0):
    return bytes([2 | target, side, index]) + changes + how


QUIC = {
    "empty_datagram": raw(b""),
    "one_byte": raw(b"\x40"),
    "version_zero": raw(bytes([0xc0, 0, 0, 0, 0, 8]) + bytes(30), PADDED),
    "unknown_version": raw(bytes([0xc0, 1, 2, 3, 4, 8]) + bytes(20), PADDED),
    "long_ids": raw(bytes([0xc0, 1, 2, 3, 4, 255]) + bytes(255) + bytes([255]) + bytes(255), PADDED),
    "short_header": raw(bytes([0x40]) + bytes(range(60))),
    "junk_initial": raw(bytes([0xc0, 0, 0, 0, 1, 8]) + bytes(8) + bytes([8]) + bytes(200), PADDED),
    "initial": initial(),
    "initial_twice": initial() + initial(),
    "initial_with_another_id": initial(b"\1\0\6\1\xff\0") + initial(b"\1\0\6\1\xfe\0"),
    "initial_cut": initial(b"\0\xc0"),
    "initial_broken": initial(b"\1\0\x80\4\1\2\3\4\0") + bytes([5, 50]),
    "half_open_is_bounded": b"".join(initial(b"\1\0\6\1" + bytes([i]) + b"\0") for i in range(1, 12)),
    "replayed": b"".join(seen(i % 2, i, target=0x80 * (i % 2)) for i in range(8)),
    "replayed_elsewhere": b"".join(seen(0, i, how=bytes([i << 1])) for i in range(8)),
    "changed": b"".join(seen(0, i, b"\1\0\1\2\x80\x80\0") for i in range(6)),
    "joined": bytes([3, 0, 1, 0, 0]) + string(bytes(60)) + AS_IT_IS,
    "own_id_and_junk": bytes([4, 0, 5, 0x1f]) + string(bytes(range(100))) + AS_IT_IS,
    "late": bytes([5, 255]) + seen(0, 0) + bytes([5, 255]) + initial(),
}

# Operations of node_core: bit 7 names the node, bit 6 set is a command of it, else meddling.
A, B, COMMAND = 0x00, 0x80, 0x40
DELIVER, LOSE, DOUBLE, DELAY, CHANGE, RACE, INJECT, RUN, WAIT = 0, 2, 3, 4, 5, 6, 7, 8, 9


def op(node, command, *arguments):
    return bytes([node | COMMAND | command, *arguments])


def meddle(operation, *arguments, node=A):
    return bytes([node | operation, *arguments])


def open_stream(node, kind=1):
    return op(node, 0, kind)


def write(node, stream, size):
    return op(node, 1, stream, size)


def run(ms):
    return meddle(RUN, ms)


TRAFFIC = open_stream(A) + write(A, 0, 200) + open_stream(B) + write(B, 1, 100)

NODE = {
    "transfer": TRAFFIC + run(100) + op(A, 3, 0) + op(B, 3, 0) + run(100),
    "unknown_protocol": open_stream(A, 0) + write(A, 0, 10) + run(100),
    "lost": TRAFFIC + meddle(LOSE) * 6 + run(200),
    "doubled": TRAFFIC + meddle(DOUBLE) * 6 + run(200),
    "out_of_order": TRAFFIC + meddle(DELIVER, 5) * 4 + meddle(DELAY) * 3 + run(200),
    "changed": TRAFFIC + meddle(CHANGE, 0, 20, 4, 1, 2, 3, 4) * 3 + run(200),
    "raced_from_another_port": TRAFFIC + meddle(RACE, 0x12) + run(200) + write(A, 0, 50) + run(200),
    "raced_from_another_address": TRAFFIC + meddle(RACE, 4) + run(200) + write(A, 0, 50) + run(200),
    "raced_from_the_second_path": TRAFFIC + meddle(RACE, 1) + run(200) + write(A, 0, 50) + run(200),
    "injected": TRAFFIC + meddle(INJECT, 4) + string(bytes([0x40] * 60))
                + meddle(INJECT, 0) + string(bytes([0x20]) + bytes(34)) + run(100),
    "moved": TRAFFIC + run(50) + op(A, 7, 1) + run(100) + write(A, 0, 200) + run(100) + op(A, 7, 0)
             + run(255),
    "suggested": TRAFFIC + run(50) + op(B, 8, 1) + run(255) + op(B, 8, 0) + run(255),
    "moved_and_lost": TRAFFIC + run(50) + op(A, 7, 1) + meddle(LOSE) * 5 + run(255),
    "silence": TRAFFIC + run(50) + write(A, 0, 200) + meddle(LOSE) * 10 + meddle(WAIT, 255) * 12
               + meddle(LOSE) * 20 + run(255),
    "key_updates": TRAFFIC + run(50) + op(A, 9) + write(A, 0, 9) + run(50) + op(B, 9) + run(50),
    "reset": TRAFFIC + run(20) + op(A, 4, 0, 7) + run(100),
    "stopped": TRAFFIC + run(20) + op(A, 5, 0, 7) + write(B, 0, 9) + run(100),
    "reset_and_stopped": TRAFFIC + op(A, 4, 0, 7) + op(A, 5, 0, 7) + op(B, 5, 0, 7) + run(100),
    "datagrams": op(A, 6) + run(50) + op(A, 6) + string(b"hello") + op(A, 6) + string(b"") + run(50),
    "nobody_reads": op(B, 10) + TRAFFIC + write(A, 0, 255) * 30 + run(255),
    "goodbye": TRAFFIC + run(20) + op(A, 11, 0) + run(100),
    "begin_close": TRAFFIC + op(B, 11, 1) + run(255) * 2,
    "goodbye_from_both": TRAFFIC + op(A, 11, 0) + op(B, 11, 0) + run(100),
    "dialled_again": TRAFFIC + op(A, 11, 0) + run(100) + op(A, 11, 2) + run(200),
}

# control_stream: what the hostile peer does; the first byte says whether it dials (0) or accepts.
OPEN, WRITE, FINISH, RESET, STOP, DATAGRAM, FRAME, LET, KEY, CREDIT = range(10)


def hostile_stream(content, bidirectional=0, end=False):
    out = bytes([OPEN, bidirectional, WRITE, 255]) + string(content)
    return out + (bytes([FINISH, 255]) if end else b"")


def control(*messages):
    return hostile_stream(CONTROL + b"".join(messages)) + bytes([LET, 50])


HOSTILE = {
    "control_hint": control(HINT, RETIRE),
    "control_malformed": control(bytes([1, 0, 7]) + bytes(7)),
    "control_candidates": control(CANDIDATES, RETIRE),
    "control_twice": control(HINT) + control(RETIRE),
    "control_ended": hostile_stream(CONTROL + HINT[:5], end=True) + bytes([LET, 50]),
    "control_both_ways": hostile_stream(CONTROL + RETIRE, bidirectional=1) + bytes([LET, 50]),
    "retire_and_go_on": control(RETIRE) + hostile_stream(header(1, "fuzz/hostile") + b"x", 1)
                        + bytes([LET, 50]),
    "nameless": hostile_stream(bytes([9, 9, 9])) + bytes([LET, 50]),
    "header_in_pieces": hostile_stream(header(1, "fuzz/hostile")[:5], 1) + bytes([LET, 20, WRITE, 255])
                        + string(header(1, "fuzz/hostile")[5:] + b"data") + bytes([LET, 20]),
    "header_cut_short": hostile_stream(header(1, "fuzz/hostile")[:5], 1, end=True) + bytes([LET, 20]),
    "known_protocol": hostile_stream(header(1, "fuzz/hostile") + b"data", 1, end=True)
                      + bytes([LET, 50]),
    "unknown_protocol": hostile_stream(header(1, "fuzz/nobody") + b"data", 1) + bytes([LET, 50]),
    "flow": hostile_stream(header(2, "fuzz/hostile"), 1) + bytes([LET, 20, DATAGRAM])
            + string(b"\0data") + bytes([DATAGRAM]) + string(b"\xc0") + bytes([LET, 20]),
    "reset_at_once": (bytes([OPEN, 1, WRITE, 255]) + string(b"\1") + bytes([RESET, 255, 9])) * 8
                     + bytes([LET, 50]),
    "stopped": hostile_stream(header(1, "fuzz/hostile"), 1) + bytes([LET, 20, STOP, 255, 9, LET, 50]),
    "frames": b"".join(bytes([FRAME, kind, path]) + bytes(8) + bytes([0, path])
                       for kind in range(3) for path in range(8)) + bytes([LET, 50]),
    "later_epochs": b"".join(bytes([FRAME, 0, 0]) + bytes(8) + bytes([epoch, 0])
                             for epoch in range(1, 30)) + bytes([LET, 50]),
    "keys": bytes([KEY, LET, 50, KEY, LET, 50]),
    "many_streams": (bytes([OPEN, 1, WRITE, 255]) + string(b"\1\x40")) * 60 + bytes([LET, 50]),
}


def main():
    targets = {**FRAMES, "quic_datagram": QUIC, "node_core": NODE}
    targets["control_stream"] = {
        f"{name}_{role}": bytes([first]) + script
        for name, script in HOSTILE.items()
        for first, role in ((0, "dialler"), (1, "acceptor"))
    }
    for target, inputs in targets.items():
        corpus_files.write(target, inputs)


if __name__ == "__main__":
    main()
