/*
 * Descriptors: what this build serves, as protoc describes it.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A serialised google.protobuf.FileDescriptorSet of all served .proto files and
 * of what they import, each file after those that it imports.
 */
#ifndef MSN_PROTO_DESCRIPTORS_H
#define MSN_PROTO_DESCRIPTORS_H

#include <stddef.h>

/* The API and the services that come with gRPC; *@len bytes. */
const void *msn_descriptors(size_t *len);

/* The same and grpc.testing.  Of test builds alone. */
const void *msn_descriptors_testing(size_t *len);

#endif /* MSN_PROTO_DESCRIPTORS_H */
