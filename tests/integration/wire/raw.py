# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 by hand: frames as a test wants them, right or wrong."""
import select
import socket
import struct

import wire

try:
    import hpack
except ImportError:
    wire.skip("no python3-hpack")

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = range(5)
PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(6, 10)
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SERVICE = "/grpc.testing.TestService/"
EMPTY_CALL, UNARY_CALL = SERVICE + "EmptyCall", SERVICE + "UnaryCall"
INITIAL_WINDOW_SIZE = 4
CALM, CANCEL = 11, 8


def frame(kind, flags, stream, payload=b""):
    return (struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) +
            struct.pack(">I", stream) + payload)


def message(payload=b"", flags=0, length=None):
    if length is None:
        length = len(payload)
    return struct.pack(">BI", flags, length) + payload


class Closed(Exception):
    """The server has closed the connection."""


class Connection:
    def __init__(self, server, settings=(), preface=True, tcp=False):
        self.socket = socket.socket(
            socket.AF_INET if tcp else socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(("127.0.0.1", server.tcp) if tcp else server.path)
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.buffer, self.seen, self.stream = b"", [], -1
        if preface:
            self.send(PREFACE + frame(SETTINGS, 0, 0, b"".join(
                struct.pack(">HI", k, v) for k, v in settings)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            raise Closed from None

    def headers(self, path=EMPTY_CALL, *more, method="POST", without=(),
                **replaced):
        """An encoded request; names have _ for -, and None leaves one out."""
        fields = {":method": method, ":scheme": "http", ":path": path,
                  ":authority": "here", "te": "trailers",
                  "content-type": "application/grpc"}
        fields.update({k.replace("_", "-"): v for k, v in replaced.items()})
        return self.encoder.encode(
            [(k, v) for k, v in fields.items() if k not in without] +
            list(more))

    def open(self, *args, flags=0, **kwargs):
        """Opens a stream; its number."""
        self.stream += 2
        self.send(frame(HEADERS, flags | END_HEADERS, self.stream,
                        self.headers(*args, **kwargs)))
        return self.stream

    def call(self, *args, body=message(), **kwargs):
        """A call with all that belongs to it; its number."""
        stream = self.open(*args, **kwargs)
        self.send(frame(DATA, END_STREAM, stream, body))
        return stream

    def read(self):
        """The next frame: (kind, flags, stream, payload)."""
        while True:
            if len(self.buffer) >= 9:
                length = int.from_bytes(self.buffer[:3], "big")
                if len(self.buffer) >= 9 + length:
                    break
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionResetError:
                data = b""
            if not data:
                raise Closed
            self.buffer += data
        kind, flags = self.buffer[3:5]
        stream, = struct.unpack(">I", self.buffer[5:9])
        payload = self.buffer[9:9 + length]
        self.buffer = self.buffer[9 + length:]
        if kind == HEADERS:
            payload = self.decoder.decode(payload)
        if kind == SETTINGS and not flags & ACK:
            self.send(frame(SETTINGS, ACK, 0))
        return kind, flags, stream, payload

    def await_frame(self, *kinds, stream=None):
        """The next frame of these kinds; others are passed over."""
        while True:
            f = self.read()
            if f[0] in kinds and stream in (None, f[2]):
                return f

    def answer(self, stream):
        """What a stream was answered: all headers, data; with how many
        blocks of headers."""
        fields, data, blocks = {}, b"", 0
        while True:
            kind, flags, _, payload = self.await_frame(
                DATA, HEADERS, RST_STREAM, stream=stream)
            if kind == RST_STREAM:
                fields["reset"] = struct.unpack(">I", payload)[0]
                break
            if kind == DATA:
                data += payload
            else:
                blocks += 1
                fields.update(payload)
            if flags & END_STREAM:
                break
        return fields, data, blocks

    def result(self, *args, **kwargs):
        """The grpc-status of a call, and its message."""
        fields, _, _ = self.answer(self.call(*args, **kwargs))
        return int(fields["grpc-status"]), fields.get("grpc-message", "")

    def await_end(self):
        """Until the server has closed; the GOAWAY that it said, or None."""
        goaway = None
        try:
            while True:
                kind, _, _, payload = self.read()
                if kind == GOAWAY:
                    goaway = struct.unpack(">II", payload[:8])[1]
        except Closed:
            return goaway

    def is_silent(self):
        """Has the server nothing to say?"""
        self.send(frame(PING, 0, 0, b"silence?"))
        kind, _, _, payload = self.read()
        return kind == PING and payload == b"silence?"

    def has_bytes(self):
        return bool(select.select([self.socket], [], [], 0)[0])

    def is_over(self):
        """Has the server closed?  What it said before is kept."""
        try:
            while self.has_bytes():
                data = self.socket.recv(1 << 16)
                if not data:
                    return True
                self.buffer += data
        except ConnectionResetError:
            return True
        return False
