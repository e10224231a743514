#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles every header alone: headers.py <C compiler> <build>

A header includes what it uses.  The public ones are plain C17 and C++11 too.
"""
import os
import shutil
import subprocess
import sys

WARN = ["-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
ROOTS = ("engine", "proto", "snapshot", "service", "tools", "tests",
         "examples")

compiler, build = sys.argv[1:3]
bad = 0


def flags():
    generated = os.path.join(build, "proto")
    out = ["-D_GNU_SOURCE", "-I.", "-Iinclude", f"-I{build}/include",
           "-isystem", generated]
    for root in ROOTS:
        out += ["-I" + root]
    lua = subprocess.run(["pkg-config", "--cflags", "lua5.4"],
                         capture_output=True, text=True)
    return out + lua.stdout.split()


def compiles(what, command, path):
    global bad
    text = f'#include "{os.path.abspath(path)}"\n'
    done = subprocess.run([*command, *WARN, "-"], input=text, text=True,
                          capture_output=True)
    if done.returncode:
        bad = 1
        print(f"{path}: does not compile alone as {what}\n{done.stderr}")


def walk(root):
    for folder, _, names in os.walk(root):
        for name in sorted(names):
            if name.endswith(".h"):
                yield os.path.join(folder, name)


common = flags()
count = 0
for root in ROOTS:
    for path in walk(root):
        compiles("C", [compiler, "-x", "c", "-std=gnu17", *common,
                       "-I" + os.path.dirname(path)], path)
        count += 1
public = ["-pedantic", "-Iinclude", f"-I{build}/include"]
cxx = shutil.which("g++") or shutil.which("clang++")
for root in ("include", os.path.join(build, "include")):
    for path in walk(root):
        compiles("C17", [compiler, "-x", "c", "-std=c17", *public], path)
        if cxx:
            compiles("C++11", [cxx, "-x", "c++", "-std=c++11", *public], path)
        count += 1
print(f"{count} headers")
sys.exit(bad if count else 1)
