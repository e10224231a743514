/*
 * Features: what the running kernel lets this program do.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_TOOLS_KERNEL_FEATURES_H
#define MSN_TOOLS_KERNEL_FEATURES_H

#include <stdbool.h>
#include <stddef.h>

#define MSN_FEATURE_TEXT 128

struct msn_feature {
	const char *name; /* a stable word */
	bool there;
	char detail[MSN_FEATURE_TEXT]; /* which one, or why not */
};

/* Features that need no store. */
#define MSN_FEATURE_COUNT 6

/* Tries each one.  Leaves nothing behind. */
void msn_features_probe(struct msn_feature out[MSN_FEATURE_COUNT]);

/* Does the file system of folder @path allow O_DIRECT? */
void msn_feature_direct_io(const char *path, struct msn_feature *out);

#endif /* MSN_TOOLS_KERNEL_FEATURES_H */
