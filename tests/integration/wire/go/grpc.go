// SPDX-License-Identifier: Apache-2.0

// The published interop cases of gRPC, by grpc-go: grpc <address> [<ca.pem>]
//
// Prints the name of each case that held.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	service  = "/grpc.testing.TestService/"
	initial  = "x-grpc-test-echo-initial"
	trailing = "x-grpc-test-echo-trailing-bin"
)

var (
	sizesIn  = []int{27182, 8, 1828, 45904}
	sizesOut = []int32{31415, 9, 2653, 58979}
	duplex   = &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
	conn     *grpc.ClientConn
	ctx      = context.Background()
)

func unary(name string, in, out interface{}, opts ...grpc.CallOption) error {
	return conn.Invoke(ctx, service+name, in, out, opts...)
}

func open(c context.Context, name string) grpc.ClientStream {
	s, err := conn.NewStream(c, duplex, service+name)
	must(err == nil, "%s: %v", name, err)
	return s
}

func output(us int32, sizes ...int32) *OutputRequest {
	m := &OutputRequest{}
	for _, n := range sizes {
		m.ResponseParameters = append(m.ResponseParameters,
			&ResponseParameters{Size: n, IntervalUs: us})
	}
	return m
}

func code(err error) codes.Code {
	return status.Code(err)
}

// fails reads a stream to its end, which must be this.
func fails(s grpc.ClientStream, want codes.Code, text string) {
	var m OutputResponse
	err := s.RecvMsg(&m)
	for err == nil {
		err = s.RecvMsg(&m)
	}
	must(code(err) == want, "%v: wanted %v", err, want)
	must(text == "" || status.Convert(err).Message() == text, "%v", err)
}

func emptyUnary() {
	err := unary("EmptyCall", &Empty{}, &Empty{})
	must(err == nil, "%v", err)
}

func largeUnary() {
	var m SimpleResponse
	err := unary("UnaryCall", &SimpleRequest{ResponseSize: 314159,
		Payload: &Payload{Body: make([]byte, 271828)}}, &m)
	must(err == nil && len(m.Payload.Body) == 314159, "%v", err)
}

func clientStreaming() {
	s := open(ctx, "StreamingInputCall")
	for _, n := range sizesIn {
		err := s.SendMsg(&InputRequest{&Payload{make([]byte, n)}})
		must(err == nil, "%v", err)
	}
	var m InputResponse
	must(s.CloseSend() == nil && s.RecvMsg(&m) == nil && m.Size == 74922,
		"%d bytes", m.Size)
}

func serverStreaming() {
	s := open(ctx, "StreamingOutputCall")
	must(s.SendMsg(output(0, sizesOut...)) == nil, "send")
	must(s.CloseSend() == nil, "close")
	for _, n := range sizesOut {
		var m OutputResponse
		err := s.RecvMsg(&m)
		must(err == nil && len(m.Payload.Body) == int(n), "%v", err)
	}
	must(s.RecvMsg(&OutputResponse{}) == io.EOF, "no end")
}

func pingPong() {
	s := open(ctx, "FullDuplexCall")
	for i, n := range sizesOut {
		var m OutputResponse
		request := output(0, n)
		request.Payload = &Payload{make([]byte, sizesIn[i])}
		must(s.SendMsg(request) == nil, "send")
		err := s.RecvMsg(&m)
		must(err == nil && len(m.Payload.Body) == int(n), "%v", err)
	}
	must(s.CloseSend() == nil, "close")
	must(s.RecvMsg(&OutputResponse{}) == io.EOF, "no end")
}

func emptyStream() {
	s := open(ctx, "FullDuplexCall")
	must(s.CloseSend() == nil, "close")
	must(s.RecvMsg(&OutputResponse{}) == io.EOF, "no end")
}

func statusCodeAndMessage() {
	echo := &EchoStatus{2, "test status message"}
	err := unary("UnaryCall", &SimpleRequest{ResponseStatus: echo},
		&SimpleResponse{})
	must(code(err) == 2 && status.Convert(err).Message() == echo.Message,
		"%v", err)
	s := open(ctx, "FullDuplexCall")
	must(s.SendMsg(&OutputRequest{ResponseStatus: echo}) == nil, "send")
	must(s.CloseSend() == nil, "close")
	fails(s, 2, echo.Message)
}

func specialStatusMessage() {
	text := "\t\ntest with whitespace\r\nand Unicode BMP \u263a and " +
		"non-BMP \U0001f608\t\n"
	err := unary("UnaryCall", &SimpleRequest{
		ResponseStatus: &EchoStatus{2, text}}, &SimpleResponse{})
	must(code(err) == 2 && status.Convert(err).Message() == text, "%v", err)
}

func unimplementedMethod() {
	err := unary("UnimplementedCall", &Empty{}, &Empty{})
	must(code(err) == codes.Unimplemented, "%v", err)
}

func unimplementedService() {
	err := conn.Invoke(ctx,
		"/grpc.testing.UnimplementedService/UnimplementedCall",
		&Empty{}, &Empty{})
	must(code(err) == codes.Unimplemented, "%v", err)
}

func cancelAfterBegin() {
	c, cancel := context.WithCancel(ctx)
	s := open(c, "StreamingInputCall")
	cancel()
	fails(s, codes.Canceled, "")
}

func cancelAfterFirstResponse() {
	var m OutputResponse
	c, cancel := context.WithCancel(ctx)
	s := open(c, "FullDuplexCall")
	must(s.SendMsg(output(0, 31415)) == nil, "send")
	must(s.RecvMsg(&m) == nil && len(m.Payload.Body) == 31415, "receive")
	cancel()
	fails(s, codes.Canceled, "")
}

func timeoutOnSleepingServer() {
	c, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	s, err := conn.NewStream(c, duplex, service+"FullDuplexCall")
	if err != nil { // it passed before the stream was there
		must(code(err) == codes.DeadlineExceeded, "%v", err)
		return
	}
	_ = s.SendMsg(output(60000000, 31415))
	fails(s, codes.DeadlineExceeded, "")
}

func customMetadata() {
	var header, trailer metadata.MD
	value := "test_initial_metadata_value"
	bytes := "\xab\xab\xab\x00"
	c := metadata.AppendToOutgoingContext(ctx, initial, value, trailing,
		bytes)
	check := func() {
		must(len(header[initial]) == 1 && header[initial][0] == value,
			"%v", header)
		must(len(trailer[trailing]) == 1 &&
			trailer[trailing][0] == bytes, "%v", trailer)
	}
	err := conn.Invoke(c, service+"UnaryCall",
		&SimpleRequest{ResponseSize: 314159}, &SimpleResponse{},
		grpc.Header(&header), grpc.Trailer(&trailer))
	must(err == nil, "%v", err)
	check()
	s := open(c, "FullDuplexCall")
	must(s.SendMsg(output(0, 9)) == nil && s.CloseSend() == nil, "send")
	must(s.RecvMsg(&OutputResponse{}) == nil, "receive")
	must(s.RecvMsg(&OutputResponse{}) == io.EOF, "no end")
	header, err = s.Header()
	must(err == nil, "%v", err)
	trailer = s.Trailer()
	check()
}

func main() {
	how := grpc.WithInsecure()
	if len(os.Args) > 2 {
		c, err := credentials.NewClientTLSFromFile(os.Args[2], "localhost")
		must(err == nil, "%v", err)
		how = grpc.WithTransportCredentials(c)
	}
	var err error
	conn, err = grpc.Dial(os.Args[1], how, grpc.WithDefaultCallOptions(
		grpc.MaxCallRecvMsgSize(1<<30)))
	must(err == nil, "%v", err)
	for _, c := range []struct {
		name string
		run  func()
	}{
		{"empty_unary", emptyUnary},
		{"large_unary", largeUnary},
		{"client_streaming", clientStreaming},
		{"server_streaming", serverStreaming},
		{"ping_pong", pingPong},
		{"empty_stream", emptyStream},
		{"status_code_and_message", statusCodeAndMessage},
		{"special_status_message", specialStatusMessage},
		{"unimplemented_method", unimplementedMethod},
		{"unimplemented_service", unimplementedService},
		{"cancel_after_begin", cancelAfterBegin},
		{"cancel_after_first_response", cancelAfterFirstResponse},
		{"timeout_on_sleeping_server", timeoutOnSleepingServer},
		{"custom_metadata", customMetadata},
	} {
		c.run()
		fmt.Println(c.name)
	}
}
