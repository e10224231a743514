// SPDX-License-Identifier: Apache-2.0

// Unary calls by containerd's ttrpc: ttrpc <socket>
//
// Prints the name of each case that held.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const service = "grpc.testing.TestService"

func code(err error) codes.Code {
	return status.Code(err)
}

func main() {
	conn, err := net.Dial("unix", os.Args[1])
	must(err == nil, "dial: %v", err)
	client := ttrpc.NewClient(conn)
	defer client.Close()
	ctx := context.Background()

	err = client.Call(ctx, service, "EmptyCall", &Empty{}, &Empty{})
	must(err == nil, "empty_unary: %v", err)
	fmt.Println("empty_unary")

	var answer SimpleResponse
	err = client.Call(ctx, service, "UnaryCall", &SimpleRequest{
		ResponseSize: 314159,
		Payload:      &Payload{Body: make([]byte, 271828)},
	}, &answer)
	must(err == nil && len(answer.Payload.Body) == 314159,
		"large_unary: %v", err)
	fmt.Println("large_unary")

	text := "\t\ntest with whitespace\r\nand Unicode BMP \u263a\t\n"
	err = client.Call(ctx, service, "UnaryCall", &SimpleRequest{
		ResponseStatus: &EchoStatus{Code: 2, Message: text},
	}, &answer)
	must(code(err) == codes.Unknown && status.Convert(err).Message() == text,
		"special_status_message: %v", err)
	fmt.Println("special_status_message")

	err = client.Call(ctx, service, "UnimplementedCall", &Empty{}, &Empty{})
	must(code(err) == codes.Unimplemented, "unimplemented_method: %v", err)
	fmt.Println("unimplemented_method")

	err = client.Call(ctx, "none.Such", "Call", &Empty{}, &Empty{})
	must(code(err) == codes.Unimplemented, "unimplemented_service: %v", err)
	fmt.Println("unimplemented_service")

	short, cancel := context.WithTimeout(ctx, time.Nanosecond)
	err = client.Call(short, service, "EmptyCall", &Empty{}, &Empty{})
	cancel()
	must(err != nil, "timeout: it came in no time")
	err = client.Call(ctx, service, "EmptyCall", &Empty{}, &Empty{})
	must(err == nil, "after a timeout: %v", err)
	fmt.Println("timeout")
}
