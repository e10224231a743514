# SPDX-License-Identifier: Apache-2.0
"""memsnapd as a program: arguments, sockets, its end."""
import os
import signal
import socket
import stat
import subprocess
import unittest

import messages
import service
import transports
from messages import admin, space


def run(*arguments):
    return subprocess.run([service.MEMSNAPD, *arguments], text=True,
                          capture_output=True, timeout=60)


class Program(unittest.TestCase):
    def start(self, *options):
        daemon = service.Daemon(*options)
        self.addCleanup(daemon.stop)
        return daemon

    def test_bad_arguments_get_one_line_and_exit_2(self):
        for arguments, said in (
                (["--listen", "foo"], "'foo' is no address"),
                (["--listen", "unix:relative"], "not absolute"),
                (["--listen", "unix:/" + "x" * 120], "107 bytes"),
                (["--listen", "tcp:0.0.0.0:1"], "loopback"),
                (["--listen", "tcp:127.0.0.1:99999"], "port"),
                (["--listen"], "needs a value"),
                (["--frobnicate"], "frobnicate"),
                (["extra"], "extra")):
            got = run(*arguments)
            self.assertEqual(got.returncode, 2, arguments)
            self.assertIn(said, got.stderr)
            self.assertEqual(got.stderr.count("\n"), 1, got.stderr)

    def test_nothing_to_listen_on_is_said(self):
        got = run()
        self.assertEqual(got.returncode, 1)
        self.assertIn("--listen", got.stderr)

    def test_a_socket_in_use_is_left_alone(self):
        daemon = self.start()
        got = run("--listen", f"unix:{daemon.path}")
        self.assertEqual(got.returncode, 1)
        self.assertIn("another service listens", got.stderr)
        transports.Grpc(daemon.path).call("AdminService.GetInfo",
                                          admin.GetInfoRequest())

    def test_a_socket_that_was_left_behind_is_replaced(self):
        path = os.path.join(messages.FOLDER, "left.sock")
        left = socket.socket(socket.AF_UNIX)
        left.bind(path)
        left.close()
        process = subprocess.Popen([service.MEMSNAPD, "--listen",
                                    f"unix:{path}"], stderr=subprocess.PIPE,
                                   text=True)
        self.assertIn("listening", process.stderr.readline())
        self.assertTrue(stat.S_ISSOCK(os.stat(path).st_mode))
        process.terminate()
        self.assertEqual(process.wait(60), 0)
        process.stderr.close()
        self.assertFalse(os.path.exists(path))

    def test_what_is_no_socket_is_not_replaced(self):
        path = os.path.join(messages.FOLDER, "file")
        with open(path, "w") as f:
            f.write("kept")
        got = run("--listen", f"unix:{path}")
        self.assertEqual(got.returncode, 1)
        self.assertIn("no socket", got.stderr)
        with open(path) as f:
            self.assertEqual(f.read(), "kept")

    def test_callers_on_the_loopback_are_not_a_user(self):
        daemon = service.Daemon("--listen", "tcp:127.0.0.1:0")
        self.addCleanup(daemon.stop)
        with open(daemon.log.name) as log:
            port = next(line.rsplit(":", 1)[1] for line in log
                        if "tcp:" in line).strip()
        transports.Grpc(daemon.path).call(
            "SpaceService.CreateSpace", space.CreateSpaceRequest(name="mine"))
        other = transports.Grpc.__new__(transports.Grpc)
        other.channel = transports.grpc.insecure_channel(f"127.0.0.1:{port}")
        self.addCleanup(other.close)
        info = other.call("AdminService.GetInfo", admin.GetInfoRequest())
        self.assertEqual(info.caller, "tenant:loopback")
        with self.assertRaises(transports.CallError) as caught:
            other.call("SpaceService.GetSpace",
                       space.GetSpaceRequest(space="mine"))
        self.assertEqual(caught.exception.reason, "SPACE_NOT_FOUND")

    def test_a_signal_ends_it_well(self):
        for how in (signal.SIGTERM, signal.SIGINT):
            daemon = service.Daemon()
            client = transports.Ttrpc(daemon.path)
            client.call("SpaceService.CreateSpace",
                        space.CreateSpaceRequest())
            client.close()
            self.assertEqual(daemon.stop(how), 0)
            self.assertFalse(os.path.exists(daemon.path))


if __name__ == "__main__":
    unittest.main(verbosity=1)
