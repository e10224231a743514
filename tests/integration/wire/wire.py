# SPDX-License-Identifier: Apache-2.0
"""What the suites share: a server, its addresses, messages, a clean end."""
import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

SERVE = os.environ["SERVE"]
GRPC_PROTO = os.environ["GRPC_PROTO"]
FOLDER = tempfile.mkdtemp(prefix="memsnap-wire-")
INITIAL = "x-grpc-test-echo-initial"
TRAILING = "x-grpc-test-echo-trailing-bin"


def clean_up():
    shutil.rmtree(FOLDER)


unittest.addModuleCleanup(clean_up)


def skip(why):
    """Leaves with the code that ctest counts as skipped."""
    print("skipped:", why)
    clean_up()
    sys.exit(77)


def protos(*files):
    """Python modules of .proto files of gRPC, made now by protoc."""
    try:
        import google.protobuf  # noqa: F401
    except ImportError:
        skip("no python3-protobuf")
    out = os.path.join(FOLDER, "python")
    if out not in sys.path:
        os.makedirs(out)
        sys.path.insert(0, out)
    subprocess.run(["protoc", "-I", GRPC_PROTO, "--python_out", out, *files],
                   check=True)
    # Beside grpcio's own package `grpc`, which is there already.
    import grpc
    if os.path.join(out, "grpc") not in grpc.__path__:
        grpc.__path__.append(os.path.join(out, "grpc"))
    return [importlib.import_module(f[:-len(".proto")].replace("/", ".") +
                                    "_pb2") for f in files]


def make_certificate():
    cert, key = (os.path.join(FOLDER, n) for n in ("cert.pem", "key.pem"))
    if not os.path.exists(cert):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
             "/CN=localhost", "-addext",
             "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key,
             "-out", cert], check=True, stderr=subprocess.DEVNULL)
    return cert, key


class Server:
    """serve, listening on everything.  Must end well when it is told to."""

    count = 0

    def __init__(self, *options):
        Server.count += 1
        self.path = os.path.join(FOLDER, f"{Server.count}.sock")
        self.cert, key = make_certificate()
        self.process = subprocess.Popen(
            [SERVE, *options, "--unix", self.path, "--tcp", "--tls",
             self.cert, key], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True)
        ports = {}
        for line in self.process.stdout:
            if line == "ready\n":
                break
            what, where = line.split()
            ports[what] = where
        self.tcp, self.tls = int(ports["tcp"]), int(ports["tls"])

    def metrics(self):
        url = f"http://127.0.0.1:{self.tcp}/metrics"
        with urllib.request.urlopen(url) as answer:
            text = answer.read().decode()
        return {k: float(v) for k, v in
                re.findall(r"^([a-z_]+) (\S+)$", text, re.M)}

    def await_idle(self):
        """Until no call is under way; then nothing may be held."""
        while self.metrics()["test_calls"] > 0:
            time.sleep(0.01)
        held = self.metrics()["test_buffered_bytes"]
        assert held == 0, f"{held} bytes are still held"

    def resident_kib(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            return int(re.search(r"VmRSS:\s+(\d+) kB", f.read())[1])

    def alive(self):
        return self.process.poll() is None

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self):
        code = self.process.wait(60)
        self.process.stdin.close()
        self.process.stdout.close()
        return code

    def end(self):
        """Ends it, unless it has ended by itself, which is a failure."""
        code = self.process.poll()
        if code is None:
            self.process.stdin.close()
            code = self.process.wait(60)
        self.process.stdout.close()
        assert code == 0, f"the server ended with {code}"


class WireTest(unittest.TestCase):
    """One server for all tests of a class."""

    options = ()

    @classmethod
    def setUpClass(cls):
        cls.server = Server(*cls.options)
        cls.addClassCleanup(cls.server.end)
