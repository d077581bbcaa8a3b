#!/usr/bin/env python3
"""Checks that every header of include/, src/ and sim/ compiles alone.

Each header is given to the compiler as the only include of an empty file (-fsyntax-only). What
passed once is remembered by a hash of the compiler, the flags and the texts of the header and of
all project headers it includes, so that a second run costs milliseconds.

Usage: check_headers.py [--root DIR] [--compiler CXX] [--cache DIR] [--self-test]
"""

import argparse
import concurrent.futures
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import source_tree

FLAGS = ["-std=c++23", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wno-missing-field-initializers"]
FOLDERS = ("include/", "src/", "sim/")
SEARCHED = ("include", "src", ".")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*["<]([^">]+)[">]', re.MULTILINE)


def closure(root, name, known):
    """`name` and the project files it includes, directly or not. `known`: file -> its includes."""
    found, open_names = set(), [name]
    while open_names:
        current = open_names.pop()
        if current in found:
            continue
        found.add(current)
        if current not in known:
            targets = INCLUDE.findall(source_tree.read(root, current))
            beside = os.path.dirname(current)
            candidates = [os.path.normpath(os.path.join(folder, target))
                          for target in targets for folder in (*SEARCHED, beside)]
            known[current] = [path for path in candidates if (pathlib.Path(root) / path).is_file()]
        open_names += known[current]
    return sorted(found)


class Checker:
    def __init__(self, root, compiler, cache):
        self.root, self.compiler, self.cache = pathlib.Path(root), compiler, pathlib.Path(cache)
        self.cache.mkdir(parents=True, exist_ok=True)
        self.version = subprocess.run([compiler, "--version"], check=True, capture_output=True).stdout
        self.known = {}
        self.compiled = 0

    def key(self, name):
        digest = hashlib.sha256(self.version + " ".join([*FLAGS, name]).encode())
        for part in closure(self.root, name, self.known):
            digest.update(part.encode() + b"\0" + (self.root / part).read_bytes())
        return digest.hexdigest()

    def check(self, name, key):
        """The compiler's complaint about `name`, empty if it compiles alone."""
        if (self.cache / key).exists():
            return ""
        self.compiled += 1
        search = [f"-I{self.root / folder}" for folder in SEARCHED]
        command = [self.compiler, *FLAGS, *search, "-fsyntax-only", "-include", str(self.root / name),
                   "-x", "c++", os.devnull]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            return f"{name} does not compile alone:\n{done.stderr}"
        (self.cache / key).touch()
        return ""

    def check_all(self):
        names = [name for name in source_tree.files(self.root, (".hpp", ".h")) if name.startswith(FOLDERS)]
        keys = [self.key(name) for name in names]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            complaints = [text for text in pool.map(self.check, names, keys) if text]
        return len(names), complaints


def self_test(compiler):
    with tempfile.TemporaryDirectory() as folder:
        tree, cache = pathlib.Path(folder, "tree"), pathlib.Path(folder, "cache")
        for name in ("include/quicmesh", "src/base", "sim"):
            (tree / name).mkdir(parents=True)
        (tree / "include/quicmesh/good.hpp").write_text("#pragma once\n#include <string>\nstruct A { std::string s; };\n")
        user = tree / "src/base/user.hpp"
        user.write_text('#pragma once\n#include "quicmesh/good.hpp"\ninline A make() { return {}; }\n')
        lame = tree / "sim/lame.hpp"
        lame.write_text("#pragma once\nstruct B { std::string s; };\n")

        def run():
            checker = Checker(tree, compiler, cache)
            count, complaints = checker.check_all()
            return count, [text.split(" ")[0] for text in complaints], checker.compiled

        checks = {"a header that lacks an include is found": run() == (3, ["sim/lame.hpp"], 3)}
        checks["what passed is remembered, what failed is not"] = run() == (3, ["sim/lame.hpp"], 1)
        lame.write_text("#pragma once\n#include <string>\nstruct B { std::string s; };\n")
        checks["a mended header passes"] = run() == (3, [], 1)
        (tree / "include/quicmesh/good.hpp").write_text("#pragma once\nstruct Other {};\n")
        checks["a change in an included header counts"] = run() == (3, ["src/base/user.hpp"], 2)
    for name, right in checks.items():
        if not right:
            print(f"self-test: {name}: no", file=sys.stderr)
    wrong = list(checks.values()).count(False)
    print(f"check_headers self-test: {len(checks)} cases, {wrong} wrong")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    root = pathlib.Path(__file__).resolve().parent.parent
    parser.add_argument("--root", default=root)
    parser.add_argument("--compiler", default="g++")
    parser.add_argument("--cache", default=root / "build/headers")
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_test:
        sys.exit(1 if self_test(arguments.compiler) else 0)
    checker = Checker(arguments.root, arguments.compiler, arguments.cache)
    count, complaints = checker.check_all()
    sys.stderr.write("\n".join(complaints))
    print(f"check_headers: {count} headers, {checker.compiled} compiled, {len(complaints)} do not compile alone")
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
