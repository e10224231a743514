/*
 * Any bytes from a client of ttrpc, in pieces: whatever they are, the server is
 * left with nothing of them when the client has gone.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The first byte says how long the pieces are; the server runs after each.
 */
#include "wire_target.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct wire_client c;
	size_t piece, at = 1;

	if (len < 2 || data[1] != 0)
		return 0; /* some other protocol */
	piece = data[0] ? data[0] : 4096;
	wire_open(&c);
	while (at < len) {
		size_t n = len - at < piece ? len - at : piece;

		if (!wire_send(&c, data + at, n))
			break; /* the server has had enough */
		at += n;
	}
	wire_close(&c);
	return 0;
}
