"""A full disk, and what is too large."""
import os
import subprocess

from harness import Case, main, needs_root


class Full(Case):
    def mount(self, mib):
        """A small file system at the store's place."""
        small = self.folder + "/small"
        os.mkdir(small)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m",
                           "memsnap-test", small],
                          capture_output=True).returncode:
            self.skipTest("mount does not work here")
        self.addCleanup(subprocess.run, ["umount", small])
        self.store = small + "/store"

    @needs_root
    def test_a_disk_that_fills_up(self):
        small = self.victim(kib=1024)
        self.mount(160)
        self.capture(small, "one")
        large = self.victim(kib=192 * 1024)
        self.fails(7, self.store, "capture", large.pid, "--name", "two")
        self.still_good("one")
        large.poke("own", 0, 1)
        # What the failed capture took is given back.
        small.poke("own", 0, 1)
        self.capture(small, "three", "--parent", "one")
        self.still_good("one", "three")

    @needs_root
    def test_a_disk_that_is_full_from_the_start(self):
        v = self.victim()
        self.mount(1)
        with open(self.folder + "/small/fill", "wb") as f:
            f.write(bytes(1 << 20 - 1))
        self.fails(7, self.store, "capture", v.pid)

    @needs_root
    def test_an_export_to_a_full_disk(self):
        v = self.victim(kib=8192)
        self.capture(v, "one")
        store = self.store
        self.mount(4)
        core = self.folder + "/small/core"
        self.fails(7, core, "export", "one", "--core", core, store=store)
        self.assertEqual(os.listdir(self.folder + "/small"), [])


class Large(Case):
    def test_labels_that_are_too_long_or_too_many(self):
        v = self.victim(kib=64)
        self.capture(v, "one")
        self.fails(2, "label", "capture", v.pid, "--label",
                   "k=" + "v" * 5000)
        many = [x for i in range(257) for x in ("--label", f"k{i}=v")]
        self.fails(2, "label", "capture", v.pid, *many)
        self.fails(2, "label", "capture", v.pid, "-l", "a=1", "-l", "a=2")
        self.still_good("one")


if __name__ == "__main__":
    main()
