/*
 * grpc.testing.TestService.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Does what the descriptions of the interop tests say.  Payloads are zeros that
 * lie in one place and are sent from there.
 */
#include "test_service.h"

#include "grpc/testing/empty.pb-c.h"
#include "grpc/testing/messages.pb-c.h"
#include "wire/call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef Grpc__Testing__EchoStatus echo_status_msg;
typedef Grpc__Testing__Empty empty_msg;
typedef Grpc__Testing__Payload payload_msg;
typedef Grpc__Testing__ResponseParameters parameters_msg;
typedef Grpc__Testing__SimpleRequest simple_request_msg;
typedef Grpc__Testing__SimpleResponse simple_response_msg;
typedef Grpc__Testing__StreamingInputCallRequest input_request_msg;
typedef Grpc__Testing__StreamingInputCallResponse input_response_msg;
typedef Grpc__Testing__StreamingOutputCallRequest output_request_msg;
typedef Grpc__Testing__StreamingOutputCallResponse output_response_msg;

#define INITIAL_KEY "x-grpc-test-echo-initial"
#define TRAILING_KEY "x-grpc-test-echo-trailing-bin"

static uint8_t zeros[MSN_MESSAGE_BYTES_MAX + 1];

static void release(struct msn_payload *payload)
{
	free(payload);
}

/* Sends @message, whose body is @len zeros, without copying them. */
static int send_zeros(struct msn_call *call, const ProtobufCMessage *message,
		      size_t len)
{
	struct msn_payload *p;

	if (len == 0)
		return msn_call_send(call, message, NULL);
	p = malloc(sizeof(*p));
	if (!p)
		return -ENOMEM;
	*p = (struct msn_payload){ zeros, len, release };
	return msn_call_send(call, message, p);
}

static int check_size(struct msn_call *call, int32_t size)
{
	if (size >= 0 && (size_t)size <= sizeof(zeros))
		return 0;
	return msn_call_bad_field(call, "response_size",
				  "%d is no size of a response", size);
}

static int echo_metadata(struct msn_call *call)
{
	size_t len;
	const char *value = msn_call_metadata(call, INITIAL_KEY, &len);
	int rc = 0;

	if (value)
		rc = msn_call_set_header(call, INITIAL_KEY, value, len);
	value = msn_call_metadata(call, TRAILING_KEY, &len);
	if (!rc && value)
		rc = msn_call_set_trailer(call, TRAILING_KEY, value, len);
	return rc;
}

/* Fails as it is asked to, with the text as it is, line ends too. */
static int echo_status(struct msn_call *call, const echo_status_msg *asked)
{
	struct msn_status *s = msn_call_status(call);

	if (!asked || asked->code == 0)
		return 0;
	msn_status_set(s, (enum msn_code)(asked->code & 15), "ECHO", "%s", "");
	strncpy(s->text, asked->message, sizeof(s->text) - 1);
	return -EIO;
}

static int empty_call(struct msn_call *call, const ProtobufCMessage *message)
{
	empty_msg response = GRPC__TESTING__EMPTY__INIT;

	(void)message;
	return msn_call_send(call, &response.base, NULL);
}

static int unary_call(struct msn_call *call, const ProtobufCMessage *message)
{
	const simple_request_msg *request = (const simple_request_msg *)message;
	simple_response_msg response = GRPC__TESTING__SIMPLE_RESPONSE__INIT;
	payload_msg payload = GRPC__TESTING__PAYLOAD__INIT;
	size_t len = (size_t)request->response_size;
	int rc = check_size(call, request->response_size);

	if (!rc)
		rc = echo_metadata(call);
	if (!rc)
		rc = echo_status(call, request->response_status);
	if (rc)
		return rc;
	payload.body = (ProtobufCBinaryData){ len, zeros };
	response.payload = &payload;
	return send_zeros(call, &response.base, len);
}

/* A server that takes its time; false: the call is over before. */
static bool take_time(struct msn_call *call, int32_t us)
{
	struct timespec tick = { .tv_nsec = 1000000 };

	for (; us > 0 && !msn_call_cancelled(call); us -= 1000)
		nanosleep(&tick, NULL);
	return !msn_call_cancelled(call);
}

static int send_sized(struct msn_call *call, const parameters_msg *p)
{
	output_response_msg response =
		GRPC__TESTING__STREAMING_OUTPUT_CALL_RESPONSE__INIT;
	payload_msg payload = GRPC__TESTING__PAYLOAD__INIT;
	int rc = check_size(call, p->size);

	if (rc)
		return rc;
	if (!take_time(call, p->interval_us))
		return -ECANCELED;
	payload.body = (ProtobufCBinaryData){ (size_t)p->size, zeros };
	response.payload = &payload;
	return send_zeros(call, &response.base, (size_t)p->size);
}

static int send_all(struct msn_call *call, const output_request_msg *request)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < request->n_response_parameters; i++)
		rc = send_sized(call, request->response_parameters[i]);
	return rc ? rc : echo_status(call, request->response_status);
}

static int output_call(struct msn_call *call, const ProtobufCMessage *message)
{
	int rc = echo_metadata(call);

	return rc ? rc : send_all(call, (const output_request_msg *)message);
}

static int input_call(struct msn_call *call, const ProtobufCMessage *none)
{
	input_response_msg response =
		GRPC__TESTING__STREAMING_INPUT_CALL_RESPONSE__INIT;
	const ProtobufCMessage *message;
	int rc;

	(void)none;
	while ((rc = msn_call_receive(call, &message)) == 0) {
		const input_request_msg *m = (const input_request_msg *)message;

		if (m->payload)
			response.aggregated_payload_size +=
				(int32_t)m->payload->body.len;
	}
	if (rc != MSN_CALL_E_END)
		return rc;
	return msn_call_send(call, &response.base, NULL);
}

static int full_duplex_call(struct msn_call *call, const ProtobufCMessage *none)
{
	const ProtobufCMessage *message;
	int rc = echo_metadata(call);

	(void)none;
	while (!rc && (rc = msn_call_receive(call, &message)) == 0)
		rc = send_all(call, (const output_request_msg *)message);
	return rc == MSN_CALL_E_END ? 0 : rc;
}

#define METHOD(name) "/grpc.testing.TestService/" name

const struct msn_method test_service_methods[] = {
	{
		.path = METHOD("EmptyCall"),
		.request = &grpc__testing__empty__descriptor,
		.response = &grpc__testing__empty__descriptor,
		.role = MSN_ROLE_READ,
		.run = empty_call,
	},
	{
		.path = METHOD("UnaryCall"),
		.request = &grpc__testing__simple_request__descriptor,
		.response = &grpc__testing__simple_response__descriptor,
		.role = MSN_ROLE_READ,
		.run = unary_call,
	},
	{
		.path = METHOD("CacheableUnaryCall"),
		.request = &grpc__testing__simple_request__descriptor,
		.response = &grpc__testing__simple_response__descriptor,
		.flags = MSN_METHOD_BLOCKS,
		.role = MSN_ROLE_READ,
		.run = unary_call,
	},
	{
		.path = METHOD("StreamingOutputCall"),
		.request =
			&grpc__testing__streaming_output_call_request__descriptor,
		.response =
			&grpc__testing__streaming_output_call_response__descriptor,
		.flags = MSN_METHOD_SERVER_STREAM | MSN_METHOD_BLOCKS,
		.role = MSN_ROLE_READ,
		.run = output_call,
	},
	{
		.path = METHOD("StreamingInputCall"),
		.request =
			&grpc__testing__streaming_input_call_request__descriptor,
		.response =
			&grpc__testing__streaming_input_call_response__descriptor,
		.flags = MSN_METHOD_CLIENT_STREAM | MSN_METHOD_BLOCKS,
		.role = MSN_ROLE_READ,
		.run = input_call,
	},
	{
		.path = METHOD("FullDuplexCall"),
		.request =
			&grpc__testing__streaming_output_call_request__descriptor,
		.response =
			&grpc__testing__streaming_output_call_response__descriptor,
		.flags = MSN_METHOD_CLIENT_STREAM | MSN_METHOD_SERVER_STREAM |
			 MSN_METHOD_BLOCKS,
		.role = MSN_ROLE_READ,
		.run = full_duplex_call,
	},
	{ 0 },
};
