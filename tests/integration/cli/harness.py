"""What the suites share: runs of memsnap, a victim, a store in a folder."""
import fcntl
import glob
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.environ["MEMSNAP"]
MAN = os.environ["MEMSNAP_MAN"]
PAGE = 4096
ROOT = os.geteuid() == 0


class Victim:
    """victim.py as a child process."""

    def __init__(self, folder, kib=1024, user=None):
        self.path = os.path.join(folder, "mapped.bin")
        self.file = bytes(i * 7 % 251 for i in range(3 * PAGE + 100))
        if not os.path.exists(self.path):
            with open(self.path, "wb") as f:
                f.write(self.file)
        extra = {"user": user, "group": user_group(user),
                 "extra_groups": []} if user else {}
        self.process = subprocess.Popen(
            ["/usr/bin/python3", os.path.join(HERE, "victim.py"), self.path,
             str(kib)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, **extra)
        self.at = json.loads(self.process.stdout.readline())
        self.pid = self.process.pid

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def poke(self, name, offset, byte):
        assert self.ask(f"poke {name} {offset} {byte}") == "ok"

    def memory(self, name, offset, length):
        with open(f"/proc/{self.pid}/mem", "rb", 0) as mem:
            mem.seek(self.at[name] + offset)
            return mem.read(length)

    def maps(self):
        with open(f"/proc/{self.pid}/maps", "rb") as f:
            return f.read()

    def end(self):
        self.process.kill()
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def user_group(user):
    import pwd
    return pwd.getpwnam(user).pw_gid


class Case(unittest.TestCase):
    """One store and, on demand, one victim a test."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="memsnap-cli-")
        os.chmod(self.folder, 0o755)
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.store = os.path.join(self.folder, "store")
        # A user who may not enter the build folder still has to start it.
        self.program = os.path.join(self.folder, "memsnap")
        shutil.copy(PROGRAM, self.program)

    def victim(self, **how):
        v = Victim(self.folder, **how)
        self.addCleanup(v.end)
        return v

    def start(self, *args, store=None, user=None, stdin=subprocess.DEVNULL,
              stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=None):
        who = {"user": user, "group": user_group(user),
               "extra_groups": []} if user else {}
        base = {k: v for k, v in os.environ.items()
                if not k.startswith("MEMSNAP") and k != "XDG_DATA_HOME"}
        return subprocess.Popen(
            [self.program, *map(str, args)], stdin=stdin, stdout=stdout,
            stderr=stderr, cwd=self.folder,
            env={**base, "MEMSNAP_STORE": store or self.store, **(env or {})},
            **who)

    def run_raw(self, *args, **how):
        """(exit code, stdout bytes, stderr text) of one run."""
        p = self.start(*args, **how)
        out, err = p.communicate(timeout=120)
        return p.returncode, out, err.decode()

    def ok(self, *args, **how):
        """Runs, wants success and silence on stderr; stdout as text."""
        code, out, err = self.run_raw(*args, **how)
        self.assertEqual((code, err), (0, ""), args)
        return out.decode()

    def json(self, *args, **how):
        got = json.loads(self.ok(*args, "--json", **how))
        self.check_keys(args[0], got)
        return got

    def fails(self, code, name, *args, **how):
        """Wants exit @code and one line on stderr with @name in it, and with
        --json a second one."""
        got, out, err = self.run_raw(*args, **how)
        self.assertEqual(got, code, (args, err))
        lines = 2 if "--json" in args else 1
        self.assertEqual(err.count("\n"), lines, err)
        self.assertTrue(err.startswith("memsnap: "), err)
        self.assertIn(str(name), err)
        return err

    def fails_in_json(self, code, kind, *args, **how):
        got, out, err = self.run_raw(*args, "--json", **how)
        self.assertEqual(got, code, err)
        lines = err.splitlines()
        self.assertEqual(len(lines), 2, err)
        error = json.loads(lines[1])["error"]
        self.assertEqual(error["kind"], kind)
        self.assertEqual(error["exit"], code)
        self.assertEqual("memsnap: " + error["message"], lines[0])

    def check_keys(self, verb, value):
        """Every field that is printed stands in the verb's page."""
        text = ""
        for name in (f"memsnap-{verb}.1.scd", "memsnap-ls.1.scd"
                     if verb in ("show", "rm") else "memsnap.1.scd"):
            with open(os.path.join(MAN, name)) as f:
                text += f.read().replace("\\_", "_")
        for key in keys(value):
            self.assertTrue(re.search(rf"[_*]{key}[_*]", text),
                            f"{verb}: field {key} is not in the manual")

    def names(self, **how):
        """Names of the snapshots that are listed, oldest first."""
        return [s["name"] for s in self.json("ls", **how)["snapshots"]]

    def still_good(self, *names, **how):
        """These are all that is listed, and each verifies clean."""
        self.assertEqual(self.names(**how), list(names))
        for name in names:
            self.ok("verify", name, "-q", **how)

    def capture(self, victim, name, *more, **how):
        return self.json("capture", victim.pid, "--name", name, *more, **how)

    # ---- The store's files ------------------------------------------------

    def packs(self):
        return sorted(p for p in glob.glob(self.store + "/packs/*")
                      if os.path.getsize(p))

    def find(self, bytes_):
        """(file, offset) of the last place in any pack with these bytes."""
        found = None
        for path in self.packs():
            with open(path, "rb") as f:
                at = f.read().rfind(bytes_)
            if at >= 0:
                found = (path, at)
        self.assertIsNotNone(found, "not in any pack")
        return found

    def flip(self, path, at):
        with open(path, "r+b") as f:
            f.seek(at)
            byte = f.read(1)[0]
            f.seek(at)
            f.write(bytes([byte ^ 0x40]))

    def open_to_all(self, folders, files):
        """Sets the rights of everything in the store."""
        for folder, _, names in os.walk(self.store):
            os.chmod(folder, folders)
            for name in names:
                os.chmod(os.path.join(folder, name), files)

    def hold_lock(self):
        f = open(self.store + "/lock", "r+b")
        self.addCleanup(f.close)
        fcntl.flock(f, fcntl.LOCK_EX)


def keys(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


def joined(maps):
    """Lines of a maps listing, those joined that show one run of one thing."""
    lines = []
    for line in maps.decode().splitlines():
        where, rights, offset, dev, inode, *name = line.split(maxsplit=5)
        start, end = (int(x, 16) for x in where.split("-"))
        what = (rights, dev, inode, name)
        delta = int(offset, 16) - start if inode != "0" else 0
        if lines and lines[-1][1] == start and lines[-1][2:] == (what, delta):
            start = lines.pop()[0]
        lines.append((start, end, what, delta))
    return lines


def needs_root(test):
    return unittest.skipUnless(ROOT, "needs root")(test)


def main():
    unittest.main(verbosity=2)
