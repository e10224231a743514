# SPDX-License-Identifier: Apache-2.0
"""Python modules of the .proto files, made by protoc when a test runs."""
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

PROTO = os.environ["PROTO"]
FOLDER = tempfile.mkdtemp(prefix="memsnap-service-")
NAMES = ["types", "space", "snapshot", "operation", "transfer", "event",
         "admin"]


def clean_up():
    shutil.rmtree(FOLDER, ignore_errors=True)


unittest.addModuleCleanup(clean_up)


def skip(why):
    """Leaves with the code that ctest counts as skipped."""
    print("skipped:", why)
    clean_up()
    sys.exit(77)


def make():
    try:
        import google.protobuf
    except ImportError:
        skip("no python3-protobuf")
    out = os.path.join(FOLDER, "python")
    os.makedirs(out)
    files = [f"memsnap/v1/{name}.proto" for name in NAMES]
    files += ["google/rpc/status.proto", "google/rpc/error_details.proto"]
    subprocess.run(["protoc", "-I", PROTO, "-I", "/usr/include",
                    "--python_out", out, *files], check=True)
    sys.path.insert(0, out)
    # Beside the package `google` that has protobuf itself.
    import google
    google.__path__.append(os.path.join(out, "google"))
    return [importlib.import_module(f"memsnap.v1.{name}_pb2")
            for name in NAMES]


types, space, snapshot, operation, transfer, event, admin = make()
status = importlib.import_module("google.rpc.status_pb2")
error_details = importlib.import_module("google.rpc.error_details_pb2")


def method_of(path):
    """The descriptors of a method, by "Service.Method"."""
    service, name = path.split(".")
    for module in (space, snapshot, operation, transfer, event, admin):
        found = module.DESCRIPTOR.services_by_name.get(service)
        if found:
            return found.methods_by_name[name]
    raise KeyError(path)


def class_of(descriptor):
    module = next(m for m in (types, space, snapshot, operation, transfer,
                              event, admin)
                  if descriptor.name in m.DESCRIPTOR.message_types_by_name)
    return getattr(module, descriptor.name)
