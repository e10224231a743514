"""Every verb, as text and as JSON."""
import json
import os
import re
import struct
import subprocess

from harness import Case, PAGE, joined, main


class Capture(Case):
    def test_a_process_becomes_a_snapshot_and_lives_on(self):
        v = self.victim()
        got = self.capture(v, "one", "--label", "a=b=c", "-l", "d=")
        self.assertEqual(got["name"], "one")
        self.assertEqual(got["pid"], v.pid)
        self.assertEqual(got["threads"], 1)
        self.assertIsNone(got["parent"])
        self.assertGreaterEqual(got["private_bytes"], 1 << 20)
        v.poke("own", 0, 1)
        shown = self.json("show", "one")
        self.assertEqual(shown["labels"], [{"key": "a", "value": "b=c"},
                                           {"key": "d", "value": ""}])
        self.assertEqual(shown["uid"], got["uid"])

    def test_text_has_name_and_sizes(self):
        v = self.victim()
        text = self.ok("capture", v.pid, "--name", "one")
        self.assertRegex(text, rf"^captured process {v.pid} as one "
                               r"\([0-9a-f]{12}\): [0-9.]+ MiB private, "
                               r".* stopped for [0-9.]+ ms\n$")
        self.assertRegex(self.ok("capture", v.pid, "-q"), r"^[0-9a-f]{32}\n$")
        self.assertRegex(self.ok("capture", v.pid, "-p"),
                         r"as [0-9a-f]{12}: \d+ private, \d+ stored")

    def test_a_child_stores_what_has_changed(self):
        v = self.victim(kib=8192)
        one = self.capture(v, "one")
        v.poke("own", 5 * PAGE, 1)
        two = self.capture(v, "two", "--parent", "one")
        self.assertEqual(two["parent"], one["uid"])
        self.assertGreater(one["stored_bytes"], 8 << 20)
        self.assertLess(two["stored_bytes"], 2 << 20)
        self.assertGreater(two["inherited_bytes"], 8 << 20)
        self.assertIn(" one ", self.ok("ls").splitlines()[2])
        self.still_good("one", "two")

    def test_the_store_and_the_folders_above_it_are_made(self):
        v = self.victim()
        deep = self.folder + "/a/b/store"
        self.ok("capture", v.pid, "--name", "one", store=deep)
        self.still_good("one", store=deep)


class Listing(Case):
    def test_ls_prints_a_table_uids_and_json(self):
        v = self.victim()
        uid = self.capture(v, "one")["uid"]
        head, line = self.ok("ls").splitlines()
        self.assertEqual(head.split(), ["NAME", "UID", "PARENT", "CREATED",
                                        "MAPPED", "PRIVATE", "STORED",
                                        "ORIGIN"])
        self.assertEqual(line.split()[:3], ["one", uid[:12], "-"])
        self.assertRegex(line.split()[3],
                         r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertIn(str(v.pid), line)
        self.assertEqual(self.ok("ls", "-q"), uid + "\n")
        one, = self.json("ls")["snapshots"]
        self.assertEqual((one["uid"], one["name"]), (uid, "one"))
        self.assertIn(str(one["mapped_bytes"]), self.ok("ls", "-p"))

    def test_show_prints_lines_and_json(self):
        v = self.victim()
        uid = self.capture(v, "one", "--label", "k=v")["uid"]
        text = self.ok("show", uid[:4])
        for line in (r"^Name\s+one$", rf"^Uid\s+{uid}$", r"^Parent\s+-$",
                     r"^Label k\s+v$", r"^Private\s+[0-9.]+ MiB$"):
            self.assertRegex(text, re.compile(line, re.M))
        shown = self.json("show", uid)
        self.assertEqual(shown["mappings"], self.ok("maps", uid).count("\n"))
        self.assertGreaterEqual(len(shown["blobs"]), 1)
        self.assertEqual([o["bytes"] for o in shown["objects"]],
                         [4 * PAGE])

    def test_maps_is_what_proc_said(self):
        v = self.victim()
        self.capture(v, "one")
        code, out, err = self.run_raw("maps", "one")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(joined(out), joined(v.maps()))
        # Neighbours may be joined; a line that is not is the very same.
        self.assertGreater(set(v.maps().splitlines()) &
                           set(out.splitlines()), set())
        theirs = {line.split()[0]: line for line in v.maps().splitlines()}
        for line in out.splitlines():
            self.assertEqual(line, theirs.get(line.split()[0], line))
        listed = self.json("maps", "one")["mappings"]
        own, = [m for m in listed if int(m["start"], 16) <= v.at["own"] <
                int(m["end"], 16)]
        self.assertEqual((own["rights"], own["kind"]), ("rw-p", "anon"))
        kinds = {m["kind"] for m in listed}
        self.assertEqual(kinds, {"anon", "file", "object", "kernel"})


class Read(Case):
    def setUp(self):
        super().setUp()
        self.v = self.victim()
        self.capture(self.v, "one")

    def read(self, name, offset, length):
        code, out, err = self.run_raw(
            "read", "one", hex(self.v.at[name] + offset), length)
        self.assertEqual((code, err), (0, ""))
        return out

    def test_private_pages_come_from_the_store(self):
        before = self.v.memory("own", 100, 9000)
        self.v.poke("own", 101, before[1] ^ 1)
        self.assertEqual(self.read("own", 100, 9000), before)

    def test_all_of_a_mapping_is_read(self):
        self.assertEqual(self.read("own", 0, "1M"),
                         self.v.memory("own", 0, 1 << 20))

    def test_zero_pages_are_zero(self):
        self.assertEqual(self.read("zero", 0, 4 * PAGE), bytes(4 * PAGE))

    def test_shared_memory_is_in_the_snapshot(self):
        before = self.v.memory("shared", 0, 4 * PAGE)
        self.v.poke("shared", 3, 0)
        self.assertEqual(self.read("shared", 0, 4 * PAGE), before)

    def test_unchanged_pages_come_from_the_host_file(self):
        want = bytearray(self.v.file)
        want[PAGE] = ord("!")
        want += bytes(4 * PAGE - len(want))
        self.assertEqual(self.read("file", 0, 4 * PAGE), bytes(want))

    def test_a_changed_host_file_is_an_error_with_its_name(self):
        at = self.v.at["file"]
        was = os.stat(self.v.path)
        os.utime(self.v.path, ns=(was.st_atime_ns, was.st_mtime_ns + 1))
        self.fails(6, "written since", "read", "one", hex(at), 1)
        os.utime(self.v.path, ns=(was.st_atime_ns, was.st_mtime_ns))
        self.assertEqual(self.read("file", 0, 4), self.v.file[:4])
        with open(self.v.path, "ab") as f:
            f.write(b"more")
        self.fails(6, self.v.path, "read", "one", hex(at), 1)
        os.unlink(self.v.path)
        self.fails(6, hex(at), "read", "one", hex(at), 1)
        self.assertEqual(self.read("file", PAGE, 1), b"!")

    def test_what_comes_before_an_error_is_written_and_told(self):
        at = self.v.at["file"]
        os.unlink(self.v.path)
        code, out, err = self.run_raw("read", "one", at + PAGE, 2 * PAGE)
        self.assertEqual(code, 6)
        self.assertEqual(len(out), PAGE)
        self.assertIn(f"only the first {PAGE} of {2 * PAGE} bytes", err)
        self.assertEqual(err.count("\n"), 1)

    def test_numbers_are_decimal_or_hexadecimal(self):
        at, want = self.v.at["own"], self.v.memory("own", 0, 16)
        for addr, length in ((at, 16), (hex(at), "0x10")):
            code, out, err = self.run_raw("read", "one", addr, length)
            self.assertEqual((code, out), (0, want))

    def test_nothing_can_be_read_where_nothing_is(self):
        self.fails(2, "0x1000", "read", "one", "0x1000", 1)
        self.assertEqual(self.read("none", 0, PAGE), bytes(PAGE))
        guard = self.v.at["none"] + PAGE
        self.fails(2, hex(guard), "read", "one", guard, 1)

    def test_no_bytes_are_no_error(self):
        self.assertEqual(self.read("own", 0, 0), b"")


class Diff(Case):
    def test_a_snapshot_does_not_differ_from_itself(self):
        v = self.victim()
        self.capture(v, "one")
        self.assertEqual(self.ok("diff", "one", "one"), "no difference\n")
        self.assertEqual(self.json("diff", "one", "one")["runs"], [])

    def test_changed_bytes_are_found(self):
        v = self.victim()
        self.capture(v, "one")
        old = v.memory("own", 7 * PAGE, 2)
        v.poke("own", 7 * PAGE, old[0] ^ 1)
        v.poke("own", 7 * PAGE + 1, old[1] ^ 1)
        v.poke("shared", PAGE, 0x55)
        new = int(v.ask("map"))
        self.capture(v, "two", "--parent", "one")
        got = self.json("diff", "one", "two")
        runs = {r["start"]: r for r in got["runs"]}
        run = runs[hex(v.at["own"] + 7 * PAGE)]
        self.assertEqual((run["pages"], run["bytes_differ"], run["shared"]),
                         (1, 2, False))
        run = runs[hex(v.at["shared"] + PAGE)]
        self.assertEqual((run["pages"], run["shared"]), (1, True))
        added = [m for m in got["mappings"] if int(m["start"], 16) <= new <
                 int(m["end"], 16)]
        self.assertEqual([m["change"] for m in added], ["added"])
        self.assertGreater(got["summary"]["same_place_pages"], 200)
        text = self.ok("diff", "one", "two")
        start = v.at["own"] + 7 * PAGE
        self.assertIn(f"* {start:x}-{start + PAGE:x} 1 page, 2 bytes differ\n",
                      text)
        self.assertEqual(self.ok("diff", "one", "two", "-q"),
                         text.splitlines(True)[-1])

    def test_the_other_way_round_added_is_removed(self):
        v = self.victim()
        self.capture(v, "one")
        v.ask("map")
        self.capture(v, "two")
        there = self.json("diff", "one", "two")["summary"]
        back = self.json("diff", "two", "one")["summary"]
        self.assertEqual(there["mappings_added"], back["mappings_removed"])
        self.assertEqual(there["changed_pages"], back["changed_pages"])
        self.assertEqual(there["bytes_differ"], back["bytes_differ"])


class Verify(Case):
    def test_a_whole_snapshot_is_whole(self):
        v = self.victim()
        self.capture(v, "one")
        self.assertRegex(self.ok("verify", "one"),
                         r"^snapshot one is whole: \d+ pages, [0-9.]+ MiB\n$")
        got = self.json("verify", "one")
        self.assertTrue(got["whole"])
        self.assertEqual((got["damaged_pages"], got["damage"]), (0, []))
        self.assertEqual(self.ok("verify", "one", "-q"), "")

    def test_a_process_that_waits_is_what_was_saved(self):
        v = self.victim()
        self.capture(v, "one")
        got = self.json("verify", "one", "--against", v.pid)["against"]
        self.assertTrue(got["equal"], got)
        self.assertGreaterEqual(got["pages_compared"], 256)
        self.assertEqual(got["differences"], [])

    def test_the_cpu_that_a_process_runs_on_is_no_difference(self):
        v = self.victim()
        self.capture(v, "one")
        for cpu in sorted(os.sched_getaffinity(0)) * 2:
            os.sched_setaffinity(v.pid, {cpu})
            self.ok("verify", "one", "--against", v.pid)

    def test_a_process_that_changed_is_not(self):
        v = self.victim()
        self.capture(v, "one")
        old = v.memory("own", 3 * PAGE, 1)[0]
        v.poke("own", 3 * PAGE, old ^ 1)
        v.poke("zero", 0, 1)
        new = int(v.ask("map"))
        code, out, err = self.run_raw("verify", "one", "--against", v.pid)
        self.assertEqual(code, 6)
        self.assertIn(f"process {v.pid} is not as snapshot one has it", err)
        for start in (v.at["own"] + 3 * PAGE, v.at["zero"]):
            self.assertIn(f"* {start:x}-", out.decode())
        code, out, err = self.run_raw("verify", "one", "--against", v.pid,
                                      "--json")
        got = json.loads(out)
        self.check_keys("verify", got)
        self.assertFalse(got["against"]["equal"])
        added = [d for d in got["against"]["differences"]
                 if d["kind"] == "added" and int(d["start"], 16) <= new <
                 int(d["end"], 16)]
        self.assertEqual(len(added), 1)


class Export(Case):
    def test_a_core_file_is_written(self):
        v = self.victim()
        uid = self.capture(v, "one")["uid"]
        core = self.folder + "/out.core"
        got = self.json("export", "one", "--core", core)
        self.assertEqual(got["uid"], uid)
        self.assertEqual(got["bytes"], os.path.getsize(core))
        with open(core, "rb") as f:
            head = f.read(20)
        self.assertEqual(head[:4], b"\x7fELF")
        self.assertEqual(struct.unpack_from("<H", head, 16)[0], 4)
        self.fails(5, core, "export", "one", "--core", core)
        self.ok("export", "one", "--core", core, "--force", "-q")
        subprocess.run(["readelf", "-ln", core], check=True,
                       stdout=subprocess.DEVNULL)


class Rm(Case):
    def setUp(self):
        super().setUp()
        v = self.victim()
        for name in ("one", "two", "three"):
            self.capture(v, name)

    def test_a_snapshot_is_gone_and_the_others_are_not(self):
        self.assertRegex(self.ok("rm", "-f", "two"),
                         r"^removed snapshot two \([0-9a-f]{12}\)")
        self.still_good("one", "three")

    def test_a_dry_run_removes_nothing(self):
        self.assertIn("would remove snapshot two", self.ok("rm", "-n", "two"))
        got = self.json("rm", "-n", "one", "two")
        self.assertTrue(got["dry_run"])
        self.assertEqual([s["name"] for s in got["removed"]], ["one", "two"])
        self.still_good("one", "two", "three")

    def test_what_can_be_removed_is(self):
        code, out, err = self.run_raw("rm", "-f", "one", "nobody", "two")
        self.assertEqual(code, 12)
        self.assertEqual(err.count("\n"), 1)
        self.assertIn("nobody", err)
        self.still_good("three")

    def test_json_lists_each(self):
        code, out, err = self.run_raw("rm", "-f", "one", "nobody", "--json")
        self.assertEqual(code, 12)
        got = json.loads(out)
        self.check_keys("rm", got)
        self.assertEqual([s["name"] for s in got["removed"]], ["one"])
        self.assertEqual([(f["ref"], f["error"]["exit"])
                          for f in got["failed"]], [("nobody", 4)])

    def test_a_snapshot_named_twice_is_removed_once(self):
        self.ok("rm", "-f", "one", "one")
        self.still_good("two", "three")

    def test_without_a_terminal_force_is_needed(self):
        self.fails(2, "one", "rm", "one")
        self.still_good("one", "two", "three")

    def test_on_a_terminal_each_is_asked_for(self):
        for answer, left in ((b"n\n", ["one", "two", "three"]),
                             (b"y\n", ["two", "three"])):
            outer, inner = os.openpty()
            os.write(outer, answer)
            code, out, err = self.run_raw("rm", "one", stdin=inner)
            self.assertIn("remove snapshot one", err)
            self.assertEqual(code, 0 if answer == b"y\n" else 1)
            os.close(inner)
            os.close(outer)
            self.assertEqual(self.names(), left)


class Info(Case):
    def test_features_are_told_without_a_store(self):
        got = self.json("info")
        self.assertEqual(got["store"], {"path": self.store, "exists": False})
        self.assertEqual(set(got["features"]),
                         {"io_uring", "pagemap_scan", "userfaultfd",
                          "userfaultfd_wp_async", "memfd", "ptrace"})
        self.assertTrue(got["features"]["memfd"]["available"])
        self.assertFalse(os.path.exists(self.store))

    def test_the_store_is_told_of(self):
        self.capture(self.victim(), "one")
        got = self.json("info")
        self.assertEqual(got["store"]["snapshots"], 1)
        self.assertGreater(got["store"]["pack_bytes"], 1 << 20)
        self.assertIn(got["store"]["io"], ("io_uring", "sync"))
        self.assertIn("direct_io", got["features"])
        text = self.ok("info")
        self.assertIn(self.store, text)
        self.assertRegex(text, r"(?m)^snapshots +1$")

    def test_version_and_help(self):
        version = self.json("version")["version"]
        self.assertEqual(self.ok("version"), f"memsnap {version}\n")
        table = self.json("help")
        text = self.ok("help")
        for cmd in table["commands"]:
            self.assertIn(f"  {cmd['name']} ", text)
            one = self.ok("help", cmd["name"])
            self.assertTrue(one.startswith(f"usage: memsnap {cmd['name']}"))
            self.assertEqual(one, self.ok(cmd["name"], "--help"))
            for option in cmd["options"]:
                self.assertIn(f"--{option['name']}", one)
        self.assertEqual(self.ok("-h"), text)


if __name__ == "__main__":
    main()
