#!/usr/bin/env python3
"""Writes the hand-made corpora of the fuzz targets of base and identity into corpus/.

Each input is a short text or hexadecimal bytes, named by what it shows. Run it from anywhere after
adding one; files that a fuzzer found are left alone.
"""

import corpus_files

CERTIFICATES = corpus_files.HERE.parent / "vectors" / "certificates"

NODE_ID = "nqyqieti6rywbhdz6xznxtby4sskwl2nifqqtjhat7hvb7ipabrawsdpch"
SEED = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
# "payload of envelope" as a record of the domain `envelope` (number 5), from signed_record_test.cpp.
ENVELOPE = ("05" + "01" + KEY +
            "74e3f0ccc55cf308c31e6833873276d9cb7d7188aca2924b2e4b87b9643b6cdd"
            "457901ea11a3d80cfea7039735e8074a755ee41c94c09d54ce89bcc55468490c" +
            b"payload of envelope".hex())

TEXTS = {
    "socket_address": {
        "v4": "192.0.2.1:443", "v6": "[2001:db8::1]:443", "mapped": "::ffff:127.0.0.1",
        "groups": "1:2:3:4:5:6:7:8", "quad": "64:ff9b::192.0.2.33", "octal": "0177.0.0.1",
        "two_gaps": "1::2::3", "zone": "fe80::1%eth0", "sixteen": "abcdefghijklmnop",
    },
    "node_id": {
        "short": NODE_ID, "upper": NODE_ID.upper(), "typing_error": "a" + NODE_ID[1:],
        "hex": "6c31041268f471609c79f5f2dbcc38e4a4ab2f4d416109a4e09fcf50fd0f0062",
        "zeros": "a" * 52 + "kxajy5",
    },
    "node_address": {
        "id": NODE_ID, "hosts": NODE_ID + "@example.org:1,[::1]:2,1.2.3.4:3",
        "host": "node.example.org:4242", "disguised": "0x7f.1:80", "many": "a:1" + ",a:1" * 16,
        "empty_host": "a:1,,b:2",
    },
    "base32": {
        "foobar": "mzxw6ytboi", "left_over": "mzxr", "hex": "00ff", "padding": "my======",
        "upper": "MZXW6YTB",
    },
    "key_text": {
        "good": f"quicmesh-key-v1 ed25519\n{SEED}\n{KEY}\n",
        "upper": f"quicmesh-key-v1 ed25519\n{SEED.upper()}\n{KEY}\n",
        "mismatch": f"quicmesh-key-v1 ed25519\n{SEED}\n{SEED}\n",
        "version": f"quicmesh-key-v2 ed25519\n{SEED}\n{KEY}\n",
        "cut": f"quicmesh-key-v1 ed25519\n{SEED}\n{KEY}",
    },
}

BYTES = {
    "byte_reader": {
        "varints": "05 04040404 04 25 7bbd 9d7f3e7d c2197c5eff14e88c 4025",
        "integers": "04 00010203 01 0203 04050607 08090a0b0c0d0e0f",
        "prefixed": "02 0606 0161 0161",
        "beyond_the_end": "03 050503 01",
        "huge_prefix": "01 06 ffffffffffffffff",
    },
    "signed_record": {
        "good": ENVELOPE,
        "other_domain": "04" + ENVELOPE[2:],
        "flipped": ENVELOPE[:-2] + "00",
        "cut": ENVELOPE[:150],
        "format": "0502" + ENVELOPE[4:],
    },
}


def main():
    for target, inputs in TEXTS.items():
        corpus_files.write(target, {name: text.encode() for name, text in inputs.items()})
    for target, inputs in BYTES.items():
        corpus_files.write(target, {name: bytes.fromhex(text) for name, text in inputs.items()})
    certificates = {path.stem: path.read_bytes() for path in CERTIFICATES.glob("*.der")}
    corpus_files.write("certificate", certificates)


if __name__ == "__main__":
    main()
