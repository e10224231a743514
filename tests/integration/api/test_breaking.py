# SPDX-License-Identifier: Apache-2.0
"""What a change of the API breaks, by buf breaking: see proto/released/."""
import glob
import os

from api import BREAKS, PROTO, ApiTest, main


class Breaking(ApiTest):
    def against(self, tree, image):
        return self.buf("breaking", tree, "--against", image)

    def image(self):
        path = os.path.join(self.folder, "released.binpb")
        done = self.buf("build", PROTO, "-o", path)
        self.assertEqual(done.returncode, 0, done.stdout)
        return path

    def test_clients_of_every_release_are_understood(self):
        for image in sorted(glob.glob(f"{PROTO}/released/*.binpb")):
            with self.subTest(image):
                done = self.against(PROTO, image)
                self.assertEqual(done.returncode, 0, done.stdout)

    def test_a_tree_breaks_nothing_of_itself(self):
        done = self.against(PROTO, self.image())
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_a_field_that_is_gone_is_reported(self):
        tree = self.changed("memsnap/v1/space.proto",
                            "  // Changes with labels and limits.\n"
                            "  string etag = 13;\n", "")
        done = self.against(tree, self.image())
        self.assertEqual(done.returncode, BREAKS, done.stdout)
        self.assertIn('field "13" with name "etag" on message "Space"',
                      done.stdout)

    def test_a_field_with_another_number_is_reported(self):
        tree = self.changed("memsnap/v1/manifest.proto", "bytes uid = 2;",
                            "bytes uid = 99;")
        done = self.against(tree, self.image())
        self.assertEqual(done.returncode, BREAKS, done.stdout)
        self.assertIn('"Manifest"', done.stdout)

    def test_a_new_field_breaks_nothing(self):
        tree = self.changed("memsnap/v1/event.proto",
                            "  string trace_id = 6;\n",
                            "  string trace_id = 6;\n  string more = 7;\n")
        done = self.against(tree, self.image())
        self.assertEqual(done.returncode, 0, done.stdout)


main()
