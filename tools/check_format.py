#!/usr/bin/env python3
"""Checks the layout of the C++ sources with clang-format-19 and .clang-format; `make format` applies it.

Usage: check_format.py [--root DIR] [--fix] [--self-test]
"""

import argparse
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import source_tree

# Another version lays out other lines; the number is part of the rule.
CLANG_FORMAT = "clang-format-19"


def run(root, fix=False):
    """Formats or checks all files; returns the complaints of clang-format, empty if all is well."""
    names = source_tree.files(root, (".hpp", ".cpp"))
    mode = ["-i"] if fix else ["--dry-run", "-Werror"]
    chunks = [names[start:start + 16] for start in range(0, len(names), 16)]

    def one(chunk):
        done = subprocess.run([CLANG_FORMAT, *mode, *chunk], cwd=root, capture_output=True, text=True)
        return done.stderr if done.returncode else ""

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return "".join(pool.map(one, chunks))


def self_test(root):
    with tempfile.TemporaryDirectory() as tree:
        shutil.copy(pathlib.Path(root, ".clang-format"), tree)
        pathlib.Path(tree, "a.cpp").write_text("int f() {\n  return 1;\n}\n")
        badly = pathlib.Path(tree, "b.hpp")
        badly.write_text("int  g( int a ){return a ;}\n")
        complaints = run(tree)
        checks = {
            "a badly laid out file is found": "b.hpp:1" in complaints,
            "a well laid out file is not": "a.cpp" not in complaints,
            "--fix mends it": run(tree, fix=True) == "" and run(tree) == "",
            "--fix changes layout alone": badly.read_text() == "int g(int a) {\n  return a;\n}\n",
        }
    for name, right in checks.items():
        if not right:
            print(f"self-test: {name}: no", file=sys.stderr)
    wrong = list(checks.values()).count(False)
    print(f"check_format self-test: {len(checks)} cases, {wrong} wrong")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument("--fix", action="store_true")
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if shutil.which(CLANG_FORMAT) is None:
        sys.exit(f"{CLANG_FORMAT} not found: run scripts/setup.sh --tests")
    if arguments.self_test:
        sys.exit(1 if self_test(arguments.root) else 0)
    complaints = run(arguments.root, arguments.fix)
    sys.stderr.write(complaints)
    print("check_format: run `make format`" if complaints else "check_format: all well")
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
