/*
 * Method: what a service offers, as data.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A method is a row: its path, its messages, how it streams, what the caller's
 * role must be, and the handler.  Rows stand in tables, one for each .proto
 * service, in the file of their handlers; codecs, authorisation, metrics, logs
 * and the tests go by them.  When the server is made, each row is checked
 * against the embedded descriptors, so that a table cannot promise what the
 * .proto does not.
 */
#ifndef MSN_WIRE_METHOD_H
#define MSN_WIRE_METHOD_H

#include "base/cleanup.h"
#include "base/failure.h"
#include "wire/role.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

struct msn_call;

enum msn_method_flags {
	/* As the .proto has it: the client, the server sends a stream. */
	MSN_METHOD_CLIENT_STREAM = 1 << 0,
	MSN_METHOD_SERVER_STREAM = 1 << 1,
	/* The handler may block: it runs on a worker. */
	MSN_METHOD_BLOCKS = 1 << 2,
	/* Needs flow control: ttrpc callers get UNIMPLEMENTED. */
	MSN_METHOD_GRPC_ONLY = 1 << 3,
	/* Answered while the service drains: health, GetOperation. */
	MSN_METHOD_WHILE_DRAINING = 1 << 4,
	/* Needs the caller's pidfd, which is opened for it (peer.h). */
	MSN_METHOD_PEER_PIDFD = 1 << 5,
};

enum msn_method_outcome {
	/*
	 * The handler keeps the call (msn_call_ref()) and ends it later with
	 * msn_call_finish() on the loop thread.  Not for a method that blocks.
	 */
	MSN_METHOD_E_LATER = 1,
};

/*
 * Handles a call.  @request is the decoded message, NULL for a client stream
 * (msn_call_receive() gets the messages); it lives as long as the call.
 *
 * 0: the call ends with OK; a unary one has replied.  A negated errno: the call
 * ends with msn_call_status(), which the handler has filled, or with what
 * msn_call_failure() says.
 */
typedef int (*msn_method_fn)(struct msn_call *call,
			     const ProtobufCMessage *request);

struct msn_method {
	const char *path; /* "/memsnap.v1.SpaceService/GetSpace" */
	const ProtobufCMessageDescriptor *request, *response;
	unsigned flags; /* enum msn_method_flags */
	enum msn_role role;
	msn_method_fn run;
};

/* A list of tables; each ends with an empty row, the list with NULL. */
struct msn_methods;

/*
 * Makes the lookup of @tables, which live longer.  @descriptors is a serialised
 * google.protobuf.FileDescriptorSet of the build, which is trusted.  INVALID
 * names the row that the descriptors do not have, or that streams otherwise, or
 * a message that contains itself.
 */
MSN_MUST_CHECK int msn_methods_new(struct msn_methods **out,
				   const struct msn_method *const *tables,
				   const void *descriptors, size_t len,
				   struct msn_failure *why);
struct msn_methods *msn_methods_free(struct msn_methods *m);
MSN_DEFINE_AUTO(struct msn_methods, msn_methods_free)

/*
 * The row of "/service/method" (@len bytes, no end), or NULL; then *@service
 * says whether the service at least is there.
 */
const struct msn_method *msn_methods_find(const struct msn_methods *m,
					  const char *path, size_t len,
					  bool *service);

/* All rows, for listings: *@count of them, in the order of their paths. */
const struct msn_method *const *msn_methods_all(const struct msn_methods *m,
						size_t *count);

/* The service's part of a path: without slashes, *@len bytes. */
const char *msn_method_service(const struct msn_method *m, size_t *len);

#endif /* MSN_WIRE_METHOD_H */
