"""What the checks in tools/ share: which files they look at, C++ text without its comments and
strings, and the command line of those that read one file after another.

In a git work tree the files are the tracked ones, so that somebody's unfinished file breaks nobody
else's check; elsewhere (a release tarball, the temporary tree of a self-test) all files count.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

SKIPPED_FOLDERS = {"build", ".git", "__pycache__", "bench-results", "nightly-results"}


def files(root, suffixes):
    """Relative POSIX paths of the files below `root` whose name ends in one of `suffixes`, sorted."""
    root = pathlib.Path(root)
    if (root / ".git").exists():
        # A mounted or copied work tree may belong to another user; git would refuse to list it.
        listing = subprocess.run(
            ["git", "-c", f"safe.directory={root.resolve()}", "-C", str(root), "ls-files", "-z"],
            check=True, capture_output=True, text=True).stdout
        names = [name for name in listing.split("\0") if name and (root / name).is_file()]
    else:
        names = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
        names = [name for name in names if not SKIPPED_FOLDERS.intersection(name.split("/"))]
    return sorted(name for name in names if name.endswith(tuple(suffixes)))


def read(root, name):
    return (pathlib.Path(root) / name).read_text(encoding="utf-8", errors="replace")


_TOKEN = re.compile(
    # The name in an #include is a string too, but one that the checks read; it stays.
    r'(?P<include>^[ \t]*#[ \t]*include[ \t]*["<][^">\n]*[">])'
    r'|//[^\n]*'                                      # line comment
    r'|/\*.*?\*/'                                     # block comment
    r'|R"(?P<mark>[^()\\\s]{0,16})\(.*?\)(?P=mark)"'  # raw string
    r'|"(?:\\.|[^"\\\n])*"'                           # string
    r"|(?<![0-9A-Za-z_])'(?:\\.|[^'\\\n])*'",         # character; not the ' of 65'536
    re.DOTALL | re.MULTILINE)


def code_only(text):
    """C++ source with comments gone and literals empty; every line keeps its number."""

    def blank(match):
        token = match.group(0)
        if match.group("include"):
            return token
        lines = "\n" * token.count("\n")
        if token.startswith("/"):
            return " " + lines
        quote = "'" if token.startswith("'") else '"'
        return quote + lines + quote

    return _TOKEN.sub(blank, text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def self_test(check, planted):
    """How many of the `planted` files (name, text, what is complained of or None) are misjudged."""
    wrong = 0
    for name, text, expected in planted:
        with tempfile.TemporaryDirectory() as root:
            path = pathlib.Path(root, name)
            path.parent.mkdir(parents=True)
            path.write_text(text)
            found = check(root)
        right = not found if expected is None else len(found) == 1 and expected in found[0]
        if not right:
            wrong += 1
            print(f"self-test: {name}: expected {expected!r}, found {found}", file=sys.stderr)
    return wrong


def run_check(name, complaints_are, check, planted, description):
    """The command line of a check: `check(root)` gives a list of complaints."""
    parser = argparse.ArgumentParser(description=description.split("\n")[0])
    parser.add_argument("--root", default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_test:
        wrong = self_test(check, planted)
        print(f"{name} self-test: {len(planted)} cases, {wrong} wrong")
        sys.exit(1 if wrong else 0)
    complaints = check(arguments.root)
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    print(f"{name}: {len(complaints)} {complaints_are}")
    sys.exit(1 if complaints else 0)
