/*
 * Messages: what is written, what comes too often, and what is told of that.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A message that dropped a line is put on a list, for good: messages are static
 * and few.  Pushing is a compare-and-swap, nothing is ever taken off, so
 * walking needs no lock.
 */
#include "log/log.h"

#include "base/assert.h"
#include "level.h"
#include "sink.h"

static struct msn_log_message *_Atomic dropping;

static struct msn_log_message were_dropped = {
	.id = "log.dropped",
	.text = "a message came too often",
	.level = MSN_LOG_WARNING,
	.component = MSN_LOG_ITSELF,
	.burst = UINT32_MAX,
};

static void list(struct msn_log_message *m)
{
	if (atomic_exchange_explicit(&m->listed, true, memory_order_relaxed))
		return;
	m->next = atomic_load_explicit(&dropping, memory_order_relaxed);
	/* Release: who walks the list sees m->next. */
	while (!atomic_compare_exchange_weak_explicit(&dropping, &m->next, m,
						      memory_order_release,
						      memory_order_relaxed))
		;
}

static uint32_t burst_of(const struct msn_log_message *m)
{
	if (m->burst)
		return m->burst;
	return m->level == MSN_LOG_DEBUG ? UINT32_MAX : MSN_LOG_BURST;
}

/* May another line of @m go out?  Counts it, or that it was dropped. */
static bool take(struct msn_log_message *m)
{
	uint64_t now = msn_log_clock_ms() / 1000, next, old;
	uint32_t burst = burst_of(m);

	if (burst == UINT32_MAX)
		return true;
	old = atomic_load_explicit(&m->window, memory_order_relaxed);
	do {
		/* A window that never was has no lines. */
		if (!(uint32_t)old || now - (old >> 32) >= MSN_LOG_WINDOW_S) {
			next = now << 32 | 1;
		} else if ((uint32_t)old < burst) {
			next = old + 1;
		} else {
			atomic_fetch_add_explicit(&m->dropped, 1,
						  memory_order_relaxed);
			list(m);
			return false;
		}
	} while (!atomic_compare_exchange_weak_explicit(&m->window, &old, next,
							memory_order_relaxed,
							memory_order_relaxed));
	return true;
}

#ifdef MSN_DEBUG_CHECKS
/* What a line has anyway, and a field must not pretend to be. */
static bool is_taken(const char *key)
{
	static const char *const own[] = { "ts",  "level",   "component",
					   "id",  "msg",     "dropped",
					   "cut", "message", "priority" };

	for (size_t i = 0; i < MSN_ARRAY_LEN(own); i++)
		if (strcmp(own[i], key) == 0)
			return true;
	return false;
}

static bool is_key(const char *key)
{
	if (*key < 'a' || *key > 'z' || is_taken(key))
		return false;
	return key[strspn(key, "abcdefghijklmnopqrstuvwxyz0123456789_")] == 0;
}
#endif

void msn_log_write(struct msn_log_message *m,
		   const struct msn_log_field *fields, size_t count)
{
	struct event e = {
		.level = m->level,
		.component = msn_log_component_name(m->component),
		.id = m->id,
		.text = m->text,
		.fields = fields,
		.count = count,
	};

#ifdef MSN_DEBUG_CHECKS
	for (size_t i = 0; i < count; i++)
		msn_assert(is_key(fields[i].key));
#endif
	if (!take(m))
		return;
	e.dropped =
		atomic_exchange_explicit(&m->dropped, 0, memory_order_relaxed);
	msn_log_sink_write(&e);
}

void msn_log_tell_dropped(void)
{
	struct msn_log_message *m =
		atomic_load_explicit(&dropping, memory_order_acquire);

	for (; m; m = m->next) {
		uint64_t count = atomic_exchange_explicit(&m->dropped, 0,
							  memory_order_relaxed);

		if (count)
			msn_log(&were_dropped, msn_log_text("of", m->id),
				msn_log_unsigned("times", count));
	}
}
