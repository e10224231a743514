# SPDX-License-Identifier: Apache-2.0
"""The published interop cases of gRPC, by python3-grpcio (the C core), over a
Unix socket, TCP and TLS."""
import functools
import queue
import unittest

import wire
from grpc_client import (Stub, channels, empty, grpc, messages,
                         output_request, payload)

SIZES_IN = (27182, 8, 1828, 45904)
SIZES_OUT = (31415, 9, 2653, 58979)


class Requests:
    """A stream of requests that a test feeds step by step."""

    def __init__(self):
        self.queue = queue.Queue()

    def __iter__(self):
        return iter(self.queue.get, None)

    def send(self, request):
        self.queue.put(request)

    def end(self):
        self.queue.put(None)


def on_each_transport(test):
    """Runs test(self, stub, channel) over each; says which one failed."""
    @functools.wraps(test)
    def run(self):
        for name, channel in channels(self.server).items():
            with self.subTest(name), channel:
                test(self, Stub(channel), channel)
    return run


class GrpcTest(wire.WireTest):
    def fails(self, code, call, *args, **kwargs):
        with self.assertRaises(grpc.RpcError) as caught:
            result = call(*args, **kwargs)
            if hasattr(result, "__next__"):
                list(result)
        self.assertEqual(caught.exception.code(), code,
                         caught.exception.details())
        return caught.exception


class Interop(GrpcTest):
    @on_each_transport
    def test_empty_unary(self, stub, channel):
        self.assertEqual(stub.EmptyCall(empty.Empty()), empty.Empty())

    @on_each_transport
    def test_large_unary(self, stub, channel):
        request = messages.SimpleRequest(response_size=314159,
                                         payload=payload(271828))
        for call in stub.UnaryCall, stub.CacheableUnaryCall:
            answer = call(request)
            self.assertEqual(answer.payload.body, bytes(314159))

    @on_each_transport
    def test_client_streaming(self, stub, channel):
        answer = stub.StreamingInputCall(
            messages.StreamingInputCallRequest(payload=payload(n))
            for n in SIZES_IN)
        self.assertEqual(answer.aggregated_payload_size, sum(SIZES_IN))

    @on_each_transport
    def test_server_streaming(self, stub, channel):
        answers = stub.StreamingOutputCall(output_request(*SIZES_OUT))
        self.assertEqual([len(a.payload.body) for a in answers],
                         list(SIZES_OUT))

    @on_each_transport
    def test_ping_pong(self, stub, channel):
        requests = Requests()
        answers = stub.FullDuplexCall(iter(requests))
        for size_in, size_out in zip(SIZES_IN, SIZES_OUT):
            requests.send(output_request(size_out,
                                         payload=payload(size_in)))
            self.assertEqual(len(next(answers).payload.body), size_out)
        requests.end()
        self.assertRaises(StopIteration, next, answers)

    @on_each_transport
    def test_empty_stream(self, stub, channel):
        self.assertEqual(list(stub.FullDuplexCall(iter(()))), [])

    @on_each_transport
    def test_status_code_and_message(self, stub, channel):
        status = messages.EchoStatus(code=2, message="test status message")
        for call, request in (
                (stub.UnaryCall, messages.SimpleRequest()),
                (stub.FullDuplexCall, output_request())):
            request.response_status.CopyFrom(status)
            error = self.fails(
                grpc.StatusCode.UNKNOWN, call,
                iter([request]) if call == stub.FullDuplexCall
                else request)
            self.assertEqual(error.details(), "test status message")

    @on_each_transport
    def test_special_status_message(self, stub, channel):
        text = ("\t\ntest with whitespace\r\nand Unicode BMP \u263a and "
                "non-BMP \U0001f608\t\n")
        request = messages.SimpleRequest(
            response_status=messages.EchoStatus(code=2, message=text))
        error = self.fails(grpc.StatusCode.UNKNOWN, stub.UnaryCall,
                           request)
        self.assertEqual(error.details(), text)

    @on_each_transport
    def test_unimplemented_method(self, stub, channel):
        self.fails(grpc.StatusCode.UNIMPLEMENTED, stub.UnimplementedCall,
                   empty.Empty())

    @on_each_transport
    def test_unimplemented_service(self, stub, channel):
        stub = Stub(channel, "grpc.testing.UnimplementedService")
        self.fails(grpc.StatusCode.UNIMPLEMENTED, stub.UnimplementedCall,
                   empty.Empty())

    @on_each_transport
    def test_cancel_after_begin(self, stub, channel):
        requests = Requests()
        future = stub.StreamingInputCall.future(iter(requests))
        future.cancel()
        self.assertTrue(future.cancelled())
        self.assertEqual(future.code(), grpc.StatusCode.CANCELLED)
        requests.end()

    @on_each_transport
    def test_cancel_after_first_response(self, stub, channel):
        requests = Requests()
        answers = stub.FullDuplexCall(iter(requests))
        requests.send(output_request(SIZES_OUT[0],
                                     payload=payload(SIZES_IN[0])))
        self.assertEqual(len(next(answers).payload.body), SIZES_OUT[0])
        answers.cancel()
        with self.assertRaises(grpc.RpcError):
            next(answers)
        self.assertEqual(answers.code(), grpc.StatusCode.CANCELLED)
        requests.end()

    @on_each_transport
    def test_timeout_on_sleeping_server(self, stub, channel):
        requests = Requests()
        requests.send(output_request(31415, interval_us=60_000_000,
                                     payload=payload(27182)))
        self.fails(grpc.StatusCode.DEADLINE_EXCEEDED, stub.FullDuplexCall,
                   iter(requests), timeout=0.001)
        requests.end()

    @on_each_transport
    def test_custom_metadata(self, stub, channel):
        sent = ((wire.INITIAL, "test_initial_metadata_value"),
                (wire.TRAILING, b"\xab\xab\xab\x00\xff"))
        _, unary = stub.UnaryCall.with_call(
            messages.SimpleRequest(response_size=314159), metadata=sent)
        duplex = stub.FullDuplexCall(iter([output_request(9)]),
                                     metadata=sent)
        self.assertEqual(len(list(duplex)), 1)
        for call in unary, duplex:
            self.assertEqual(dict(call.initial_metadata())[wire.INITIAL],
                             sent[0][1])
            self.assertEqual(dict(call.trailing_metadata())[wire.TRAILING],
                             sent[1][1])


class Beyond(GrpcTest):
    """What the published cases leave out."""

    @on_each_transport
    def test_a_message_of_4_mib_passes_and_no_more(self, stub, channel):
        limit = 4 << 20
        # The size of all but the body.
        around = messages.SimpleRequest(payload=payload(limit)).ByteSize()
        body = limit - (around - limit)
        request = messages.SimpleRequest(payload=payload(body))
        self.assertEqual(request.ByteSize(), limit)
        stub.UnaryCall(request)
        request.payload.body += b"\0"
        error = self.fails(grpc.StatusCode.RESOURCE_EXHAUSTED,
                           stub.UnaryCall, request)
        self.assertIn("4 MiB", error.details())
        answer = stub.UnaryCall(messages.SimpleRequest(response_size=body))
        self.assertEqual(len(answer.payload.body), body)
        self.fails(grpc.StatusCode.RESOURCE_EXHAUSTED, stub.UnaryCall,
                   messages.SimpleRequest(response_size=body + 1))

    @on_each_transport
    def test_a_status_has_its_details(self, stub, channel):
        # google.rpc.Status, which grpcio hands over as it came.
        error = self.fails(grpc.StatusCode.INVALID_ARGUMENT,
                           stub.UnaryCall,
                           messages.SimpleRequest(response_size=-1))
        details = dict(error.trailing_metadata())[
            "grpc-status-details-bin"]
        for text in (b"type.googleapis.com/google.rpc.ErrorInfo",
                     b"INVALID_FIELD", b"memsnap", b"response_size",
                     b"type.googleapis.com/google.rpc.BadRequest"):
            self.assertIn(text, details)

    @on_each_transport
    def test_a_slow_reader_holds_up_no_other(self, stub, channel):
        stalled = stub.StreamingOutputCall(
            output_request(*[1 << 20] * 64))
        self.assertEqual(len(next(stalled).payload.body), 1 << 20)
        for _ in range(50):
            stub.EmptyCall(empty.Empty())
        self.assertEqual(sum(1 for _ in stalled), 63)

    @on_each_transport
    def test_bulk_comes_whole_both_ways(self, stub, channel):
        answer = stub.StreamingInputCall(
            messages.StreamingInputCallRequest(payload=payload(1 << 20))
            for _ in range(40))
        self.assertEqual(answer.aggregated_payload_size, 40 << 20)

    @on_each_transport
    def test_compressed_requests_are_refused(self, stub, channel):
        self.fails(grpc.StatusCode.UNIMPLEMENTED, stub.UnaryCall,
                   messages.SimpleRequest(payload=payload(10000)),
                   compression=grpc.Compression.Gzip)

    @on_each_transport
    def test_many_calls_at_once_on_one_connection(self, stub, channel):
        futures = [stub.UnaryCall.future(messages.SimpleRequest(
            response_size=n * 10)) for n in range(500)]
        self.assertEqual([len(f.result().payload.body) for f in futures],
                         [n * 10 for n in range(500)])

    @on_each_transport
    def test_cancelled_calls_leave_the_server_idle(self, stub, channel):
        for _ in range(20):
            answers = stub.StreamingOutputCall(
                output_request(10, 10, interval_us=60_000_000))
            answers.cancel()
        # A call that was cancelled ends when its handler has noticed.
        self.server.await_idle()


if __name__ == "__main__":
    unittest.main()
