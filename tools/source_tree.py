"""The files that the checks in tools/ look at, and C++ text without its comments and strings.

In a git work tree the files are the tracked ones, so that somebody's unfinished file breaks nobody
else's check; elsewhere (a release tarball, the temporary tree of a self-test) all files count.
"""

import pathlib
import re
import subprocess

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
