/*
 * Message: see message.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "wire/message.h"

#include "base/assert.h"
#include "base/fault.h"
#include "base/fd.h"
#include "wire/call_private.h"

#include <stdlib.h>

struct message *message_new(size_t len)
{
	struct message *m;

	/* Not zeroed: every byte will be written. */
	m = msn_fault("message.new")
		    ? NULL
		    : malloc(sizeof(*m) + MESSAGE_HEADROOM + len);
	if (!m)
		return NULL;
	*m = (struct message){ .head = m->bytes + MESSAGE_HEADROOM,
			       .head_len = len };
	return m;
}

void close_fds(int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		msn_close(fds[i]);
	free(fds);
}

void message_close_fds(struct message *m)
{
	close_fds(m->fds, m->fd_count);
	m->fds = NULL;
	m->fd_count = 0;
}

struct message *message_free(struct message *m)
{
	if (!m)
		return NULL;
	message_close_fds(m);
	if (m->payload)
		m->payload->release(m->payload);
	if (m->call) {
		call_uncharge(m->call, m->charge);
		msn_call_unref(m->call);
	}
	free(m);
	return NULL;
}

uint8_t *message_prepend(struct message *m, size_t len)
{
	msn_assert(m->head >= m->bytes + len);
	m->head -= len;
	m->head_len += len;
	return m->head;
}

size_t message_len(const struct message *m)
{
	return m->head_len + (m->payload ? m->payload->len : 0) + m->tail_len;
}
