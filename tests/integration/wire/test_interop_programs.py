# SPDX-License-Identifier: Apache-2.0
"""Clients that are programs: @grpc/grpc-js, grpc-go, ttrpc-go, buf, nghttp,
h2load, curl.  One that is not installed is left out, and says so."""
import json
import os
import re
import shutil
import subprocess
import unittest

import wire

HERE = os.path.dirname(os.path.abspath(__file__))
NODE_MODULES = os.environ["NODE_MODULES"]
GO_CACHE = os.environ["GO_CACHE"]
GO_LIBRARIES = "/usr/share/gocode"

CASES = """empty_unary large_unary client_streaming server_streaming ping_pong
    empty_stream status_code_and_message special_status_message
    unimplemented_method unimplemented_service cancel_after_begin
    cancel_after_first_response timeout_on_sleeping_server
    custom_metadata""".split()
TEST_SERVICE = "grpc.testing.TestService"


def needs(*programs):
    missing = [p for p in programs if not shutil.which(p)]
    return unittest.skipIf(missing, f"no {', '.join(missing)}")


class Programs(wire.WireTest):
    def run_program(self, *command, code=0, **options):
        done = subprocess.run(command, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True,
                              timeout=300, **options)
        self.assertEqual(done.returncode, code, done.stdout)
        return done.stdout

    def addresses(self):
        """Address and certificate of each way to the server."""
        return [(f"unix:{self.server.path}",),
                (f"127.0.0.1:{self.server.tcp}",),
                (f"localhost:{self.server.tls}", self.server.cert)]


@needs("node")
@unittest.skipUnless(os.path.exists(NODE_MODULES), "no node_modules")
class Node(Programs):
    def test_published_cases_by_grpc_js(self):
        env = dict(os.environ, NODE_PATH=NODE_MODULES)
        for address in self.addresses():
            with self.subTest(address[0]):
                said = self.run_program(
                    "node", f"{HERE}/interop.js", wire.GRPC_PROTO, *address,
                    env=env)
                self.assertEqual(said.split(), CASES)


@needs("go")
@unittest.skipUnless(os.path.exists(GO_LIBRARIES), "no Go libraries")
class Go(Programs):
    def build(self, name):
        out = os.path.join(wire.FOLDER, name)
        env = dict(os.environ, GO111MODULE="off", GOPATH=GO_LIBRARIES,
                   GOCACHE=GO_CACHE, GOFLAGS="", CGO_ENABLED="0")
        self.run_program("go", "build", "-o", out, f"{name}.go",
                         "messages.go", cwd=f"{HERE}/go", env=env)
        return out

    def test_published_cases_by_grpc_go(self):
        program = self.build("grpc")
        for address in self.addresses():
            with self.subTest(address[0]):
                said = self.run_program(program, *address)
                self.assertEqual(said.split(), CASES)

    def test_unary_cases_by_ttrpc_go(self):
        said = self.run_program(self.build("ttrpc"), self.server.path)
        self.assertEqual(said.split(), [
            "empty_unary", "large_unary", "special_status_message",
            "unimplemented_method", "unimplemented_service", "timeout"])


@unittest.skipUnless(os.path.exists(f"{NODE_MODULES}/.bin/buf"), "no buf")
class Buf(Programs):
    def curl(self, *args, code=0):
        """Calls by what reflection says: it has no .proto file."""
        common = ["--protocol", "grpc"]
        return self.run_program(
            f"{NODE_MODULES}/.bin/buf", "curl", *common, *args, code=code,
            cwd=wire.FOLDER, env=dict(os.environ, HOME=wire.FOLDER))

    def ways(self):
        return [
            (["--http2-prior-knowledge"],
             f"http://127.0.0.1:{self.server.tcp}"),
            (["--http2-prior-knowledge", "--unix-socket", self.server.path],
             "http://localhost"),
            (["--cacert", self.server.cert],
             f"https://localhost:{self.server.tls}"),
        ]

    def test_methods_are_listed(self):
        for args, url in self.ways():
            said = self.curl(*args, "--list-methods", url).split()
            for method in ("grpc.health.v1.Health/Watch",
                           f"{TEST_SERVICE}/FullDuplexCall"):
                self.assertIn(method, said)

    def test_calls_without_a_schema(self):
        for args, url in self.ways():
            said = self.curl(*args, "-d", '{"response_size": 6}',
                             f"{url}/{TEST_SERVICE}/UnaryCall")
            self.assertEqual(json.loads(said),
                             {"payload": {"body": "AAAAAAAA"}})
            said = self.curl(
                *args, "-d",
                '{"response_parameters": [{"size": 3}, {"size": 6}]}',
                f"{url}/{TEST_SERVICE}/StreamingOutputCall")
            self.assertEqual(re.findall('"(A+)"', said), ["AAAA", "AAAAAAAA"])

    def test_an_error_comes_with_its_details(self):
        args, url = self.ways()[0]
        said = json.loads(self.curl(
            *args, "-d", '{"response_size": -1}',
            f"{url}/{TEST_SERVICE}/UnaryCall", code=24))
        self.assertEqual(said["code"], "invalid_argument")
        kinds = [d["type"] for d in said["details"]]
        self.assertEqual(kinds, ["google.rpc.ErrorInfo",
                                 "google.rpc.BadRequest"])


@needs("nghttp", "h2load", "curl")
class Http2(Programs):
    headers = ["-H", "content-type: application/grpc", "-H", "te: trailers"]

    def empty_call(self):
        path = os.path.join(wire.FOLDER, "empty")
        with open(path, "wb") as f:
            f.write(bytes(5))
        return path

    def test_nghttp_sees_headers_message_and_trailers(self):
        said = self.run_program(
            "nghttp", "-v", *self.headers, f"--data={self.empty_call()}",
            f"http://127.0.0.1:{self.server.tcp}/{TEST_SERVICE}/EmptyCall")
        said = re.sub(r"\x1b\[[0-9;]*m", "", said)
        self.assertIn(":status: 200", said)
        self.assertIn("grpc-status: 0", said)
        self.assertIn("SETTINGS_MAX_CONCURRENT_STREAMS(0x03):128", said)
        self.assertIn("SETTINGS_MAX_HEADER_LIST_SIZE(0x06):16384", said)
        self.assertRegex(said, r"recv DATA frame <length=5,")

    def test_h2load_succeeds_with_every_call(self):
        for where in ([f"http://127.0.0.1:{self.server.tcp}/"
                       f"{TEST_SERVICE}/EmptyCall"],
                      [f"--base-uri=unix:{self.server.path}",
                       f"http://localhost/{TEST_SERVICE}/EmptyCall"]):
            said = self.run_program(
                "h2load", "-c4", "-m32", "-n20000", *self.headers,
                f"--data={self.empty_call()}", *where)
            self.assertIn("20000 succeeded, 0 failed, 0 errored", said)
        self.server.await_idle()

    def test_curl_reads_metrics_and_health(self):
        for where in (["--unix-socket", self.server.path, "http://localhost"],
                      [f"http://127.0.0.1:{self.server.tcp}"]):
            *where, url = where
            said = self.run_program("curl", "-sS", *where, f"{url}/metrics")
            self.assertIn("# TYPE test_calls_total counter", said)
            said = self.run_program("curl", "-sSi", *where, f"{url}/healthz")
            self.assertIn(" 200 OK", said)

    def test_curl_is_told_what_gRPC_needs(self):
        url = f"http://127.0.0.1:{self.server.tcp}/{TEST_SERVICE}/EmptyCall"
        for args, status in (([], "405"),
                             (["-d", ""], "415"),
                             (["-H", "content-type: application/json", "-d",
                               "{}"], "415")):
            said = self.run_program("curl", "-sSi", "--http2-prior-knowledge",
                                    *args, url)
            self.assertIn(f"HTTP/2 {status}", said)


if __name__ == "__main__":
    unittest.main()
