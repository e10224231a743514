#!/usr/bin/env python3
"""Holds the manual to the command table: man_pages.py <memsnap> <docs/man>

Asks the program for its table and looks for each verb, its one-line help, and
each option in the pages; then lets scdoc and mandoc read every page.  Prints
each thing that is missing and exits 1.
"""
import json, os, re, shutil, subprocess, sys

SECTIONS = ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "JSON FIELDS",
            "EXIT STATUS", "EXAMPLES", "SEE ALSO")
bad = 0


def complain(text):
    global bad
    bad = 1
    print(text)


def plain(text):
    """The page's text without marks of form, in one line."""
    text = text.replace("\\_", "_").replace("*", "")
    return re.sub(r"\s+", " ", text)


def option_heads(page):
    """The lines of a page that begin the text of an option."""
    return [line for line in page.splitlines() if line.startswith("*-")]


def check_option(name, page, option):
    long = f"*--{option['name']}*"
    heads = [h for h in option_heads(page) if long in h]
    if not heads:
        complain(f"{name}: no text for option --{option['name']}")
        return
    if option["short"] and f"*-{option['short']}*" not in heads[0]:
        complain(f"{name}: {heads[0]} does not have -{option['short']}")
    if option["argument"] and f"_{option['argument']}_" not in heads[0]:
        complain(f"{name}: {heads[0]} does not have {option['argument']}")
    if option["help"].split(";")[0].split(":")[0] .lower() not in \
            plain(page).lower():
        complain(f"{name}: does not say '{option['help']}'")


def check_sections(name, page):
    found = re.findall(r"^# (.*)$", page, re.M)
    for section in SECTIONS:
        if section not in found:
            complain(f"{name}: no section {section}")


def check_form(folder, name):
    with open(os.path.join(folder, name)) as source:
        made = subprocess.run(["scdoc"], stdin=source, capture_output=True)
    if made.returncode:
        complain(f"{name}: {made.stderr.decode().strip()}")
        return
    if shutil.which("mandoc"):
        lint = subprocess.run(["mandoc", "-Tlint", "-W", "error"],
                              input=made.stdout, capture_output=True)
        if lint.returncode or lint.stdout:
            complain(f"{name}: {(lint.stdout + lint.stderr).decode()}")


def main(program, folder):
    table = json.loads(subprocess.run([program, "help", "--dump"], check=True,
                                      capture_output=True).stdout)
    pages = {n: open(os.path.join(folder, n)).read()
             for n in sorted(os.listdir(folder)) if n.endswith(".scd")}
    for name in pages:
        check_form(folder, name)
    whole = pages["memsnap.1.scd"]
    for option in table["options"]:
        check_option("memsnap.1.scd", whole, option)
    for cmd in table["commands"]:
        name = f"memsnap-{cmd['name']}.1.scd"
        if name not in pages:
            complain(f"{name}: there is no such page")
            continue
        check_sections(name, pages[name])
        if f"memsnap-{cmd['name']} - {cmd['help']}" not in pages[name]:
            complain(f"{name}: NAME does not say '{cmd['help']}'")
        if f"*{cmd['name']}*\n" not in whole:
            complain(f"memsnap.1.scd: no text for {cmd['name']}")
        for option in cmd["options"]:
            check_option(name, pages[name], option)
    return bad


sys.exit(main(sys.argv[1], sys.argv[2]))
