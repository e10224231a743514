/*
 * Render: a message becomes bytes.  Private to this component.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Everything here is pure and async-signal-safe: it writes into a buffer that
 * is given, and asks neither the heap nor the locale nor the time zone.
 */
#ifndef MSN_LOG_RENDER_H
#define MSN_LOG_RENDER_H

#include "log/log.h"

struct event {
	int64_t time_ns; /* since the epoch */
	enum msn_log_level level;
	const char *component, *id, *text;
	const struct msn_log_field *fields;
	size_t count;
	uint64_t dropped; /* 0: not shown */
};

struct line {
	char bytes[MSN_LOG_LINE_MAX];
	size_t len;
	bool over; /* what is being added does not fit */
	bool cut;  /* something was left out */
};

/* Makes @l a whole line of @format, MSN_LOG_LOGFMT or MSN_LOG_JSON. */
void msn_log_render(struct line *l, const struct event *e,
		    enum msn_log_format format);

/* @start, @e's text and its fields as logfmt, without time and so on. */
void msn_log_render_words(struct line *l, const char *start,
			  const struct event *e);

/*
 * Appends @f as the journal wants it, "KEY=value" with the value's own bytes;
 * or leaves @l as it was, and cut, when it does not fit.
 */
void msn_log_render_assignment(struct line *l, const struct msn_log_field *f);

#endif /* MSN_LOG_RENDER_H */
