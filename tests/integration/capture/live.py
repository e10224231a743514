# Live processes for the capture tests, and the program that captures them.
#
# SPDX-License-Identifier: Apache-2.0
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

MEMSNAP = os.environ["MEMSNAP"]
FROZEN = os.environ["FROZEN"]


def skip(why):
    print("skipped:", why)
    sys.exit(77)


def state(pid, tid=None):
    """Letter of a thread's state; X when it is gone."""
    path = f"/proc/{pid}/task/{tid or pid}/stat"
    try:
        with open(path) as f:
            return f.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "X"


def threads(pid):
    return [int(t) for t in os.listdir(f"/proc/{pid}/task")]


def wait_for(what, check, seconds=10):
    end = time.monotonic() + seconds
    while not check():
        if time.monotonic() > end:
            raise AssertionError(f"did not happen: {what}")
        time.sleep(0.001)


class Live:
    """A child process that prints one line when it is ready."""

    def __init__(self, *argv, **kw):
        self.child = subprocess.Popen(argv, stdout=subprocess.PIPE,
                                      text=True, **kw)
        self.pid = self.child.pid
        self.line = self.child.stdout.readline().strip()

    def freeze(self):
        os.kill(self.pid, signal.SIGSTOP)
        for tid in threads(self.pid):
            wait_for("stop", lambda: state(self.pid, tid) == "T")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()


class Store:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="memsnap-live-")
        self.path = os.path.join(self.dir, "store")

    def argv(self, *args):
        return [MEMSNAP, "--store", self.path, *map(str, args)]

    def run(self, *args):
        """The program's JSON; a failure is an assertion with its text."""
        done = subprocess.run(self.argv(*args, "--json"), text=True,
                              capture_output=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.dir)
