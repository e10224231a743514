# SPDX-License-Identifier: Apache-2.0
"""A memsnapd to test, and test cases that are run over every transport."""
import os
import signal
import socket
import subprocess
import time
import unittest

import messages
import transports

MEMSNAPD = os.environ["MEMSNAPD"]


class Daemon:
    count = 0

    def __init__(self, *options):
        Daemon.count += 1
        self.path = os.path.join(messages.FOLDER, f"{Daemon.count}.sock")
        self.log = open(os.path.join(messages.FOLDER,
                                     f"{Daemon.count}.log"), "w+")
        self.process = subprocess.Popen(
            [MEMSNAPD, "--listen", f"unix:{self.path}", *options],
            stderr=self.log)
        self.await_socket()

    def is_served(self):
        with socket.socket(socket.AF_UNIX) as s:
            return s.connect_ex(self.path) == 0

    def await_socket(self):
        while not self.is_served():
            if self.process.poll() is not None:
                self.log.seek(0)
                raise AssertionError(self.log.read())
            time.sleep(0.01)

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(60)
        self.log.close()
        return code


class ServiceTest(unittest.TestCase):
    """Tests of a class share a daemon; each has spaces of its own."""

    transport = None

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon()
        cls.addClassCleanup(cls.end_daemon)

    @classmethod
    def end_daemon(cls):
        code = cls.daemon.stop()
        assert code == 0, f"memsnapd ended with {code}"

    def setUp(self):
        self.client = self.connect()

    def connect(self):
        client = self.transport(self.daemon.path)
        self.addCleanup(client.close)
        return client

    def call(self, path, *requests, **options):
        return self.client.call(path, *requests, **options)

    def fails(self, code, reason, path, *requests, **options):
        """The call fails with this code and reason; returns the failure."""
        with self.assertRaises(transports.CallError) as caught:
            self.call(path, *requests, **options)
        e = caught.exception
        self.assertEqual((e.code, e.reason), (code, reason), e.text)
        return e

    def new_space(self, **fields):
        request = messages.space.CreateSpaceRequest(**fields)
        return self.call("SpaceService.CreateSpace", request).space


def over_all_transports(cls):
    """A class for each transport, in the module of @cls; @cls goes."""
    made = {f"{cls.__name__}Over{t.name.capitalize()}":
            type(cls.__name__, (cls,), {"transport": t,
                                        "__module__": cls.__module__})
            for t in transports.ALL}
    import sys
    vars(sys.modules[cls.__module__]).update(made)
    return None
