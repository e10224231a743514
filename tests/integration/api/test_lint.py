# SPDX-License-Identifier: Apache-2.0
"""The form of the API, by buf lint."""
from api import BREAKS, PROTO, ApiTest, main


class Lint(ApiTest):
    def test_the_api_has_the_form_that_others_know(self):
        done = self.buf("lint", PROTO)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_an_rpc_without_a_comment_is_reported(self):
        tree = self.changed("memsnap/v1/space.proto", "  // munmap(2).\n", "")
        done = self.buf("lint", tree)
        self.assertEqual(done.returncode, BREAKS, done.stdout)
        self.assertIn('RPC "Unmap"', done.stdout)


main()
