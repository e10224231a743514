/*
 * Log: what the service tells whoever runs it.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A message is a fixed text with an id; all that varies stands in fields:
 *
 *    static struct msn_log_message refused = {
 *            .id = "auth.refused", .text = "caller refused",
 *            .level = MSN_LOG_WARNING, .component = MSN_LOG_AUTH,
 *    };
 *    msn_log(&refused, msn_log_text("owner", owner), msn_log_errno(rc));
 *
 * becomes one line (logfmt, JSON) or one entry of the journal.  Whatever bytes
 * a field has, it is one field of one line: what could end it, hide or move
 * text on a terminal is escaped, what is no UTF-8 replaced.
 *
 * A caller never waits for who reads the log: a line goes out by one write(),
 * and only when the descriptor says that it can take one; else it is lost, and
 * the next line that goes out says how many were.  A message that comes more
 * often than its rate is dropped and counted by itself.
 *
 * The log is the one thing of the process that is global: parts write to it
 * without being handed anything.  Before msn_log_start() it is logfmt on
 * stderr at level info.
 *
 * Locks: MSN_RANK_LOG, so any other may be held.  Any thread.
 */
#ifndef MSN_LOG_LOG_H
#define MSN_LOG_LOG_H

#include "base/cleanup.h"
#include "base/failure.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* ---- Levels ------------------------------------------------------------- */

/* Values are those of the .proto. */
enum msn_log_level {
	MSN_LOG_ERROR = 1, /* something is lost or will not be done */
	MSN_LOG_WARNING,   /* somebody should look at it */
	MSN_LOG_INFO,	   /* what an operator wants to know of a day */
	MSN_LOG_DEBUG,	   /* what a programmer wants to know of a call */
};

/* Whose messages; a new one is a line here and its name in level.c. */
enum msn_log_component {
	MSN_LOG_DAEMON,
	MSN_LOG_CONFIG,
	MSN_LOG_AUTH,
	MSN_LOG_WIRE,
	MSN_LOG_RPC,
	MSN_LOG_SPACES,
	MSN_LOG_OPERATIONS,
	MSN_LOG_STORAGE,
	MSN_LOG_EVENTS,
	MSN_LOG_ITSELF, /* "log" */
	MSN_LOG_COMPONENTS,
};
/* For msn_log_set_level(): every one of them. */
#define MSN_LOG_ALL MSN_LOG_COMPONENTS

/* "wire" and so on; the other way false for a word that is none. */
const char *msn_log_component_name(enum msn_log_component component);
MSN_MUST_CHECK bool msn_log_component_find(const char *name,
					   enum msn_log_component *out);

/* "error", "warning", "info", "debug"; NULL past the last. */
const char *msn_log_level_name(enum msn_log_level level);
MSN_MUST_CHECK bool msn_log_level_find(const char *name,
				       enum msn_log_level *out);

/*
 * Changes what is written from now on.  With @for_ms it holds for so long, and
 * then what was set without comes back; 0: until it is set again.  Returns the
 * level before, of MSN_LOG_ALL the one that told the most.
 */
enum msn_log_level msn_log_set_level(enum msn_log_component component,
				     enum msn_log_level level, uint64_t for_ms);

/* The level that holds now. */
enum msn_log_level msn_log_level(enum msn_log_component component);

/* ---- Messages ----------------------------------------------------------- */

/* Lines of one message in MSN_LOG_WINDOW_S, unless it says otherwise; of
 * level debug as many as there are. */
#define MSN_LOG_BURST 20
#define MSN_LOG_WINDOW_S 10

/* Static: it is never freed.  What stands below the line is the log's. */
struct msn_log_message {
	const char *id;	  /* "auth.refused": never changes its meaning */
	const char *text; /* without a full stop */
	enum msn_log_level level;
	enum msn_log_component component;
	unsigned burst; /* lines in MSN_LOG_WINDOW_S; 0: MSN_LOG_BURST */
	/* ------------------------------------------------------------ */
	_Atomic uint64_t window;  /* start in s << 32 | lines since */
	_Atomic uint64_t dropped; /* since the last line that went out */
	atomic_bool listed;
	struct msn_log_message *next; /* set once, with @listed */
};

enum msn_log_kind {
	MSN_LOG_NOTHING = 0, /* a field that is left out */
	MSN_LOG_TEXT,
	MSN_LOG_UNSIGNED,
	MSN_LOG_SIGNED,
	MSN_LOG_HEX,	 /* addresses */
	MSN_LOG_SECONDS, /* of nanoseconds */
	MSN_LOG_ERRNO,	 /* a name: "ENOENT"; in the journal the number */
};

/* Keys are [a-z][a-z0-9_]*, constants; use those that others use: trace_id,
 * operation, space, snapshot, owner, peer, method, duration, why. */
struct msn_log_field {
	const char *key;
	enum msn_log_kind kind;
	size_t len; /* of a text */
	union {
		const char *text;
		uint64_t u;
		int64_t i;
	};
};

/* Texts are borrowed until msn_log() returns.  NULL and "" are left out. */
static inline struct msn_log_field msn_log_text(const char *key,
						const char *text)
{
	struct msn_log_field f = { .key = key };

	if (text && *text) {
		f.kind = MSN_LOG_TEXT;
		f.len = strlen(text);
		f.text = text;
	}
	return f;
}

static inline struct msn_log_field msn_log_unsigned(const char *key,
						    uint64_t value)
{
	return (struct msn_log_field){ .key = key,
				       .kind = MSN_LOG_UNSIGNED,
				       .u = value };
}

static inline struct msn_log_field msn_log_signed(const char *key,
						  int64_t value)
{
	return (struct msn_log_field){ .key = key,
				       .kind = MSN_LOG_SIGNED,
				       .i = value };
}

static inline struct msn_log_field msn_log_hex(const char *key, uint64_t value)
{
	return (struct msn_log_field){ .key = key,
				       .kind = MSN_LOG_HEX,
				       .u = value };
}

/* @ns nanoseconds, shown in seconds. */
static inline struct msn_log_field msn_log_seconds(const char *key, uint64_t ns)
{
	return (struct msn_log_field){ .key = key,
				       .kind = MSN_LOG_SECONDS,
				       .u = ns };
}

/* The key is "errno"; @rc is a negated errno, 0 is left out. */
static inline struct msn_log_field msn_log_errno(int rc)
{
	return (struct msn_log_field){ .key = "errno",
				       .kind = rc ? MSN_LOG_ERRNO
						  : MSN_LOG_NOTHING,
				       .i = rc };
}

/* Does @m's level say that it is written?  What msn_log() asks first. */
bool msn_log_wanted(const struct msn_log_message *m);

void msn_log_write(struct msn_log_message *m,
		   const struct msn_log_field *fields, size_t count);

/*
 * msn_log(message, field...): the fields are computed only when the message is
 * wanted.
 */
#define msn_log(message, ...)                                                  \
	do {                                                                   \
		struct msn_log_message *message_ = (message);                  \
		if (msn_log_wanted(message_)) {                                \
			const struct msn_log_field fields_[] = {               \
				{ NULL, MSN_LOG_NOTHING, 0, { NULL } },        \
				##__VA_ARGS__                                  \
			};                                                     \
			msn_log_write(message_, fields_ + 1,                   \
				      MSN_ARRAY_LEN(fields_) - 1);             \
		}                                                              \
	} while (0)

/* Writes a line for each message that has dropped some and not told yet. */
void msn_log_tell_dropped(void);

/* ---- Where it goes ------------------------------------------------------ */

/*
 * A line, its end included: PIPE_BUF, so that lines of several processes do not
 * mix.  A field that does not fit is left out, and the line says cut=true.
 */
#define MSN_LOG_LINE_MAX 4096

/* Bytes of a text that are shown; a longer one ends in "...". */
#define MSN_LOG_VALUE_MAX 512

enum msn_log_format {
	/* The journal if stderr leads there ($JOURNAL_STREAM), else logfmt. */
	MSN_LOG_AUTO = 0,
	MSN_LOG_JOURNAL,
	MSN_LOG_LOGFMT,
	MSN_LOG_JSON,
};

/* "auto", "journal", "logfmt", "json"; NULL past the last. */
const char *msn_log_format_name(enum msn_log_format format);

struct msn_log_opts {
	enum msn_log_format format;
	enum msn_log_level level; /* of all components; 0: as they are */
	int fd;			  /* borrowed; 0: stderr */
};

/*
 * Sets the log up, or up anew.  Ignores SIGPIPE from then on: a log whose
 * reader is gone does not end the service.  -ENOENT when the journal is asked
 * for and not there; everything is as before then.
 */
MSN_MUST_CHECK int msn_log_start(const struct msn_log_opts *opts,
				 struct msn_failure *why);

/* Tells what was dropped and lost, and goes back to what was at first. */
void msn_log_stop(void);

/* Lines that nobody took since the start of the process. */
uint64_t msn_log_lost(void);

/* ---- The end ------------------------------------------------------------ */

/*
 * Writes a line at level error past every lock and rate.  Async-signal-safe:
 * for handlers of signals that end the process.  In the journal's case it goes
 * to stderr, which leads there.
 */
void msn_log_fatal(const char *text, const struct msn_log_field *fields,
		   size_t count);

/*
 * Has the signals of a bug (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT) and
 * broken assertions write such a line before the process ends as it would have.
 * Once, before other handlers (block/safecopy.h) are installed on top; signals
 * that have one already are left alone.
 */
void msn_log_catch_fatal(void);

#endif /* MSN_LOG_LOG_H */
