# SPDX-License-Identifier: Apache-2.0
"""Frames that no honest client sends.  Whatever comes, the server stays up,
keeps its memory, and serves an honest client that was there before."""
import os
import random
import struct
import unittest

import wire
from raw import (CALM, CANCEL, CONTINUATION, DATA, EMPTY_CALL, END_HEADERS,
                 END_STREAM, HEADERS, PING, PREFACE, RST_STREAM, SERVICE,
                 SETTINGS, UNARY_CALL, WINDOW_UPDATE, Closed, Connection,
                 frame, message)

OK, EXHAUSTED, INTERNAL = 0, 8, 13
PROTOCOL_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR = 1, 3, 6

# What the server may take beside what it had: half of its buffers for one
# owner, and what heaps and sanitizers add.
MEMORY_KIB = 256 << 10


class HostileTest(wire.WireTest):
    options = "--frame-ms", "300", "--hello-ms", "300"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Of another owner: what one holds is counted against that one.
        cls.honest = Connection(cls.server, tcp=True)
        cls.addClassCleanup(cls.honest.__exit__)
        cls.before_kib = cls.server.resident_kib()

    def setUp(self):
        self.c = Connection(self.server)

    def tearDown(self):
        self.assertTrue(self.server.alive())
        self.assertEqual(self.honest.result()[0], OK)
        self.assertLess(self.server.resident_kib() - self.before_kib,
                        MEMORY_KIB)
        self.c.__exit__()
        self.assertEqual(self.honest.result()[0], OK)

    def flood(self, data, most):
        """Sends this so often, or until the server has had enough."""
        try:
            for _ in range(most):
                self.c.send(data)
        except Closed:
            pass


class Floods(HostileTest):
    def test_rapid_reset(self):
        reset = struct.pack(">I", CANCEL)
        before = self.server.metrics()["test_calls_total"]
        try:
            for _ in range(100):
                batch = b""
                for _ in range(200):
                    self.c.stream += 2
                    batch += frame(HEADERS, END_HEADERS, self.c.stream,
                                   self.c.headers())
                    batch += frame(RST_STREAM, 0, self.c.stream, reset)
                self.c.send(batch)
        except Closed:
            pass
        self.assertIsNotNone(self.c.await_end())
        calls = self.server.metrics()["test_calls_total"] - before
        self.assertLess(calls, 2000)

    def test_pings(self):
        self.flood(frame(PING, 0, 0, bytes(8)) * 100, 100)
        self.assertEqual(self.c.await_end(), CALM)

    def test_settings(self):
        self.flood(frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 65535)) * 100,
                   100)
        self.assertEqual(self.c.await_end(), CALM)

    def test_empty_data(self):
        stream = self.c.open(SERVICE + "FullDuplexCall")
        self.flood(frame(DATA, 0, stream) * 100, 100)
        self.assertEqual(self.c.await_end(), CALM)

    def test_frames_that_do_not_exist(self):
        self.flood(frame(0x77, 0, 0, b"x") * 100, 100)
        self.assertEqual(self.c.await_end(), CALM)

    def test_pings_beside_calls_are_no_flood(self):
        # As clients do that measure the speed of a connection.
        for _ in range(50):
            self.c.send(frame(PING, 0, 0, bytes(8)) * 100)
            self.assertEqual(self.c.result()[0], OK)

    def test_continuations(self):
        self.c.send(frame(HEADERS, 0, 1, self.c.headers()))
        part = self.c.encoder.encode([("x-more", "of it")])
        self.flood(frame(CONTINUATION, 0, 1, part), 1000)
        self.assertEqual(self.c.await_end(), CALM)

    def test_window_updates_past_the_end(self):
        self.flood(frame(WINDOW_UPDATE, 0, 0,
                         struct.pack(">I", 0x7fffffff)), 10)
        self.assertEqual(self.c.await_end(), FLOW_CONTROL_ERROR)


class Headers(HostileTest):
    def test_a_long_block_is_refused(self):
        block = self.c.headers(EMPTY_CALL, *[
            (f"x-{n}", "a" * 1000) for n in range(60)])
        self.c.stream = 1
        parts = [block[i:i + 16384] for i in range(0, len(block), 16384)]
        self.c.send(frame(HEADERS, END_STREAM, 1, parts[0]))
        for i, part in enumerate(parts[1:], 2):
            last = END_HEADERS if i == len(parts) else 0
            self.c.send(frame(CONTINUATION, last, 1, part))
        fields, _, _ = self.c.answer(1)
        self.assertEqual(fields["grpc-status"], str(EXHAUSTED))
        self.assertEqual(self.c.result()[0], OK)

    def test_a_bomb_of_indexed_fields_is_refused(self):
        # One long field in the dynamic table, named a byte each 10,000 times.
        self.assertEqual(
            self.c.result(EMPTY_CALL, ("x-bomb", "b" * 3900))[0], OK)
        block = self.c.headers(EMPTY_CALL, *[("x-bomb", "b" * 3900)] * 10000)
        self.assertLess(len(block), 16384)
        stream = self.c.stream = self.c.stream + 2
        self.c.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, block))
        fields, _, _ = self.c.answer(stream)
        self.assertEqual(fields["grpc-status"], str(EXHAUSTED))

    def test_fields_that_http_does_not_allow(self):
        for more in (("Upper", "case"), ("connection", "close"),
                     ("transfer-encoding", "chunked"), ("upgrade", "h2c"),
                     ("keep-alive", "1"), ("proxy-connection", "1"),
                     ("te", "gzip"), ("", "none"), ("a b", "c"),
                     ("x\0y", "z"), ("gr\xfc\xdf", "x"), (":x", "y"),
                     (":path", "/again"), (":authority", "late")):
            fields, _, _ = self.c.answer(self.c.call(EMPTY_CALL, more))
            self.assertEqual(fields, {"reset": PROTOCOL_ERROR}, more)
        for missing in ":path", ":method", ":scheme":
            fields, _, _ = self.c.answer(self.c.call(without=[missing]))
            self.assertEqual(fields, {"reset": PROTOCOL_ERROR}, missing)
        self.assertEqual(self.c.result(EMPTY_CALL, ("x", "line\nend"))[0],
                         INTERNAL)
        self.assertEqual(self.c.result(without=[":authority"])[0], OK)

    def test_trailers_that_are_not_the_end(self):
        stream = self.c.open(SERVICE + "FullDuplexCall")
        self.c.send(frame(HEADERS, END_HEADERS, stream,
                          self.c.encoder.encode([("x-more", "to come")])))
        fields, _, _ = self.c.answer(stream)
        self.assertEqual(fields, {"reset": PROTOCOL_ERROR})
        self.assertEqual(self.c.result()[0], OK)

    def test_a_block_that_is_no_hpack(self):
        self.c.send(frame(HEADERS, END_HEADERS, 1, b"\xff" * 50))
        self.assertIsNotNone(self.c.await_end())


class Halves(HostileTest):
    def ends(self, data, preface=True):
        with Connection(self.server, preface=preface) as c:
            if data:
                c.send(data)
            c.await_end()  # by the server, after --frame-ms

    def test_half_a_beginning(self):
        for n in range(0, len(PREFACE), 5):
            self.ends(PREFACE[:n], preface=False)

    def test_half_a_frame(self):
        whole = frame(DATA, 0, 1, b"12345")
        for n in 1, 3, 8, 9, 13:
            self.ends(whole[:n])

    def test_a_block_that_is_never_ended(self):
        self.ends(frame(HEADERS, 0, 1, self.c.headers()))

    def test_a_frame_that_comes_byte_by_byte(self):
        data = frame(SETTINGS, 0, 0, struct.pack(">HI", 3, 100) * 1000)
        with self.assertRaises(Closed):
            for i in range(len(data)):
                self.c.send(data[i:i + 1])
                if self.c.is_over():
                    raise Closed

    def test_idle_connections_stay(self):
        # Nothing is half there: it may be idle as long as it likes.
        self.assertEqual(self.c.result()[0], OK)
        self.ends(b"\0")
        self.assertEqual(self.c.result()[0], OK)


class Errors(HostileTest):
    def test_frames_that_break_the_protocol(self):
        for data, code in (
                (frame(DATA, 0, 0, b"x"), PROTOCOL_ERROR),
                (frame(HEADERS, END_HEADERS, 0, b""), PROTOCOL_ERROR),
                (frame(HEADERS, END_HEADERS, 2, b"\x82"), PROTOCOL_ERROR),
                (frame(DATA, 0, 7, b"x"), PROTOCOL_ERROR),
                (frame(CONTINUATION, END_HEADERS, 1, b""), PROTOCOL_ERROR),
                (frame(PING, 0, 0, b"short"), FRAME_SIZE_ERROR),
                (frame(PING, 0, 1, bytes(8)), PROTOCOL_ERROR),
                (frame(SETTINGS, 0, 0, b"12345"), FRAME_SIZE_ERROR),
                (frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 1 << 31)),
                 FLOW_CONTROL_ERROR),
                (frame(WINDOW_UPDATE, 0, 0, bytes(4)), PROTOCOL_ERROR),
                (frame(5, END_HEADERS, 1, struct.pack(">I", 2)),
                 PROTOCOL_ERROR)):
            with self.subTest(data), Connection(self.server) as c:
                c.send(data)
                self.assertEqual(c.await_end(), code)

    def test_a_frame_that_is_longer_than_allowed(self):
        with Connection(self.server) as c:
            c.send(b"\xff\xff\xff\0\0\0\0\0\1")
            self.assertEqual(c.await_end(), FRAME_SIZE_ERROR)

    def test_a_beginning_that_is_none(self):
        for data in (b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + bytes(100),
                     b"POST / HTTP/1.1\r\n\r\n", b"\x80\0\0\0", b"?" * 100):
            with Connection(self.server, preface=False) as c:
                c.send(data)
                c.await_end()

    def test_more_than_the_window_allows(self):
        self.assertEqual(self.c.result()[0], OK)
        stream = self.c.open(SERVICE + "FullDuplexCall")
        # A response of one byte, in a minute: nobody takes what follows.
        self.c.send(frame(DATA, 0, stream, message(
            b"\x12\x07\x08\x01\x10\x80\x8e\xce\x1c")))
        for _ in range(20):
            self.c.send(frame(DATA, 0, stream, message(bytes(16000))))
        fields, _, _ = self.c.answer(stream)
        self.assertEqual(fields, {"reset": FLOW_CONTROL_ERROR})
        self.assertEqual(self.c.result()[0], OK)


class Memory(HostileTest):
    def test_half_messages_of_many_streams_are_bounded(self):
        connections = [Connection(self.server) for _ in range(8)]
        half = message(bytes(60000), length=4 << 20)
        refused = 0
        for c in connections:
            self.assertEqual(c.result()[0], OK)
            for _ in range(100):
                stream = c.open(UNARY_CALL)
                c.send(frame(DATA, 0, stream, half))
        for c in connections:
            # Others are told that their request did not come in time.
            for _ in range(100):
                fields = dict(c.await_frame(HEADERS)[3])
                refused += fields["grpc-status"] == str(EXHAUSTED)
        self.assertGreater(refused, 700)
        for c in connections:
            c.__exit__()
        self.server.await_idle()

    def test_answers_that_nobody_reads_are_bounded(self):
        connections = [Connection(self.server) for _ in range(20)]
        # SimpleRequest with response_size 4,000,000, 100 times on each.
        body = message(b"\x10\x80\x92\xf4\x01")
        for c in connections:
            for _ in range(100):
                c.call(UNARY_CALL, body=body)
        self.assertEqual(self.honest.result()[0], OK)
        self.assertLess(self.server.resident_kib() - self.before_kib,
                        MEMORY_KIB)
        for c in connections:
            c.__exit__()
        self.server.await_idle()

    def test_connections_that_come_and_go_leave_nothing(self):
        for _ in range(500):
            with Connection(self.server) as c:
                c.call(SERVICE + "FullDuplexCall")
        self.server.await_idle()


class Noise(HostileTest):
    def test_frames_at_random(self):
        seed = int(os.environ.get("MSN_TEST_SEED") or random.randrange(1 << 32))
        print(f"MSN_TEST_SEED={seed}")
        rng = random.Random(seed)
        for _ in range(300):
            with Connection(self.server) as c:
                try:
                    for _ in range(rng.randrange(20)):
                        self.one(c, rng)
                except Closed:
                    pass
        self.server.await_idle()

    def one(self, c, rng):
        stream = rng.choice((0, 1, 3, 5, c.stream + 2))
        kind, flags = rng.choice((*range(10), 77)), rng.choice((0, 1, 4, 5, 8))
        if rng.random() < 0.4:
            c.call(rng.choice((EMPTY_CALL, UNARY_CALL,
                               SERVICE + "FullDuplexCall")),
                   body=message(rng.randbytes(rng.randrange(30))))
        elif rng.random() < 0.3:
            c.send(frame(kind, flags, stream, c.headers()))
        else:
            c.send(frame(kind, flags, stream,
                         rng.randbytes(rng.choice((0, 4, 5, 8, 100)))))


unittest.main()
