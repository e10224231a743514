"""Bytes that are not what was stored."""
import json
import os
import subprocess

from harness import Case, PAGE, main

MARK = "this-label-is-in-the-manifest"


class Damage(Case):
    """Snapshot "good" is stored first, "bad" is hurt."""

    def setUp(self):
        super().setUp()
        self.v = self.victim()
        self.capture(self.v, "good")
        # Pages that no other snapshot has.
        for page in range(100, 104):
            self.v.poke("own", page * PAGE + 5, 0xa0 + page % 16)
        self.page = self.v.memory("own", 101 * PAGE, PAGE)
        self.uid = self.capture(self.v, "bad", "--label",
                                f"mark={MARK}")["uid"]
        self.addr = self.v.at["own"] + 101 * PAGE

    def others_are_whole(self):
        self.assertEqual(self.names(), ["good", "bad"])
        self.ok("verify", "good", "-q")
        self.assertEqual(self.ok("diff", "good", "good"), "no difference\n")

    def test_a_flipped_bit_in_a_page(self):
        self.flip(*self.find(self.page))
        self.fails(11, "bad", "verify", "bad", "-q")
        code, out, err = self.run_raw("verify", "bad")
        self.assertEqual(code, 11)
        self.assertEqual(err.count("\n"), 1)
        text = out.decode()
        self.assertIn(f"addresses 0x{self.addr:x}-0x{self.addr + PAGE:x}, "
                      "pack ", text)
        self.assertEqual(text.count("\n"), 1)
        self.fails(11, hex(self.addr), "read", "bad", hex(self.addr), 1)
        self.fails(11, hex(self.addr), "diff", "good", "bad", "-q")
        self.fails(11, self.uid, "export", "bad", "--core", self.folder + "/c")
        self.assertFalse(os.path.exists(self.folder + "/c"))
        self.others_are_whole()

    def test_damage_in_json(self):
        self.flip(*self.find(self.page))
        code, out, err = self.run_raw("verify", "bad", "--json")
        got = json.loads(out)
        self.check_keys("verify", got)
        self.assertFalse(got["whole"])
        self.assertEqual(got["damaged_pages"], 1)
        damage, = got["damage"]
        self.assertEqual(damage["part"], "space")
        self.assertEqual(damage["start"], hex(self.addr))
        self.assertEqual(damage["end"], hex(self.addr + PAGE))
        self.assertEqual(json.loads(err.splitlines()[1])["error"]["kind"],
                         "DATA_LOSS")

    def test_bytes_before_the_damage_can_be_read(self):
        before = self.v.memory("own", 100 * PAGE, PAGE)
        self.flip(*self.find(self.page))
        code, out, err = self.run_raw("read", "bad", self.addr - PAGE,
                                      3 * PAGE)
        self.assertEqual((code, out), (11, before))
        self.assertIn(f"only the first {PAGE} of {3 * PAGE} bytes", err)
        self.assertEqual(err.count("\n"), 1)

    def test_a_flipped_bit_in_a_manifest(self):
        self.flip(*self.find(MARK.encode()))
        for verb in (("show",), ("maps",), ("verify", "-q")):
            self.fails(11, self.uid, *verb, "bad")
        self.fails(11, self.uid, "read", "bad", hex(self.addr), 1)
        self.others_are_whole()
        self.ok("rm", "-f", "bad")
        self.still_good("good")

    def test_a_pack_that_was_cut_off(self):
        path, at = self.find(self.page)
        os.truncate(path, at)
        code, out, err = self.run_raw("verify", "bad")
        self.assertEqual(code, 11)
        self.assertEqual(err.count("\n"), 1)
        self.assertIn(self.uid[:12], out.decode())
        self.others_are_whole()

    def test_a_manifest_that_was_cut_off(self):
        path, at = self.find(MARK.encode())
        os.truncate(path, at)
        self.fails(11, self.uid, "verify", "bad", "-q")
        self.others_are_whole()

    def test_a_pack_that_is_gone(self):
        path, at = self.find(self.page)
        os.unlink(path)
        self.fails(11, "snapshot", "verify", "bad", "-q")
        self.fails(11, self.uid, "read", "bad", hex(self.addr), 1)
        self.assertEqual(self.names(), ["good", "bad"])


class Newer(Case):
    def make_newer(self, what):
        subprocess.run([os.environ["MAKE_NEWER"], what, self.store],
                       check=True)

    def test_a_store_of_a_newer_format(self):
        v = self.victim()
        self.capture(v, "one")
        self.make_newer("marker")
        for args in (("ls",), ("info",), ("verify", "one"), ("show", "one"),
                     ("rm", "-f", "one"), ("capture", v.pid)):
            self.fails(3, self.store, *args)

    def test_a_manifest_of_a_newer_format(self):
        self.capture(self.victim(), "one")
        self.make_newer("manifest")
        for verb in ("show", "maps", "verify"):
            self.fails(3, "version", verb, "newer")
        self.assertEqual(self.names(), ["one", "newer"])
        self.ok("verify", "one", "-q")
        self.ok("rm", "-f", "newer")
        self.still_good("one")

    def test_a_store_whose_mark_is_hurt(self):
        self.capture(self.victim(), "one")
        with open(self.store + "/memsnap-store", "r+b") as f:
            f.write(b"garbage")
        self.fails(11, self.store, "ls")
        self.fails(11, self.store, "info")


if __name__ == "__main__":
    main()
