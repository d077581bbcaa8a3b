#!/usr/bin/env python3
"""Writes the hand-made corpora of the fuzz targets of stun, nat and turn into corpus/.

Messages are those of RFC 5769 and RFC 8489 appendix B and variants of them; scripts are one byte an
operation and then its arguments, with the numbers of the switch statements in NAME_fuzz.cpp. Each
input is named by what it shows. Run it from anywhere after adding one; files that a fuzzer found
are left alone.
"""

import corpus_files

HEAD = "2112a442b7e7a701bc34d686fa87dfae"
REQUEST = ("00010058" + HEAD + "802200105354554e207465737420636c69656e74" + "002400046e0001ff" +
           "80290008932ff9b151263b36" + "000600096576746a3a68367659202020" +
           "000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2" + "80280004e57a3bcf")
V4 = ("0101003c" + HEAD + "8022000b7465737420766563746f7220" + "002000080001a147e112a643" +
      "000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7" + "80280004c07d4c96")
V6 = ("01010048" + HEAD + "8022000b7465737420766563746f7220" +
      "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9" +
      "00080014a382954e4be67bf11784c97c8292c275bfe3ed41" + "80280004c8fb0b4c")

MESSAGES = {
    "request": REQUEST,
    "v4": V4,
    "v6": V6,
    "bare": "00010000" + HEAD,
    "wrong_fingerprint": V4[:-2] + "00",
    "behind_fingerprint": "00010010" + HEAD + "8028000400000000" + "000d000400000001",
    "error_420": "01110010" + HEAD + "0009000400000414" + "000a000200030000",
    "change_request": "00010008" + HEAD + "0003000400000006",
    "response_port": "00010008" + HEAD + "00270004c3500000",
    "cut": REQUEST[:50],
}

PROFILES = {
    "full": "01ea949afffe4b05012c",
    "empty": "01000000000000000000",
    "version_2": "02000000000000000000",
    "reserved": "01000001000000000000",
    "signed": "0000000069000000" + "01ea949afffe4b05012c",
}

ASK, TIME, INJECT, FLIP_UP, FLIP_DOWN, LOSE, SERVE, DELIVER = range(8)
EXCHANGES = {
    "plain": [0, ASK, 0, SERVE, 0, DELIVER, 0],
    "lost_once": [0, ASK, 32, SERVE, 0, LOSE, TIME, 60, SERVE, 0, DELIVER, 0],
    "change_both": [1, ASK, 7, SERVE, 0, DELIVER, 3],
    "refused": [0, ASK, 7, SERVE, 0, DELIVER, 0],
    "response_port": [1, ASK, 8, 0xC3, 0x50, SERVE, 0, DELIVER, 0],
    "low_port": [1, ASK, 8, 0, 53, SERVE, 0, DELIVER, 0],
    "unknown_attribute": [0, ASK, 16, 0x70, 0x01, 2, 1, 2, SERVE, 0, DELIVER, 0],
    "flipped": [0, ASK, 32, FLIP_UP, 0, 30, 255, 0, SERVE, 0, SERVE, 0, DELIVER, 0],
    "given_up": [0, ASK, 0] + [TIME, 255] * 40,
}

# A server, whether it stands in, and the sockets (anything but 1 modulo 16 opens).
DISCOVERY = [2, 1] + [0] * 7
ANSWER, NEXT, CLOCK, STAND_IN, JUNK, DROP = 0, 1, 2, 3, 4, 5
DISCOVERIES = {
    "silence": DISCOVERY,
    "cone": DISCOVERY + [ANSWER, 3, 2, 10] * 40,
    "other_address": DISCOVERY + [ANSWER, 4, 2, 10, 7] * 40,
    "stand_in": [1, 0] + [0] * 7 + [ANSWER, 3, 2, 10] * 20 + [CLOCK, 200, STAND_IN, 0x84, 1] * 20,
    "errors": DISCOVERY + [ANSWER, 0, 2, 10] * 20,
    "lying_sources": DISCOVERY + [ANSWER, 0x83, 2, 10, 3] * 20,
    "failed_sockets": [2, 1] + [1] * 7,
}

<<<<<<< tests/fuzz/make_stun_corpus.py
PUNCH_MESSAGES = {
    "begin": "01010101abcd",
    "accept": "010203010102",
    "predicted": "0103020202039c40fffe08",
    "openers_out": "01040301ffff0100",
    "end": "010502050000",
    "version_2": "02010101abcd",
}

# Two peers: ours and theirs (a byte of kinds, two of delta), how, and the round trip in ms.
CONE, SEQUENTIAL, RANDOM = [0x0D, 0, 0], [0x2F, 0, 1], [0x3F, 0, 0]
WORD, FITTING, LATER, SAMPLE, SOCKETS, HEARD, ANSWERED = 0, 1, 2, 4, 5, 6, 7
ACCEPT, PREDICTED, OUT = [11, 1], [7, 1], [13, 1]  # technique and type, round
NUMBERS = [0x9C, 0x40, 0, 1, 8]
PUNCHES = {
    "synchronised": CONE + CONE + [0, 40] + CONE + CONE + [1, 40] + [0, LATER, 50] * 20,
    "predicted": SEQUENTIAL + CONE + [0, 40] + CONE + CONE + [0, 40] +
                 [0, SOCKETS, 0, 0, LATER, 20, 0, SAMPLE, 0x9C, 0x40] * 5 + [0, ANSWERED, 0],
    "predicting": CONE + SEQUENTIAL + [0, 40] + CONE + CONE + [0, 40] +
                  [0, FITTING] + PREDICTED + NUMBERS + [0, LATER, 80] * 3 + [0, HEARD],
    "both": SEQUENTIAL + SEQUENTIAL + [0, 40] + CONE + CONE + [0, 40] +
            [0, LATER, 20, 0, SOCKETS, 0, 0, SAMPLE, 0x9C, 0x40, 0, FITTING] + PREDICTED + NUMBERS,
    "many_sockets": RANDOM + CONE + [0, 40] + CONE + CONE + [0, 40] +
                    [0, FITTING] + ACCEPT + NUMBERS + ([0, SOCKETS] + [0] * 8 + [0, LATER, 16]) * 33,
    "random_ports": CONE + RANDOM + [0, 40] + CONE + CONE + [0, 40] + [0, FITTING, 10, 1] + NUMBERS +
                    [0, FITTING] + OUT + NUMBERS + [0, LATER, 200] * 25,
    "unattested": CONE + SEQUENTIAL + [2, 40] + CONE + CONE + [2, 40] + [0, FITTING] + PREDICTED +
                  NUMBERS + [0, LATER, 80] * 5,
=======
WAIT, PERMIT, SEND, FROM_PEER, FLIP, LOST, FORGED, RESTART, MUTE, REFUSE, HAND_OVER = range(11)
ALLOCATE = [HAND_OVER] * 2
TALK = [SEND, 2, 100, 3, HAND_OVER, HAND_OVER, SEND, 2, 100, 3, FROM_PEER, 2, 4, 1, 2, 3, 4, HAND_OVER]
TURNS = {
    "allocated": ALLOCATE,
    "talk": ALLOCATE + [PERMIT, 2, HAND_OVER] + TALK * 2,
    "restarted": ALLOCATE + [PERMIT, 2, HAND_OVER] + TALK + [RESTART, WAIT, 251] + [HAND_OVER] * 6 + TALK,
    "silent": ALLOCATE + [MUTE] + [WAIT, 255] * 10 + [MUTE] + [WAIT, 255, HAND_OVER] * 8,
    "no_quota": [REFUSE, 3, 186] + [HAND_OVER, WAIT, 200] * 10,
    "stale_for_ever": ALLOCATE + [REFUSE, 4, 138] + [WAIT, 251, HAND_OVER, HAND_OVER, HAND_OVER, HAND_OVER],
    "many_peers": ALLOCATE + [byte for peer in range(0, 120, 2)
                              for byte in (PERMIT, peer, HAND_OVER, SEND, peer, 1, 1, HAND_OVER)],
    "forged": ALLOCATE + [FORGED, 6, 0x40, 0, 0, 2, 1, 2, FORGED, 3, 0x40, 0, 9, FORGED, 0],
    "flipped": ALLOCATE + [PERMIT, 2, FLIP, 0, 30, 255, 0, HAND_OVER, HAND_OVER] + TALK,
    "hours": ALLOCATE + [PERMIT, 2, HAND_OVER] + TALK + [WAIT, 255, HAND_OVER] * 60,
>>>>>>> /tmp/mapper-turn/mine.py
}


def main():
    for target, inputs in {"stun_message": MESSAGES, "nat_profile": PROFILES,
                           "punch_message": PUNCH_MESSAGES}.items():
        corpus_files.write(target, {name: bytes.fromhex(text) for name, text in inputs.items()})
    corpus_files.write("stun_exchange", EXCHANGES)
    corpus_files.write("nat_discovery", DISCOVERIES)
<<<<<<< tests/fuzz/make_stun_corpus.py
    corpus_files.write("puncher", PUNCHES)
=======
    corpus_files.write("turn_client", TURNS)
>>>>>>> /tmp/mapper-turn/mine.py


if __name__ == "__main__":
    main()
