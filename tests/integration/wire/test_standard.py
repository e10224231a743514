# SPDX-License-Identifier: Apache-2.0
"""Health and reflection, as clients see them."""
import unittest

import wire
from grpc_client import Stub, empty, grpc, output_request

health, v1, v1alpha = wire.protos(
    "grpc/health/v1/health.proto", "grpc/reflection/v1/reflection.proto",
    "grpc/reflection/v1alpha/reflection.proto")
from google.protobuf import descriptor_pb2  # noqa: E402

SERVING, NOT_SERVING, UNKNOWN = (
    health.HealthCheckResponse.ServingStatus.Value(n)
    for n in ("SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"))


class StandardTest(wire.WireTest):
    def setUp(self):
        self.channel = grpc.insecure_channel(f"unix:{self.server.path}")
        self.addCleanup(self.channel.close)

    def method(self, kind, path, request, response):
        return getattr(self.channel, kind)(
            path, request_serializer=request.SerializeToString,
            response_deserializer=response.FromString)

    def check(self, service):
        call = self.method("unary_unary", "/grpc.health.v1.Health/Check",
                           health.HealthCheckRequest,
                           health.HealthCheckResponse)
        return call(health.HealthCheckRequest(service=service)).status

    def watch(self, service):
        call = self.method("unary_stream", "/grpc.health.v1.Health/Watch",
                           health.HealthCheckRequest,
                           health.HealthCheckResponse)
        return call(health.HealthCheckRequest(service=service))


class Health(StandardTest):
    def test_the_whole_and_each_service_serves(self):
        for service in ("", "grpc.testing.TestService",
                        "grpc.health.v1.Health",
                        "grpc.reflection.v1alpha.ServerReflection"):
            self.assertEqual(self.check(service), SERVING)

    def test_another_service_is_not_found(self):
        with self.assertRaises(grpc.RpcError) as caught:
            self.check("grpc.testing.Test")
        self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)
        self.assertIn("grpc.testing.Test", caught.exception.details())

    def test_a_watch_tells_at_once_and_stays(self):
        for service, state in (("", SERVING), ("none.such", UNKNOWN)):
            watch = self.watch(service)
            self.assertEqual(next(watch).status, state)
            self.assertIsNone(watch.code() if watch.done() else None)
            watch.cancel()
        self.server.await_idle()


class Drain(StandardTest):
    def test_watches_are_told_and_calls_under_way_end(self):
        server = wire.Server()
        with grpc.insecure_channel(f"unix:{server.path}") as channel:
            self.channel = channel
            watch, stub = self.watch(""), Stub(channel)
            self.assertEqual(next(watch).status, SERVING)
            slow = stub.StreamingOutputCall(
                output_request(9, 8, interval_us=100_000))
            self.assertEqual(len(next(slow).payload.body), 9)
            server.terminate()
            self.assertEqual(next(watch).status, NOT_SERVING)
            with self.assertRaises(grpc.RpcError):
                next(watch)
            self.assertEqual(watch.code(), grpc.StatusCode.UNAVAILABLE)
            self.assertEqual(len(next(slow).payload.body), 8)
            self.assertRaises(StopIteration, next, slow)
            self.assertEqual(slow.code(), grpc.StatusCode.OK)
            with self.assertRaises(grpc.RpcError) as caught:
                stub.EmptyCall(empty.Empty())
            self.assertEqual(caught.exception.code(),
                             grpc.StatusCode.UNAVAILABLE)
        self.assertEqual(server.wait(), 0)

    def test_a_call_that_does_not_end_is_cut(self):
        server = wire.Server("--drain", "100")
        with grpc.insecure_channel(f"unix:{server.path}") as channel:
            slow = Stub(channel).StreamingOutputCall(
                output_request(9, 8, interval_us=60_000_000))
            while server.metrics()["test_calls"] == 0:
                pass
            server.terminate()
            with self.assertRaises(grpc.RpcError):
                next(slow)
            self.assertEqual(slow.code(), grpc.StatusCode.UNAVAILABLE)
        self.assertEqual(server.wait(), 0)


class Reflection(StandardTest):
    def ask(self, version, *requests):
        name = "v1" if version is v1 else "v1alpha"
        call = self.method(
            "stream_stream",
            f"/grpc.reflection.{name}.ServerReflection/ServerReflectionInfo",
            version.ServerReflectionRequest, version.ServerReflectionResponse)
        sent = [version.ServerReflectionRequest(host="here", **r)
                for r in requests]
        answers = list(call(iter(sent)))
        self.assertEqual([a.original_request for a in answers], sent)
        self.assertEqual({a.valid_host for a in answers}, {"here"})
        return answers

    def files(self, answer):
        return [descriptor_pb2.FileDescriptorProto.FromString(f).name
                for f in answer.file_descriptor_response.file_descriptor_proto]

    def test_services_are_listed(self):
        for version in v1, v1alpha:
            answer, = self.ask(version, {"list_services": "*"})
            self.assertEqual(
                [s.name for s in answer.list_services_response.service],
                ["grpc.health.v1.Health",
                 "grpc.reflection.v1.ServerReflection",
                 "grpc.reflection.v1alpha.ServerReflection",
                 "grpc.testing.TestService"])

    def test_files_come_with_their_imports_once_a_stream(self):
        test = "grpc/testing/test.proto"
        parts = ["grpc/testing/empty.proto", "grpc/testing/messages.proto"]
        for version in v1, v1alpha:
            first, second, symbol = self.ask(
                version, {"file_by_filename": parts[1]},
                {"file_by_filename": test},
                {"file_containing_symbol":
                 "grpc.testing.TestService.UnaryCall"})
            self.assertEqual(self.files(first), parts[1:])
            self.assertEqual(self.files(second), parts[:1] + [test])
            self.assertEqual(self.files(symbol), [test])

    def test_what_is_not_there_is_an_error_and_no_end(self):
        for version in v1, v1alpha:
            extension = version.ExtensionRequest(
                containing_type="memsnap.v1.Space", extension_number=7)
            answers = self.ask(
                version, {"file_by_filename": "none.proto"},
                {"file_containing_symbol": "grpc.testing.None"},
                {"file_containing_extension": extension},
                {"all_extension_numbers_of_type": "none.Such"}, {},
                {"list_services": ""})
            errors = [a.error_response for a in answers[:5]]
            self.assertEqual([e.error_code for e in errors],
                             [5, 5, 5, 5, 3])
            for error, name in zip(errors, (
                    "none.proto", "grpc.testing.None", "memsnap.v1.Space",
                    "none.Such", "asks for nothing")):
                self.assertIn(name, error.error_message)
            self.assertEqual(
                len(answers[5].list_services_response.service), 4)

    def test_a_type_of_proto3_has_no_extensions(self):
        answer, = self.ask(
            v1, {"all_extension_numbers_of_type": "memsnap.v1.Space"})
        numbers = answer.all_extension_numbers_response
        self.assertEqual(numbers.base_type_name, "memsnap.v1.Space")
        self.assertEqual(list(numbers.extension_number), [])


unittest.main()
