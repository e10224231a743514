/*
 * Decode: bytes of a client into a message.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * What protobuf-c does not look at is looked at here: how much memory a message
 * takes, that every text is UTF-8, and that none holds a zero byte.
 */
#ifndef MSN_WIRE_DECODE_H
#define MSN_WIRE_DECODE_H

#include "base/cleanup.h"
#include "status/status.h"
#include "wire/arena.h"

#include <protobuf-c/protobuf-c.h>

/*
 * Decodes @len bytes into a message that lies in @arena.  -EINVAL, with @why
 * filled: INTERNAL for bytes that are no such message, RESOURCE_EXHAUSTED when
 * it takes more than the arena has, INVALID_ARGUMENT with the field's name for
 * a text that is none.
 */
MSN_MUST_CHECK int message_decode(const ProtobufCMessage **out,
				  const ProtobufCMessageDescriptor *type,
				  struct arena *arena, const uint8_t *data,
				  size_t len, struct msn_status *why);

#endif /* MSN_WIRE_DECODE_H */
