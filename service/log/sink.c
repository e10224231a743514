/*
 * One descriptor, or the journal.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Whoever writes a line first asks whether the descriptor would take it: a pipe
 * that can be written to has room for PIPE_BUF bytes, which no line exceeds.
 * So the lock is never held while a reader makes up its mind.  A descriptor
 * that does not block may take half a line; the rest goes out before the next.
 */
#include "sink.h"

#include "base/error.h"
#include "base/lock.h"
#include "level.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct sink {
	struct msn_mutex lock;
	_Atomic int format;    /* enum msn_log_format; never MSN_LOG_AUTO */
	_Atomic int fd;	       /* borrowed */
	bool socket;	       /* under lock: what fd is */
	_Atomic uint64_t lost; /* since the start of the process */
	uint64_t lost_untold;  /* under lock */
	char rest[MSN_LOG_LINE_MAX]; /* under lock: of a line that was begun */
	_Atomic size_t rest_len;     /* under lock; read by the fatal path */
};

static struct sink sink = {
	.lock = { PTHREAD_MUTEX_INITIALIZER, MSN_RANK_LOG },
	.format = MSN_LOG_LOGFMT,
	.fd = STDERR_FILENO,
};

enum msn_log_format msn_log_sink_format(void)
{
	return (enum msn_log_format)atomic_load_explicit(&sink.format,
							 memory_order_relaxed);
}

/* How long somebody who dies waits for a reader. */
#define FATAL_WAIT_MS 1000

/* Would a line go out at once, or within @wait_ms? */
static bool is_ready(int fd, int wait_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, wait_ms) == 1 && (p.revents & POLLOUT) &&
	       !(p.revents & (POLLERR | POLLNVAL));
}

/* Bytes that the descriptor took: one attempt. */
static size_t attempt(const char *bytes, size_t len)
{
	ssize_t n = 0;

	if (sink.socket)
		n = send(sink.fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	else if (is_ready(sink.fd, 0))
		n = write(sink.fd, bytes, len);
	return n < 0 ? 0 : (size_t)n;
}

/* Is nothing left of an earlier line? */
static bool flush_rest(void)
{
	size_t len = sink.rest_len, n = len ? attempt(sink.rest, len) : 0;

	memmove(sink.rest, sink.rest + n, len - n);
	sink.rest_len = len - n;
	return len == n;
}

static bool write_line(const struct line *l)
{
	size_t n;

	if (!flush_rest())
		return false;
	n = attempt(l->bytes, l->len);
	if (n == 0)
		return false;
	memcpy(sink.rest, l->bytes + n, l->len - n);
	sink.rest_len = l->len - n;
	return true;
}

static int64_t wall_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec < 0 ? 0
			      : now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* What was lost is told before anything else goes out. */
static bool tell_lost(void)
{
	struct msn_log_field f = msn_log_unsigned("lost", sink.lost_untold);
	struct event e = {
		.time_ns = wall_clock(),
		.level = MSN_LOG_WARNING,
		.component = msn_log_component_name(MSN_LOG_ITSELF),
		.id = "log.lost",
		.text = "lines were lost that nobody took",
		.fields = &f,
		.count = 1,
	};
	struct line l;

	if (!sink.lost_untold)
		return true;
	msn_log_render(&l, &e, msn_log_sink_format());
	if (!write_line(&l))
		return false;
	sink.lost_untold = 0;
	return true;
}

static void count_lost(void)
{
	atomic_fetch_add_explicit(&sink.lost, 1, memory_order_relaxed);
}

void msn_log_sink_write(const struct event *e)
{
	struct event timed = *e;
	struct line l;

	if (msn_log_sink_format() == MSN_LOG_JOURNAL) {
		if (!msn_log_journal_send(e))
			count_lost();
		return;
	}
	msn_lock_scope(&sink.lock);
	/* Under the lock, so that times ascend. */
	timed.time_ns = wall_clock();
	msn_log_render(&l, &timed, msn_log_sink_format());
	if (tell_lost() && write_line(&l))
		return;
	sink.lost_untold++;
	count_lost();
}

void msn_log_sink_write_fatal(const struct event *e)
{
	struct event timed = *e;
	bool rest = sink.rest_len > 0;
	bool journal = msn_log_sink_format() == MSN_LOG_JOURNAL;
	struct line l;
	struct iovec parts[] = {
		{ "\n", rest ? 1 : 0 },
		{ "<2>", journal ? 3 : 0 }, /* the level, to systemd */
		{ l.bytes, 0 },
	};
	ssize_t n;

	timed.time_ns = wall_clock();
	msn_log_render(&l, &timed,
		       msn_log_sink_format() == MSN_LOG_JSON ? MSN_LOG_JSON
							     : MSN_LOG_LOGFMT);
	parts[2].iov_len = l.len;
	if (!is_ready(sink.fd, FATAL_WAIT_MS))
		return;
	n = writev(sink.fd, parts, MSN_ARRAY_LEN(parts));
	(void)n; /* there is nobody left to tell */
}

uint64_t msn_log_lost(void)
{
	return atomic_load_explicit(&sink.lost, memory_order_relaxed);
}

const char *msn_log_format_name(enum msn_log_format format)
{
	static const char *const names[] = {
		[MSN_LOG_AUTO] = "auto",
		[MSN_LOG_JOURNAL] = "journal",
		[MSN_LOG_LOGFMT] = "logfmt",
		[MSN_LOG_JSON] = "json",
	};

	return format < MSN_ARRAY_LEN(names) ? names[format] : NULL;
}

static bool is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

int msn_log_start(const struct msn_log_opts *opts, struct msn_failure *why)
{
	int fd = opts->fd ? opts->fd : STDERR_FILENO;
	enum msn_log_format format = opts->format;
	int rc = format == MSN_LOG_JOURNAL ? msn_log_journal_check() : 0;

	if (rc)
		return msn_failure_errno(why, rc, "cannot log to the journal");
	if (format == MSN_LOG_AUTO)
		format = msn_log_journal_has(fd) ? MSN_LOG_JOURNAL
						 : MSN_LOG_LOGFMT;
	signal(SIGPIPE, SIG_IGN);
	if (opts->level)
		msn_log_set_level(MSN_LOG_ALL, opts->level, 0);
	msn_lock_scope(&sink.lock);
	if (sink.fd != fd)
		sink.rest_len = 0;
	sink.fd = fd;
	sink.socket = is_socket(fd);
	sink.format = format;
	return 0;
}

void msn_log_stop(void)
{
	msn_log_tell_dropped();
	msn_log_set_level(MSN_LOG_ALL, MSN_LOG_INFO, 0);
	msn_lock_scope(&sink.lock);
	tell_lost();
	flush_rest();
	sink.rest_len = 0;
	sink.lost_untold = 0;
	sink.fd = STDERR_FILENO;
	sink.socket = is_socket(STDERR_FILENO);
	sink.format = MSN_LOG_LOGFMT;
}
