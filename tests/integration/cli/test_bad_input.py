"""References, processes and stores that are not what they should be."""
import os
import subprocess

from harness import Case, main, needs_root


class References(Case):
    VERBS = (("show",), ("maps",), ("verify",), ("rm", "-f"), ("rm", "-n"))

    def every_verb(self, code, ref):
        for verb in self.VERBS:
            self.fails(code, ref, *verb, ref)
        self.fails(code, ref, "read", ref, "0x1000", 1)
        self.fails(code, ref, "diff", "one", ref)
        self.fails(code, ref, "diff", ref, "one")
        self.fails(code, ref, "export", ref, "--core", self.folder + "/c")
        self.assertFalse(os.path.exists(self.folder + "/c"))

    def test_an_unknown_reference(self):
        self.capture(self.victim(), "one")
        self.every_verb(4, "nobody")
        self.every_verb(4, "ffff" * 8)
        self.still_good("one")

    def test_a_prefix_that_is_too_short(self):
        uid = self.capture(self.victim(), "one")["uid"]
        if not uid[:3].isalpha():
            self.every_verb(2, uid[:3])
        self.ok("show", uid[:4])
        self.still_good("one")

    def test_a_prefix_of_several(self):
        v = self.victim(kib=64)
        first = self.capture(v, "one")["uid"]
        seen = {first[:4]}
        # About 300 uids meet in 4 digits; a prefix of 4 is the shortest.
        for i in range(4000):
            uid = self.ok("capture", v.pid, "-q").strip()
            if uid[:4] in seen:
                break
            seen.add(uid[:4])
        self.fails(2, uid[:4], "show", uid[:4])

    def test_a_parent_that_is_not_there(self):
        v = self.victim()
        self.capture(v, "one")
        self.fails(4, "nobody", "capture", v.pid, "--parent", "nobody")
        self.still_good("one")

    def test_a_name_that_is_taken(self):
        v = self.victim()
        self.capture(v, "one")
        self.fails(5, "one", "capture", v.pid, "--name", "one")
        self.fails_in_json(5, "ALREADY_EXISTS", "capture", v.pid, "--name",
                           "one")
        self.still_good("one")


class Processes(Case):
    def test_no_such_process(self):
        gone = subprocess.Popen(["true"])
        gone.wait()
        self.capture(self.victim(), "one")
        for pid in (gone.pid, 2 ** 30, 2 ** 40):
            self.fails(4, pid, "capture", pid)
            self.fails(4, pid, "verify", "one", "--against", pid)
        self.still_good("one")

    def test_a_process_that_is_dead_already(self):
        self.capture(self.victim(), "one")
        zombie = subprocess.Popen(["true"])
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        code, out, err = self.run_raw("capture", zombie.pid)
        zombie.wait()
        self.assertIn(code, (4, 6, 8), err)
        self.assertEqual(err.count("\n"), 1)
        self.assertIn(str(zombie.pid), err)
        self.still_good("one")

    @needs_root
    def test_no_right_to_trace(self):
        v = self.victim()
        open_store = self.folder + "/open"
        os.mkdir(open_store)
        os.chmod(open_store, 0o777)
        self.fails(8, v.pid, "capture", v.pid, store=open_store + "/s",
                   user="nobody")
        self.capture(v, "one")
        self.open_to_all(0o755, 0o644)
        self.fails(8, v.pid, "verify", "one", "--against", v.pid,
                   user="nobody")
        self.still_good("one")


class Stores(Case):
    def test_a_folder_that_is_no_store(self):
        os.mkdir(self.store)
        with open(self.store + "/letter.txt", "w") as f:
            f.write("dear reader")
        v = self.victim()
        self.fails(2, self.store, "ls")
        self.fails(2, self.store, "info")
        self.fails(2, self.store, "capture", v.pid)
        self.assertEqual(os.listdir(self.store), ["letter.txt"])

    def test_a_file_that_is_no_store(self):
        with open(self.store, "w") as f:
            f.write("dear reader")
        self.fails(2, self.store, "ls")
        self.fails(2, self.store, "capture", self.victim().pid)
        with open(self.store) as f:
            self.assertEqual(f.read(), "dear reader")

    def test_a_store_below_a_file(self):
        with open(self.folder + "/file", "w"):
            pass
        code, out, err = self.run_raw("capture", self.victim().pid,
                                      store=self.folder + "/file/store")
        self.assertEqual(code, 2, err)
        self.assertIn(self.folder + "/file", err)
        self.assertEqual(err.count("\n"), 1)

    def test_a_second_writer_waits_its_turn(self):
        v = self.victim()
        self.capture(v, "one")
        self.hold_lock()
        self.fails(9, self.store, "capture", v.pid, "--name", "two")
        self.fails(9, self.store, "rm", "-f", "one")
        self.fails_in_json(9, "UNAVAILABLE", "capture", v.pid)
        self.still_good("one")

    @needs_root
    def test_a_store_that_may_only_be_read(self):
        v = self.victim()
        self.capture(v, "one")
        self.open_to_all(0o555, 0o444)
        theirs = Case.victim(self, user="nobody")
        self.fails(8, self.store, "capture", theirs.pid, user="nobody")
        self.fails(8, self.store, "rm", "-f", "one", user="nobody")
        self.still_good("one", user="nobody")
        self.ok("maps", "one", user="nobody")
        self.ok("info", user="nobody")

    @needs_root
    def test_a_store_on_a_disk_that_may_only_be_read(self):
        v = self.victim()
        self.capture(v, "one")
        if subprocess.run(["mount", "--bind", "-o", "ro", self.store,
                           self.store], capture_output=True).returncode:
            self.skipTest("mount does not work here")
        self.addCleanup(subprocess.run, ["umount", self.store])
        subprocess.run(["mount", "-o", "remount,bind,ro", self.store],
                       check=True)
        self.fails(8, self.store, "capture", v.pid, "--name", "two")
        self.fails(8, self.store, "rm", "-f", "one")
        self.still_good("one")

    def test_rm_of_what_is_not_there(self):
        self.capture(self.victim(), "one")
        self.fails(4, "two", "rm", "-f", "two")
        self.still_good("one")


if __name__ == "__main__":
    main()
