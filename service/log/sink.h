/*
 * Sink: where lines go.  Private to this component.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_LOG_SINK_H
#define MSN_LOG_SINK_H

#include "log/log.h"
#include "render.h"

/* Where and how: changed by msn_log_start() alone. */
enum msn_log_format msn_log_sink_format(void);

/* Hands @e to whoever reads it, or counts it as lost.  Any thread. */
void msn_log_sink_write(const struct event *e);

/* Past every lock; async-signal-safe. */
void msn_log_sink_write_fatal(const struct event *e);

/* Sends @e to the journal; false: it did not take it. */
bool msn_log_journal_send(const struct event *e);

/* Does @fd lead to the journal, as $JOURNAL_STREAM says it does? */
bool msn_log_journal_has(int fd);
/* Is there a journal?  0, or -ENOENT and the like. */
int msn_log_journal_check(void);

#endif /* MSN_LOG_SINK_H */
