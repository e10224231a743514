# SPDX-License-Identifier: Apache-2.0
"""SpaceService: every call, over both wires."""
import tempfile
import unittest

from messages import space as m, types
from service import ServiceTest, over_all_transports

INVALID, NOT_FOUND, EXISTS, DENIED = 3, 5, 6, 7
EXHAUSTED, PRECONDITION, ABORTED, OUT_OF_RANGE = 8, 9, 10, 11
READ, WRITE, EXEC = 1, 2, 4
AT = 0x10000000
PAGE = 4096


@over_all_transports
class Spaces(ServiceTest):
    def test_a_space_is_made_found_and_deleted(self):
        made = self.new_space(name="life",
                              labels=[types.Label(key="team", value="red")])
        self.assertEqual(len(made.uid), 32)
        self.assertEqual(made.state, m.SPACE_STATE_READY)
        for ref in ("life", made.uid):
            got = self.call("SpaceService.GetSpace",
                            m.GetSpaceRequest(space=ref)).space
            self.assertEqual(got, made)
        self.call("SpaceService.DeleteSpace",
                  m.DeleteSpaceRequest(space="life"))
        e = self.fails(NOT_FOUND, "SPACE_NOT_FOUND", "SpaceService.GetSpace",
                       m.GetSpaceRequest(space="life"))
        self.assertIn("life", e.text)

    def test_names_are_checked_and_taken_once(self):
        e = self.fails(INVALID, "INVALID_NAME", "SpaceService.CreateSpace",
                       m.CreateSpaceRequest(name="No"))
        self.assertEqual(e.field, "name")
        self.new_space(name="once")
        self.fails(EXISTS, "NAME_EXISTS", "SpaceService.CreateSpace",
                   m.CreateSpaceRequest(name="once"))
        self.assertNotEqual(self.new_space().name, self.new_space().name)

    def test_a_request_id_makes_one_space(self):
        request = m.CreateSpaceRequest(request_id="twice")
        first = self.call("SpaceService.CreateSpace", request).space
        again = self.call("SpaceService.CreateSpace", request).space
        self.assertEqual(first, again)
        self.fails(EXISTS, "REQUEST_ID_REUSED", "SpaceService.CreateSpace",
                   m.CreateSpaceRequest(request_id="twice", name="other"))
        self.fails(INVALID, "INVALID_FIELD", "SpaceService.CreateSpace",
                   m.CreateSpaceRequest(request_id="x" * 129))

    def test_a_failed_request_id_can_be_tried_again(self):
        request = m.CreateSpaceRequest(request_id="later", name="taken")
        held = self.new_space(name="taken")
        self.fails(EXISTS, "NAME_EXISTS", "SpaceService.CreateSpace", request)
        self.call("SpaceService.DeleteSpace",
                  m.DeleteSpaceRequest(space=held.uid))
        made = self.call("SpaceService.CreateSpace", request).space
        self.assertNotEqual(made.uid, held.uid)

    def test_listings_are_paged_and_filtered(self):
        label = types.Label(key="page", value="yes")
        names = [f"page-{i}" for i in range(5)]
        for name in names:
            self.new_space(name=name, labels=[label])
        seen, token = [], ""
        while True:
            answer = self.call("SpaceService.ListSpaces", m.ListSpacesRequest(
                page_size=2, page_token=token, filter="label.page=yes"))
            seen += [s.name for s in answer.spaces]
            token = answer.next_page_token
            if not token:
                break
        self.assertEqual(seen, names)
        self.assertEqual(self.names("name=page-1*"), ["page-1"])
        self.assertEqual(self.names("name=page-*,name!=page-0")[0], "page-1")
        e = self.fails(INVALID, "INVALID_FIELD", "SpaceService.ListSpaces",
                       m.ListSpacesRequest(filter="size=1"))
        self.assertEqual(e.field, "filter")

    def names(self, given):
        answer = self.call("SpaceService.ListSpaces",
                           m.ListSpacesRequest(page_size=1000, filter=given))
        return [s.name for s in answer.spaces]

    def test_updates_go_by_the_etag(self):
        made = self.new_space(labels=[types.Label(key="a", value="1")])
        request = m.UpdateSpaceRequest(
            space=made.name, etag=made.etag, remove_labels=["a"],
            set_labels=[types.Label(key="b", value="2")])
        got = self.call("SpaceService.UpdateSpace", request).space
        self.assertEqual([(l.key, l.value) for l in got.labels], [("b", "2")])
        self.assertNotEqual(got.etag, made.etag)
        self.fails(ABORTED, "ETAG_MISMATCH", "SpaceService.UpdateSpace",
                   request)
        self.fails(ABORTED, "ETAG_MISMATCH", "SpaceService.DeleteSpace",
                   m.DeleteSpaceRequest(space=made.name, etag=made.etag))
        self.fails(INVALID, "INVALID_FIELD", "SpaceService.DeleteSpace",
                   m.DeleteSpaceRequest(space=made.name, etag="none"))

    def test_a_dry_run_deletes_nothing(self):
        made = self.new_space()
        self.call("SpaceService.DeleteSpace",
                  m.DeleteSpaceRequest(space=made.name, dry_run=True))
        self.call("SpaceService.GetSpace", m.GetSpaceRequest(space=made.name))


class MemoryTest(ServiceTest):
    def setUp(self):
        super().setUp()
        self.space = self.new_space().name

    def map(self, pages=4, at=AT, access=READ | WRITE, **fields):
        return self.call("SpaceService.Map", m.MapRequest(
            space=self.space, address=at, length=pages * PAGE, fixed=True,
            access=access, **fields)).address

    def write(self, at, data, space=None, **fields):
        return self.call("SpaceService.Write", m.WriteRequest(
            space=space or self.space, address=at, data=data,
            **fields)).written

    def read(self, at, length, space=None, **fields):
        parts = self.call("SpaceService.Read", m.ReadRequest(
            space=space or self.space, address=at, length=length, **fields))
        expected = at
        for part in parts:
            self.assertEqual(part.address, expected)
            expected += len(part.data)
        return b"".join(p.data for p in parts)


@over_all_transports
class Memory(MemoryTest):
    def test_what_is_written_is_read(self):
        self.assertEqual(self.map(), AT)
        self.assertEqual(self.write(AT + 5, b"hello"), 5)
        self.assertEqual(self.read(AT, 12), b"\0" * 5 + b"hello" + b"\0" * 2)

    def test_long_reads_and_writes_go_in_pieces(self):
        data = bytes(range(256)) * 4096 * 3  # 3 MiB
        self.map(pages=1024)
        parts = [m.WriteRequest(space=self.space, address=AT,
                                data=data[:1 << 20])]
        parts += [m.WriteRequest(data=data[i:i + 700000])
                  for i in range(1 << 20, len(data), 700000)]
        got = self.call("SpaceService.Write", *parts).written
        self.assertEqual(got, len(data))
        self.assertEqual(self.read(AT, len(data)), data)
        self.assertEqual(self.read(AT, len(data), chunk_bytes=99999), data)

    def test_a_read_past_a_mapping_gives_what_is_there_and_says_where(self):
        self.map(pages=1)
        e = self.fails(OUT_OF_RANGE, "FAULT", "SpaceService.Read",
                       m.ReadRequest(space=self.space, address=AT,
                                     length=2 * PAGE))
        self.assertEqual(e.notes["address"], hex(AT + PAGE))
        self.assertEqual(e.notes["errno"], "EFAULT")

    def test_a_write_past_a_mapping_counts_what_is_done(self):
        self.map(pages=1)
        e = self.fails(OUT_OF_RANGE, "FAULT", "SpaceService.Write",
                       m.WriteRequest(space=self.space,
                                      address=AT + PAGE - 3, data=b"abcdef"))
        self.assertEqual(e.notes["written"], "3")
        self.assertEqual(self.read(AT + PAGE - 3, 3), b"abc")

    def test_rights_hold_but_for_a_debugger(self):
        self.map(pages=1, access=0, max_access=READ | WRITE)
        self.fails(OUT_OF_RANGE, "FAULT", "SpaceService.Write",
                   m.WriteRequest(space=self.space, address=AT, data=b"x"))
        self.assertEqual(self.write(AT, b"x", ignore_access=True), 1)
        self.assertEqual(self.read(AT, 1, ignore_access=True), b"x")
        self.protect(AT, PAGE, READ)
        self.assertEqual(self.read(AT, 1), b"x")
        e = self.fails(DENIED, "ERRNO", "SpaceService.Protect",
                       m.ProtectRequest(space=self.space, address=AT,
                                        length=PAGE, access=EXEC))
        self.assertEqual(e.notes["errno"], "EACCES")

    def protect(self, at, length, access):
        self.call("SpaceService.Protect", m.ProtectRequest(
            space=self.space, address=at, length=length, access=access))

    def test_mapping_calls_fail_as_linux_does(self):
        self.map(pages=1)
        e = self.fails(EXISTS, "ERRNO", "SpaceService.Map", m.MapRequest(
            space=self.space, address=AT, length=PAGE, fixed=True))
        self.assertEqual(e.notes["errno"], "EEXIST")
        e = self.fails(INVALID, "ERRNO", "SpaceService.Unmap", m.UnmapRequest(
            space=self.space, address=AT + 1, length=PAGE))
        self.assertEqual(e.notes["errno"], "EINVAL")
        self.map(pages=1, replace=True)
        self.call("SpaceService.Unmap", m.UnmapRequest(
            space=self.space, address=AT, length=PAGE))
        self.fails(OUT_OF_RANGE, "FAULT", "SpaceService.Read", m.ReadRequest(
            space=self.space, address=AT, length=1))

    def test_fields_that_make_no_sense_are_named(self):
        for field, given in (("length", {"access": 1}),
                             ("access", {"access": 8, "length": 1}),
                             ("max_access", {"access": 3, "max_access": 1,
                                             "length": 1}),
                             ("replace", {"length": 1, "replace": True})):
            e = self.fails(INVALID, "INVALID_FIELD", "SpaceService.Map",
                           m.MapRequest(space=self.space, **given))
            self.assertEqual(e.field, field)
        e = self.fails(INVALID, "INVALID_FIELD", "SpaceService.Advise",
                       m.AdviseRequest(space=self.space, advice=99))
        self.assertEqual(e.field, "advice")
        e = self.fails(INVALID, "INVALID_FIELD", "SpaceService.Map",
                       m.MapRequest(length=1))
        self.assertEqual(e.field, "space")

    def test_memory_moves_with_its_bytes(self):
        self.map(pages=2)
        self.write(AT, b"moved")
        to = self.call("SpaceService.Remap", m.RemapRequest(
            space=self.space, old_address=AT, old_length=2 * PAGE,
            new_length=4 * PAGE, may_move=True, fixed=True,
            new_address=2 * AT)).address
        self.assertEqual(to, 2 * AT)
        self.assertEqual(self.read(to, 5), b"moved")

    def test_advice_discards(self):
        self.map(pages=2)
        self.write(AT, b"gone")
        self.call("SpaceService.Advise", m.AdviseRequest(
            space=self.space, address=AT, length=PAGE,
            advice=m.ADVICE_DONTNEED))
        self.assertEqual(self.read(AT, 4), b"\0" * 4)

    def test_locks_and_limits(self):
        self.map(pages=4)
        self.call("SpaceService.UpdateSpace", m.UpdateSpaceRequest(
            space=self.space, limits=m.SpaceLimits(locked_bytes=PAGE)))
        lock = m.LockRequest(space=self.space, address=AT, length=2 * PAGE,
                             action=m.LockRequest.ACTION_LOCK)
        e = self.fails(EXHAUSTED, "ERRNO", "SpaceService.Lock", lock)
        self.assertEqual(e.notes["errno"], "ENOMEM")
        lock.length = PAGE
        self.call("SpaceService.Lock", lock)
        self.call("SpaceService.Lock", m.LockRequest(
            space=self.space, action=m.LockRequest.ACTION_UNLOCK_ALL))

    def test_zeros_and_words(self):
        self.map(pages=1)
        self.write(AT, b"\x01\0\0\0rest")
        swap = m.CompareAndSwapRequest(space=self.space, address=AT,
                                       expected=1, desired=7)
        self.assertEqual(self.call("SpaceService.CompareAndSwap", swap).seen,
                         1)
        self.assertEqual(self.call("SpaceService.CompareAndSwap", swap).seen,
                         7)
        self.assertEqual(self.read(AT, 4), b"\x07\0\0\0")
        zero = m.ZeroRequest(space=self.space, address=AT, length=8)
        self.assertEqual(self.call("SpaceService.Zero", zero).written, 8)
        self.assertEqual(self.read(AT, 8), b"\0" * 8)
        swap.address += 1
        self.fails(INVALID, "INVALID_FIELD", "SpaceService.CompareAndSwap",
                   swap)

    def test_a_fork_has_its_own_pages_and_shares_what_is_shared(self):
        self.map(pages=1)
        self.map(pages=1, at=2 * AT, shared=True)
        self.write(AT, b"parent")
        child = self.call("SpaceService.ForkSpace",
                          m.ForkSpaceRequest(space=self.space)).space.name
        self.write(AT, b"child!", space=child)
        self.write(2 * AT, b"both", space=child)
        self.assertEqual(self.read(AT, 6), b"parent")
        self.assertEqual(self.read(AT, 6, space=child), b"child!")
        self.assertEqual(self.read(2 * AT, 4), b"both")

    def test_a_space_has_so_much_memory(self):
        self.map(pages=256)
        self.call("SpaceService.UpdateSpace", m.UpdateSpaceRequest(
            space=self.space, limits=m.SpaceLimits(memory_bytes=64 << 10)))
        e = self.fails(EXHAUSTED, "ERRNO", "SpaceService.Write",
                       m.WriteRequest(space=self.space, address=AT,
                                      data=b"x" * (1 << 20)))
        self.assertEqual(e.notes["errno"], "ENOMEM")
        self.assertEqual(self.write(AT, b"fits"), 4)

    def test_a_file_that_the_caller_has_open_is_mapped(self):
        with tempfile.NamedTemporaryFile() as f:
            f.write(b"of the host" + b"\0" * PAGE)
            f.flush()
            at = self.map(pages=1, shared=True, file=m.HostFile(
                file=types.FdRef(peer_fd=f.fileno())))
            self.assertEqual(self.read(at, 11), b"of the host")
            self.write(at, b"OF")
            f.seek(0)
            self.assertEqual(f.read(11), b"OF the host")
        e = self.fails(INVALID, "INVALID_FIELD", "SpaceService.Map",
                       m.MapRequest(space=self.space, length=PAGE,
                                    file=m.HostFile(file=types.FdRef(
                                        peer_fd=9999))))
        self.assertEqual(e.field, "file.file")

    def test_files_by_paths_are_refused_without_allowed_roots(self):
        self.fails(PRECONDITION, "FD_TRANSPORT_REQUIRED", "SpaceService.Map",
                   m.MapRequest(space=self.space, length=PAGE, access=READ,
                                file=m.HostFile(file=types.FdRef(
                                    path="/etc/passwd"))))


if __name__ == "__main__":
    unittest.main(verbosity=1)
