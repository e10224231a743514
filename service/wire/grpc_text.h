/*
 * The texts of gRPC's headers: time-outs, messages, binary values.  Private to
 * this component.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Pure functions, for both sides of the wire.  What is written goes to a buffer
 * of the caller's, who knows how much it can be.
 */
#ifndef MSN_WIRE_GRPC_TEXT_H
#define MSN_WIRE_GRPC_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Reads a grpc-timeout: one to eight digits and one of H M S m u n.  False for
 * anything else.  No time-out wraps: the longest is 99999999 hours, which is
 * UINT64_MAX, for none.
 */
bool grpc_timeout_parse(const char *text, size_t len, uint64_t *ns);

/* Writes one that is no shorter than @ns; @out has GRPC_TIMEOUT_TEXT bytes. */
#define GRPC_TIMEOUT_TEXT 10
void grpc_timeout_format(char *out, uint64_t ns);

/* Percent-encodes a grpc-message; @out has room for 3 * @len.  The length. */
size_t grpc_message_encode(char *out, const char *text, size_t len);

/* The other way, in place of @len bytes; what is no %XX stays.  The length. */
size_t grpc_message_decode(char *out, const char *text, size_t len);

/* Base64 without padding; @out has GRPC_BASE64_LEN(@len) bytes.  The length. */
#define GRPC_BASE64_LEN(len) (((len) + 2) / 3 * 4)
size_t grpc_base64_encode(char *out, const void *data, size_t len);

/* With or without padding; @out has room for @len.  False: it is none. */
bool grpc_base64_decode(uint8_t *out, size_t *out_len, const char *text,
			size_t len);

/* Is this content-type gRPC with protobuf? */
bool grpc_is_content_type(const char *text, size_t len);

/* Does a key end in -bin? */
bool grpc_is_binary(const char *key, size_t len);

#endif /* MSN_WIRE_GRPC_TEXT_H */
