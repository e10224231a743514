/*
 * Descriptors: a walk through a FileDescriptorSet.  Numbers of fields are those
 * of google/protobuf/descriptor.proto.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "wire/descriptors.h"

enum {
	SET_FILE = 1,
	FILE_PACKAGE = 2,
	FILE_SERVICE = 6,
	SERVICE_NAME = 1,
	SERVICE_METHOD = 2,
	METHOD_NAME = 1,
	METHOD_INPUT = 2,
	METHOD_OUTPUT = 3,
	METHOD_CLIENT_STREAMING = 5,
	METHOD_SERVER_STREAMING = 6,
};

/* The first field of this number in a message; false: it has none. */
static bool find(const struct pb_field *message, uint32_t number,
		 struct pb_field *out)
{
	struct pb pb = pb_of(message->data, message->len);

	while (pb_next(&pb, out))
		if (out->number == number && out->type == PB_BYTES)
			return true;
	return false;
}

/* Takes @field's text and the separator behind it off @path's front. */
static const char *skip(const char *path, const struct pb_field *field,
			char separator)
{
	if (strncmp(path, (const char *)field->data, field->len) != 0 ||
	    path[field->len] != separator)
		return NULL;
	return path + field->len + 1;
}

static void read_method(const struct pb_field *method,
			struct descriptors_method *out)
{
	struct pb pb = pb_of(method->data, method->len);
	struct pb_field f;

	*out = (struct descriptors_method){ 0 };
	while (pb_next(&pb, &f)) {
		if (f.number == METHOD_INPUT)
			out->input = f;
		else if (f.number == METHOD_OUTPUT)
			out->output = f;
		else if (f.number == METHOD_CLIENT_STREAMING)
			out->client_streaming = f.value;
		else if (f.number == METHOD_SERVER_STREAMING)
			out->server_streaming = f.value;
	}
}

static bool find_in_service(const struct pb_field *service, const char *path,
			    struct descriptors_method *out)
{
	struct pb pb = pb_of(service->data, service->len);
	struct pb_field f, name;

	if (!find(service, SERVICE_NAME, &name))
		return false;
	path = skip(path, &name, '/');
	while (path && pb_next(&pb, &f)) {
		if (f.number != SERVICE_METHOD ||
		    !find(&f, METHOD_NAME, &name) || !pb_is_text(&name, path))
			continue;
		read_method(&f, out);
		return true;
	}
	return false;
}

static bool find_in_file(const struct pb_field *file, const char *path,
			 struct descriptors_method *out)
{
	struct pb pb = pb_of(file->data, file->len);
	struct pb_field f;

	if (find(file, FILE_PACKAGE, &f))
		path = skip(path, &f, '.');
	while (path && pb_next(&pb, &f))
		if (f.number == FILE_SERVICE && find_in_service(&f, path, out))
			return true;
	return false;
}

bool descriptors_find_method(const void *set, size_t len, const char *path,
			     struct descriptors_method *out)
{
	struct pb pb = pb_of(set, len);
	struct pb_field f;

	while (*path == '/' && pb_next(&pb, &f))
		if (f.number == SET_FILE && find_in_file(&f, path + 1, out))
			return true;
	return false;
}

bool descriptors_is_type(const struct pb_field *field, const char *name)
{
	return field->type == PB_BYTES && field->len > 0 &&
	       field->data[0] == '.' && field->len - 1 == strlen(name) &&
	       memcmp(field->data + 1, name, field->len - 1) == 0;
}
