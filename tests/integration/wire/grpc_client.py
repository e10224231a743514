# SPDX-License-Identifier: Apache-2.0
"""Stubs of python3-grpcio for what the server offers."""
import wire

try:
    import grpc
except ImportError:
    wire.skip("no python3-grpcio")

empty, messages = wire.protos("grpc/testing/empty.proto",
                              "grpc/testing/messages.proto")
LARGE = [("grpc.max_send_message_length", -1),
         ("grpc.max_receive_message_length", -1)]


def channels(server, *options):
    """The ways there are to a server, by name."""
    with open(server.cert, "rb") as f:
        tls = grpc.ssl_channel_credentials(f.read())
    opts = [*LARGE, *options]
    return {
        "unix": grpc.insecure_channel(f"unix:{server.path}", opts),
        "tcp": grpc.insecure_channel(f"127.0.0.1:{server.tcp}", opts),
        "tls": grpc.secure_channel(f"localhost:{server.tls}", tls, opts),
    }


class Stub:
    """grpc.testing.TestService by hand: what a generator would write."""

    def __init__(self, channel, service="grpc.testing.TestService"):
        def method(kind, name, request, response):
            return getattr(channel, kind)(
                f"/{service}/{name}",
                request_serializer=request.SerializeToString,
                response_deserializer=response.FromString)

        simple = messages.SimpleRequest, messages.SimpleResponse
        output = (messages.StreamingOutputCallRequest,
                  messages.StreamingOutputCallResponse)
        self.EmptyCall = method("unary_unary", "EmptyCall", empty.Empty,
                                empty.Empty)
        self.UnaryCall = method("unary_unary", "UnaryCall", *simple)
        self.CacheableUnaryCall = method("unary_unary", "CacheableUnaryCall",
                                         *simple)
        self.StreamingOutputCall = method("unary_stream",
                                          "StreamingOutputCall", *output)
        self.StreamingInputCall = method(
            "stream_unary", "StreamingInputCall",
            messages.StreamingInputCallRequest,
            messages.StreamingInputCallResponse)
        self.FullDuplexCall = method("stream_stream", "FullDuplexCall",
                                     *output)
        self.UnimplementedCall = method("unary_unary", "UnimplementedCall",
                                        empty.Empty, empty.Empty)


def payload(size):
    return messages.Payload(body=bytes(size))


def output_request(*sizes, interval_us=0, **more):
    return messages.StreamingOutputCallRequest(
        response_parameters=[
            messages.ResponseParameters(size=s, interval_us=interval_us)
            for s in sizes], **more)
