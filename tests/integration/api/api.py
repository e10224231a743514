# SPDX-License-Identifier: Apache-2.0
"""What the suites share: buf, and trees of .proto files to change."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

PROTO = os.environ["PROTO"]
BUF = os.path.join(os.environ["NODE_MODULES"], ".bin", "buf")
BREAKS = 100  # what buf exits with when it found something


class ApiTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="memsnap-api-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.tree = os.path.join(self.folder, "proto")

    def buf(self, *args):
        env = dict(os.environ, BUF_CACHE_DIR=self.folder)
        return subprocess.run([BUF, *args], cwd=self.folder, env=env,
                              text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)

    def changed(self, file, old, new):
        """A copy of the tree in which one text is another."""
        shutil.copytree(PROTO, self.tree)
        path = os.path.join(self.tree, file)
        with open(path) as f:
            text = f.read()
        self.assertEqual(text.count(old), 1, f"{old!r} in {file}")
        with open(path, "w") as f:
            f.write(text.replace(old, new))
        return self.tree


def main():
    if not os.path.exists(BUF):
        print(f"skipped: no {BUF}")
        sys.exit(77)
    unittest.main()
