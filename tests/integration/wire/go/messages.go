// SPDX-License-Identifier: Apache-2.0

// Messages of grpc.testing as a generator would write them: those that both
// clients send.
package main

import "fmt"

type Empty struct{}

type Payload struct {
	Body []byte `protobuf:"bytes,2,opt,name=body,proto3"`
}

type EchoStatus struct {
	Code    int32  `protobuf:"varint,1,opt,name=code,proto3"`
	Message string `protobuf:"bytes,2,opt,name=message,proto3"`
}

type SimpleRequest struct {
	ResponseSize   int32       `protobuf:"varint,2,opt,name=response_size,proto3"`
	Payload        *Payload    `protobuf:"bytes,3,opt,name=payload,proto3"`
	ResponseStatus *EchoStatus `protobuf:"bytes,7,opt,name=response_status,proto3"`
}

type SimpleResponse struct {
	Payload *Payload `protobuf:"bytes,1,opt,name=payload,proto3"`
}

type ResponseParameters struct {
	Size       int32 `protobuf:"varint,1,opt,name=size,proto3"`
	IntervalUs int32 `protobuf:"varint,2,opt,name=interval_us,proto3"`
}

type OutputRequest struct {
	ResponseParameters []*ResponseParameters `protobuf:"bytes,2,rep,name=response_parameters,proto3"`
	Payload            *Payload              `protobuf:"bytes,3,opt,name=payload,proto3"`
	ResponseStatus     *EchoStatus           `protobuf:"bytes,7,opt,name=response_status,proto3"`
}

type OutputResponse struct {
	Payload *Payload `protobuf:"bytes,1,opt,name=payload,proto3"`
}

type InputRequest struct {
	Payload *Payload `protobuf:"bytes,1,opt,name=payload,proto3"`
}

type InputResponse struct {
	Size int32 `protobuf:"varint,1,opt,name=aggregated_payload_size,proto3"`
}

func (m *Empty) Reset()                      { *m = Empty{} }
func (m *Empty) String() string              { return "" }
func (*Empty) ProtoMessage()                 {}
func (m *Payload) Reset()                    { *m = Payload{} }
func (m *Payload) String() string            { return fmt.Sprint(len(m.Body)) }
func (*Payload) ProtoMessage()               {}
func (m *EchoStatus) Reset()                 { *m = EchoStatus{} }
func (m *EchoStatus) String() string         { return m.Message }
func (*EchoStatus) ProtoMessage()            {}
func (m *SimpleRequest) Reset()              { *m = SimpleRequest{} }
func (m *SimpleRequest) String() string      { return fmt.Sprint(*m) }
func (*SimpleRequest) ProtoMessage()         {}
func (m *SimpleResponse) Reset()             { *m = SimpleResponse{} }
func (m *SimpleResponse) String() string     { return fmt.Sprint(*m) }
func (*SimpleResponse) ProtoMessage()        {}
func (m *ResponseParameters) Reset()         { *m = ResponseParameters{} }
func (m *ResponseParameters) String() string { return fmt.Sprint(*m) }
func (*ResponseParameters) ProtoMessage()    {}
func (m *OutputRequest) Reset()              { *m = OutputRequest{} }
func (m *OutputRequest) String() string      { return fmt.Sprint(*m) }
func (*OutputRequest) ProtoMessage()         {}
func (m *OutputResponse) Reset()             { *m = OutputResponse{} }
func (m *OutputResponse) String() string     { return fmt.Sprint(*m) }
func (*OutputResponse) ProtoMessage()        {}
func (m *InputRequest) Reset()               { *m = InputRequest{} }
func (m *InputRequest) String() string       { return fmt.Sprint(*m) }
func (*InputRequest) ProtoMessage()          {}
func (m *InputResponse) Reset()              { *m = InputResponse{} }
func (m *InputResponse) String() string      { return fmt.Sprint(*m) }
func (*InputResponse) ProtoMessage()         {}

// must stops the program at the first thing that does not hold.
func must(ok bool, what string, args ...interface{}) {
	if !ok {
		panic(fmt.Sprintf(what, args...))
	}
}
