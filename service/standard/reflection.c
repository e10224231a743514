/*
 * Reflection: gives clients the .proto files.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Both versions have the same messages under two names, so the handler works on
 * those of v1 and lets protobuf-c write them as what the method says.
 *
 * Files are looked for in the serialised set, from front to back: it is a few
 * ten thousand bytes long and nobody asks often.
 */
#include "standard/standard.h"

#include "base/error.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "grpc/reflection/v1alpha/reflection.pb-c.h"
#include "standard/standard_private.h"
#include "standard/symbols.h"
#include "wire/call.h"

#include <stdarg.h>
#include <stdio.h>

typedef Grpc__Reflection__V1__ErrorResponse error_msg;
typedef Grpc__Reflection__V1__ExtensionNumberResponse numbers_msg;
typedef Grpc__Reflection__V1__ExtensionRequest extension_msg;
typedef Grpc__Reflection__V1__FileDescriptorResponse files_msg;
typedef Grpc__Reflection__V1__ListServiceResponse services_msg;
typedef Grpc__Reflection__V1__ServerReflectionRequest request_msg;
typedef Grpc__Reflection__V1__ServerReflectionResponse response_msg;
typedef Grpc__Reflection__V1__ServiceResponse service_msg;

#define ASSERT_SAME(type)                                                      \
	_Static_assert(sizeof(Grpc__Reflection__V1__##type) ==                 \
			       sizeof(Grpc__Reflection__V1alpha__##type),      \
		       #type " is the same in both versions")
ASSERT_SAME(ErrorResponse);
ASSERT_SAME(ExtensionNumberResponse);
ASSERT_SAME(ExtensionRequest);
ASSERT_SAME(FileDescriptorResponse);
ASSERT_SAME(ListServiceResponse);
ASSERT_SAME(ServerReflectionRequest);
ASSERT_SAME(ServerReflectionResponse);
ASSERT_SAME(ServiceResponse);

#define ASKS(what)                                                             \
	GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##what
#define GIVES(what)                                                            \
	GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##what

/* One stream: what it was sent it is not sent again. */
struct session {
	struct msn_call *call;
	const struct msn_standard *standard;
	struct symbols_seen seen;
};

/* ---- answers ------------------------------------------------------------- */

static int answer(struct session *s, const request_msg *request,
		  response_msg *response)
{
	response->valid_host = request->host;
	response->original_request = (request_msg *)(uintptr_t)request;
	response->base.descriptor = msn_call_method(s->call)->response;
	return msn_pass(msn_call_send(s->call, &response->base, NULL));
}

MSN_PRINTF(4, 5)
static int answer_error(struct session *s, const request_msg *request,
			enum msn_code code, const char *fmt, ...)
{
	response_msg response =
		GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
	error_msg error = GRPC__REFLECTION__V1__ERROR_RESPONSE__INIT;
	struct msn_status text; /* whose text is clean */
	char raw[sizeof(text.text)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(raw, sizeof(raw), fmt, args);
	va_end(args);
	msn_status_set(&text, code, "", "%s", raw);
	error.error_code = (int32_t)code;
	error.error_message = text.text;
	response.message_response_case = GIVES(ERROR_RESPONSE);
	response.error_response = &error;
	return answer(s, request, &response);
}

static int answer_files(struct session *s, const request_msg *request,
			const struct pb_field *file)
{
	response_msg response =
		GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
	files_msg files = GRPC__REFLECTION__V1__FILE_DESCRIPTOR_RESPONSE__INIT;
	struct pb_field found[SYMBOLS_FILES_MAX];
	ProtobufCBinaryData list[SYMBOLS_FILES_MAX];
	size_t count;

	count = symbols_with_imports(s->standard->descriptors,
				     s->standard->descriptors_len, file,
				     &s->seen, found);
	for (size_t i = 0; i < count; i++)
		list[i] = (ProtobufCBinaryData){
			found[i].len, (uint8_t *)(uintptr_t)found[i].data
		};
	files.n_file_descriptor_proto = count;
	files.file_descriptor_proto = list;
	response.message_response_case = GIVES(FILE_DESCRIPTOR_RESPONSE);
	response.file_descriptor_response = &files;
	return answer(s, request, &response);
}

/* ---- questions ----------------------------------------------------------- */

static int file_by_name(struct session *s, const request_msg *request)
{
	const struct msn_standard *st = s->standard;
	struct pb_field file;

	if (!symbols_find_file(st->descriptors, st->descriptors_len,
			       request->file_by_filename, &file))
		return answer_error(s, request, MSN_CODE_NOT_FOUND,
				    "no file is called %s",
				    request->file_by_filename);
	return answer_files(s, request, &file);
}

static int file_by_symbol(struct session *s, const request_msg *request)
{
	const struct msn_standard *st = s->standard;
	struct pb_field file;

	if (!symbols_find(st->descriptors, st->descriptors_len,
			  request->file_containing_symbol, &file))
		return answer_error(s, request, MSN_CODE_NOT_FOUND,
				    "nothing is called %s",
				    request->file_containing_symbol);
	return answer_files(s, request, &file);
}

/* There are none in proto3. */
static int file_by_extension(struct session *s, const request_msg *request)
{
	const extension_msg *asked = request->file_containing_extension;

	return answer_error(s, request, MSN_CODE_NOT_FOUND,
			    "%s has no extension %d", asked->containing_type,
			    asked->extension_number);
}

static int extension_numbers(struct session *s, const request_msg *request)
{
	response_msg response =
		GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
	numbers_msg numbers =
		GRPC__REFLECTION__V1__EXTENSION_NUMBER_RESPONSE__INIT;
	const struct msn_standard *st = s->standard;
	struct pb_field file;

	if (!symbols_find(st->descriptors, st->descriptors_len,
			  request->all_extension_numbers_of_type, &file))
		return answer_error(s, request, MSN_CODE_NOT_FOUND,
				    "nothing is called %s",
				    request->all_extension_numbers_of_type);
	numbers.base_type_name = request->all_extension_numbers_of_type;
	response.message_response_case = GIVES(ALL_EXTENSION_NUMBERS_RESPONSE);
	response.all_extension_numbers_response = &numbers;
	return answer(s, request, &response);
}

static int list_services(struct session *s, const request_msg *request)
{
	response_msg response =
		GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
	services_msg services =
		GRPC__REFLECTION__V1__LIST_SERVICE_RESPONSE__INIT;
	service_msg names[STANDARD_SERVICES_MAX];
	service_msg *list[STANDARD_SERVICES_MAX];
	size_t count = s->standard->service_count - 1;

	for (size_t i = 0; i < count; i++) {
		grpc__reflection__v1__service_response__init(&names[i]);
		names[i].name = s->standard->services[i + 1].name;
		list[i] = &names[i];
	}
	services.n_service = count;
	services.service = list;
	response.message_response_case = GIVES(LIST_SERVICES_RESPONSE);
	response.list_services_response = &services;
	return answer(s, request, &response);
}

/* ---- the stream ---------------------------------------------------------- */

static int reply(struct session *s, const request_msg *request)
{
	switch (request->message_request_case) {
	case ASKS(FILE_BY_FILENAME):
		return file_by_name(s, request);
	case ASKS(FILE_CONTAINING_SYMBOL):
		return file_by_symbol(s, request);
	case ASKS(FILE_CONTAINING_EXTENSION):
		return file_by_extension(s, request);
	case ASKS(ALL_EXTENSION_NUMBERS_OF_TYPE):
		return extension_numbers(s, request);
	case ASKS(LIST_SERVICES):
		return list_services(s, request);
	default:
		return answer_error(s, request, MSN_CODE_INVALID_ARGUMENT,
				    "the request asks for nothing");
	}
}

static int reflect(struct msn_call *call, const ProtobufCMessage *none)
{
	struct session s = { .call = call, .standard = msn_call_context(call) };
	const ProtobufCMessage *message;
	int rc;

	(void)none;
	while ((rc = msn_call_receive(call, &message)) == 0) {
		rc = reply(&s, (const request_msg *)message);
		if (rc)
			return msn_pass(rc);
	}
	return rc == MSN_CALL_E_END ? 0 : msn_pass(rc);
}

#define INFO ".ServerReflection/ServerReflectionInfo"

const struct msn_method msn_reflection_methods[] = {
	{
		.path = "/grpc.reflection.v1" INFO,
		.request =
			&grpc__reflection__v1__server_reflection_request__descriptor,
		.response =
			&grpc__reflection__v1__server_reflection_response__descriptor,
		.flags = MSN_METHOD_CLIENT_STREAM | MSN_METHOD_SERVER_STREAM |
			 MSN_METHOD_BLOCKS,
		.run = reflect,
	},
	{
		.path = "/grpc.reflection.v1alpha" INFO,
		.request =
			&grpc__reflection__v1alpha__server_reflection_request__descriptor,
		.response =
			&grpc__reflection__v1alpha__server_reflection_response__descriptor,
		.flags = MSN_METHOD_CLIENT_STREAM | MSN_METHOD_SERVER_STREAM |
			 MSN_METHOD_BLOCKS,
		.run = reflect,
	},
	{ 0 },
};
