#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes docs/api.md of the comments in proto/: make_api.py [--check]

Runs protoc for descriptors with their comments and writes a section for each
service, method, message and enum.  With --check it writes nothing, and fails
with a line when the file is not what it would write.
"""
import os
import subprocess
import sys
import tempfile

from google.protobuf import descriptor_pb2

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OUT = os.path.join(ROOT, "docs", "api.md")
FILES = ["types", "space", "snapshot", "operation", "transfer", "event",
         "admin"]
TYPES = {v: k[5:].lower()
         for k, v in descriptor_pb2.FieldDescriptorProto.Type.items()}
# Numbers of fields in descriptor.proto: what paths of comments are made of.
FILE_MESSAGE, FILE_ENUM, FILE_SERVICE = 4, 5, 6
MESSAGE_FIELD, MESSAGE_NESTED, MESSAGE_ENUM = 2, 3, 4
ENUM_VALUE, SERVICE_METHOD = 2, 2


def load():
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(
            ["protoc", "-I", os.path.join(ROOT, "proto"),
             "--include_source_info", f"--descriptor_set_out={out.name}",
             *[f"memsnap/v1/{name}.proto" for name in FILES]], check=True)
        found = descriptor_pb2.FileDescriptorSet.FromString(out.read())
    return sorted(found.file,
                  key=lambda f: FILES.index(os.path.basename(f.name)[:-6]))


class Comments:
    def __init__(self, file):
        self.at = {tuple(l.path): l for l in file.source_code_info.location}

    def text(self, *path):
        location = self.at.get(path)
        return location.leading_comments if location else ""

    def paragraphs(self, *path):
        text = "\n".join(line.strip() for line in
                         self.text(*path).strip().split("\n"))
        return escape(text)

    def line(self, *path):
        return escape(" ".join(self.text(*path).split()))

    def head(self):
        """The comment that a file begins with, without its licence."""
        parts = self.at[(12,)].leading_detached_comments
        parts = list(parts) + [self.at[(12,)].leading_comments]
        text = "\n\n".join(p.strip("\n") for p in parts if p)
        kept = [p for p in text.split("\n\n")
                if "SPDX-License-Identifier" not in p]
        return escape("\n\n".join(
            "\n".join(l.strip() for l in p.split("\n")) for p in kept))


def escape(text):
    return text.replace("<", "&lt;").replace("|", "\\|")


def link(full):
    """A type of ours as a link, another one as its name."""
    name = full.lstrip(".")
    if name.startswith("memsnap.v1."):
        short = name[len("memsnap.v1."):]
        return f"[{short}](#{short.lower().replace('.', '')})"
    return f"`{name}`"


def type_of(field):
    name = (link(field.type_name) if field.type_name
            else f"`{TYPES[field.type]}`")
    repeated = field.LABEL_REPEATED
    return ("repeated " if field.label == repeated else "") + name


def write_method(out, comments, service, method, path):
    asked = ("stream " if method.client_streaming else "") + link(
        method.input_type)
    got = ("stream " if method.server_streaming else "") + link(
        method.output_type)
    out.append(f"#### {method.name}\n")
    out.append(f"`/memsnap.v1.{service.name}/{method.name}`: "
               f"{asked} → {got}\n")
    out.append(comments.paragraphs(*path) + "\n")


def write_enum(out, comments, enum, name, path):
    out.append(f"### {name}\n")
    text = comments.paragraphs(*path)
    if text:
        out.append(text + "\n")
    out.append("| value | number | |\n|---|---|---|")
    for i, value in enumerate(enum.value):
        out.append(f"| `{value.name}` | {value.number} | "
                   f"{comments.line(*path, ENUM_VALUE, i)} |")
    out.append("")


def write_message(out, comments, message, name, path):
    out.append(f"### {name}\n")
    text = comments.paragraphs(*path)
    if text:
        out.append(text + "\n")
    if message.field:
        out.append("| field | type | |\n|---|---|---|")
    for i, field in enumerate(message.field):
        words = comments.line(*path, MESSAGE_FIELD, i)
        if field.HasField("oneof_index"):
            one = message.oneof_decl[field.oneof_index].name
            words = f"One of `{one}`. {words}"
        out.append(f"| `{field.name}` = {field.number} | {type_of(field)} | "
                   f"{words} |")
    if not message.field:
        out.append("No fields.")
    out.append("")
    for i, inner in enumerate(message.nested_type):
        write_message(out, comments, inner, f"{name}.{inner.name}",
                      (*path, MESSAGE_NESTED, i))
    for i, inner in enumerate(message.enum_type):
        write_enum(out, comments, inner, f"{name}.{inner.name}",
                   (*path, MESSAGE_ENUM, i))


def write_file(out, file):
    comments = Comments(file)
    title, _, rest = comments.head().partition("\n\n")
    out.append(f"## {title.rstrip('.')}\n")
    if rest:
        out.append(rest + "\n")
    for i, service in enumerate(file.service):
        out.append(f"### {service.name}\n")
        out.append(comments.paragraphs(FILE_SERVICE, i) + "\n")
        for j, method in enumerate(service.method):
            write_method(out, comments, service, method,
                         (FILE_SERVICE, i, SERVICE_METHOD, j))
    for i, enum in enumerate(file.enum_type):
        write_enum(out, comments, enum, enum.name, (FILE_ENUM, i))
    for i, message in enumerate(file.message_type):
        write_message(out, comments, message, message.name,
                      (FILE_MESSAGE, i))


def make():
    out = ["# The API\n",
           "Made of the comments in `proto/memsnap/v1` by "
           "`docs/make_api.py`; change those, not this.\n"]
    for file in load():
        write_file(out, file)
    return "\n".join(out).rstrip("\n") + "\n"


def main():
    text = make()
    if sys.argv[1:] == ["--check"]:
        with open(OUT) as old:
            if old.read() != text:
                print("docs/api.md is not what docs/make_api.py makes of "
                      "the .proto files")
                return 1
        return 0
    with open(OUT, "w") as new:
        new.write(text)
    return 0


sys.exit(main())
