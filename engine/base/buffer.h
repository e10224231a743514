/*
 * Buffer: a text that grows while it is written.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    msn_auto(msn_buffer_deinit) struct msn_buffer b = { 0 };
 *
 *    msn_buffer_printf(&b, "%s = %u\n", name, value);
 *    return msn_pass(msn_buffer_take(&b, out, &len));
 *
 * The first failure stays, and what comes after it is not added: whoever writes
 * asks once, at the end.
 */
#ifndef MSN_BASE_BUFFER_H
#define MSN_BASE_BUFFER_H

#include "base/cleanup.h"

#include <stddef.h>

/* Zeroed is empty. */
struct msn_buffer {
	char *text; /* zero terminated, or NULL */
	size_t len, cap;
	int rc; /* the first failure */
};

void msn_buffer_deinit(struct msn_buffer *b);

void msn_buffer_add(struct msn_buffer *b, const void *bytes, size_t len);
void msn_buffer_printf(struct msn_buffer *b, const char *fmt, ...)
	MSN_PRINTF(2, 3);

/*
 * Hands the text over, for free(), zero terminated; @b is empty then.  @len may
 * be NULL.  -ENOMEM when something could not be added.
 */
MSN_MUST_CHECK int msn_buffer_take(struct msn_buffer *b, char **out,
				   size_t *len);

#endif /* MSN_BASE_BUFFER_H */
