#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Wraps Beast's own example servers in the middleware, and counts the lines that it takes.

    tests/beast/wrap_examples.py EXAMPLES             prints the table of docs/cookbook.md
    tests/beast/wrap_examples.py EXAMPLES --check     also compiles each of them (syntax only)
    tests/beast/wrap_examples.py EXAMPLES --write DIR also leaves the wrapped files there

EXAMPLES is the folder `example` of Beast: of a clone, or of the Debian package libboost1.81-doc. Nothing of Beast is kept in
this repository. The rules are those of the cookbook: one line that makes the handle, one for each read, and one for each call.
"""

import argparse
import difflib
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

EXAMPLES = """
    http/server/sync http/server/sync-ssl http/server/async http/server/async-ssl http/server/awaitable
    http/server/coro http/server/coro-ssl http/server/stackless http/server/stackless-ssl http/server/flex advanced/server
    advanced/server-flex advanced/server-flex-awaitable
""".split()

INCLUDE = "#include <idempo/idempo.hpp>\n"

# In a function, since the examples know their root only when they run. It is the same for all sessions.
HANDLE = (
    "auto const& handle(beast::string_view root) { static auto const made = idempo::idempotency(idempo::memory_store()) | "
    "[root = std::string(root)](auto&& req) { return handle_request(root, std::move(req)); }; return made; }\n"
)

RULES = [
    (re.compile(r"\bhttp::async_read\((?=\s*(?:stream|socket|derived\(\)))"), "idempo::async_read_request("),
    (re.compile(r"\bhttp::read\((?=stream|socket)"), "idempo::read_request("),
    (re.compile(r"\bhandle_request\((\*?doc_root_?), (std::move\(req_?\)|parser_?(?:->|\.)release\(\))\)"), r"handle(\1)(\2)"),
]


def wrap(text: str) -> str:
    first_include = text.index("#include")
    text = text[:first_include] + INCLUDE + text[first_include:]
    sessions = text.index("\n}\n", text.index("handle_request(")) + 3  # behind its definition
    before, after = text[:sessions], text[sessions:]
    for pattern, replacement in RULES:
        after = pattern.sub(replacement, after)
    return before + "\n" + HANDLE + after


def changed_lines(before: str, after: str) -> int:
    """Lines that are new or different, beside the include and blank ones."""
    changes = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    added = [line[1:] for line in changes if line.startswith("+") and not line.startswith("+++")]
    return sum(1 for line in added if line.strip() and line + "\n" != INCLUDE)


def compiles(source: pathlib.Path, beast: pathlib.Path) -> bool:
    command = [os.environ.get("CXX", "g++"), "-std=c++20", "-fsyntax-only", f"-I{ROOT / 'include'}", f"-I{beast.parent}"]
    done = subprocess.run([*command, str(source)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print("\n".join(line for line in done.stderr.splitlines() if "error" in line)[:2000], file=sys.stderr)
    return done.returncode == 0


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("examples", type=pathlib.Path)
    arguments.add_argument("--check", action="store_true")
    arguments.add_argument("--write", type=pathlib.Path)
    arguments.add_argument("--only", default="", help="names that contain this")
    given = arguments.parse_args()
    failed = 0
    print("| example | changed lines |" + (" compiles |" if given.check else ""))
    for name in EXAMPLES:
        found = list((given.examples / name).glob("*.cpp"))
        if given.only not in name or len(found) != 1:
            continue
        before = found[0].read_text(encoding="utf-8")
        after = wrap(before)
        row = f"| {name} | {changed_lines(before, after)} |"
        target = given.write or pathlib.Path("/tmp")
        if given.check or given.write:
            target.mkdir(parents=True, exist_ok=True)
            wrapped = target / f"wrapped_{found[0].name}"
            wrapped.write_text(after, encoding="utf-8")
            if given.check:
                is_right = compiles(wrapped, given.examples)
                failed += not is_right
                row += f" {'yes' if is_right else 'NO'} |"
            if not given.write:
                wrapped.unlink()
        print(row, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
