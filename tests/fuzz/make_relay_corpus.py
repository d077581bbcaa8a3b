#!/usr/bin/env python3
"""Writes the hand-made corpora of the relay's fuzz targets into corpus/relay_{wire,server,client}
and corpus/tunnel_frame.

The numbers of the operations are those of the switch statements in relay_server_fuzz.cpp and
relay_client_fuzz.cpp. Run it from anywhere after adding an input; files that a fuzzer found are
left alone.
"""

import corpus_files

NODE = bytes(range(32))
V4 = bytes([4, 10, 0, 0, 1, 1, 187])
V6 = bytes([6]) + bytes([0x20, 1, 0xd, 0xb8]) + bytes(11) + bytes([7, 1, 187])
HINT = NODE + bytes([2]) + V4 + V6


def message(kind, body=b""):
    return (1 + len(body)).to_bytes(2, "big") + bytes([kind]) + body


REFUSED = message(6, bytes([2]) + NODE + bytes([4, 99, 1]) + HINT)
WIRE = {
    "header": bytes([0x30]) + bytes(range(8)) + bytes([0, 1]) + bytes([0x40] * 30),
    "header_of_responder": bytes([0x31]) + bytes(range(8)) + bytes([0, 1, 0x40]),
    "header_alone": bytes([0x30]) + bytes(10),
    "challenge": bytes([0x32, 0]) + bytes(32),
    "answer": bytes([0x33, 1]) + bytes(range(32)),
    "challenge_of_nobody": bytes([0x32, 2]) + bytes(32),
    "register": message(1),
    "connect": message(2, NODE),
    "load_query": message(3, bytes(4)),
    "registered": message(4, V6 + bytes(8) + bytes([0, 64, 37])),
    "session": message(5, bytes(range(8)) + NODE + bytes([1])),
    "refused": REFUSED,
    "load": message(7, bytes([1, 2, 3, 4, 50])),
    "draining": message(8, bytes([2]) + HINT + HINT),
    "signal": message(9, NODE + b"candidate"),
    "signal_longest": message(9, NODE + bytes(1200)),
    "signal_too_long": message(9, NODE + bytes(1201)),
    "close_session": message(10, bytes(8) + bytes([3])),
    "several": message(1) + message(2, NODE) + REFUSED + message(77, b"later") + message(3, bytes(4)),
    "mapped": message(4, bytes([6]) + bytes(10) + bytes([255, 255, 127, 0, 0, 1, 0, 1]) + bytes(11)),
    "empty_message": bytes([0, 0]),
    "too_long": bytes([5, 1, 9]),
    "cut": REFUSED[:20],
}

(UP, DOWN, REGISTER, CONNECT, MOVE, RAW, CLOSE, SIGNAL, TRAIN, _, _, ANSWER, WAIT_MS, WAIT_S,
 BACKLOG, DRAIN) = range(16)


def op(operation, *arguments, client=0):
    return bytes([client << 4 | operation, *arguments])


def join(*clients):
    return b"".join(op(UP, c, client=c) + op(REGISTER, client=c) for c in clients)


def train(source, kinds, segment=60, room=23):
    return op(TRAIN, source, segment, len(kinds) - 1) + bytes(kinds) + bytes([room])


PAIR = join(0, 1) + op(CONNECT, 1, client=0)
A_SENDS, B_SENDS = 0, 1
SERVER = {
    "session": PAIR + train(0, [A_SENDS] * 8) + train(1, [B_SENDS] * 8),
    "third_party": PAIR + join(2) + train(2, [A_SENDS, B_SENDS]) + train(9, [A_SENDS, B_SENDS]),
    "rebinding": PAIR + train(9, [A_SENDS]) + op(ANSWER, 0, 0, 0x80) + train(9, [A_SENDS])
                 + train(1, [B_SENDS]),
    "forged_answers": PAIR + train(9, [A_SENDS, B_SENDS]) + op(ANSWER, 0, 5, 0x80)
                      + op(ANSWER, 0, 1, 0x80) + op(ANSWER, 0, 0, 3) + train(9, [A_SENDS]),
    "replayed_answer": PAIR + train(9, [A_SENDS]) + op(ANSWER, 0, 0, 0x80) * 2
                       + op(MOVE, 4, client=0) + op(ANSWER, 0, 0, 0x80) + train(9, [A_SENDS]),
    "late_answer": PAIR + train(9, [A_SENDS]) + op(WAIT_S, 11) + op(ANSWER, 0, 0, 0x80),
    "small_frame_from_elsewhere": PAIR + train(9, [A_SENDS], segment=5),
    "moved": PAIR + op(MOVE, 5, client=1) + train(5, [B_SENDS]) + train(0, [A_SENDS])
             + train(1, [B_SENDS]),
    "left": PAIR + op(DOWN, client=1) + train(0, [A_SENDS]) + op(UP, 1, client=1)
            + train(0, [A_SENDS]),
    "closed": PAIR + op(CLOSE, 0, client=1) + train(0, [A_SENDS]),
    "closed_by_a_stranger": PAIR + join(2) + op(CLOSE, 0, client=2) + train(0, [A_SENDS]),
    "idle": PAIR + op(WAIT_S, 59) + train(0, [A_SENDS]) + op(WAIT_S, 59) + op(WAIT_S, 2)
            + train(0, [A_SENDS]),
    "mixed_train": join(0, 1, 2) + op(CONNECT, 1, client=0) + op(CONNECT, 2, client=0)
                   + train(0, [0, 0, 2, 2, 0, 1]) + train(0, [0, 2, 0x40], room=0),
    "garbage_in_train": PAIR + op(TRAIN, 0, 60, 2) + bytes([0, 0x88]) + bytes(8) + bytes([0x40, 9]),
    "over_rate": PAIR + train(0, [A_SENDS] * 24, segment=255) * 40 + op(WAIT_MS, 200)
                 + train(0, [A_SENDS] * 24, segment=255),
    "quotas": join(0, 1, 2, 3, 4, 5, 6, 7) + b"".join(
        op(CONNECT, b, client=a) for a in range(6) for b in range(6)),
    "signals": PAIR + op(SIGNAL, 1, client=0) * 40 + op(BACKLOG, 40, client=1)
               + op(SIGNAL, 1, client=0) + op(BACKLOG, 255, client=1),
    "raw_messages": PAIR + b"".join(op(RAW, len(m), client=0) + m for m in WIRE.values() if len(m) < 256),
    "never_registered": op(UP, 3, client=3) + op(WAIT_S, 10),
    "drained": PAIR + op(DRAIN, 0) + join(2) + op(CONNECT, 0, client=1) + train(0, [A_SENDS]),
    "two_at_one_address": op(UP, 3, client=0) + op(REGISTER, client=0) + op(UP, 3, client=1)
                          + op(REGISTER, client=1) + op(CONNECT, 1, client=0)
                          + train(3, [A_SENDS, B_SENDS]),
}

# Operations of relay_client: the relay in the upper half, a peer behind each, then its arguments.
(C_ADD, C_REMOVE, C_UP, C_DOWN, C_REGISTERED, C_SESSION, C_REFUSED, C_LOAD, C_CONNECT, C_CLOSE, C_RAW,
 C_RECEIVE, C_WAIT_MS, C_WAIT, C_SUSPECT, C_SIGNAL) = range(16)


def cl(operation, *arguments, relay=0, peer=1):
    return bytes([relay << 4 | operation, peer, *arguments])


def up(*names):
    return b"".join(cl(C_ADD, relay=r) + cl(C_UP, relay=r) + cl(C_REGISTERED, 5, relay=r)
                    + cl(C_LOAD, 5, relay=r) for r in names)


RELAY_A, RELAY_B = 0, 1
PUBLIC, LINK_LOCAL = bytes([93, 184, 216, 34, 1, 187]), bytes([169, 254, 169, 254, 0, 80])
CLIENT = {
    "session": up(RELAY_A) + cl(C_CONNECT) + cl(C_SESSION, 0, 3) + cl(C_RECEIVE, 6, 3),
    "two_relays": up(RELAY_A, RELAY_B) + cl(C_CONNECT) + cl(C_SESSION, 0, 3)
                  + cl(C_SESSION, 0, 4, relay=1) + cl(C_DOWN) + cl(C_WAIT) * 20,
    "challenged": up(RELAY_A) + cl(C_SESSION, 1, 3) + cl(C_RECEIVE, 26, 3) * 30
                  + cl(C_RECEIVE, 10, 3) + cl(C_RECEIVE, 27, 3),
    "redirected": cl(C_ADD) + cl(C_UP) + cl(C_REFUSED, 0, 3, 2, 7, 1) + PUBLIC + bytes([8, 1])
                  + LINK_LOCAL + cl(C_WAIT) * 30,
    "refused": up(RELAY_A) + cl(C_CONNECT) + cl(C_REFUSED, 1, 0, 0) + cl(C_CONNECT)
               + cl(C_REFUSED, 1, 4, 0) + cl(C_WAIT) * 5,
    "silent": up(RELAY_A) + cl(C_WAIT) * 8,
    "suspected": up(RELAY_A, RELAY_B) + cl(C_SUSPECT, 1) + cl(C_WAIT) * 4 + cl(C_SUSPECT, 0),
    "never_up": cl(C_ADD) + cl(C_CONNECT) + cl(C_WAIT) * 60,
    "surveys": up(RELAY_A, RELAY_B, 2, 3) + (cl(C_WAIT) + cl(C_LOAD, 5) + cl(C_LOAD, 5, relay=1)) * 60,
    "removed": up(RELAY_A) + cl(C_SESSION, 1, 3) + cl(C_REMOVE) + cl(C_RECEIVE, 4, 3),
    "closed": up(RELAY_A) + cl(C_CONNECT) + cl(C_SESSION, 0, 3) + cl(C_CLOSE) + cl(C_SESSION, 0, 4),
    "stolen_session": up(RELAY_A, RELAY_B) + cl(C_SESSION, 1, 3) + cl(C_SESSION, 1, 3, relay=1, peer=2),
    "raw": up(RELAY_A) + b"".join(cl(C_RAW, len(m)) + m for m in WIRE.values() if len(m) < 256),
    "session_before_reservation": cl(C_ADD) + cl(C_UP) + cl(C_SESSION, 1, 3),
    "signal": up(RELAY_A) + cl(C_SIGNAL, 3) + b"abc" + cl(C_SIGNAL, 0),
}


def frame(size, fill=0x40):
    return size.to_bytes(2, "big") + bytes([fill] * size)


FRAMES = {
    "one": frame(1),
    "train": frame(200) * 5 + frame(70) + frame(200),
    "growing": b"".join(frame(size) for size in range(1, 60)),
    "largest": frame(65507) + frame(3),
    "cut": frame(100)[:50],
    "cut_header": frame(9) + bytes([1]),
    "zero": frame(9) + frame(0) + frame(9),
    "too_long": frame(9) + bytes([0xff, 0xe4]) + bytes(20),
    "http": b"GET / HTTP/1.1\r\n\r\n",
}


def main():
    targets = {"relay_wire": WIRE, "relay_server": SERVER, "relay_client": CLIENT, "tunnel_frame": FRAMES}
    for target, inputs in targets.items():
        corpus_files.write(target, inputs)


if __name__ == "__main__":
    main()
