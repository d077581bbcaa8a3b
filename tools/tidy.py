#!/usr/bin/env python3
"""Checks the house rules that no compiler knows (ARCHITECTURE.md, CONTRIBUTING.md).

Text rules are regular expressions over the code without comments and literals, each with the places
where it does not apply. Function lengths come from matching braces: a block whose header has a
parameter list and that is no namespace or class is a function; lambdas count to the function around
them. A `co_await` expression is read from the keyword to where its statement ends or the
parenthesis around it closes.

Usage: tidy.py [--root DIR] [--self-test]
"""

import pathlib
import re

import source_tree

FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 100

CPP = (".hpp", ".cpp", ".h", ".c", ".inc")
SCRIPTS = (".py", ".sh", ".cmake", "CMakeLists.txt")
ASIO_PLACES = ("include/quicmesh/", "src/io/", "apps/", "examples/", "bench/", "tests/")
# The files of the simulator that may start threads: many seeds at once, and shards of one world.
SIM_THREADS_FILES = ("sim/parallel.cpp", "sim/barrier_pool.hpp", "sim/barrier_pool.cpp")

# (rule, pattern, paths where it is allowed, what to do instead)
TEXT_RULES = [
    ("clock", re.compile(
        r"\b(?:system_clock|steady_clock|high_resolution_clock|utc_clock|clock_gettime|gettimeofday"
        r"|timespec_get)\b|\bstd::time\s*\(|(?<![\w.>:])time\s*\(\s*(?:nullptr|NULL|0|&)"),
     ASIO_PLACES, "time is passed in as `Instant now`"),
    ("lock", re.compile(
        r"\bstd::(?:\w*mutex|lock_guard|unique_lock|scoped_lock|shared_lock|condition_variable\w*"
        r"|call_once|counting_semaphore|binary_semaphore|latch|barrier)\b|\bpthread_mutex\w*"
        r"|<(?:mutex|shared_mutex|condition_variable|semaphore|latch|barrier)>"),
     ASIO_PLACES, "a core belongs to one thread; other threads post to it"),
    ("random", re.compile(r"\brandom_device\b|\bstd::rand\b|(?<![\w.>:])s?rand\s*\("),
     ASIO_PLACES, "randomness is passed in as `Rng` or `SecureRng&`"),
    ("asio", re.compile(r"<boost/asio[/.]"),
     ASIO_PLACES, "cores do no I/O; Boost.Asio stays in src/io and the public API"),
    ("asio umbrella", re.compile(r"<boost/asio\.hpp>"),
     (), "it takes ten seconds to compile; include <boost/asio/awaitable.hpp> and the like"),
    ("thread", re.compile(
        r"\bstd::(?:jthread|thread|async)\b|\bpthread_create\b|<(?:thread|stop_token)>"),
     ASIO_PLACES + SIM_THREADS_FILES, "one thread a node, started by the driver in src/io"),
    ("qlog", re.compile(r"\bqlog_write\b"),
     (), "ngtcp2 1.11 overflows its stack in qlog (CVE-2026-40170): its callback is never set"),
]
# What else a core does not touch; its unit tests may read vectors from files.
CORE_RULE = ("environment", re.compile(
    r"\b(?:getenv|setenv|fopen|freopen)\s*\(|<(?:fstream|filesystem)>|<sys/(?:socket|epoll)\.h>"),
    "cores know no files, sockets or environment; adapters in src/io do")

OPEN_END_KINDS = ("soon", "perf", "security", "test", "protocol")
# Spelled apart, so that this file passes its own check.
LEFTOVER = re.compile(r"\b(?:FIX" r"ME|XX" r"X)\b")
OPEN_END = re.compile(r"\bTO" r"DO\b(?!\((?:" + "|".join(OPEN_END_KINDS) + r")\):)")


def text_rules(name, code):
    for rule, pattern, places, advice in TEXT_RULES:
        if name.startswith(places):
            continue
        for match in pattern.finditer(code):
            yield source_tree.line_of(code, match.start()), f"{rule}: `{match.group(0).strip()}`: {advice}"
    rule, pattern, advice = CORE_RULE
    in_core = name.startswith("src/") and not name.startswith("src/io/")
    if in_core and not name.endswith("_test.cpp"):
        for match in pattern.finditer(code):
            yield source_tree.line_of(code, match.start()), f"{rule}: `{match.group(0).strip()}`: {advice}"


def leftovers(text):
    for match in LEFTOVER.finditer(text):
        yield source_tree.line_of(text, match.start()), f"leftover {match.group(0)}"
    for match in OPEN_END.finditer(text):
        yield (source_tree.line_of(text, match.start()),
               f"{match.group(0)} without a kind: {match.group(0)}(kind): with kind one of {', '.join(OPEN_END_KINDS)}")


def shape(root, name, text):
    lines = text.split("\n")
    count = len(lines) - (lines[-1] == "")
    if count > FILE_LINES_MAX:
        yield 1, f"file of {count} lines; split it, {FILE_LINES_MAX} is the limit"
    if name.endswith(CPP):
        # foo.cpp and foo_test.cpp beside foo.hpp are told by the header's own first lines.
        header = re.sub(r"(_test)?\.cpp$", ".hpp", name)
        told_by_header = header != name and (pathlib.Path(root) / header).exists()
        if not told_by_header and not re.match(r"\s*(//|/\*)", text):
            yield 1, "begins without a comment that says what the file is"
        if name.endswith((".hpp", ".h")) and not re.search(r"^#pragma once$", text, re.MULTILINE):
            yield 1, "header without #pragma once"
    elif name.endswith(".py"):
        if not re.match(r'(#!.*\n)?(#.*\n)*\s*"""', text):
            yield 1, "begins without a docstring that says what the file is"
    elif not re.match(r"(#!.*\n)?#[ \w]|cmake_minimum_required", text):
        yield 1, "begins without a comment that says what the file is"


SCOPE = re.compile(r"^(?:template\s*<.*>\s*)?(?:inline\s+)?(?:namespace|class|struct|union|enum|extern)\b")
FUNCTION_END = re.compile(r"(?:\)|\b(?:const|noexcept|override|final|try|mutable))\s*$|\)\s*(?:const\s*)?(?:noexcept\s*)?(?:->[^;]*|requires\b[^;]*)$")
MEMBER_INITIALISER = re.compile(r"\)\s*(?:noexcept(?:\([^)]*\))?\s*)?:\s*(?!:)[^{}]*[\w>]\s*$")


def block_kind(header):
    """What a `{` opens after `header`: "scope", "function", "member" (an initialiser) or "other"."""
    header = " ".join(header.split())
    if SCOPE.match(header) and not FUNCTION_END.search(header):
        return "scope"
    if MEMBER_INITIALISER.search(header):
        return "member"
    if header.startswith("extern \"\""):
        return "scope" if "(" not in header else "function"
    return "function" if "(" in header and not header.endswith("=") else "other"


def long_functions(code):
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: "\n" * m.group(0).count("\n"), code,
                  flags=re.MULTILINE)
    stack = []         # kind of each open block
    function_line = 0  # where the outermost function now open begins
    header_start = 0
    parentheses = 0
    for match in re.finditer(r"[{}();]", code):
        character, at = match.group(0), match.start()
        inside = "function" in stack
        if character in "()":
            parentheses += 1 if character == "(" else -1
        elif character == ";" and not inside and parentheses <= 0:
            header_start = at + 1
        elif character == "{":
            # A brace inside parentheses is an argument, however long the table in it is.
            nested = inside or "other" in stack
            kind = "inner" if nested else "other" if parentheses > 0 else block_kind(code[header_start:at])
            if kind == "function":
                header = code[header_start:at]
                start = header_start + len(header) - len(header.lstrip())
                function_line = source_tree.line_of(code, start)
                parentheses = 0
            stack.append(kind)
            if kind == "scope":
                header_start = at + 1
        elif character == "}" and stack:
            kind = stack.pop()
            if kind == "function":
                length = source_tree.line_of(code, at) - function_line + 1
                if length > FUNCTION_LINES_MAX:
                    yield function_line, f"function of {length} lines; {FUNCTION_LINES_MAX} is the limit"
            if kind != "member" and not ("function" in stack):
                header_start = at + 1


def awaited_aggregates(code):
    """g++ 12 destroys some temporaries inside a co_await expression twice."""
    for keyword in re.finditer(r"\bco_await\b", code):
        depth = 0
        before = ""
        for at in range(keyword.end(), len(code)):
            character = code[at]
            if character == "(":
                depth += 1
            elif character == ")":
                depth -= 1
                if depth < 0:
                    break
            elif character in ";}" and depth == 0:
                break
            elif depth > 0 or character == "{":
                # A subscript follows a name, a call or a subscript; a lambda follows none of them.
                is_lambda = character == "[" and not re.match(r"[\w)\]]", before or " ")
                if character in "{?" or is_lambda:
                    yield (source_tree.line_of(code, keyword.start()),
                           f"`{character}` inside a co_await expression: g++ 12 miscompiles it; name the value first")
                    break
            if not character.isspace():
                before = character


def check(root):
    """All complaints about the tree at `root`, as `file:line: text`."""
    complaints = []
    for name in source_tree.files(root, CPP + SCRIPTS):
        text = source_tree.read(root, name)
        found = list(shape(root, name, text)) + list(leftovers(text))
        if name.endswith(CPP):
            code = source_tree.code_only(text)
            found += list(text_rules(name, code)) + list(long_functions(code))
            found += list(awaited_aggregates(code))
        complaints += [f"{name}:{line}: {what}" for line, what in sorted(found)]
    return complaints


HEAD = "// A planted file.\n"


def planted():
    """(file, text, part of the only complaint; None: no complaint)"""
    body = "  int x = 0;\n" * FUNCTION_LINES_MAX
    todo, fixme = "TO" + "DO", "FIX" + "ME"
    once = HEAD + "#pragma once\n"
    return [
        ("src/base/fine.hpp", once + "namespace q {\nclass A { int f() const; };\n}\n", None),
        ("src/base/a.cpp", HEAD + "auto t = std::chrono::steady_clock::now();\n", "a.cpp:2: clock"),
        ("src/base/a_test.cpp", HEAD + "auto t = time(nullptr);\n", "clock"),
        ("src/base/b.cpp", HEAD + "auto t = event.time(0);\n", None),
        ("src/io/a.cpp", HEAD + "auto t = std::chrono::steady_clock::now(); std::mutex m;\n", None),
        ("sim/a.cpp", HEAD + "clock_gettime(CLOCK_MONOTONIC, &t);\n", "clock"),
        ("src/path/a.cpp", HEAD + "std::shared_mutex m;\n", "lock"),
        ("src/path/b.cpp", HEAD + "#include <mutex>\n", "lock"),
        ("src/path/c.cpp", HEAD + "std::random_device d;\n", "random"),
        ("src/path/d.cpp", HEAD + "int i = rand();\n", "random"),
        ("src/path/e.cpp", HEAD + "int i = my.rand(); // a mutex, std::mutex\nauto s = \"std::mutex\";\n", None),
        ("src/node/a.cpp", HEAD + "#include <boost/asio/awaitable.hpp>\n", "asio"),
        ("apps/a.cpp", HEAD + "#include <boost/asio/awaitable.hpp>\n", None),
        ("apps/b.cpp", HEAD + "#include <boost/asio.hpp>\n", "asio umbrella"),
        ("sim/b.cpp", HEAD + "std::jthread t;\n", "thread"),
        (SIM_THREADS_FILES[0], HEAD + "std::jthread t;\n", None),
        ("src/node/b.cpp", HEAD + "std::thread::id i;\n", "thread"),
        ("src/quic/a.cpp", HEAD + "settings.qlog_write = on_qlog;\n", "CVE-2026-40170"),
        ("src/quic/b.cpp", HEAD + "// qlog_write stays null.\n", None),
        ("src/quic/c.cpp", HEAD + "#include <fstream>\n", "environment"),
        ("src/quic/c_test.cpp", HEAD + "#include <fstream>\n", None),
        ("src/io/long.cpp", HEAD * (FILE_LINES_MAX + 1), f"file of {FILE_LINES_MAX + 1} lines"),
        ("src/io/limit.cpp", HEAD * FILE_LINES_MAX, None),
        ("src/io/f.cpp", HEAD + "namespace q {\nvoid f(int a) {\n" + body + "}\n}\n", "f.cpp:3: function of 102"),
        ("src/io/f2.cpp", HEAD + "struct A {\n  int x{};\n  A(int a) : x{a}, y(1) {\n" + body + "  }\n};\n", "f2.cpp:4: function"),
        ("src/io/f3.cpp", HEAD + "TEST(A, b) {\n" + body + "}\n", "function of 102"),
        ("src/io/f4.cpp", HEAD + "auto f() -> std::vector<int> {\n" + body + "}\n", "function of 102"),
        ("src/io/f5.cpp", HEAD + "struct A : B {\n" + body + "};\nconst int t[] = {\n" + "  1,\n" * 120 + "};\n", None),
        ("src/io/f6.cpp", HEAD + "extern \"C\" {\n" + body + "}\nvoid f() {\n" + body[:90] + "}\nvoid g() {}\n", None),
        ("src/io/f7.cpp", HEAD + "void f() {\n  call([] {\n" + body + "  });\n}\n", "function of 104"),
        ("src/io/f8.cpp", HEAD + "const auto t = std::to_array<int>({\n" + "  1,\n" * 120 + "});\nvoid f() {\n}\n", None),
        ("src/io/t.cpp", HEAD + f"// {todo}: later\n", "without a kind"),
        ("src/io/t2.cpp", HEAD + f"// {todo}(perf): later\n", None),
        ("src/io/t3.cpp", HEAD + f"// {fixme}: now\n", "leftover"),
        ("tools/t.sh", f"#!/bin/sh\n# A script.\n# {fixme}\n", "leftover"),
        ("tools/u.sh", "#!/bin/sh\necho no comment\n", "begins without a comment"),
        ("tools/v.py", "#!/usr/bin/env python3\nimport sys\n", "begins without a docstring"),
        ("src/io/c1.cpp", HEAD + "co_await f(Options{1});\n", "`{` inside a co_await"),
        ("src/io/c2.cpp", HEAD + "co_await f(\n    1, [x] { return x; });\n", "c2.cpp:2: `[` inside"),
        ("src/io/c3.cpp", HEAD + "auto r = co_await f(a ? b : c);\n", "`?` inside"),
        ("src/io/c4.cpp", HEAD + "if (auto r = co_await f(a[1])) { return {}; }\nwhile (co_await g()) { x = a ? b : c; }\n", None),
        ("src/io/c5.cpp", HEAD + "co_spawn(c, []() -> Task { co_await f(x); }, d);\nco_return co_await g();\n", None),
        ("src/io/c6.cpp", HEAD + "co_await Sleep{1};\n", "`{` inside a co_await"),
        ("src/io/h.cpp", "int x;\n", "begins without a comment"),
        ("src/io/h.hpp", HEAD + "int x;\n", "without #pragma once"),
    ]


if __name__ == "__main__":
    source_tree.run_check("tidy", "complaints", check, planted(), __doc__)
