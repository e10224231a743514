/*
 * Growing texts.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/buffer.h"

#include "base/alloc.h"
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void msn_buffer_deinit(struct msn_buffer *b)
{
	free(b->text);
	*b = (struct msn_buffer){ 0 };
}

/* Room for @more bytes and the zero. */
static bool reserve(struct msn_buffer *b, size_t more)
{
	size_t cap = b->cap ? b->cap : 256;
	char *grown;

	if (b->rc)
		return false;
	if (more >= SIZE_MAX / 2 - b->len) {
		b->rc = msn_fail(-ENOMEM);
		return false;
	}
	while (cap <= b->len + more)
		cap *= 2;
	if (cap == b->cap)
		return true;
	grown = msn_realloc_array(b->text, cap, 1);
	if (!grown) {
		b->rc = msn_fail(-ENOMEM);
		return false;
	}
	b->text = grown;
	b->cap = cap;
	return true;
}

void msn_buffer_add(struct msn_buffer *b, const void *bytes, size_t len)
{
	if (!reserve(b, len))
		return;
	memcpy(b->text + b->len, bytes, len);
	b->len += len;
	b->text[b->len] = '\0';
}

void msn_buffer_printf(struct msn_buffer *b, const char *fmt, ...)
{
	va_list args, again;
	int len;

	va_start(args, fmt);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, fmt, args);
	if (len < 0)
		b->rc = b->rc ? b->rc : msn_fail(-EINVAL);
	else if (reserve(b, (size_t)len))
		b->len += (size_t)vsnprintf(b->text + b->len, (size_t)len + 1,
					    fmt, again);
	va_end(again);
	va_end(args);
}

int msn_buffer_take(struct msn_buffer *b, char **out, size_t *len)
{
	int rc;

	msn_buffer_add(b, "", 0);
	rc = b->rc;
	if (!rc) {
		*out = msn_steal(b->text);
		if (len)
			*len = b->len;
	}
	msn_buffer_deinit(b);
	return msn_pass(rc);
}
