/*
 * A server of the test service, and a client of it that sends whatever it is
 * told: for targets that fuzz a codec.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_TESTS_FUZZ_WIRE_TARGET_H
#define MSN_TESTS_FUZZ_WIRE_TARGET_H

#include <stdbool.h>
#include <stddef.h>

struct wire_client {
	int fd;
};

/* Connects; the server is made with the first one. */
void wire_open(struct wire_client *c);

/* Sends, lets the server run, and takes what it says.  False: it has had
 * enough. */
bool wire_send(struct wire_client *c, const void *data, size_t len);

/* Goes away, and waits until the server holds nothing any more. */
void wire_close(struct wire_client *c);

#endif /* MSN_TESTS_FUZZ_WIRE_TARGET_H */
