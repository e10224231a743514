# SPDX-License-Identifier: Apache-2.0
"""The two ways to call the service, with one face.

call("SpaceService.GetSpace", request...) returns the response, or a list of
them where the server streams; a failure is raised as CallError.
"""
import socket
import struct

import messages

try:
    import grpc
except ImportError:
    messages.skip("no python3-grpcio")

PREFIX = "/memsnap.v1."


class CallError(Exception):
    def __init__(self, code, text, details):
        super().__init__(f"{code}: {text}")
        self.code, self.text = code, text
        self.reason, self.notes, self.field = "", {}, ""
        self.retry_ms = 0
        for detail in details:
            self.take(detail)

    def take(self, detail):
        kinds = messages.error_details
        name = detail.type_url.rsplit("/", 1)[1]
        if name == "google.rpc.ErrorInfo":
            info = kinds.ErrorInfo.FromString(detail.value)
            assert info.domain == "memsnap", info
            self.reason, self.notes = info.reason, dict(info.metadata)
        elif name == "google.rpc.BadRequest":
            bad = kinds.BadRequest.FromString(detail.value)
            self.field = bad.field_violations[0].field
        elif name == "google.rpc.RetryInfo":
            info = kinds.RetryInfo.FromString(detail.value)
            self.retry_ms = info.retry_delay.ToMilliseconds()


class Grpc:
    name = "grpc"

    def __init__(self, path):
        self.channel = grpc.insecure_channel(
            f"unix:{path}", options=[("grpc.max_receive_message_length", -1)])

    def close(self):
        self.channel.close()

    def call(self, path, *requests, timeout=30, metadata=()):
        method = messages.method_of(path)
        make = {(False, False): self.channel.unary_unary,
                (False, True): self.channel.unary_stream,
                (True, False): self.channel.stream_unary,
                (True, True): self.channel.stream_stream}[
                    method.client_streaming, method.server_streaming]
        stub = make(PREFIX + path.replace(".", "/"),
                    lambda m: m.SerializeToString(),
                    messages.class_of(method.output_type).FromString)
        given = iter(requests) if method.client_streaming else requests[0]
        try:
            answer = stub(given, timeout=timeout, metadata=metadata)
            return list(answer) if method.server_streaming else answer
        except grpc.RpcError as e:
            raise self.error(e) from None

    @staticmethod
    def error(e):
        details = []
        for key, value in e.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                details = messages.status.Status.FromString(value).details
        return CallError(e.code().value[0], e.details(), details)


# Kinds and flags of frames.
REQUEST, RESPONSE, DATA = 1, 2, 3
REMOTE_CLOSED, REMOTE_OPEN, NO_DATA = 1, 2, 4


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def fields(data):
    """(number, value) of a message that has varints and bytes only."""
    at = 0

    def take():
        nonlocal at
        n = shift = 0
        while True:
            byte = data[at]
            at += 1
            n |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return n
    while at < len(data):
        key = take()
        n = take()
        if key & 7 == 2:
            at += n
            yield key >> 3, data[at - n:at]
        else:
            yield key >> 3, n


class Ttrpc:
    name = "ttrpc"

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.stream = 1

    def close(self):
        self.socket.close()

    def send(self, kind, flags, data):
        self.socket.sendall(struct.pack(">IIBB", len(data), self.stream, kind,
                                        flags) + data)

    def receive_exactly(self, n):
        out = b""
        while len(out) < n:
            got = self.socket.recv(n - len(out))
            if not got:
                raise ConnectionError("the service closed the connection")
            out += got
        return out

    def receive(self):
        size, stream, kind, flags = struct.unpack(
            ">IIBB", self.receive_exactly(10))
        data = self.receive_exactly(size)
        assert stream == self.stream, (stream, self.stream)
        return kind, flags, data

    def call(self, path, *requests, timeout=30, metadata=()):
        method = messages.method_of(path)
        service, name = path.split(".")
        parts = [field(1, f"memsnap.v1.{service}".encode()),
                 field(2, name.encode())]
        stream = method.client_streaming
        if not stream:
            parts.append(field(3, requests[0].SerializeToString()))
        parts.append(varint(4 << 3) + varint(int(timeout * 1e9)))
        for key, value in metadata:
            parts.append(field(5, field(1, key.encode()) +
                               field(2, value.encode())))
        flags = 0
        if stream:
            flags = REMOTE_OPEN
        elif method.server_streaming:
            flags = REMOTE_CLOSED
        self.send(REQUEST, flags, b"".join(parts))
        if stream:
            self.send_stream(requests)
        try:
            return self.answers(method)
        finally:
            self.stream += 2

    def send_stream(self, requests):
        for request in requests:
            self.send(DATA, 0, request.SerializeToString())
        self.send(DATA, REMOTE_CLOSED | NO_DATA, b"")

    def answers(self, method):
        answer = messages.class_of(method.output_type)
        got = []
        while True:
            kind, flags, data = self.receive()
            if kind == DATA:
                if not flags & NO_DATA:
                    got.append(answer.FromString(data))
                if not flags & REMOTE_CLOSED:
                    continue
                return got if method.server_streaming else got[0]
            assert kind == RESPONSE, kind
            response = dict(fields(data))
            if 1 in response:
                status = messages.status.Status.FromString(response[1])
                if status.code:
                    raise CallError(status.code, status.message,
                                    status.details)
            if method.server_streaming:
                return got
            return answer.FromString(response.get(2, b""))


ALL = [Grpc, Ttrpc]
