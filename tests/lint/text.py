#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds prose to a few rules: text.py <build>/floors.txt

Every component folder has a README.md; a file of this tree that a text names is
there; no text holds words of something unfinished.
"""
import os
import re
import sys

TEXT = (".c", ".h", ".in", ".md", ".txt", ".cmake", ".py", ".sh", ".scd",
        ".proto", ".lua", ".map")
SKIP = re.compile(r"^\./(\.git|build[^/]*)(/|$)")
# This list is the one place where they may stand.
WORDS = re.compile(
    r"\b(TODO|FIXME|XXX|HACK|WIP|TBD|lorem ipsum|for now|placeholder|"
    r"coming soon|fill me in|dummy implementation)\b", re.IGNORECASE)
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")
NAMED = re.compile(r"(?<![\w/.-])((?:docs|tests|tools|engine|snapshot|service|"
                   r"examples|bench|proto|cmake)/[A-Za-z0-9_./-]+"
                   r"\.(?:md|py|sh|scd|proto|h|c|cmake))\b")

bad = 0


def complain(text):
    global bad
    bad = 1
    print(text)


def check_line(path, n, line):
    word = WORDS.search(line)
    if word and os.path.basename(path) != "text.py":
        complain(f'{path}:{n}: "{word[0]}"')
    if path.endswith(".md"):
        for target, _ in LINK.findall(line):
            if "://" in target or target.startswith("mailto:"):
                continue
            if not os.path.exists(os.path.join(os.path.dirname(path), target)):
                complain(f"{path}:{n}: link to {target}, which is not there")
    for target in NAMED.findall(line):
        if not os.path.exists(target):
            complain(f"{path}:{n}: names {target}, which is not there")


for folder, _, names in os.walk("."):
    if SKIP.match(folder + "/"):
        continue
    for name in sorted(names):
        path = os.path.relpath(os.path.join(folder, name))
        if not name.endswith(TEXT) or SKIP.match("./" + path):
            continue
        for n, line in enumerate(open(path, errors="replace"), 1):
            check_line(path, n, line)
for line in open(sys.argv[1]):
    folder = line.split(":")[0].split(" ", 1)[1]
    if not os.path.exists(os.path.join(folder, "README.md")):
        complain(f"{os.path.relpath(folder)}: no README.md")
sys.exit(bad)
