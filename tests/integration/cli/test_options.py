"""Options, words, output: what all verbs have in common."""
import json
import os
import signal
import time
import unittest

from harness import Case, main


class Words(Case):
    def test_a_mistyped_word_gets_the_nearest(self):
        for args, want in (
                (("captrue", 1), "'captrue'; did you mean 'capture'?"),
                (("sl",), "'sl'; did you mean 'ls'?"),
                (("ls", "--jsn"), "'--jsn'; did you mean '--json'?"),
                (("capture", "1", "--nmae=x"), "did you mean '--name'?"),
                (("xyzzy",), "unknown command 'xyzzy'; see 'memsnap help'"),
                (("ls", "-x"), "unknown option '-x'"),
                (("ls", "--qqqqq"), "see 'memsnap help ls'")):
            self.fails(2, want, *args)

    def test_usage_errors_name_what_is_wrong(self):
        for args, want in (
                ((), "no command"),
                (("ls", "more"), "'more'"),
                (("show",), "usage: memsnap show REF"),
                (("show", "a", "b"), "'b'"),
                (("capture",), "usage: memsnap capture PID"),
                (("capture", "1", "--name"), "'--name'"),
                (("ls", "--json=1"), "'--json'"),
                (("ls", "--color=pink"), "'pink'"),
                (("ls", "--progress", "maybe"), "'maybe'"),
                (("help", "captrue"), "'captrue'"),
                (("export", "one"), "--core"),
                (("read", "one", "7fxx", "1"), "'7fxx'"),
                (("read", "one", "1", "many"), "'many'"),
                (("read", "one", "1", "3X"), "'3X'"),
                (("read", "one", "99999999999999999999", "1"),
                 "'99999999999999999999'"),
                (("read", "one", "0xffffffffffffffff", "2"),
                 "0xffffffffffffffff"),
                (("read", "one", "1", "99999999T"), "'99999999T'"),
                (("capture", "one"), "'one'"),
                (("capture", "-1"), "'-1'"),
                (("capture", "0"), "'0'"),
                (("verify", "one", "--against", "x"), "'x'"),
                (("capture", str(os.getpid()), "--name", "No Name"),
                 "'No Name'"),
                (("capture", str(os.getpid()), "--name", "n" * 64), "nnn"),
                (("capture", str(os.getpid()), "--label", "novalue"),
                 "'novalue'"),
                (("capture", str(os.getpid()), "--label", "=v"), "'=v'")):
            self.fails(2, want, *args)
        self.assertFalse(os.path.exists(self.store))

    def test_errors_are_json_too(self):
        self.fails_in_json(2, "INVALID_ARGUMENT", "sl")
        self.fails_in_json(2, "INVALID_ARGUMENT", "ls", "--jsn")
        self.fails_in_json(4, "NOT_FOUND", "ls")

    def test_options_stand_before_or_behind_the_verb(self):
        v = self.victim()
        self.capture(v, "one")
        for args in (("--json", "ls"), ("ls", "--json")):
            self.assertEqual(len(json.loads(self.ok(*args))["snapshots"]), 1)
        other = self.folder + "/other"
        self.ok("--store", other, "capture", v.pid, "--name", "b")
        self.ok("capture", v.pid, "--name", "c", f"--store={other}")
        self.assertEqual(self.names(store=other), ["b", "c"])
        self.fails(2, "--store", "ls", "--store=")

    def test_operands_may_begin_with_a_dash_behind_two(self):
        self.capture(self.victim(), "one")
        self.fails(4, "-q", "show", "--", "-q")


class Stores(Case):
    def test_where_the_store_is_comes_from_the_environment(self):
        data = self.folder + "/data"
        env = {"MEMSNAP_STORE": "", "XDG_DATA_HOME": data}
        if os.geteuid() == 0:
            return self.as_nobody(data)
        self.fails(4, data + "/memsnap", "ls", env=env)

    def as_nobody(self, data):
        self.fails(4, data + "/memsnap", "ls", user="nobody",
                   env={"MEMSNAP_STORE": "", "XDG_DATA_HOME": data})
        self.fails(4, "/home/x/.local/share/memsnap", "ls", user="nobody",
                   env={"MEMSNAP_STORE": "", "HOME": "/home/x"})
        nothing = {"MEMSNAP_STORE": "", "HOME": ""}
        self.fails(2, "--store", "ls", user="nobody", env=nothing)
        self.ok("version", user="nobody", env=nothing)

    def test_reading_verbs_make_no_store(self):
        for args in (("ls",), ("show", "x"), ("maps", "x"), ("verify", "x"),
                     ("read", "x", "0", "1"), ("diff", "x", "y"),
                     ("rm", "-f", "x"), ("rm", "-n", "x"),
                     ("export", "x", "--core", "y")):
            self.fails(4, self.store, *args)
        self.assertFalse(os.path.exists(self.store))


class Output(Case):
    def test_a_full_disk_behind_stdout_is_told(self):
        self.capture(self.victim(), "one")
        for args in (("ls",), ("ls", "--json"), ("maps", "one"), ("help",),
                     ("version",)):
            with open("/dev/full", "wb") as full:
                self.fails(7, "standard output", *args, stdout=full)

    def test_raw_bytes_are_checked_too(self):
        v = self.victim()
        self.capture(v, "one")
        with open("/dev/full", "wb") as full:
            self.fails(7, "standard output", "read", "one", v.at["own"], 10,
                       stdout=full)

    def test_a_reader_that_goes_away_is_no_error(self):
        v = self.victim()
        self.capture(v, "one")
        for args in (("ls",), ("maps", "one"),
                     ("read", "one", v.at["own"], "1M")):
            there, here = os.pipe()
            os.close(there)
            code, out, err = self.run_raw(*args, stdout=here)
            os.close(here)
            self.assertEqual((code, err), (-signal.SIGPIPE, ""), args)

    def test_colors_come_when_asked_for(self):
        v = self.victim()
        self.capture(v, "one")
        v.poke("zero", 0, 1)
        self.capture(v, "two")
        self.assertNotIn("\033", self.ok("diff", "one", "two"))
        self.assertIn("\033[33m*", self.ok("diff", "one", "two",
                                           "--color=always"))
        outer, inner = os.openpty()
        for env, want in (({"TERM": "xterm"}, True),
                          ({"TERM": "xterm", "NO_COLOR": "1"}, False),
                          ({"TERM": "dumb"}, False)):
            code, out, err = self.run_raw("diff", "one", "two", stdout=inner,
                                          env={"NO_COLOR": "", **env})
            self.assertEqual(code, 0)
            self.assertEqual(b"\033[33m" in os.read(outer, 65536), want, env)
        os.close(inner)
        os.close(outer)

    def test_progress_comes_when_asked_for(self):
        v = self.victim()
        code, out, err = self.run_raw("capture", v.pid, "--name", "one",
                                      "--progress=always")
        self.assertEqual(code, 0)
        self.assertIn("capturing 100%", err)
        code, out, err = self.run_raw("verify", "one", "--progress=always")
        self.assertIn("verifying 100%", err)
        code, out, err = self.run_raw("diff", "one", "one",
                                      "--progress=always")
        self.assertIn("comparing 100%", err)


class Interrupt(Case):
    def interrupt(self, *args, signal_):
        """Interrupts while the first line of progress waits for a reader: the
        pipe is full before the program is started."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        filled = 0
        try:
            while True:
                filled += os.write(writer, b"." * 4096)
        except BlockingIOError:
            os.set_blocking(writer, True)
        p = self.start(*args, "--progress=always", stderr=writer)
        os.close(writer)
        self.addCleanup(p.stdout.close)
        while not self.writes_to_stderr(p.pid):
            self.assertIsNone(p.poll())
            time.sleep(0.005)
        p.send_signal(signal_)
        with os.fdopen(reader, "rb") as pipe:
            err = pipe.read()[filled:].decode()
        return p.wait(timeout=60), err

    @staticmethod
    def writes_to_stderr(pid):
        with open(f"/proc/{pid}/syscall") as f:
            return f.read().startswith("1 0x2 ")

    def test_a_capture_is_cancelled_and_leaves_nothing(self):
        v = self.victim(kib=256 * 1024)
        self.capture(v, "one")
        for name, sig, want in (("int", signal.SIGINT, 130),
                                ("term", signal.SIGTERM, 1)):
            code, err = self.interrupt("capture", v.pid, "--name", name,
                                       signal_=sig)
            self.assertEqual(code, want, err)
            self.assertIn("memsnap: ", err.splitlines()[-1])
        v.poke("own", 0, 1)
        self.still_good("one")
        self.capture(v, "two")
        self.still_good("one", "two")

    def test_verifying_is_cancelled(self):
        v = self.victim(kib=256 * 1024)
        self.capture(v, "one")
        code, err = self.interrupt("verify", "one", signal_=signal.SIGINT)
        self.assertEqual(code, 130, err)


if __name__ == "__main__":
    main()
