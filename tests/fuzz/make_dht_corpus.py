#!/usr/bin/env python3
"""Writes the hand-made corpora of the fuzz targets `dht_message` and `endpoint_record`.

The messages are the vectors of vectors/dht and some damaged ones; a record is the payload that the
target signs. Run it from anywhere after adding one; files that a fuzzer found are left alone.
"""

import corpus_files

VECTORS = corpus_files.HERE.parent.parent / "vectors" / "dht"

V4 = "04" + "08080404" + "1092"
V6 = "06" + "26064700000000000000000000000001" + "1092"
RELAY = "11" * 32
HEAD = "000001a3185c5000" + "0e10"  # sequence, lifetime

PAYLOADS = {
    "full": "0104" + HEAD + "0200020001" + "02" + V4 + V6 + "01" + RELAY + "02" + V4 + V6
            + "03010203",
    "empty": "0104" + HEAD + "00000000",
    "later_fields": "0103" + HEAD + "00000000" + "ff" * 20,
    "private": "0103" + HEAD + "0001" + "04c0a801021092" + "0000",
    "narrower": "0104" + HEAD + "0001" + "04c0a801021092" + "0000",
    "loopback": "0101" + HEAD + "0001" + "047f0000011092" + "0000",
    "relay_without_address": "0104" + HEAD + "000001" + RELAY + "0000",
    "version": "0204" + HEAD + "00000000",
    "poisoned": "0104" + "ffffffffffffffff" + "0e10" + "00000000",
    "forever": "0104" + "000001a3185c5000" + "ffff" + "00000000",
}


def messages():
    inputs = {path.stem: path.read_bytes() for path in VECTORS.glob("*.bin")}
    nodes = inputs["nodes"]
    inputs["cut"] = nodes[:-8]
    inputs["forged"] = nodes[:-16] + bytes([nodes[-16] ^ 1]) + nodes[-15:]
    inputs["two_segments"] = b"\x01" + nodes[1:]
    inputs["many_segments"] = b"\xff" * 8
    later = bytearray(inputs["busy"])
    later[22] = 200  # the discriminant of the union
    inputs["unknown_body"] = bytes(later)
    return inputs


def main():
    corpus_files.write("dht_message", messages())
    corpus_files.write("endpoint_record",
                       {name: bytes.fromhex(text) for name, text in PAYLOADS.items()})


if __name__ == "__main__":
    main()
