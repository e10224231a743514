# SPDX-License-Identifier: Apache-2.0
"""What gRPC asks of a server, frame by frame."""
import base64
import struct
import unittest

import wire
from raw import (ACK, CANCEL, DATA, EMPTY_CALL, END_HEADERS, END_STREAM,
                 GOAWAY, HEADERS, INITIAL_WINDOW_SIZE, PADDED, PING, PRIORITY,
                 RST_STREAM, SERVICE, SETTINGS, UNARY_CALL, WINDOW_UPDATE,
                 Connection, frame, message)

OK, CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE = range(5)
EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 8, 12, 13, 14


class Frames(wire.WireTest):
    def setUp(self):
        self.c = Connection(self.server)
        self.addCleanup(self.c.__exit__)


class Requests(Frames):
    def test_a_call_is_headers_message_trailers(self):
        fields, data, blocks = self.c.answer(self.c.call())
        self.assertEqual((fields, data, blocks), (
            {":status": "200", "content-type": "application/grpc",
             "grpc-status": "0"}, message(), 2))

    def test_an_immediate_error_is_trailers_only(self):
        fields, data, blocks = self.c.answer(self.c.call("/none.Such/Call"))
        self.assertEqual((data, blocks), (b"", 1))
        self.assertEqual(fields[":status"], "200")
        self.assertEqual(fields["content-type"], "application/grpc")
        self.assertEqual(fields["grpc-status"], str(UNIMPLEMENTED))
        details = fields["grpc-status-details-bin"]
        self.assertFalse(details.endswith("="))
        padded = details + "=" * (-len(details) % 4)
        self.assertIn(b"google.rpc.ErrorInfo", base64.b64decode(padded))

    def test_paths_that_are_none(self):
        for path in ("/", "/x", "//", EMPTY_CALL + "/", EMPTY_CALL + "x",
                     SERVICE, "/" + "a" * 5000, "/%2e"):
            self.assertEqual(self.c.result(path)[0], UNIMPLEMENTED, path)

    def test_other_content_types_are_415(self):
        for kind in "application/json", "application/grpc-web", "text/plain":
            fields, _, _ = self.c.answer(self.c.call(content_type=kind))
            self.assertEqual(fields, {":status": "415"})
        fields, _, _ = self.c.answer(self.c.call(without=["content-type"]))
        self.assertEqual(fields, {":status": "415"})
        for kind in ("application/grpc+proto", "application/grpc; x=y"):
            self.assertEqual(self.c.result(content_type=kind)[0], OK)

    def test_other_methods_are_405(self):
        for method in "GET", "PUT", "OPTIONS":
            fields, _, _ = self.c.answer(self.c.call(method=method))
            self.assertEqual(fields, {":status": "405", "allow": "POST"})
        stream = self.c.open(method="CONNECT", without=[":path", ":scheme"],
                             flags=END_STREAM)
        self.assertEqual(self.c.answer(stream)[0][":status"], "405")

    def test_te_trailers_is_asked_for(self):
        code, text = self.c.result(without=["te"])
        self.assertEqual(code, INTERNAL)
        self.assertIn("te: trailers", text)

    def test_encodings(self):
        fields, _, blocks = self.c.answer(self.c.call(grpc_encoding="gzip"))
        self.assertEqual(fields["grpc-status"], str(UNIMPLEMENTED))
        self.assertEqual(fields["grpc-accept-encoding"], "identity")
        self.assertEqual(blocks, 1)
        self.assertEqual(self.c.result(grpc_encoding="identity",
                                       grpc_accept_encoding="gzip")[0], OK)

    def test_flags_of_a_message(self):
        code, text = self.c.result(body=message(b"x", flags=1))
        self.assertEqual(code, INTERNAL)
        self.assertIn("compressed", text)
        for flags in 2, 3, 128, 255:
            self.assertEqual(self.c.result(body=message(flags=flags))[0],
                             INTERNAL)

    def test_timeouts(self):
        self.assertEqual(self.c.result(grpc_timeout="0n")[0], DEADLINE)
        for text in "99999999H", "10S":
            self.assertEqual(self.c.result(grpc_timeout=text)[0], OK)
        for text in "", "1", "1s", "123456789n", "-1S":
            code, said = self.c.result(grpc_timeout=text)
            self.assertEqual(code, INTERNAL)
            self.assertIn("grpc-timeout", said)

    def test_a_unary_method_takes_one_message(self):
        for body in b"", message() * 2:
            self.assertEqual(self.c.result(body=body)[0], UNIMPLEMENTED)
        stream = self.c.open(flags=END_STREAM)
        fields, _, _ = self.c.answer(stream)
        self.assertEqual(fields["grpc-status"], str(UNIMPLEMENTED))

    def test_the_stream_may_end_with_the_headers(self):
        for name in "FullDuplexCall", "StreamingInputCall":
            stream = self.c.open(SERVICE + name, flags=END_STREAM)
            fields, _, _ = self.c.answer(stream)
            self.assertEqual(fields["grpc-status"], "0")

    def test_the_stream_may_end_with_trailers(self):
        stream = self.c.open()
        self.c.send(frame(DATA, 0, stream, message()) +
                    frame(HEADERS, END_STREAM | END_HEADERS, stream,
                          self.c.encoder.encode([("x-last", "word")])))
        self.assertEqual(self.c.answer(stream)[0]["grpc-status"], "0")

    def test_half_a_message_is_an_error(self):
        for body in b"\0", b"\0\0\0\0", message(b"ab", length=3):
            code, text = self.c.result(body=body)
            self.assertEqual(code, INTERNAL)
            self.assertIn("middle of a message", text)

    def test_a_message_may_be_cut_anywhere(self):
        # SimpleRequest with response_size 7 and a payload of 40 bytes.
        inner = b"\x12\x28" + bytes(40)
        body = message(b"\x10\x07\x1a" + bytes([len(inner)]) + inner)
        for step in range(1, len(body)):
            stream = self.c.open(UNARY_CALL)
            for at in range(0, len(body), step):
                self.c.send(frame(DATA, 0, stream, body[at:at + step]))
            self.c.send(frame(DATA, END_STREAM, stream))
            fields, data, _ = self.c.answer(stream)
            self.assertEqual(fields["grpc-status"], "0")
            self.assertEqual(len(data), 5 + 11)

    def test_a_message_that_is_too_long_is_refused_at_once(self):
        for length in (4 << 20) + 1, 0xffffffff:
            stream = self.c.open(UNARY_CALL)
            self.c.send(frame(DATA, 0, stream, message(length=length)))
            fields, _, blocks = self.c.answer(stream)
            self.assertEqual(fields["grpc-status"], str(EXHAUSTED))
            self.assertIn("4 MiB", fields["grpc-message"])
            self.assertEqual(blocks, 1)
            self.assertEqual(self.c.await_frame(RST_STREAM)[2], stream)

    def test_bytes_that_are_no_message_are_an_error(self):
        self.assertEqual(self.c.result(UNARY_CALL, body=message(b"\xff"))[0],
                         INTERNAL)

    def test_what_is_not_known_is_passed_over(self):
        stream = self.c.open()
        self.c.send(frame(0x42, 0xff, stream, b"?" * 100) +
                    frame(PRIORITY, 0, stream, struct.pack(">IB", 0, 9)) +
                    frame(DATA, END_STREAM, stream, message()))
        self.assertEqual(self.c.answer(stream)[0]["grpc-status"], "0")


class Metadata(Frames):
    def echo(self, *values):
        fields, _, _ = self.c.answer(self.c.call(
            UNARY_CALL, *[(wire.TRAILING, v) for v in values]))
        return fields.get(wire.TRAILING), fields

    def test_binary_values_with_and_without_padding(self):
        for text in "q6ur", "q6s", "q6s=", "qw", "qw==", "":
            value, fields = self.echo(text)
            self.assertEqual(fields["grpc-status"], "0", fields)
            self.assertEqual(value, text.rstrip("="))

    def test_joined_binary_values_are_several(self):
        for joined in "q6s,q6ur", "q6s=, q6ur":
            value, _ = self.echo(joined)
            self.assertEqual(value, "q6s")

    def test_what_is_no_base64_is_refused(self):
        for text in "q", "q6s==", "q6_s", "q6s,q":
            value, fields = self.echo(text)
            self.assertEqual(fields["grpc-status"], str(INTERNAL))
            self.assertIsNone(value)

    def test_texts_are_ascii(self):
        code, text = self.c.result(EMPTY_CALL, ("x-name", "gr\xfc\xdf"))
        self.assertEqual(code, INTERNAL)
        self.assertIn("ASCII", text)

    def test_more_headers_than_allowed_are_refused(self):
        code, text = self.c.result(EMPTY_CALL, ("x-long", "a" * 17000))
        self.assertEqual(code, EXHAUSTED)
        self.assertIn("16384", text)
        code, _ = self.c.result(EMPTY_CALL, *[
            (f"x-{n}", "v") for n in range(500)])
        self.assertEqual(code, EXHAUSTED)
        self.assertEqual(self.c.result(EMPTY_CALL, *[
            (f"x-{n}", "v") for n in range(300)])[0], OK)


class FlowControl(Frames):
    def request(self, size):
        """A SimpleRequest for an answer of this size."""
        varint = b""
        while size >= 0x80:
            varint += bytes([size & 0x7f | 0x80])
            size >>= 7
        return message(b"\x10" + varint + bytes([size]))

    def test_no_byte_is_sent_that_the_window_has_no_room_for(self):
        with Connection(self.server, [(INITIAL_WINDOW_SIZE, 0)]) as c:
            stream = c.call(UNARY_CALL, body=self.request(100))
            _, flags, _, _ = c.await_frame(HEADERS)
            self.assertFalse(flags & END_STREAM)
            data = b""
            while len(data) < 5 + 104:
                self.assertTrue(c.is_silent())
                c.send(frame(WINDOW_UPDATE, 0, stream,
                             struct.pack(">I", 10)))
                kind, _, _, payload = c.read()
                self.assertEqual(kind, DATA)
                self.assertLessEqual(len(payload), 10)
                data += payload
            kind, flags, _, fields = c.await_frame(HEADERS)
            self.assertTrue(flags & END_STREAM)
            self.assertEqual(dict(fields)["grpc-status"], "0")

    def test_a_stream_that_is_not_read_holds_up_no_other(self):
        with Connection(self.server, [(INITIAL_WINDOW_SIZE, 1000)]) as c:
            slow = c.call(UNARY_CALL, body=self.request(5000))
            c.await_frame(DATA, stream=slow)
            self.assertEqual(c.result()[0], OK)
            c.send(frame(WINDOW_UPDATE, 0, slow, struct.pack(">I", 10000)))
            self.assertEqual(c.answer(slow)[0]["grpc-status"], "0")

    def test_windows_are_given_back_for_what_was_taken(self):
        stream = self.c.open(SERVICE + "StreamingInputCall")
        inner = b"\x12\xf8\x3f" + bytes(8184)
        body = message(b"\x0a" + bytes([len(inner) & 0x7f | 0x80,
                                        len(inner) >> 7]) + inner)
        window, whole, sent = 65535, 65535, 0
        self.assertEqual(self.c.await_frame(SETTINGS)[1], 0)
        window = 262144
        # Padding counts too, and is no message's.
        padded = frame(DATA, PADDED, stream, b"\x64" + body + bytes(100))
        cost = len(padded) - 9
        while sent < 4 << 20:
            while window < cost or whole < cost:
                _, _, on, payload = self.c.await_frame(WINDOW_UPDATE)
                more, = struct.unpack(">I", payload)
                window += more if on else 0
                whole += 0 if on else more
            self.c.send(padded)
            window -= cost
            whole -= cost
            sent += len(body)
        self.c.send(frame(DATA, END_STREAM, stream))
        fields, data, _ = self.c.answer(stream)
        self.assertEqual(fields["grpc-status"], "0")

    def test_a_cancelled_call_gives_its_place_back(self):
        for _ in range(300):
            stream = self.c.open(SERVICE + "FullDuplexCall")
            self.c.send(frame(RST_STREAM, 0, stream,
                              struct.pack(">I", CANCEL)))
        self.assertEqual(self.c.result()[0], OK)
        self.server.await_idle()

    def test_the_129th_stream_is_refused(self):
        for _ in range(129):
            last = self.c.open(SERVICE + "FullDuplexCall")
        self.assertEqual(self.c.answer(last)[0], {"reset": 7})
        self.c.send(frame(DATA, END_STREAM, 1))
        self.assertEqual(self.c.answer(1)[0]["grpc-status"], "0")
        self.assertEqual(self.c.result()[0], OK)

    def test_a_client_that_knows_the_limit_must_keep_it(self):
        self.assertEqual(self.c.result()[0], OK)
        for _ in range(129):
            self.c.open(SERVICE + "FullDuplexCall")
        self.assertEqual(self.c.await_end(), 1)


class Draining(unittest.TestCase):
    def test_the_end_comes_in_two_steps(self):
        server = wire.Server()
        with Connection(server) as c:
            slow = c.open(SERVICE + "FullDuplexCall")
            self.assertEqual(c.result()[0], OK)
            server.terminate()
            _, _, _, payload = c.await_frame(GOAWAY)
            self.assertEqual(struct.unpack(">II", payload[:8]),
                             (0x7fffffff, 0))
            _, _, _, ping = c.await_frame(PING)
            # On its way when the client heard: told to go elsewhere.
            self.assertEqual(c.result()[0], UNAVAILABLE)
            c.send(frame(PING, ACK, 0, ping))
            _, _, _, payload = c.await_frame(GOAWAY)
            self.assertEqual(struct.unpack(">II", payload[:8]),
                             (c.stream, 0))
            # What was under way ends as it would have.
            c.send(frame(DATA, END_STREAM, slow))
            self.assertEqual(c.answer(slow)[0]["grpc-status"], "0")
            self.assertIsNone(c.await_end())
        self.assertEqual(server.wait(), 0)


unittest.main()
