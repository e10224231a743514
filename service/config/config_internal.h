/*
 * A configuration on its way.  Private to this component.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_CONFIG_INTERNAL_H
#define MSN_CONFIG_INTERNAL_H

#include "settings.h"
#include "types.h"

#include <stdatomic.h>

/* An element, or the one value, as it was written. */
struct item {
	char *text, *origin; /* owned */
};

/* What was said of a setting by the last source that said anything. */
struct value {
	struct item *items;
	size_t count, cap;
	unsigned source;  /* its number; 0: the table */
	char *emptied_by; /* origin of an empty list; or NULL */
};

/* What a struct msn_config is the start of. */
struct whole {
	struct msn_config config;
	atomic_uint refs;
	struct value values[MSN_CONFIG_SETTINGS]; /* set before it is shared */
};

/* Loading: where the sources put what they say. */
struct loader {
	struct whole *whole;
	const struct msn_config_opts *opts;
	struct msn_failure *why;
	unsigned source;
	int rc; /* the first problem, or -ENOMEM: all is over */
};

struct whole *msn_config_whole_new(void);
struct whole *msn_config_whole_free(struct whole *w);
static inline void msn_config_whole_freep(struct whole **w)
{
	msn_config_whole_free(*w);
}

/* Makes the typed values of the texts. */
MSN_MUST_CHECK int msn_config_decode(struct whole *w);

/* Does @w make sense as a whole?  Problems are told to @l. */
void msn_config_check_whole(struct loader *l);

/* Tells of a problem and goes on. */
void msn_config_problem(struct loader *l, enum msn_failure_kind kind,
			const char *origin, const char *fmt, ...)
	MSN_PRINTF(4, 5);

/* @origin says @text of @s; checked, and told of if it is no good. */
void msn_config_say(struct loader *l, const struct msn_config_setting *s,
		    const char *text, const char *origin);

/* ---- Sources ------------------------------------------------------------ */

void msn_config_read_files(struct loader *l);
void msn_config_read_environment(struct loader *l);
void msn_config_read_flags(struct loader *l);

/* Reads one file; one that is not there is a problem only if @required. */
void msn_config_read_file(struct loader *l, const char *path, bool required);

#endif /* MSN_CONFIG_INTERNAL_H */
