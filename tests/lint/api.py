# SPDX-License-Identifier: Apache-2.0
"""Holds .proto files to the rules of proto/README.md: api.py <protoc> <-I...>

Looks at every file of package memsnap.v1: no `optional`, no map, no message
that contains itself, no field that protobuf-c or C has another use for, `data`
at 15 and last, and a comment for every service and RPC.  Prints each thing that
breaks this and exits 1.
"""
import glob
import subprocess
import sys

from google.protobuf import descriptor_pb2

# What C17, and protobuf-c's own members, have taken.
WORDS = set("""
    auto break case char const continue default do double else enum extern
    float for goto if inline int long register restrict return short signed
    sizeof static struct switch typedef union unsigned void volatile while
    base asm typeof bool true false
    """.split())
MESSAGE, BYTES = 11, 12
REPEATED = 3

bad = 0


def complain(text):
    global bad
    bad = 1
    print(text)


def load(protoc, includes):
    files = sorted(glob.glob("proto/memsnap/v1/*.proto"))
    names = [f.removeprefix("proto/") for f in files]
    made = subprocess.run(
        [protoc, *includes, "--include_source_info",
         "--descriptor_set_out=/dev/stdout", *names],
        check=True, stdout=subprocess.PIPE)
    return descriptor_pb2.FileDescriptorSet.FromString(made.stdout).file


def messages(prefix, some):
    for m in some:
        name = f"{prefix}.{m.name}"
        yield name, m
        yield from messages(name, m.nested_type)


def check_field(name, f):
    if f.name in WORDS:
        complain(f"{name}.{f.name}: protobuf-c or C has this word")
    if f.proto3_optional:
        complain(f"{name}.{f.name}: optional, which protobuf-c does not know")


def check_payload(name, m):
    last = max((f.number for f in m.field), default=0)
    for f in m.field:
        if f.name == "data" and f.type == BYTES and name.endswith(
                ("Request", "Response")):
            if f.number != 15 or last != 15:
                complain(f"{name}.data: must be number 15, and the last")


def check_recursion(all_messages):
    """A depth-first walk that finds the way back to where it began."""
    uses = {name: {f.type_name for f in m.field if f.type == MESSAGE}
            for name, m in all_messages.items()}
    for start in uses:
        seen, ahead = set(), [start]
        while ahead:
            for used in uses.get(ahead.pop(), ()):
                if used == start:
                    complain(f"{start[1:]}: contains itself")
                    ahead.clear()
                    break
                if used not in seen:
                    seen.add(used)
                    ahead.append(used)


def check_comments(file):
    said = {tuple(i.path) for i in file.source_code_info.location
            if i.leading_comments.strip()}
    for i, service in enumerate(file.service):
        if (6, i) not in said:
            complain(f"{file.name}: service {service.name} has no comment")
        for j, rpc in enumerate(service.method):
            if (6, i, 2, j) not in said:
                complain(f"{file.name}: {service.name}.{rpc.name} has no "
                         "comment")


found = load(sys.argv[1], sys.argv[2:])
everything = {}
for file in found:
    check_comments(file)
    everything.update(messages("." + file.package, file.message_type))
for name, message in everything.items():
    if message.options.map_entry:
        complain(f"{name[1:]}: a map")
    for field in message.field:
        check_field(name[1:], field)
    check_payload(name[1:], message)
check_recursion(everything)
rpcs = sum(len(s.method) for f in found for s in f.service)
print(f"{len(found)} files, {len(everything)} messages, {rpcs} RPCs")
sys.exit(bad if rpcs else 1)
