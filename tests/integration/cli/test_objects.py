"""Private mappings of memory that only a space knows."""
import json
import os
import subprocess

from harness import Case, PAGE, main

AT = 0x120000000000
SHOWN = (b"a" * PAGE, b"X" * PAGE, bytes(PAGE),
         b"d" * 5 + bytes(PAGE - 5))


class Objects(Case):
    """Snapshots of a library's user: see make_objects.c."""

    def setUp(self):
        super().setUp()
        subprocess.run([os.environ["MAKE_OBJECTS"], self.store], check=True)

    def read(self, name, page, pages=1):
        code, out, err = self.run_raw("read", name, hex(AT + page * PAGE),
                                      pages * PAGE)
        return code, out, err

    def test_read_shows_copies_over_the_object(self):
        for page, want in enumerate(SHOWN):
            self.assertEqual(self.read("first", page), (0, want, ""))
        self.assertEqual(self.read("first", 0, 4)[1], b"".join(SHOWN))
        self.assertEqual(self.read("second", 0)[1], b"A" * PAGE)

    def test_read_stops_at_the_objects_end(self):
        code, out, err = self.read("first", 3, 2)
        self.assertEqual((code, out), (2, SHOWN[3]))
        self.assertIn("behind the end of '/memfd:made (deleted)'", err)

    def test_maps_shows_a_private_mapping(self):
        line, = self.ok("maps", "first").splitlines()[-1:]
        self.assertIn("rw-p", line)
        self.assertIn("/memfd:made (deleted)", line)
        mapping, = self.json("maps", "first")["mappings"]
        self.assertEqual(mapping["kind"], "object")

    def test_show_tells_what_the_object_is(self):
        self.assertIn("mode 0640, seals grow, /memfd:made (deleted)",
                      self.ok("show", "first"))
        object_, = self.json("show", "first")["objects"]
        self.assertEqual(object_, {"bytes": 3 * PAGE + 5, "mode": "0640",
                                   "name": "/memfd:made (deleted)",
                                   "seals": ["grow"]})

    def test_diff_compares_what_shows(self):
        self.assertEqual(self.ok("diff", "first", "first"), "no difference\n")
        code, out, err = self.run_raw("diff", "first", "second", "--json")
        self.assertEqual(err, "")
        got = json.loads(out)
        run, = got["runs"]
        self.assertEqual((run["start"], run["pages"], run["shared"]),
                         (hex(AT), 1, False))
        self.assertEqual(got["mappings"], [])

    def test_verify_reads_the_object_too(self):
        self.ok("verify", "first", "-q")
        got = self.json("verify", "first")
        self.assertEqual((got["pages"], got["objects"]), (5, 1))
        self.flip(*self.find(b"b" * PAGE))
        self.fails(11, "second", "verify", "second", "-q")
        self.ok("verify", "first", "-q")

    def test_a_core_has_copies_over_the_object(self):
        core = self.folder + "/core"
        self.ok("export", "first", "--core", core)
        with open(core, "rb") as f:
            self.assertIn(b"".join(SHOWN), f.read())


if __name__ == "__main__":
    main()
