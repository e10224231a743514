/*
 * Failures: a code for the program, one line of text for a person.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MEMSNAP_ERROR_H
#define MEMSNAP_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MEMSNAP_MUST_CHECK __attribute__((warn_unused_result))
#else
#define MEMSNAP_MUST_CHECK
#endif

/* What kind of failure it was.  New codes may be added at the end. */
enum memsnap_code {
	MEMSNAP_OK = 0,
	MEMSNAP_INTERNAL,     /* a bug, or an error nobody foresaw */
	MEMSNAP_INVALID,      /* the call itself makes no sense */
	MEMSNAP_NOT_FOUND,    /* no such store, snapshot, blob */
	MEMSNAP_EXISTS,	      /* the name or the address is taken */
	MEMSNAP_PRECONDITION, /* not in this state, or not on this kernel */
	MEMSNAP_ABORTED,      /* the world changed meanwhile */
	MEMSNAP_EXHAUSTED,    /* disk, memory, descriptors, a limit */
	MEMSNAP_DENIED,	      /* no right to do this */
	MEMSNAP_UNAVAILABLE,  /* busy or gone; trying again may help */
	MEMSNAP_CANCELLED,    /* the progress function said so */
	MEMSNAP_DATA_LOSS,    /* bytes that are not what was stored */
	MEMSNAP_UNSUPPORTED,  /* a newer format, a missing feature */
};

/* Room for a failure's text.  Longer texts are cut. */
#define MEMSNAP_ERROR_TEXT 512

/*
 * Filled when a call fails, left alone when it succeeds.  The text is one line
 * without a newline that names what the failure is about.
 */
struct memsnap_error {
	enum memsnap_code code;
	char text[MEMSNAP_ERROR_TEXT];
};

/*
 * The code's name, e.g. "NOT_FOUND": stable, for logs.  Never NULL.  Any
 * thread.
 */
const char *memsnap_code_name(enum memsnap_code code);

#ifdef __cplusplus
}
#endif

#endif /* MEMSNAP_ERROR_H */
