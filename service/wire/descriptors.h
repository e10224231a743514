/*
 * Descriptors: what the .proto files say of methods.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reads a serialised google.protobuf.FileDescriptorSet that the build made.
 * Only what protobuf-c's own descriptors do not know is looked up here: which
 * methods a service has, and which of them stream.
 */
#ifndef MSN_WIRE_DESCRIPTORS_H
#define MSN_WIRE_DESCRIPTORS_H

#include "wire/pbread.h"

struct descriptors_method {
	struct pb_field input, output; /* names of types: ".package.Message" */
	bool client_streaming, server_streaming;
};

/* The method "/package.Service/Method" of the set; false: there is none. */
bool descriptors_find_method(const void *set, size_t len, const char *path,
			     struct descriptors_method *out);

/* Is @field the name of this type, "package.Message"? */
bool descriptors_is_type(const struct pb_field *field, const char *name);

#endif /* MSN_WIRE_DESCRIPTORS_H */
