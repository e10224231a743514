/*
 * Failure: what a person is told.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Below, an error is a number.  Where the user's noun is known (a snapshot, a
 * store, a process) the number becomes one line of text with a kind; the kind
 * decides the exit code of a tool and the status of an RPC.  A function that
 * makes such text takes a struct msn_failure * as its last argument; NULL is
 * allowed and means that nobody will read it.
 */
#ifndef MSN_BASE_FAILURE_H
#define MSN_BASE_FAILURE_H

#include "base/cleanup.h"

enum msn_failure_kind {
	MSN_FAILURE_NONE = 0,
	MSN_FAILURE_INTERNAL,	  /* a bug, or an error nobody foresaw */
	MSN_FAILURE_INVALID,	  /* the request itself makes no sense */
	MSN_FAILURE_NOT_FOUND,	  /* no such snapshot, process, blob */
	MSN_FAILURE_EXISTS,	  /* the name is taken */
	MSN_FAILURE_PRECONDITION, /* not in this state, or not on this kernel */
	MSN_FAILURE_ABORTED,	  /* the world changed under us */
	MSN_FAILURE_EXHAUSTED,	  /* disk, memory, descriptors, a limit */
	MSN_FAILURE_DENIED,	  /* no right to do this */
	MSN_FAILURE_UNAVAILABLE,  /* busy or gone; trying again may help */
	MSN_FAILURE_CANCELLED,	  /* the user changed their mind */
	MSN_FAILURE_DATA_LOSS,	  /* bytes that are not what was stored */
	MSN_FAILURE_UNSUPPORTED,  /* a newer format, a missing feature */
};

struct msn_failure {
	enum msn_failure_kind kind;
	char text[512]; /* one line without a newline; long ones are cut */
};

/*
 * Fills @f (unless it is NULL) and returns @rc, a negated errno.  The first
 * text stays: a caller further up, who knows less, does not replace it.
 */
int msn_failure_set(struct msn_failure *f, int rc, enum msn_failure_kind kind,
		    const char *fmt, ...) MSN_PRINTF(4, 5);

/* As above, with the kind that fits @rc and ": <text of errno>" at the end. */
int msn_failure_errno(struct msn_failure *f, int rc, const char *fmt, ...)
	MSN_PRINTF(3, 4);

/* The kind that a negated errno most often means. */
enum msn_failure_kind msn_failure_kind_of(int rc);

/* A stable upper-case word for a kind, for JSON and logs. */
const char *msn_failure_kind_name(enum msn_failure_kind kind);

#endif /* MSN_BASE_FAILURE_H */
